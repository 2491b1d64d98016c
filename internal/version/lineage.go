package version

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"lockstep/internal/lockstep"
)

// Path is the way from one state to another in the tree of states: the versions
// whose deltas must be undone, newest first, and those to be applied then, oldest
// first.
type Path struct {
	Undo  []uint64
	Apply []uint64
}

// Path returns the way from the state at version from to the state at version to.
// Version 0 is the empty index. ErrRetired when the way leads through versions
// that retention removed.
func (l *Log) Path(ctx context.Context, from, to uint64) (Path, error) {
	var p Path
	a, b := from, to
	for a != b {
		if err := ctx.Err(); err != nil {
			return Path{}, err
		}
		// A parent is always older, so the newer of the two is the one to leave.
		if a > b {
			e, err := l.Read(ctx, a)
			if err != nil {
				return Path{}, fmt.Errorf("way from version %d to %d: %w", from, to, err)
			}
			p.Undo, a = append(p.Undo, a), e.Parent
			continue
		}
		e, err := l.Read(ctx, b)
		if err != nil {
			return Path{}, fmt.Errorf("way from version %d to %d: %w", from, to, err)
		}
		p.Apply, b = append(p.Apply, b), e.Parent
	}
	slices.Reverse(p.Apply)
	return p, nil
}

// Line returns the versions on the state line from the version from (exclusive),
// or from where the two lines part, to the version to (inclusive), oldest first.
func (l *Log) Line(ctx context.Context, from, to uint64) ([]uint64, error) {
	p, err := l.Path(ctx, from, to)
	if err != nil {
		return nil, err
	}
	return p.Apply, nil
}

// Net is what a way does to one record, everything between left out.
type Net struct {
	Collection lockstep.Collection
	ID         string
	Before     []byte // canonical record; nil: absent
	After      []byte
	Vector     []byte // the vector after, when it may differ from the one before
	Author     lockstep.Author
	// VectorBefore is the vector before, when the way changes it at all, and AuthorBefore
	// who wrote the image before.
	VectorBefore []byte
	AuthorBefore lockstep.Author
}

// NetChanges folds the deltas of a way into one change per record, without those
// that cancel out. The result is sorted by collection and id.
func (l *Log) NetChanges(ctx context.Context, p Path) ([]Net, error) {
	type key struct {
		c  lockstep.Collection
		id string
	}
	acc := map[key]*Net{}
	moved := map[key]bool{} // keys whose vector the way has changed
	// gone is the vector on the other side: set, with vector nil, when the way takes
	// the vector away, which must not leave an earlier one behind.
	fold := func(m *Mutation, before, after, vector, gone []byte, from, author lockstep.Author) {
		k := key{m.Collection, m.ID}
		net := acc[k]
		if net == nil {
			net = &Net{Collection: m.Collection, ID: m.ID, Before: before, AuthorBefore: from}
			acc[k] = net
		}
		net.After, net.Author = after, author
		if vector == nil && gone == nil {
			return
		}
		if !moved[k] {
			moved[k], net.VectorBefore = true, gone
		}
		net.Vector = vector
	}
	for _, n := range p.Undo {
		d, err := l.Delta(ctx, n)
		if err != nil {
			return nil, err
		}
		for i := mutations(d) - 1; i >= 0; i-- {
			m := &d.Mutations[i]
			fold(m, m.After, m.Before, m.VectorBefore, m.VectorAfter, d.AuthorAfter(i, n), m.Author)
		}
	}
	for _, n := range p.Apply {
		d, err := l.Delta(ctx, n)
		if err != nil {
			return nil, err
		}
		for i := range mutations(d) {
			m := &d.Mutations[i]
			fold(m, m.Before, m.After, m.VectorAfter, m.VectorBefore, m.Author, d.AuthorAfter(i, n))
		}
	}
	out := make([]Net, 0, len(acc))
	for _, n := range acc {
		if (n.Before == nil) != (n.After == nil) || string(n.Before) != string(n.After) {
			out = append(out, *n)
		}
	}
	slices.SortFunc(out, func(a, b Net) int {
		if a.Collection != b.Collection {
			return strings.Compare(string(a.Collection), string(b.Collection))
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out, nil
}

func mutations(d *Delta) int {
	if d == nil {
		return 0
	}
	return len(d.Mutations)
}
