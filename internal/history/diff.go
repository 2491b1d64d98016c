package history

import (
	"context"
	"fmt"

	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// DiffOptions say what Diff shows.
type DiffOptions struct {
	Collection lockstep.Collection // "": all published ones
	Builtin    bool                // also the mirror, the parked and the malformed
	Limit      int                 // records shown; 0: 1000. The counts are always complete
}

const defaultDiffLimit = 1000

// Difference is what lies between two states.
type Difference struct {
	From      uint64       `json:"from"`
	To        uint64       `json:"to"`
	Undo      int          `json:"undo"`  // versions on the way that are undone
	Apply     int          `json:"apply"` // and applied
	Counts    []Count      `json:"counts"`
	Records   []RecordDiff `json:"records"`
	Truncated bool         `json:"truncated,omitempty"`
}

// Change says what became of a record.
type Change string

// The three changes.
const (
	Added   Change = "added"
	Changed Change = "changed"
	Deleted Change = "deleted"
)

// RecordDiff is the change of one record, field by field.
type RecordDiff struct {
	Collection lockstep.Collection `json:"collection"`
	ID         string              `json:"id"`
	Change     Change              `json:"change"`
	Fields     []FieldDiff         `json:"fields"`
	Author     lockstep.Author     `json:"author"` // who wrote the state after
}

// Part is a part of a record.
type Part string

// The parts.
const (
	Document Part = "document"
	Metadata Part = "metadata"
	Vector   Part = "vector"
)

// FieldDiff is the change of one part of a record. Old or New is absent when the
// record or the part was not there.
type FieldDiff struct {
	Part Part   `json:"part"`
	Key  string `json:"key,omitempty"` // of metadata
	Old  *Value `json:"old,omitempty"`
	New  *Value `json:"new,omitempty"`
}

// Value is a value with its kind, so that 1 and 1.0 are told apart. For a vector it
// is its dimension and the beginning of its hash.
type Value struct {
	Kind  string `json:"kind"`
	Value any    `json:"value"`
}

// Diff returns the net change from the state at version a to that at version b; 0 is
// the empty index. version.ErrRetired when the way there leads through what retention
// removed.
func Diff(ctx context.Context, log *version.Log, a, b uint64, opts DiffOptions) (Difference, error) {
	if err := ctx.Err(); err != nil {
		return Difference{}, err
	}
	if opts.Limit < 0 {
		return Difference{}, fmt.Errorf("compare versions %d and %d: %w limit %d", a, b, lockstep.ErrInvalid, opts.Limit)
	}
	limit := opts.Limit
	if limit == 0 {
		limit = defaultDiffLimit
	}
	path, err := log.Path(ctx, a, b)
	var nets []version.Net
	if err == nil {
		nets, err = log.NetChanges(ctx, path)
	}
	if err != nil {
		return Difference{}, fmt.Errorf("compare versions %d and %d: %w", a, b, err)
	}
	kept := nets[:0]
	for _, n := range nets {
		if opts.Collection != "" && n.Collection == opts.Collection || opts.Collection == "" && (opts.Builtin || !n.Collection.Builtin()) {
			kept = append(kept, n)
		}
	}
	d := Difference{From: a, To: b, Undo: len(path.Undo), Apply: len(path.Apply), Truncated: len(kept) > limit}
	d.Counts = counts(len(kept), func(i int) (lockstep.Collection, []byte, []byte) {
		return kept[i].Collection, kept[i].Before, kept[i].After
	})
	if d.Records, err = DiffRecords(kept[:min(len(kept), limit)]); err != nil {
		return Difference{}, fmt.Errorf("compare versions %d and %d: %w", a, b, err)
	}
	return d, nil
}

// DiffRecords spells net changes out field by field, in their order. ErrCorrupt when
// an image is not a record.
func DiffRecords(nets []version.Net) ([]RecordDiff, error) {
	out := make([]RecordDiff, 0, len(nets))
	for i := range nets {
		n := &nets[i]
		d, err := compare(n.Collection, n.ID, n.Before, n.After)
		if err != nil {
			return nil, err
		}
		d.Author = n.Author
		out = append(out, d)
	}
	return out, nil
}

func compare(c lockstep.Collection, id string, before, after []byte) (RecordDiff, error) {
	d := RecordDiff{Collection: c, ID: id, Change: Changed, Fields: []FieldDiff{}}
	var old, now lockstep.Record
	var err error
	if before == nil {
		d.Change = Added
	} else if old, err = version.DecodeRecord(id, before); err != nil {
		return d, fmt.Errorf("collection %s: %w", c, err)
	}
	if after == nil {
		d.Change = Deleted
	} else if now, err = version.DecodeRecord(id, after); err != nil {
		return d, fmt.Errorf("collection %s: %w", c, err)
	}
	if old.HasDocument != now.HasDocument || old.Document != now.Document {
		d.Fields = append(d.Fields, FieldDiff{Part: Document, Old: documentOf(&old), New: documentOf(&now)})
	}
	d.Fields = appendMetadata(d.Fields, old.Metadata, now.Metadata)
	if old.Vector != now.Vector {
		d.Fields = append(d.Fields, FieldDiff{Part: Vector, Old: vectorOf(old.Vector), New: vectorOf(now.Vector)})
	}
	return d, nil
}

// appendMetadata walks both sides, which are sorted, at once.
func appendMetadata(dst []FieldDiff, old, now lockstep.Metadata) []FieldDiff {
	for len(old) > 0 || len(now) > 0 {
		switch {
		case len(now) == 0 || len(old) > 0 && old[0].Key < now[0].Key:
			dst = append(dst, FieldDiff{Part: Metadata, Key: old[0].Key, Old: valueOf(old[0].Value)})
			old = old[1:]
		case len(old) == 0 || now[0].Key < old[0].Key:
			dst = append(dst, FieldDiff{Part: Metadata, Key: now[0].Key, New: valueOf(now[0].Value)})
			now = now[1:]
		default:
			if !old[0].Value.Equal(now[0].Value) {
				dst = append(dst, FieldDiff{Part: Metadata, Key: old[0].Key, Old: valueOf(old[0].Value), New: valueOf(now[0].Value)})
			}
			old, now = old[1:], now[1:]
		}
	}
	return dst
}

func valueOf(v lockstep.Value) *Value { return &Value{v.Kind().String(), v.Any()} }

func documentOf(r *lockstep.Record) *Value {
	if !r.HasDocument {
		return nil
	}
	return &Value{"string", r.Document}
}

func vectorOf(v lockstep.VectorRef) *Value {
	if v.Dim == 0 {
		return nil
	}
	return &Value{"vector", fmt.Sprintf("%d:%x", v.Dim, v.Hash[:6])}
}
