package chroma

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"lockstep/internal/follow"
	"lockstep/internal/lockstep"
)

// collection is one row of collections with its two segments.
type collection struct {
	id, name, space                string
	metadataSegment, vectorSegment string
	dimension                      int   // 0: none set
	applied                        int64 // METADATA watermark, 0: no row
	moved                          int64 // queue number of the last change of this step, 0: none
	sized                          bool  // this step set the dimension
}

func (c *collection) topic() string { return topicOf(c.id) }

// checkVector returns ErrInvalid unless v fits the collection; the first vector of
// a collection sets its dimension, without which Chroma's backfill returns at once.
func (c *collection) checkVector(id string, v []float32) error {
	if err := lockstep.CheckVector(v); err != nil {
		return fmt.Errorf("record %q: %w", id, err)
	}
	if c.dimension == 0 {
		c.dimension, c.sized = len(v), true
	}
	if len(v) != c.dimension {
		return fmt.Errorf("%w record %q: a vector of %d components in a collection of %d", lockstep.ErrInvalid, id, len(v), c.dimension)
	}
	return nil
}

// readCollections lists what a database holds, by name. ErrRefused when a
// collection lies outside Chroma's default database, which we do not follow into.
func readCollections(ctx context.Context, db *database) ([]*collection, error) {
	var out []*collection
	err := db.each(ctx, func(scan func(...any) error) error {
		c := &collection{}
		var dimension sql.NullInt64
		var config, schema, database sql.NullString
		if err := scan(&c.id, &c.name, &dimension, &config, &schema, &database); err != nil {
			return err
		}
		if !isUUID(c.id) {
			return fmt.Errorf("%w: collection %q has the id %q", lockstep.ErrCorrupt, c.name, c.id)
		}
		c.dimension = int(dimension.Int64)
		c.space = spaceIn(config.String, schema.String)
		if database.String != defaultDatabase {
			return fmt.Errorf("%w: collection %q is in the database %q; only %s is followed into", lockstep.ErrRefused, c.name, database.String, defaultDatabase)
		}
		out = append(out, c)
		return nil
	}, "SELECT c.id, c.name, c.dimension, c.config_json_str, "+schemaColumn(ctx, db)+", d.name FROM collections c JOIN databases d ON d.id = c.database_id ORDER BY c.name")
	if err != nil {
		return nil, fmt.Errorf("read collections: %w", err)
	}
	for _, c := range out {
		const segment = "SELECT id FROM segments WHERE collection = ? AND scope = ?"
		if err := db.scan(ctx, segment, []any{c.id, "METADATA"}, &c.metadataSegment); err != nil {
			return nil, fmt.Errorf("metadata segment of %s: %w", c.name, err)
		}
		if err := db.scan(ctx, segment, []any{c.id, "VECTOR"}, &c.vectorSegment); err != nil {
			return nil, fmt.Errorf("vector segment of %s: %w", c.name, err)
		}
		err := db.scan(ctx, "SELECT coalesce((SELECT seq_id FROM max_seq_id WHERE segment_id = ?), 0)", []any{c.metadataSegment}, &c.applied)
		if err != nil {
			return nil, fmt.Errorf("watermark of %s: %w", c.name, err)
		}
	}
	return out, nil
}

// defaultDatabase is where a client without settings looks (CHROMA 5.2).
const defaultDatabase = "default_database"

// schemaColumn is the expression for a collection's schema: the column came with
// Chroma 1.3.0 (sysdb/00010).
func schemaColumn(ctx context.Context, db *database) string {
	var n int
	err := db.scan(ctx, "SELECT count(*) FROM pragma_table_info('collections') WHERE name = 'schema_str'", nil, &n)
	if err != nil || n == 0 {
		return "NULL" // a database that cannot be read fails at the query this goes into
	}
	return "c.schema_str"
}

// spaceIn finds the distance in a collection's configuration: schema_str since
// 1.3.0, config_json_str before (CHROMA 5.10); Chroma's default when neither says.
func spaceIn(config, schema string) string {
	var s struct {
		Keys map[string]struct {
			FloatList struct {
				VectorIndex struct {
					Config struct {
						Space string `json:"space"`
					} `json:"config"`
				} `json:"vector_index"`
			} `json:"float_list"`
		} `json:"keys"`
	}
	if json.Unmarshal([]byte(schema), &s) == nil {
		if space := s.Keys["#embedding"].FloatList.VectorIndex.Config.Space; space != "" {
			return space
		}
	}
	var c struct {
		VectorIndex struct {
			HNSW struct {
				Space string `json:"space"`
			} `json:"hnsw"`
		} `json:"vector_index"`
	}
	if json.Unmarshal([]byte(config), &c) == nil && c.VectorIndex.HNSW.Space != "" {
		return c.VectorIndex.HNSW.Space
	}
	return spaces[0]
}

