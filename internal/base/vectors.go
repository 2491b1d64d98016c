package base

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"

	"lockstep/internal/lockstep"
)

// Vectors yields the vectors of one collection in order of id; records without one
// are left out. Vectors of one part share memory: clone what is to outlive the
// loop by far. Errors are as those of Rows. It does not compare vectors with the
// hashes in their records; Verify does.
func (b *Base) Vectors(ctx context.Context, c lockstep.Collection) iter.Seq2[VectorRow, error] {
	return func(yield func(VectorRow, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(VectorRow{}, err)
			return
		}
		have, err := b.contents(c)
		if err != nil {
			yield(VectorRow{}, err)
			return
		}
		b.vectors(ctx, b.ahead(ctx, have.Vectors), yield)
	}
}

func (b *Base) vectors(ctx context.Context, parts iter.Seq[fetched], yield func(VectorRow, error) bool) {
	for part := range parts {
		if part.err != nil {
			yield(VectorRow{}, part.err)
			return
		}
		more, err := vectorGroups(ctx, part, func(t *vectorTable) bool {
			for i := range t.ids {
				if !yield(VectorRow{ID: t.ids[i], Vector: t.at(i)}, nil) {
					return false
				}
			}
			return true
		})
		if err != nil {
			if ctx.Err() == nil {
				err = b.corrupt(part.part, err)
			}
			yield(VectorRow{}, err)
			return
		}
		if !more {
			return
		}
	}
}

// Vector returns the vector of one record. It reads the part that may have it,
// which takes tens of milliseconds, and keeps that part for the next call: ask in
// order of id. ErrNotFound: there is no such collection, record or vector.
func (b *Base) Vector(ctx context.Context, c lockstep.Collection, id string) ([]float32, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	have, err := b.contents(c)
	if err != nil {
		return nil, err
	}
	i, _ := slices.BinarySearchFunc(have.Vectors, id, func(p Part, id string) int { return strings.Compare(p.Last, id) })
	if i == len(have.Vectors) || id < have.Vectors[i].First {
		return nil, b.noVector(c, id)
	}
	t, err := b.table(ctx, have.Vectors[i])
	if err != nil {
		return nil, err
	}
	row, ok := slices.BinarySearch(t.ids, id)
	if !ok {
		return nil, b.noVector(c, id)
	}
	return slices.Clone(t.at(row)), nil
}

func (b *Base) noVector(c lockstep.Collection, id string) error {
	return fmt.Errorf("%s: vector of %s %.80q: %w", b.manifest.ID(), c, id, lockstep.ErrNotFound)
}

// table returns a whole part, the one read last or one read now. Concurrent calls
// may read the same part twice; the lock is never held while reading.
func (b *Base) table(ctx context.Context, p Part) (*vectorTable, error) {
	b.mu.Lock()
	t := b.last
	if t != nil && t.name != p.Name {
		b.last = nil // so that not three parts are in memory at once
	}
	b.mu.Unlock()
	if t != nil && t.name == p.Name {
		return t, nil
	}
	body, err := b.fetch(ctx, p)
	if err != nil {
		return nil, err
	}
	t = &vectorTable{name: p.Name}
	_, err = vectorGroups(ctx, fetched{part: p, body: body}, func(group *vectorTable) bool {
		from := len(t.flat)
		t.ids = append(t.ids, group.ids...)
		t.flat = append(slices.Grow(t.flat, len(group.flat)), group.flat...)
		for _, end := range group.ends {
			t.ends = append(t.ends, from+end)
		}
		return true
	})
	if err != nil {
		if ctx.Err() == nil {
			err = b.corrupt(p, err)
		}
		return nil, err
	}
	b.mu.Lock()
	b.last = t
	b.mu.Unlock()
	return t, nil
}

// vectorTable is a run of vectors in order of id.
type vectorTable struct {
	name string // of the part it is
	ids  []string
	flat []float32
	ends []int // where in flat the vector of each id ends
}

func (t *vectorTable) at(i int) []float32 {
	from := 0
	if i > 0 {
		from = t.ends[i-1]
	}
	return t.flat[from:t.ends[i]:t.ends[i]]
}

// vectorGroups passes the row groups of one part to use until that says stop. A
// table may be kept, its memory is not used again.
func vectorGroups(ctx context.Context, part fetched, use func(*vectorTable) bool) (more bool, err error) {
	var file *parquet.File
	if err := guarded(func() (err error) {
		file, err = openFile(part.body, part.part, parquet.SchemaOf(vectorRow{}))
		return err
	}); err != nil {
		return false, err
	}
	order := newOrder(part.part)
	for _, g := range file.RowGroups() {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		var t vectorTable
		if err := guarded(func() error { return t.read(g) }); err != nil {
			return false, err
		}
		for i, id := range t.ids {
			if err := order.next(id); err != nil {
				return false, fmt.Errorf("vector of %.80q: %w", id, err)
			}
			if len(t.at(i)) > lockstep.MaxDimension {
				return false, fmt.Errorf("vector of %.80q: %d components", id, len(t.at(i)))
			}
		}
		if !use(&t) {
			return false, nil
		}
	}
	return true, order.end()
}

func (t *vectorTable) read(g parquet.RowGroup) (err error) {
	if t.ids, err = readStrings(nil, nil, g, columnID); err != nil {
		return err
	}
	t.flat, t.ends, err = readVectors(nil, nil, g, columnVector)
	if err == nil && len(t.ends) != len(t.ids) {
		err = errors.New("not as many vectors as ids")
	}
	return err
}
