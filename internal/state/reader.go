package state

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// Reader is a fixed view of the state at one version: later versions do not show
// in it. Close releases it. One goroutine each.
type Reader struct {
	snap  *pebble.Snapshot
	it    *pebble.Iterator
	meta  meta
	bases VectorSource
	key   []byte
}

// Read returns a view of the state as it is now.
func (s *State) Read() (*Reader, error) {
	snap := s.db.NewSnapshot()
	// The snapshot's own meta record says what it shows; the field may be ahead.
	m, err := readMeta(snap)
	if err != nil {
		return nil, errors.Join(err, snap.Close())
	}
	return &Reader{snap: snap, meta: m, bases: s.bases}, nil
}

// Close releases the view.
func (r *Reader) Close() error {
	var err error
	if r.it != nil {
		err = r.it.Close()
	}
	return errors.Join(err, r.snap.Close())
}

// Version returns the version the view shows.
func (r *Reader) Version() uint64 { return r.meta.Version }

// Tally returns sum and count of one collection.
func (r *Reader) Tally(c lockstep.Collection) version.Tally {
	if t := r.meta.Tallies[c]; t != nil {
		return *t
	}
	return version.Tally{}
}

// Get passes one record to use; found is false when there is none.
func (r *Reader) Get(c lockstep.Collection, id string, use func(Row) error) (found bool, err error) {
	r.key = appendKey(r.key[:0], keyRecord, c, id)
	v, closer, err := r.snap.Get(r.key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("local state: get %s %q: %w", c, id, err)
	}
	defer func() { _ = closer.Close() }() // gives memory back
	row, err := parseRow(r.key, len(c)+2, v)
	if err != nil {
		return false, err
	}
	return true, use(row)
}

// Scan passes every record of c whose id begins with prefix to use, in id order,
// until use returns an error, which Scan then returns.
func (r *Reader) Scan(ctx context.Context, c lockstep.Collection, prefix string, use func(Row) error) error {
	lower := appendKey(nil, keyRecord, c, prefix)
	return r.scan(ctx, c, lower, prefixEnd(lower), use)
}

// ScanFrom is Scan for every record of c whose id is from or sorts behind it.
func (r *Reader) ScanFrom(ctx context.Context, c lockstep.Collection, from string, use func(Row) error) error {
	return r.scan(ctx, c, appendKey(nil, keyRecord, c, from), prefixEnd(appendKey(nil, keyRecord, c, "")), use)
}

func (r *Reader) scan(ctx context.Context, c lockstep.Collection, lower, upper []byte, use func(Row) error) error {
	if r.it == nil {
		it, err := r.snap.NewIter(nil)
		if err != nil {
			return fmt.Errorf("local state: %w", err)
		}
		r.it = it
	}
	r.it.SetBounds(lower, upper)
	idAt := len(c) + 2
	for ok := r.it.First(); ok; ok = r.it.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		v, err := r.it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("local state: scan %s: %w", c, err)
		}
		row, err := parseRow(r.it.Key(), idAt, v)
		if err != nil {
			return err
		}
		if err := use(row); err != nil {
			return err
		}
	}
	if err := r.it.Error(); err != nil {
		return fmt.Errorf("local state: scan %s: %w", c, err)
	}
	return nil
}

// Record returns one record decoded, with its author. ok is false when there is none.
func (r *Reader) Record(c lockstep.Collection, id string) (rec lockstep.Record, a lockstep.Author, ok bool, err error) {
	ok, err = r.Get(c, id, func(row Row) error {
		a = row.Author()
		rec, err = version.DecodeRecord(id, row.Record)
		return err
	})
	return rec, a, ok, err
}

// Vector returns the vector of a record that has one, as version.AppendVector
// makes it, from the local store or from the base it was loaded from. ErrCorrupt
// when what is found is not the vector that ref names.
func (r *Reader) Vector(ctx context.Context, c lockstep.Collection, id string, ref lockstep.VectorRef) ([]byte, error) {
	if ref.Dim == 0 {
		return nil, nil
	}
	v, err := r.vector(ctx, c, id)
	if err != nil {
		return nil, fmt.Errorf("vector of %s %q: %w", c, id, err)
	}
	if version.RefOf(v) != ref {
		return nil, fmt.Errorf("vector of %s %q: %w: it is not the one its record names", c, id, lockstep.ErrCorrupt)
	}
	return v, nil
}

func (r *Reader) vector(ctx context.Context, c lockstep.Collection, id string) ([]byte, error) {
	v, closer, err := r.snap.Get(appendKey(nil, keyVector, c, id))
	if err == nil {
		defer func() { _ = closer.Close() }() // gives memory back
		return append([]byte(nil), v...), nil
	}
	if !errors.Is(err, pebble.ErrNotFound) {
		return nil, err
	}
	return r.fromBase(ctx, c, id)
}

// fromBase finds a vector that the local state does not hold.
func (r *Reader) fromBase(ctx context.Context, c lockstep.Collection, id string) ([]byte, error) {
	if r.meta.Base == nil || r.bases == nil {
		return nil, fmt.Errorf("not in the local state, which was loaded from no base: %w", lockstep.ErrCorrupt)
	}
	return r.bases.Vector(ctx, *r.meta.Base, c, id)
}

// Vectors reads the vectors of one collection for a walk in order of id: one iterator
// beside that of the records instead of a search for each. Close it before the Reader.
type Vectors struct {
	r     *Reader
	c     lockstep.Collection
	it    *pebble.Iterator
	valid bool
	idAt  int
}

// Vectors returns the vectors of c.
func (r *Reader) Vectors(c lockstep.Collection) (*Vectors, error) {
	lower := appendKey(nil, keyVector, c, "")
	it, err := r.snap.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: prefixEnd(lower)})
	if err != nil {
		return nil, fmt.Errorf("local state: %w", err)
	}
	return &Vectors{r: r, c: c, it: it, valid: it.First(), idAt: len(lower)}, nil
}

// Next returns the vector of a record that has one, as version.AppendVector makes it,
// valid until the next call. Ids must ascend. It does not compare it with its hash.
func (v *Vectors) Next(ctx context.Context, id string) ([]byte, error) {
	for v.valid && string(v.it.Key()[v.idAt:]) < id {
		v.valid = v.it.Next()
	}
	if v.valid && string(v.it.Key()[v.idAt:]) == id {
		return v.it.ValueAndErr()
	}
	if err := v.it.Error(); err != nil {
		return nil, fmt.Errorf("local state: scan vectors of %s: %w", v.c, err)
	}
	return v.r.fromBase(ctx, v.c, id)
}

// Close releases the iterator.
func (v *Vectors) Close() error { return v.it.Close() }

// Collections returns the names of all collections the state has ever held.
func (r *Reader) Collections() []lockstep.Collection {
	out := make([]lockstep.Collection, 0, len(r.meta.Tallies))
	for c := range r.meta.Tallies {
		out = append(out, c)
	}
	return out
}