// settleCollections makes the collections of the database those of the step.
func (e *editor) settleCollections(ctx context.Context, specs []follow.Spec, f forms) error {
	wanted := map[lockstep.Collection]bool{}
	for _, s := range specs {
		wanted[s.Name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(e.cols)) {
		if wanted[name] {
			continue
		}
		if err := e.dropCollection(ctx, e.cols[name]); err != nil {
			return fmt.Errorf("drop collection %s: %w", name, err)
		}
		delete(e.cols, name)
	}
	for _, s := range specs {
		c, ok := e.cols[s.Name]
		if !ok {
			if err := e.addCollection(ctx, s, f); err != nil {
				return fmt.Errorf("make collection %s: %w", s.Name, err)
			}
			continue
		}
		if c.space != spaceOf(s) || s.Dimension != 0 && c.dimension != 0 && c.dimension != s.Dimension {
			err := fmt.Errorf("%w: collection %s is %d-dimensional %s, the step wants %d-dimensional %s",
				lockstep.ErrRefused, s.Name, c.dimension, c.space, s.Dimension, spaceOf(s))
			return lockstep.Hint(err, "Chroma cannot change either; take a Full step")
		}
		if c.dimension == 0 && s.Dimension != 0 {
			c.dimension, c.sized = s.Dimension, true
		}
	}
	return nil
}

// dropCollection removes every row of a collection. Its segment folder stays with
// the old directory: a copy leaves it out, an edit in place leaves it to Chroma.
func (e *editor) dropCollection(ctx context.Context, c *collection) error {
	const records = "(SELECT id FROM embeddings WHERE segment_id = ?)"
	type step struct {
		query string
		arg   string
	}
	steps := []step{
		{"DELETE FROM " + fullTextTable + " WHERE rowid IN " + records, c.metadataSegment},
		{"DELETE FROM embedding_metadata WHERE id IN " + records, c.metadataSegment},
	}
	if e.is.arrays {
		steps = append(steps, step{"DELETE FROM " + arrayTable + " WHERE id IN " + records, c.metadataSegment})
	}
	steps = append(steps,
		step{"DELETE FROM embeddings WHERE segment_id = ?", c.metadataSegment},
		step{"DELETE FROM embeddings_queue WHERE topic = ?", c.topic()},
		step{"DELETE FROM max_seq_id WHERE segment_id = ?", c.metadataSegment},
		step{"DELETE FROM max_seq_id WHERE segment_id = ?", c.vectorSegment},
		step{"DELETE FROM segment_metadata WHERE segment_id = ?", c.metadataSegment},
		step{"DELETE FROM segment_metadata WHERE segment_id = ?", c.vectorSegment},
		step{"DELETE FROM segments WHERE collection = ?", c.id},
		step{"DELETE FROM collection_metadata WHERE collection_id = ?", c.id},
		step{"DELETE FROM collections WHERE id = ?", c.id},
	)
	for _, s := range steps {
		if err := e.db.exec(ctx, s.query, s.arg); err != nil {
			return err
		}
	}
	return nil
}

// addCollection writes the rows of a new collection after the form that Chroma
// itself gave a collection of that space.
func (e *editor) addCollection(ctx context.Context, s follow.Spec, f forms) error {
	form, ok := f.Spaces[spaceOf(s)]
	if !ok {
		err := fmt.Errorf("%w: the template does not show how this Chroma writes a collection of the space %q", lockstep.ErrRefused, spaceOf(s))
		return lockstep.Hint(err, "name a Chroma command for the template, or create an empty collection of that space in the template directory")
	}
	c := &collection{
		id: stableUUID(e.store, string(s.Name), "collection"), name: string(s.Name), space: spaceOf(s),
		metadataSegment: freshUUID(), vectorSegment: freshUUID(), dimension: s.Dimension,
	}
	e.cols[s.Name] = c
	return form.insert(ctx, e.db, c)
}

// finish writes the watermarks and dimensions and keeps the queue's last number
// at or above every watermark.
func (e *editor) finish(ctx context.Context) error {
	for _, name := range slices.Sorted(maps.Keys(e.cols)) {
		c := e.cols[name]
		if c.sized {
			if err := e.db.exec(ctx, "UPDATE collections SET dimension = ? WHERE id = ?", c.dimension, c.id); err != nil {
				return err
			}
		}
		if c.moved == 0 {
			continue
		}
		if err := e.db.exec(ctx, "INSERT OR REPLACE INTO max_seq_id (segment_id, seq_id) VALUES (?, ?)", c.metadataSegment, c.moved); err != nil {
			return err
		}
		c.applied = c.moved
	}
	queued, applied, err := highest(ctx, e.db)
	if err != nil || !needsSentinel(queued, applied) {
		return err
	}
	return e.addSentinel(ctx, applied)
}

// sentinelID names a record that nobody has: deleting it is what the sentinel row says.
const sentinelID = "lockstep-sentinel"

// addSentinel puts a row without effect into the queue at the highest watermark.
func (e *editor) addSentinel(ctx context.Context, seq int64) error {
	if len(e.cols) == 0 { // none is left whose writes could vanish
		return e.db.exec(ctx, "DELETE FROM max_seq_id")
	}
	topic := e.cols[slices.Min(slices.Collect(maps.Keys(e.cols)))].topic()
	if _, err := e.run.enqueue.ExecContext(ctx, seq, opDelete, topic, sentinelID, nil, nil, nil); err != nil {
		return fmt.Errorf("write the queue's sentinel: %w", classify(err))
	}
	return nil
}
