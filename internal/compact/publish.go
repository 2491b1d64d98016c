package compact

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"lockstep/internal/lockstep"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

// publish makes the plans one version and returns its number; with nothing to
// write it returns the version they were planned on. On ledger.ErrHeadMoved nothing
// became true and the plans are stale.
func (c *Compactor) publish(ctx context.Context, plans []*planned, backlog *backlogStep) (uint64, error) {
	d := &draft{tallies: map[lockstep.Collection]*version.Tally{}, revisions: map[string]int{}, outcomes: map[lockstep.Outcome]int{}}
	mutations := 0
	for _, p := range plans {
		mutations += len(p.mutations)
	}
	d.delta.Mutations = make([]version.Mutation, 0, mutations)
	for _, p := range plans {
		d.add(p)
	}
	if len(d.delta.Messages) == 0 && len(d.delta.Mutations) == 0 && backlog == nil {
		for o, n := range d.outcomes {
			c.counts[o] += n
		}
		return c.head.Number(), nil
	}
	for o, n := range c.counts {
		d.outcomes[o] += n
	}
	e := c.entry(d, backlog)
	bytes, err := c.encode(d, e)
	if err != nil {
		return 0, err
	}
	step, head, err := c.publishBeside(ctx, d, e, bytes)
	if err != nil {
		return 0, err
	}
	c.moved(head)
	clear(c.counts)
	// From here on the version is true. A state that cannot follow is only behind:
	// the next commit reads the log again.
	if err := step.Commit(); err != nil {
		c.fresh = false
		return 0, fmt.Errorf("version %d is published; %w", head.Number(), err)
	}
	if !d.parks {
		c.parkedAt = head.Number()
	}
	return head.Number(), nil
}

// publishBeside publishes the entry and builds the local state's step meanwhile: one
// waits for the disk, the other for the processor.
func (c *Compactor) publishBeside(ctx context.Context, d *draft, e *version.Entry, delta []byte) (*state.Prepared, version.Head, error) {
	var step *state.Prepared
	var g errgroup.Group
	prepare := func() (err error) {
		step, err = c.state.Prepare(c.head.Number()+1, &d.delta, d.tallies)
		return err
	}
	if c.opts.Workers > 1 {
		g.Go(prepare)
	} else if err := prepare(); err != nil { // in this goroutine, so that a simulation can follow it
		return nil, version.Head{}, err
	}
	head, err := c.log.Publish(ctx, c.head, e, delta)
	perr := g.Wait()
	if err != nil && step != nil {
		step.Discard()
	}
	if err == nil && perr != nil {
		c.fresh = false // it is published, and the state is behind
	}
	return step, head, errors.Join(err, perr)
}

// draft is the content of the next version.
type draft struct {
	delta     version.Delta
	tallies   map[lockstep.Collection]*version.Tally
	revisions map[string]int
	outcomes  map[lockstep.Outcome]int
	dims      map[lockstep.Collection]int
	parks     bool // the parked collection changes
	trial     version.Trial
	routed    []*routedKey
}

func (d *draft) add(p *planned) {
	shift := len(d.delta.Messages)
	d.delta.Messages = append(d.delta.Messages, p.archive...)
	for i := range p.archive {
		if by := p.archive[i].Revision; by != "" {
			d.revisions[by] += 0 // who decides that nothing is to be done decides
		}
	}
	for i := range p.mutations {
		m := p.mutations[i]
		if m.Cause >= 0 {
			m.Cause += shift
		}
		if m.Revision != "" {
			d.revisions[m.Revision]++
		}
		d.delta.Mutations = append(d.delta.Mutations, m)
	}
	for c, t := range p.tallies {
		if d.tallies[c] == nil {
			d.tallies[c] = &version.Tally{}
		}
		d.tallies[c].Add(t)
		d.parks = d.parks || c == lockstep.Parked
	}
	for _, o := range p.outcomes {
		d.outcomes[o.Outcome]++
	}
	if p.unit != nil {
		d.trial.Add(p.unit)
	}
	if p.routed != nil {
		d.routed = append(d.routed, p.routed)
	}
	if len(p.dims) > 0 && d.dims == nil {
		d.dims = map[lockstep.Collection]int{}
	}
	maps.Copy(d.dims, p.dims)
}

