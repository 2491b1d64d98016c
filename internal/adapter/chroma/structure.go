package chroma

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"lockstep/internal/lockstep"
)

// knownMigrations gives, per family of Chroma's migrations, the lowest version
// whose tables we can write (Chroma 1.0.0) and the highest we know (1.5.9):
// CHROMA 5.11.
var knownMigrations = map[string]struct{ least, most int64 }{
	"embeddings_queue": {2, 2},
	"metadb":           {5, 6},
	"sysdb":            {9, 10},
}

// requiredColumns are the columns we write or read, per table (CHROMA 5.2, 5.3, 5.10).
var requiredColumns = map[string][]string{
	"collections":             {"id", "name", "dimension", "database_id", "config_json_str"},
	"collection_metadata":     {"collection_id", "key", "str_value", "int_value", "float_value", "bool_value"},
	"segments":                {"id", "type", "scope", "collection"},
	"segment_metadata":        {"segment_id", "key", "str_value", "int_value", "float_value", "bool_value"},
	"embeddings":              {"id", "segment_id", "embedding_id", "seq_id"},
	"embedding_metadata":      {"id", "key", "string_value", "int_value", "float_value", "bool_value"},
	fullTextTable:             {"string_value"},
	"max_seq_id":              {"segment_id", "seq_id"},
	"embeddings_queue":        {"seq_id", "operation", "topic", "id", "vector", "encoding", "metadata"},
	"embeddings_queue_config": {"config_json_str"},
	"databases":               {"id", "name", "tenant_id"},
}

const (
	fullTextTable = "embedding_fulltext_search"
	arrayTable    = "embedding_metadata_array"
)

// migration is one row of Chroma's migrations table.
type migration struct {
	family  string
	version int64
	file    string
}

// structure is what a directory's tables allow.
type structure struct {
	arrays bool // list values can be stored: Chroma 1.5.0, metadb/00006
	metadb int64
}

// readStructure returns ErrRefused, naming what is unknown or missing, for a
// database whose tables we do not know how to write.
func readStructure(ctx context.Context, db *database) (structure, error) {
	var applied []migration
	err := db.each(ctx, func(scan func(...any) error) error {
		var m migration
		err := scan(&m.family, &m.version, &m.file)
		applied = append(applied, m)
		return err
	}, "SELECT dir, version, filename FROM migrations ORDER BY dir, version")
	if err != nil {
		return structure{}, fmt.Errorf("read migrations: %w", err)
	}
	columns := map[string][]string{}
	err = db.each(ctx, func(scan func(...any) error) error {
		var table, column string
		err := scan(&table, &column)
		columns[table] = append(columns[table], column)
		return err
	}, "SELECT t.name, c.name FROM sqlite_master t, pragma_table_info(t.name) c WHERE t.type = 'table'")
	if err != nil {
		return structure{}, fmt.Errorf("read tables: %w", err)
	}
	s, err := checkStructure(applied, columns)
	if err != nil {
		return structure{}, fmt.Errorf("%s: %w", db.dir, err)
	}
	return s, nil
}

// checkStructure judges migrations and columns; it is pure.
func checkStructure(applied []migration, columns map[string][]string) (structure, error) {
	var unknown []string
	top := map[string]int64{}
	for _, m := range applied {
		known, ok := knownMigrations[m.family]
		if !ok || m.version > known.most {
			unknown = append(unknown, m.family+"/"+m.file)
			continue
		}
		top[m.family] = max(top[m.family], m.version)
	}
	if len(unknown) > 0 {
		err := fmt.Errorf("%w: a newer Chroma than 1.5.9 made these tables, unknown migrations: %s", lockstep.ErrRefused, strings.Join(unknown, ", "))
		return structure{}, lockstep.Hint(err, "use a Chroma from 1.0.0 to 1.5.9, or a newer lockstep")
	}
	var missing []string
	for _, family := range slices.Sorted(maps.Keys(knownMigrations)) {
		if need := knownMigrations[family].least; top[family] < need {
			missing = append(missing, fmt.Sprintf("migration %s/%05d", family, need))
		}
	}
	for _, table := range slices.Sorted(maps.Keys(requiredColumns)) {
		for _, c := range requiredColumns[table] {
			if !slices.Contains(columns[table], c) {
				missing = append(missing, table+"."+c)
			}
		}
	}
	if len(missing) > 0 {
		err := fmt.Errorf("%w: not the tables of Chroma 1.0.0 or newer, missing: %s", lockstep.ErrRefused, strings.Join(missing, ", "))
		return structure{}, lockstep.Hint(err, "open the directory once with Chroma 1.0.0 or newer, which migrates it, or take a fresh one")
	}
	_, arrays := columns[arrayTable]
	return structure{arrays: arrays, metadb: top["metadb"]}, nil
}

// segmentFolders lists the folders that belong to a segment of the database.
// Chroma leaves folders of dropped collections behind; they are not carried along.
func segmentFolders(ctx context.Context, db *database) ([]string, error) {
	var out []string
	err := db.each(ctx, func(scan func(...any) error) error {
		var id string
		if err := scan(&id); err != nil {
			return err
		}
		if !isUUID(id) {
			return fmt.Errorf("%w: segment id %q is not a UUID", lockstep.ErrCorrupt, id)
		}
		out = append(out, id)
		return nil
	}, "SELECT id FROM segments WHERE scope = 'VECTOR' ORDER BY id")
	return out, err
}
