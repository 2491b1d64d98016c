package chroma

import (
	"database/sql"
	"fmt"
	"unicode/utf8"

	"lockstep/internal/lockstep"
)

// documentKey is the metadata row that holds the document (CHROMA 5.6).
const documentKey = lockstep.ReservedPrefix + "document"

// cell is the four value columns of embedding_metadata: exactly one is set.
type cell struct {
	text  sql.NullString
	num   sql.NullInt64
	float sql.NullFloat64
	truth sql.NullInt64 // Chroma writes booleans as 0 and 1
}

// cellOf lays a scalar out in its column. The zero cell for a list.
func cellOf(v lockstep.Value) cell {
	var c cell
	switch v.Kind() {
	case lockstep.KindString:
		c.text = sql.NullString{String: v.Str(), Valid: true}
	case lockstep.KindInt:
		c.num = sql.NullInt64{Int64: v.Int(), Valid: true}
	case lockstep.KindFloat:
		c.float = sql.NullFloat64{Float64: v.Float(), Valid: true}
	case lockstep.KindBool:
		c.truth = sql.NullInt64{Valid: true}
		if v.Bool() {
			c.truth.Int64 = 1
		}
	case lockstep.KindList:
	}
	return c
}

// value reads a cell in Chroma's order: string, int, float, bool. ok is false when
// no column is set, which Chroma reads as an absent key.
func (c cell) value() (v lockstep.Value, ok bool) {
	switch {
	case c.text.Valid:
		return lockstep.String(c.text.String), true
	case c.num.Valid:
		return lockstep.Int(c.num.Int64), true
	case c.float.Valid:
		return lockstep.Float(c.float.Float64), true
	case c.truth.Valid:
		return lockstep.Bool(c.truth.Int64 != 0), true
	}
	return lockstep.Value{}, false
}

// stored is what one record has in the two metadata tables, document included.
type stored struct {
	fields      map[string]lockstep.Value
	document    string
	hasDocument bool
}

// fieldPlan is what has to happen to the rows of one record.
type fieldPlan struct {
	drop []lockstep.Field // rows to delete, with the value they hold now
	put  []lockstep.Field // rows to write; a key that only changes is in both
}

// planFields compares what is stored with what shall be. A key that keeps its value
// is left alone; one that changes is deleted and written again, because a list and
// a scalar live in different tables. It is pure.
func planFields(before stored, after lockstep.Metadata) fieldPlan {
	var p fieldPlan
	kept := 0
	for _, f := range after {
		old, ok := before.fields[f.Key]
		if ok && old.Equal(f.Value) {
			kept++
			continue
		}
		if ok {
			kept++
			p.drop = append(p.drop, lockstep.Field{Key: f.Key, Value: old})
		}
		p.put = append(p.put, f)
	}
	if kept == len(before.fields) {
		return p
	}
	for key, old := range before.fields {
		if _, ok := after.Get(key); !ok {
			p.drop = append(p.drop, lockstep.Field{Key: key, Value: old})
		}
	}
	return p
}

// checkRecord returns ErrInvalid for a record no Chroma could hold, and ErrRefused
// for one that this directory's Chroma cannot.
func checkRecord(r lockstep.Record, s structure) error {
	if err := r.Check(); err != nil {
		return err
	}
	if !utf8.ValidString(r.ID) || !utf8.ValidString(r.Document) {
		return fmt.Errorf("%w record %q: id or document is not UTF-8", lockstep.ErrInvalid, r.ID)
	}
	for _, f := range r.Metadata {
		if !validText(f) {
			return fmt.Errorf("%w record %q: metadata key %q is not UTF-8", lockstep.ErrInvalid, r.ID, f.Key)
		}
		if f.Value.Kind() == lockstep.KindList && !s.arrays {
			err := fmt.Errorf("%w: record %q: metadata key %q is a list; Chroma before 1.5.0 (here metadb/%05d) cannot store lists",
				lockstep.ErrRefused, r.ID, f.Key, s.metadb)
			return lockstep.Hint(err, "open the follower once with Chroma 1.5.0 or newer, or let the handler write the list as one string (labels: csv)")
		}
	}
	return nil
}

func validText(f lockstep.Field) bool {
	if !utf8.ValidString(f.Key) || !utf8.ValidString(f.Value.Str()) {
		return false
	}
	for _, e := range f.Value.Elems() {
		if !utf8.ValidString(e.Str()) {
			return false
		}
	}
	return true
}
