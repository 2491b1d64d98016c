package chromadir

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"regexp"

	"lockstep/internal/lockstep"
)

// The spaces of Chroma; cosine is the one that changes how vectors are stored.
const (
	spaceL2     = "l2"
	spaceCosine = "cosine"
	spaceIP     = "ip"
)

// Segment types that are read here.
const (
	vectorSegment   = "urn:chroma:segment/vector/hnsw-local-persisted"
	metadataSegment = "urn:chroma:segment/metadata/sqlite"
)

var segmentID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// tables says which columns the directory has, because versions differ: table ->
// column.
type tables map[string]map[string]bool

// The tables without which nothing can be read; all exist since 0.4.0.
var needed = []string{
	"collections", "collection_metadata", "segments", "segment_metadata", "migrations",
	"embeddings", "embedding_metadata", "embeddings_queue", "max_seq_id",
}

// readTables lists the ordinary tables. Only those have a root page: a view or a
// virtual table of the same name could run anything, and is not taken for Chroma's.
func readTables(ctx context.Context, db *sql.DB) (tables, error) {
	t := tables{}
	err := each(ctx, db, `SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c
		WHERE m.type = 'table' AND m.rootpage > 0`, nil,
		func(r *sql.Rows) error {
			var table, column string
			if err := r.Scan(&table, &column); err != nil {
				return err
			}
			if t[table] == nil {
				t[table] = map[string]bool{}
			}
			t[table][column] = true
			return nil
		})
	if err != nil {
		return nil, err
	}
	for _, name := range needed {
		if t[name] == nil {
			return nil, fmt.Errorf("%s: %w: no table %q: not a Chroma directory", databaseFile, lockstep.ErrInvalid, name)
		}
	}
	return t, nil
}

// column returns an expression for a column that older versions lack.
func (t tables) column(table, column string) string {
	if t[table][column] {
		return table + "." + column
	}
	return "NULL"
}

func readMigrations(ctx context.Context, db *sql.DB) ([]Migration, error) {
	var out []Migration
	err := each(ctx, db, `SELECT dir, version, filename, hash, sql FROM migrations ORDER BY dir, version`, nil,
		func(r *sql.Rows) error {
			var m Migration
			err := r.Scan(&m.Dir, &m.Version, &m.Filename, &m.Hash, &m.SQL)
			out = append(out, m)
			return err
		})
	return out, err
}

// statedSpace is everything that may say a collection's space (CHROMA 5.10).
type statedSpace struct{ schema, config, segment, collection sql.NullString }

func readCollections(ctx context.Context, db *sql.DB, t tables) ([]Collection, error) {
	const setting = `(SELECT str_value FROM %s WHERE %s AND key = 'hnsw:space')`
	query := fmt.Sprintf(`SELECT collections.id, name, dimension, coalesce(%s, ''), %s, %s, %s, %s, coalesce(v.id, ''), coalesce(v.type, ''),
		coalesce(m.id, ''), coalesce(m.type, '')
		FROM collections
		LEFT JOIN segments v ON v.collection = collections.id AND v.scope = 'VECTOR'
		LEFT JOIN segments m ON m.collection = collections.id AND m.scope = 'METADATA'
		ORDER BY name, collections.id`,
		t.column("collections", "database_id"), t.column("collections", "schema_str"), t.column("collections", "config_json_str"),
		fmt.Sprintf(setting, "segment_metadata", "segment_id = v.id"), fmt.Sprintf(setting, "collection_metadata", "collection_id = collections.id"))
	var out []Collection
	err := each(ctx, db, query, nil, func(r *sql.Rows) error {
		var (
			c            Collection
			dimension    sql.NullInt64
			s            statedSpace
			vType, mType string
		)
		if err := r.Scan(&c.ID, &c.Name, &dimension, &c.Database, &s.schema, &s.config, &s.segment, &s.collection,
			&c.vector, &vType, &c.metadata, &mType); err != nil {
			return sqlError(err)
		}
		if vType != vectorSegment || mType != metadataSegment {
			return fmt.Errorf("collection %q: %w: segments of type %q and %q are not read here", c.Name, lockstep.ErrInvalid, vType, mType)
		}
		if !segmentID.MatchString(c.vector) || !segmentID.MatchString(c.metadata) {
			return fmt.Errorf("collection %q: %w: segment ids %.60q and %.60q are no UUIDs", c.Name, lockstep.ErrCorrupt, c.vector, c.metadata)
		}
		if n := len(out); n > 0 && out[n-1].ID == c.ID {
			return fmt.Errorf("collection %q: %w: more than one segment per scope", c.Name, lockstep.ErrCorrupt)
		}
		if dimension.Int64 < 0 || dimension.Int64 > lockstep.MaxDimension {
			return fmt.Errorf("collection %q: %w: %d dimensions", c.Name, lockstep.ErrCorrupt, dimension.Int64)
		}
		c.Dimension = int(dimension.Int64)
		space, err := s.space()
		if err != nil {
			return fmt.Errorf("collection %q: %w", c.Name, err)
		}
		c.Space = space
		out = append(out, c)
		return nil
	})
	return out, err
}

type vectorIndex struct {
	Space string `json:"space"`
}

// space decides among what several versions left behind. The configuration of 0.5.4
// to 0.6.3 comes last, because it states the default beside the space that was
// really used: those versions took it from the segment's metadata.
func (s statedSpace) space() (string, error) {
	var schema struct {
		Keys map[string]struct {
			FloatList struct {
				VectorIndex struct {
					Config vectorIndex `json:"config"`
				} `json:"vector_index"`
			} `json:"float_list"`
		} `json:"keys"`
	}
	var config struct {
		VectorIndex struct {
			HNSW vectorIndex `json:"hnsw"`
		} `json:"vector_index"`
		Legacy vectorIndex `json:"hnsw_configuration"`
	}
	if err := parseStated(s.schema, &schema); err != nil {
		return "", fmt.Errorf("schema_str: %w", err)
	}
	if err := parseStated(s.config, &config); err != nil {
		return "", fmt.Errorf("config_json_str: %w", err)
	}
	for _, space := range []string{
		schema.Keys["#embedding"].FloatList.VectorIndex.Config.Space,
		config.VectorIndex.HNSW.Space, s.segment.String, s.collection.String, config.Legacy.Space, spaceL2,
	} {
		switch space {
		case "":
			continue
		case spaceL2, spaceCosine, spaceIP:
			return space, nil
		}
		return "", fmt.Errorf("%w: unknown space %q", lockstep.ErrInvalid, space)
	}
	return spaceL2, nil
}

func parseStated(text sql.NullString, into any) error {
	if text.String == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(text.String), into); err != nil {
		return fmt.Errorf("%w: %w", lockstep.ErrCorrupt, err)
	}
	return nil
}
