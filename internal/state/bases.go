package state

import (
	"context"
	"fmt"
	"sync"

	"lockstep/internal/base"
	"lockstep/internal/blob"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

var (
	_ BaseSource = (*Bases)(nil)
	_ prober     = (*Bases)(nil)
)

// Bases opens the bases of a store, and keeps the one that vectors were last read
// from, because a state has all its absent vectors in one base.
type Bases struct {
	store blob.Store

	mu   sync.Mutex // guards everything below
	ref  version.BaseRef
	open *base.Base
}

// NewBases returns the bases of store.
func NewBases(store blob.Store) *Bases { return &Bases{store: store} }

func (b *Bases) get(ctx context.Context, ref version.BaseRef) (*base.Base, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open != nil && b.ref == ref {
		return b.open, nil
	}
	opened, err := base.Open(ctx, b.store, ref.Version, ref.Unique)
	if err != nil {
		return nil, err
	}
	b.ref, b.open = ref, opened
	return opened, nil
}

// Probe says whether a base is there and can be opened: lockstep.ErrNotFound or
// lockstep.ErrCorrupt when not. It reads its manifest.
func (b *Bases) Probe(ctx context.Context, ref version.BaseRef) error {
	_, err := b.get(ctx, ref)
	return err
}

// Vector returns the vector of one record in a base.
func (b *Bases) Vector(ctx context.Context, ref version.BaseRef, c lockstep.Collection, id string) ([]byte, error) {
	opened, err := b.get(ctx, ref)
	if err != nil {
		return nil, err
	}
	v, err := opened.Vector(ctx, c, id)
	if err != nil {
		return nil, err
	}
	return version.AppendVector(nil, v), nil
}

// Load passes every record of a base to use and returns the sums of its manifest.
// The records themselves are checked by whoever compares those sums with what was
// summed: State.LoadBase trusts the hash of each part, which the base checks.
func (b *Bases) Load(ctx context.Context, ref version.BaseRef, use func(lockstep.Collection, *lockstep.Record, *lockstep.Author) error) (map[lockstep.Collection]*version.Tally, error) {
	opened, err := b.get(ctx, ref)
	if err != nil {
		return nil, err
	}
	m := opened.Manifest()
	out := make(map[lockstep.Collection]*version.Tally, len(m.Collections))
	for _, c := range m.Collections {
		sum, err := version.SumOf(c.Sum)
		if err != nil {
			return nil, fmt.Errorf("base of version %d: %s: %w", ref.Version, c.Name, err)
		}
		out[c.Name] = &version.Tally{Sum: sum, Records: c.Rows}
		if c.Rows == 0 {
			continue
		}
		for row, err := range opened.Rows(ctx, c.Name) {
			if err != nil {
				return nil, err
			}
			if err := use(c.Name, &row.Record, &row.Author); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}
