package revert

import (
	"context"
	"slices"

	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// restored is one record as it is at the head and as it was before.
type restored struct {
	first   bool // the head's image is known
	now     []byte
	then    []byte
	author  lockstep.Author
	vecNow  []byte // set when a vector is to be taken away or replaced
	vecThen []byte
}

// restoration returns the mutations that take the closure's writes away: for every record
// one, from its image at the head to that before the first write that goes.
func (c *closure) restoration(ctx context.Context, log *version.Log) ([]version.Mutation, error) {
	acc := map[place]*restored{}
	entries := c.t.era.entries
	for i := len(entries) - 1; i >= c.oldest; i-- {
		d, err := log.Delta(ctx, entries[i].Number)
		if err != nil {
			return nil, err
		}
		if d == nil {
			continue
		}
		for j := len(d.Mutations) - 1; j >= 0; j-- {
			m := &d.Mutations[j]
			p := place{m.Collection, m.ID}
			if v, ok := c.restore[p]; ok && i >= v {
				r := acc[p]
				if r == nil {
					r = &restored{}
					acc[p] = r
				}
				r.undo(m, d.AuthorAfter(j, entries[i].Number))
			}
		}
	}
	return mutationsOf(acc), nil
}

// undo folds one more write, newer ones having been folded before.
func (r *restored) undo(m *version.Mutation, author lockstep.Author) {
	if !r.first {
		r.first, r.now, r.author = true, m.After, author
	}
	r.then = m.Before
	if m.VectorBefore == nil && m.VectorAfter == nil {
		return
	}
	if r.vecNow == nil && r.vecThen == nil {
		r.vecNow = m.VectorAfter
	}
	r.vecThen = m.VectorBefore
}

func mutationsOf(acc map[place]*restored) []version.Mutation {
	out := make([]version.Mutation, 0, len(acc))
	for p, r := range acc {
		if (r.now == nil) == (r.then == nil) && slices.Equal(r.now, r.then) {
			continue
		}
		m := version.Mutation{Collection: p.collection, ID: p.id, Cause: -1, Before: r.now, After: r.then, VectorBefore: r.vecNow, VectorAfter: r.vecThen}
		if r.now != nil {
			m.Author = r.author
		}
		if slices.Equal(m.VectorBefore, m.VectorAfter) {
			m.VectorBefore, m.VectorAfter = nil, nil
		}
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b version.Mutation) int {
		return comparePlaces(place{a.Collection, a.ID}, place{b.Collection, b.ID})
	})
	return out
}
