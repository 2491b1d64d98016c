package revert

import (
	"context"
	"errors"

	"lockstep/internal/branch"
	"lockstep/internal/change"
	"lockstep/internal/lockstep"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

// net makes one delta of all that happened on the branch: from the records as they are at
// the head to the records as they come out.
func (p *Plan) net(ctx context.Context, b *branch.Branch) error {
	path, err := b.Log.Path(ctx, p.Head, b.Compactor.Head().Number())
	if err != nil {
		return err
	}
	changes, err := b.Log.NetChanges(ctx, path)
	if err != nil {
		return err
	}
	marks := map[string]int{}
	for i := range changes {
		n := &changes[i]
		m := version.Mutation{
			Collection: n.Collection, ID: n.ID, Before: n.Before, After: n.After, Author: n.AuthorBefore,
			VectorBefore: n.VectorBefore, VectorAfter: n.Vector, Cause: p.mark(marks, n),
		}
		if published(m.Collection) {
			m.Revision = p.Good
			p.Records++
		}
		p.delta.Mutations = append(p.delta.Mutations, m)
	}
	// A key that comes out as it was is marked too: whoever works out the next revert must
	// know that its records rest on older messages.
	marked := map[string]bool{}
	for i := range p.delta.Messages {
		marked[p.delta.Messages[i].Group] = true
	}
	for _, name := range p.closure.keyNames() {
		if !marked[name] {
			p.delta.Messages = append(p.delta.Messages, p.markOf(keyMark(name), name))
		}
	}
	return nil
}

func published(c lockstep.Collection) bool { return c != lockstep.Table && c != lockstep.Parked }

// mark returns the index of the mark that a change is caused by: that of the message which
// wrote the record last, or of the key, when what was there is only taken away.
func (p *Plan) mark(marks map[string]int, n *version.Net) int {
	id, group := n.Author.Message, p.groups[n.Author.Message]
	if group == "" {
		owner := p.closure.t.places[place{n.Collection, n.ID}]
		group = p.closure.t.keys[owner[0].key].name
		id = keyMark(group)
	}
	if i, ok := marks[id]; ok {
		return i
	}
	p.delta.Messages = append(p.delta.Messages, p.markOf(id, group))
	marks[id] = len(p.delta.Messages) - 1
	return marks[id]
}

func (p *Plan) markOf(id, group string) version.Archived {
	return version.Archived{ID: id, Group: group, Outcome: lockstep.Rederived, Revision: p.Good}
}

// keyMark is the mark of a key as a whole. No message has such an id: a source begins it
// with its own name.
func keyMark(group string) string { return "revert/" + group }

// parked lists the keys of the closure that wait now.
func (p *Plan) parked(ctx context.Context, b *branch.Branch) (err error) {
	r, err := b.State.Read()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for _, name := range p.closure.keyNames() {
		waits := false
		if err := r.Scan(ctx, lockstep.Parked, change.ParkedPrefix(name), func(state.Row) error {
			waits = true
			return nil
		}); err != nil {
			return err
		}
		if waits {
			p.Parked = append(p.Parked, name)
		}
	}
	return nil
}
