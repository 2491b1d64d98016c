package chromadir

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"lockstep/internal/lockstep"
)

// pageRows is how many records are read with one query; it bounds memory, not input.
const pageRows = 200

// row is one stored record on its way to becoming a Record.
type row struct {
	record Record
	offset int64
	fields []lockstep.Field
}

// stored yields the records of the metadata segment, page by page in the order of
// their internal ids.
func (s *source) stored(ctx context.Context, yield func(Record) bool) (bool, error) {
	last := int64(-1 << 63)
	for {
		page, err := s.page(ctx, last)
		if err != nil || len(page) == 0 {
			return err == nil, err
		}
		last = page[len(page)-1].offset
		for i := range page {
			r := &page[i].record
			if p := s.rows[r.ID]; p != nil && (!p.alive || p.fresh) {
				continue
			}
			if err := s.complete(ctx, r); err != nil {
				return false, err
			}
			if !yield(*r) {
				return false, nil
			}
		}
	}
}

func (s *source) page(ctx context.Context, after int64) ([]row, error) {
	var page []row
	at := make(map[int64]int, pageRows)
	err := each(ctx, s.dir.db, `SELECT id, embedding_id FROM embeddings WHERE segment_id = ? AND id > ? ORDER BY id LIMIT ?`,
		[]any{s.c.metadata, after, pageRows},
		func(r *sql.Rows) error {
			var next row
			err := r.Scan(&next.offset, &next.record.ID)
			at[next.offset] = len(page)
			page = append(page, next)
			return sqlError(err)
		})
	if err != nil || len(page) == 0 {
		return nil, err
	}
	for _, table := range []string{"embedding_metadata", "embedding_metadata_array"} {
		if s.dir.tables[table] == nil {
			continue // no arrays before 1.5.0
		}
		err := s.fields(ctx, table, page[0].offset, page[len(page)-1].offset, func(offset int64, f lockstep.Field) error {
			i, ok := at[offset]
			if !ok {
				return nil
			}
			return page[i].add(table, f)
		})
		if err != nil {
			return nil, err
		}
	}
	for i := range page {
		if err := page[i].finish(); err != nil {
			return nil, err
		}
	}
	return page, nil
}

// fields reads the metadata rows of a range of records. Of the value columns one is
// set; they are tried in Chroma's order. A row with none of them is no field.
func (s *source) fields(ctx context.Context, table string, lo, hi int64, found func(int64, lockstep.Field) error) error {
	query := fmt.Sprintf(`SELECT id, key, string_value, int_value, float_value, %s FROM %s WHERE id IN
		(SELECT id FROM embeddings WHERE segment_id = ? AND id BETWEEN ? AND ?) ORDER BY id, rowid`,
		s.dir.tables.column(table, "bool_value"), table)
	return each(ctx, s.dir.db, query, []any{s.c.metadata, lo, hi}, func(r *sql.Rows) error {
		var (
			offset int64
			f      lockstep.Field
			text   sql.NullString
			whole  sql.NullInt64
			float  sql.NullFloat64
			truth  sql.NullInt64
		)
		if err := r.Scan(&offset, &f.Key, &text, &whole, &float, &truth); err != nil {
			return fmt.Errorf("%s: %w: %s of record %d: %w", databaseFile, lockstep.ErrCorrupt, table, offset, err)
		}
		switch {
		case text.Valid:
			f.Value = lockstep.String(text.String)
		case whole.Valid:
			f.Value = lockstep.Int(whole.Int64)
		case float.Valid:
			f.Value = lockstep.Float(float.Float64)
		case truth.Valid:
			f.Value = lockstep.Bool(truth.Int64 != 0)
		default:
			return nil
		}
		return found(offset, f)
	})
}

// add takes one metadata row over: a field, or one more element of a list.
func (r *row) add(table string, f lockstep.Field) error {
	if len(r.fields) > lockstep.MaxMetadataKeys {
		return fmt.Errorf("%s: %w: record %q has more than %d metadata keys", databaseFile, lockstep.ErrInvalid, r.record.ID, lockstep.MaxMetadataKeys)
	}
	if table == "embedding_metadata" {
		switch f.Key {
		case documentKey, uriKey:
			return r.record.change(f)
		}
		r.fields = append(r.fields, f)
		return nil
	}
	for i, known := range r.fields {
		if known.Key != f.Key {
			continue
		}
		if known.Value.Kind() != lockstep.KindList {
			return fmt.Errorf("%s: %w: record %q has %q both as a list and as %s", databaseFile, lockstep.ErrCorrupt, r.record.ID, f.Key, known.Value.Kind())
		}
		r.fields[i].Value = lockstep.List(append(known.Value.Elems(), f.Value))
		return nil
	}
	r.fields = append(r.fields, lockstep.Field{Key: f.Key, Value: lockstep.List([]lockstep.Value{f.Value})})
	return nil
}

func (r *row) finish() error {
	slices.SortFunc(r.fields, func(a, b lockstep.Field) int { return strings.Compare(a.Key, b.Key) })
	for i := 1; i < len(r.fields); i++ {
		if r.fields[i].Key == r.fields[i-1].Key {
			return fmt.Errorf("%s: %w: record %q has %q twice", databaseFile, lockstep.ErrCorrupt, r.record.ID, r.fields[i].Key)
		}
	}
	r.record.Metadata = r.fields
	return nil
}
