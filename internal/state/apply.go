package state

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// Apply makes the state that of version n, whose parent it is at, by the images
// after of d; d may be nil. tallies is what d does to the sums; nil: compute it.
// On error the state is unchanged.
func (s *State) Apply(ctx context.Context, n uint64, d *version.Delta, tallies map[lockstep.Collection]*version.Tally) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.step(n, d, tallies, forward)
}

// Undo makes the state that of version to, the parent of the version whose delta
// is d, by the images before. On error the state is unchanged.
func (s *State) Undo(ctx context.Context, to uint64, d *version.Delta) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.step(to, d, nil, backward)
}

// direction says which images of a delta become true.
type direction int

const (
	forward direction = iota
	backward
)

func (s *State) step(n uint64, d *version.Delta, tallies map[lockstep.Collection]*version.Tally, dir direction) error {
	p, err := s.prepare(n, d, tallies, dir)
	if err != nil {
		return err
	}
	return p.Commit()
}

// Prepared is a step that is built and not yet taken.
type Prepared struct {
	state *State
	batch *pebble.Batch
	meta  meta
}

// Prepare builds what Apply would do, so that it can be built while the version is
// being published. The state must not change until Commit or Discard, one of which
// must be called.
func (s *State) Prepare(n uint64, d *version.Delta, tallies map[lockstep.Collection]*version.Tally) (*Prepared, error) {
	return s.prepare(n, d, tallies, forward)
}

func (s *State) prepare(n uint64, d *version.Delta, tallies map[lockstep.Collection]*version.Tally, dir direction) (*Prepared, error) {
	b := s.db.NewBatchWithSize(batchSize(d))
	if d != nil {
		if tallies == nil {
			tallies = d.Sums(&s.hasher)
		}
		if err := fill(b, n, d, dir); err != nil {
			return nil, errors.Join(fmt.Errorf("local state: version %d: %w", n, err), b.Close())
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return &Prepared{state: s, batch: b, meta: s.meta.with(n, tallies, dir)}, nil
}

// Commit takes the step. On error the state is unchanged.
func (p *Prepared) Commit() error {
	defer p.Discard()
	if err := p.state.commit(p.batch, p.meta); err != nil {
		return fmt.Errorf("local state: version %d: %w", p.meta.Version, err)
	}
	return nil
}

// Discard gives the step up.
func (p *Prepared) Discard() { _ = p.batch.Close() } // gives memory back

// batchSize estimates a batch, so that it need not grow by doubling.
func batchSize(d *version.Delta) int {
	n := 4 << 10
	if d == nil {
		return n
	}
	for i := range d.Mutations {
		m := &d.Mutations[i]
		n += len(m.ID) + max(len(m.After), len(m.Before)) + max(len(m.VectorAfter), len(m.VectorBefore)) + 128
	}
	return n
}

func fill(b *pebble.Batch, n uint64, d *version.Delta, dir direction) error {
	var key, row []byte
	at := func(i int) int { return i }
	if dir == backward {
		at = func(i int) int { return len(d.Mutations) - 1 - i }
	}
	for i := range d.Mutations {
		i = at(i)
		m := &d.Mutations[i]
		image, vector, gone := m.After, m.VectorAfter, m.VectorBefore
		author := d.AuthorAfter(i, n)
		if dir == backward {
			image, vector, gone, author = m.Before, m.VectorBefore, m.VectorAfter, m.Author
		}
		key = appendKey(key[:0], keyRecord, m.Collection, m.ID)
		if image == nil {
			if err := b.Delete(key, nil); err != nil {
				return err
			}
		} else {
			row = appendRow(row[:0], &author, image)
			if err := b.Set(key, row, nil); err != nil {
				return err
			}
		}
		if vector == nil && gone == nil {
			continue
		}
		key = appendKey(key[:0], keyVector, m.Collection, m.ID)
		if vector != nil {
			if err := b.Set(key, vector, nil); err != nil {
				return err
			}
		} else if err := b.Delete(key, nil); err != nil {
			return err
		}
	}
	return nil
}