// entry describes the next version: the state of the head with the draft on top.
func (c *Compactor) entry(d *draft, backlog *backlogStep) *version.Entry {
	e := &version.Entry{Kind: version.Compact, Parent: c.head.Number(), Revisions: d.revisions, Outcomes: d.outcomes, At: c.opts.Now().UTC(), Cause: version.Cause{Actor: c.opts.Actor}}
	if prev := c.head.Entry; prev != nil {
		e.Base, e.SinceBase, e.Chain, e.Backlog = prev.Base, prev.SinceBase, prev.Chain, prev.Backlog
	}
	if backlog != nil {
		e.Backlog, e.Cause.Command = backlog.after(e.Backlog), "replay"
	}
	e.Collections = c.collections(d)
	if keys := keysOf(d.routed, c.arms); len(d.trial.Arms) > 0 || keys != nil {
		e.Trial = &version.Trial{Name: c.arms.trial, Arms: d.trial.Arms, Keys: keys}
	}
	return e
}

func (c *Compactor) collections(d *draft) []version.CollectionState {
	tallies := c.state.Tallies()
	for name, t := range d.tallies {
		sum := tallies[name]
		sum.Add(t)
		tallies[name] = sum
	}
	known := map[lockstep.Collection]version.CollectionState{}
	for _, s := range c.arms.collections() {
		known[s.Name] = version.CollectionState{Dimension: s.Dimension, Space: s.Space}
	}
	if c.head.Entry != nil {
		for _, s := range c.head.Entry.Collections {
			known[s.Name] = s
		}
	}
	for name := range tallies {
		if _, ok := known[name]; !ok {
			known[name] = version.CollectionState{}
		}
	}
	out := make([]version.CollectionState, 0, len(known))
	for name, s := range known {
		t := tallies[name]
		s.Name, s.Records = name, t.Records
		if d.dims[name] != 0 {
			s.Dimension = d.dims[name]
		}
		if changed := d.tallies[name] != nil; changed || s.Digest == "" {
			s.Digest = t.Sum.Digest()
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b version.CollectionState) int { return strings.Compare(string(a.Name), string(b.Name)) })
	return out
}

// encode compresses the draft, the parts side by side, and sets the entry's
// reference to it.
func (c *Compactor) encode(d *draft, e *version.Entry) ([]byte, error) {
	if len(d.delta.Messages) == 0 && len(d.delta.Mutations) == 0 {
		return nil, nil
	}
	const least = 256 // mutations worth a goroutine
	parts := make([][]byte, max(1, min(len(c.framers), len(d.delta.Mutations)/least)))
	var g errgroup.Group
	for i := range parts {
		lo, hi := i*len(d.delta.Mutations)/len(parts), (i+1)*len(d.delta.Mutations)/len(parts)
		g.Go(func() (err error) {
			var out []byte
			if i == 0 {
				if out, err = c.framers[0].AppendMessages(version.DeltaHeader(), d.delta.Messages); err != nil {
					return err
				}
			}
			parts[i], err = c.framers[i].AppendMutations(out, d.delta.Mutations[lo:hi])
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, errors.Join(fmt.Errorf("encode the delta of version %d", c.head.Number()+1), err)
	}
	out := parts[0]
	for _, p := range parts[1:] {
		out = append(out, p...)
	}
	e.Delta = &version.DeltaRef{Messages: len(d.delta.Messages), Mutations: len(d.delta.Mutations)}
	e.SinceBase += int64(len(out))
	e.Chain++
	return out, nil
}
