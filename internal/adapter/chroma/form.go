package chroma

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"lockstep/internal/lockstep"
)

const (
	formsFormat   = 1
	maxFormsBytes = 4 << 20
)

// forms are the rows that one Chroma wrote for a collection of each space: what a
// new collection is written after, so that every column fits that version.
type forms struct {
	Format int             `json:"format"`
	Spaces map[string]form `json:"spaces"`
}

// form is one collection as Chroma wrote it.
type form struct {
	ID                 string `json:"id"` // of the collection; a cell that equals it becomes the new id
	MetadataSegment    string `json:"metadata_segment"`
	VectorSegment      string `json:"vector_segment"`
	Collection         row    `json:"collection"`
	Segments           []row  `json:"segments"`
	CollectionMetadata []row  `json:"collection_metadata,omitempty"`
	SegmentMetadata    []row  `json:"segment_metadata,omitempty"`
}

// row is one row of a table: column to string, int64, float64 or nil.
type row map[string]any

var columnPattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

// parseForms reads the file beside a template. ErrCorrupt when it is not one.
func parseForms(body []byte) (forms, error) {
	if len(body) > maxFormsBytes {
		return forms{}, fmt.Errorf("%w forms: %d bytes, at most %d", lockstep.ErrCorrupt, len(body), maxFormsBytes)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	dec.DisallowUnknownFields()
	var f forms
	if err := dec.Decode(&f); err != nil {
		return forms{}, fmt.Errorf("%w forms: %w", lockstep.ErrCorrupt, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return forms{}, fmt.Errorf("%w forms: something follows them", lockstep.ErrCorrupt)
	}
	if f.Format != formsFormat {
		return forms{}, fmt.Errorf("%w forms: format %d, want %d", lockstep.ErrCorrupt, f.Format, formsFormat)
	}
	for space, form := range f.Spaces {
		if err := form.check(); err != nil {
			return forms{}, fmt.Errorf("%w forms of %q: %w", lockstep.ErrCorrupt, space, err)
		}
	}
	return f, nil
}

// check brings numbers to their types and looks at everything that will become SQL.
func (f form) check() error {
	if !isUUID(f.ID) || !isUUID(f.MetadataSegment) || !isUUID(f.VectorSegment) {
		return errors.New("an id is not a UUID")
	}
	if len(f.Segments) != 2 || len(f.Collection) == 0 {
		return fmt.Errorf("%d segments, want 2", len(f.Segments))
	}
	for _, r := range slices.Concat([]row{f.Collection}, f.Segments, f.CollectionMetadata, f.SegmentMetadata) {
		for column, v := range r {
			if !columnPattern.MatchString(column) {
				return fmt.Errorf("column %q", column)
			}
			cell, err := plainCell(v)
			if err != nil {
				return fmt.Errorf("column %q: %w", column, err)
			}
			r[column] = cell
		}
	}
	return nil
}

func plainCell(v any) (any, error) {
	switch v := v.(type) {
	case nil, string, int64, float64:
		return v, nil
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i, nil
		}
		return v.Float64()
	}
	return nil, fmt.Errorf("%T is not a cell", v)
}

// insert writes the rows of a new collection c.
func (f form) insert(ctx context.Context, db *database, c *collection) error {
	ids := map[string]string{f.ID: c.id, f.MetadataSegment: c.metadataSegment, f.VectorSegment: c.vectorSegment}
	main := maps.Clone(f.Collection)
	main["name"] = c.name
	main["dimension"] = nil
	if c.dimension != 0 {
		main["dimension"] = int64(c.dimension)
	}
	if err := insertRow(ctx, db, "collections", main, ids); err != nil {
		return err
	}
	for _, t := range []struct {
		table string
		rows  []row
	}{
		{"segments", f.Segments},
		{"collection_metadata", f.CollectionMetadata},
		{"segment_metadata", f.SegmentMetadata},
	} {
		for _, r := range t.rows {
			if err := insertRow(ctx, db, t.table, r, ids); err != nil {
				return err
			}
		}
	}
	return nil
}

// insertRow writes one row with ids replaced.
func insertRow(ctx context.Context, db *database, table string, r row, ids map[string]string) error {
	columns := slices.Sorted(maps.Keys(r))
	args := make([]any, len(columns))
	for i, c := range columns {
		args[i] = r[c]
		if s, ok := r[c].(string); ok && ids[s] != "" {
			args[i] = ids[s]
		}
		columns[i] = `"` + c + `"`
	}
	marks := strings.TrimSuffix(strings.Repeat("?, ", len(columns)), ", ")
	return db.exec(ctx, "INSERT INTO "+table+" ("+strings.Join(columns, ", ")+") VALUES ("+marks+")", args...)
}

// learnForms reads how the Chroma of this database writes a collection, one form
// per space found there.
func learnForms(ctx context.Context, db *database) (forms, error) {
	out := forms{Format: formsFormat, Spaces: map[string]form{}}
	cols, err := readCollections(ctx, db)
	if err != nil {
		return forms{}, err
	}
	for _, c := range cols {
		if _, ok := out.Spaces[c.space]; ok {
			continue
		}
		f, err := learnForm(ctx, db, c)
		if err != nil {
			return forms{}, fmt.Errorf("learn the form of %s: %w", c.name, err)
		}
		out.Spaces[c.space] = f
	}
	return out, nil
}

func learnForm(ctx context.Context, db *database, c *collection) (form, error) {
	f := form{ID: c.id, MetadataSegment: c.metadataSegment, VectorSegment: c.vectorSegment}
	main, err := readRows(ctx, db, "collections", "id = ?", c.id)
	if err != nil {
		return form{}, err
	}
	if len(main) != 1 {
		return form{}, fmt.Errorf("%w: %d rows for one collection", lockstep.ErrCorrupt, len(main))
	}
	f.Collection = main[0]
	if schema, ok := f.Collection["schema_str"].(string); ok {
		f.Collection["schema_str"], err = bareSchema(schema)
		if err != nil {
			return form{}, err
		}
	}
	if f.Segments, err = readRows(ctx, db, "segments", "collection = ?", c.id); err != nil {
		return form{}, err
	}
	// Only the index's own settings: what a user noted on a collection is not ours to repeat.
	if f.CollectionMetadata, err = readRows(ctx, db, "collection_metadata", "key LIKE 'hnsw:%' AND collection_id = ?", c.id); err != nil {
		return form{}, err
	}
	f.SegmentMetadata, err = readRows(ctx, db, "segment_metadata",
		"key LIKE 'hnsw:%' AND segment_id IN (SELECT id FROM segments WHERE collection = ?)", c.id)
	if err != nil {
		return form{}, err
	}
	return f, f.check()
}

// bareSchema drops the metadata keys a collection has collected in schema_str; it
// keeps those that begin with '#', which every new collection has (CHROMA 5.10).
func bareSchema(schema string) (string, error) {
	var whole, keys map[string]json.RawMessage
	if err := json.Unmarshal([]byte(schema), &whole); err != nil {
		return "", fmt.Errorf("%w: schema_str: %w", lockstep.ErrCorrupt, err)
	}
	if err := json.Unmarshal(whole["keys"], &keys); err != nil {
		return "", fmt.Errorf("%w: schema_str: keys: %w", lockstep.ErrCorrupt, err)
	}
	had := len(keys)
	maps.DeleteFunc(keys, func(k string, _ json.RawMessage) bool { return !strings.HasPrefix(k, "#") })
	if len(keys) == had {
		return schema, nil
	}
	body, err := json.Marshal(keys)
	if err != nil {
		return "", fmt.Errorf("schema_str: %w", err)
	}
	whole["keys"] = body
	out, err := json.Marshal(whole)
	return string(out), err
}

func readRows(ctx context.Context, db *database, table, where, arg string) ([]row, error) {
	rows, err := db.conn.QueryContext(ctx, "SELECT * FROM "+table+" WHERE "+where, arg)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", table, classify(err))
	}
	defer func() { _ = rows.Close() }() // only read from
	columns, err := rows.Columns()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", table, err)
	}
	var out []row
	for rows.Next() {
		cells, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range cells {
			into[i] = &cells[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, fmt.Errorf("%s: %w", table, err)
		}
		r := row{}
		for i, c := range columns {
			r[c] = cells[i]
		}
		out = append(out, r)
	}
	return out, classify(rows.Err())
}

func encodeForms(f forms) ([]byte, error) {
	body, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode forms: %w", err)
	}
	return append(body, '\n'), nil
}
