package compact

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"lockstep/internal/blob"
	"lockstep/internal/change"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

// planner plans jobs on one view of the state. It has no effect on the index; each
// goroutine has its own.
type planner struct {
	reader   *state.Reader
	arms     *arms
	arm      *arm // who decides about the job at hand
	clock    func() time.Time
	schema   change.Schema
	importer Importer
	store    blob.Store      // archives imports
	framer   *version.Framer // encodes them
	dims     map[lockstep.Collection]int
	parked   map[string]bool // groups that wait
	now      time.Time
	hasher   version.Hasher
	known    bool // of the job at hand: stable knows an item that it changes
}

// plan returns what one job would do. An error is not the job's fault: the state or
// the import source cannot be read, or ctx ended.
func (p *planner) plan(ctx context.Context, j *job) (*planned, error) {
	if j.bad != nil {
		return p.planMalformed(j)
	}
	if j.retry != nil {
		var err error
		if j, err = p.reread(ctx, j); err != nil {
			return nil, err
		}
	}
	p.known = false
	got, err := p.decided(ctx, j)
	if err != nil {
		return nil, err
	}
	out := got.out
	out.routed = p.routedKey(j)
	if j.retry != nil {
		err = p.settle(out, got.failed, got.reason)
	} else {
		err = p.park(ctx, out, got.failed, got.reason)
	}
	if err != nil {
		return nil, err
	}
	out.archiveMessages()
	return out, nil
}

// attempt handles as many of the job's messages as can be: all, or those before
// the first that fails. failed is the index of that one, len(messages) for none.
func (p *planner) attempt(ctx context.Context, j *job) (out *planned, failed int, reason string, err error) {
	if j.retry == nil && p.parked[j.group] {
		return newPlanned(j), 0, "", nil
	}
	var fault parkError
	out, err = p.handle(ctx, j, len(j.messages))
	if !errors.As(err, &fault) {
		return out, len(j.messages), "", err
	}
	// One of them is bad. Its predecessors must not suffer: find the longest
	// beginning that works. This happens only to failing jobs, so it may be slow.
	for n := 1; n <= len(j.messages); n++ {
		next, err := p.handle(ctx, j, n)
		if errors.As(err, &fault) {
			if out == nil {
				out = newPlanned(j)
			}
			return out, n - 1, fault.Error(), nil
		}
		if err != nil {
			return nil, 0, "", err
		}
		out = next
	}
	// All of them work now: what was missing from the import source has arrived since.
	return out, len(j.messages), "", nil
}

func newPlanned(j *job) *planned {
	return &planned{job: j, outcomes: make([]Outcome, len(j.messages))}
}

// handle runs the mirror and the handler over the first n messages of the job.
func (p *planner) handle(ctx context.Context, j *job, n int) (*planned, error) {
	out := newPlanned(j)
	s := &sight{items: map[string]*mirrored{}}
	var unit []lockstep.Message
	var at []int // for each message of the unit its index in the job
	for i := range n {
		m := j.messages[i]
		if reason, ok := j.givenUp(i); ok {
			out.outcomes[i] = Outcome{lockstep.ResolvedOut, reason}
			continue
		}
		known, got, who, err := p.merge(s, &m)
		if err != nil {
			return nil, err
		}
		if !got.Effect {
			out.outcomes[i].Outcome = got.Outcome
			continue
		}
		known.item, known.cause = got.Item, i
		p.known = p.known || who.stable
		if who.shown {
			unit, at = append(unit, m), append(at, i)
		}
		out.outcomes[i].Outcome = lockstep.Unchanged
	}
	out.by = p.arm.id
	for _, id := range s.itemIDs() {
		out.ranges = append(out.ranges, span{c: lockstep.Table, id: id})
	}
	if out.asked = len(unit) > 0; out.asked {
		if err := p.decide(ctx, out, s, unit, at); err != nil {
			return nil, err
		}
	}
	return out, p.mirror(out, s)
}

// knows says who knows an item by its rules: the revision at hand, and stable.
type knows struct{ shown, stable bool }

// merge classifies the message and says what it would make of its item as the job has
// left it so far. Known is nil for a message that is ignored by rule. What a candidate
// ignores and stable mirrors is mirrored and not shown to the candidate, and so is what only a revision knows that a
// rollback may return to: what was left out of the mirror no rollback could bring back.
func (p *planner) merge(s *sight, m *lockstep.Message) (known *mirrored, got change.Merged, who knows, err error) {
	entity, ok := p.arm.classify.Entity(m.Change.Key)
	who = knows{ok, ok}
	if p.arm != p.arms.stable && (!ok || !p.arms.sameRules) {
		var theirs string
		if theirs, who.stable = p.arms.stable.classify.Entity(m.Change.Key); !ok {
			entity, ok = theirs, who.stable
		}
	}
	if !ok {
		entity, ok = p.arms.kept(m.Change.Key)
	}
	if !ok {
		return nil, change.Merged{Outcome: lockstep.Ignored}, who, nil
	}
	m.Change.Entity = entity
	if known, err = s.item(p.reader, m.Change.Key.RecordID()); err != nil {
		return nil, change.Merged{}, who, err
	}
	return known, change.Merge(known.item, known.item.ID != "", m.Change), who, nil
}

// decide asks the handler and turns its answer into mutations with images.
func (p *planner) decide(ctx context.Context, out *planned, s *sight, unit []lockstep.Message, at []int) error {
	reads, err := p.reads(ctx, unit)
	if err != nil {
		return err
	}
	for _, r := range reads.Records {
		out.ranges = append(out.ranges, span{r.Collection, r.ID, r.Prefix})
	}
	for _, r := range reads.Items {
		prefix := lockstep.ItemKey{Partition: r.Partition, Sort: r.SortPrefix}.RecordID()
		out.ranges = append(out.ranges, span{lockstep.Table, prefix, true})
	}
	if err := look(ctx, p.reader, reads, s); err != nil {
		return err
	}
	if err := p.fetch(ctx, reads.Imports, unit, s); err != nil {
		return err
	}
	hu := handler.Unit{Messages: unit, View: s.view, Now: p.now}
	muts, err := p.ask(ctx, hu)
	if err != nil {
		return err
	}
	if err := handler.CheckMutations(p.arm.desc, hu, s.asked, muts, p.dims); err != nil {
		return parkError{fmt.Errorf("%s answered what cannot be stored: %w", p.arm.rev, err)}
	}
	out.mutations = make([]version.Mutation, 0, len(muts)+len(s.items))
	for i := range muts {
		if err := p.imaged(ctx, out, s, &muts[i], cause{at[muts[i].Cause], unit[muts[i].Cause].Change.Entity}); err != nil {
			return err
		}
	}
	return nil
}

// ask calls the handler. A panic is the handler's failure and not ours.
func (p *planner) ask(ctx context.Context, u handler.Unit) (muts []lockstep.Mutation, err error) {
	defer p.arm.caught(&err)
	call, done := p.arm.bounded(ctx)
	defer done()
	muts, err = p.arm.rev.Handler.Plan(call, u)
	switch {
	case err == nil:
		return muts, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case call.Err() != nil:
		return nil, parkError{fmt.Errorf("%s: no answer within %s", p.arm.rev, p.arm.budget)}
	case errors.Is(err, lockstep.ErrUnavailable):
		return nil, err
	}
	return nil, parkError{fmt.Errorf("%s: %w", p.arm.rev, err)}
}

// caught makes a panic the failure of the handler. It is deferred.
func (a *arm) caught(err *error) {
	if r := recover(); r != nil {
		where, _, _ := strings.Cut(string(debug.Stack()), "\n\n")
		*err = parkError{fmt.Errorf("%s panicked: %v (%.200s)", a.rev, r, where)}
	}
}

// contextReader is a handler whose Reads can be broken off: a program may hang there.
type contextReader interface {
	ReadsContext(ctx context.Context, messages []lockstep.Message) (handler.Reads, error)
}

func (p *planner) reads(ctx context.Context, unit []lockstep.Message) (reads handler.Reads, err error) {
	defer p.arm.caught(&err)
	r, ok := p.arm.rev.Handler.(contextReader)
	if !ok {
		return p.arm.rev.Handler.Reads(unit), nil
	}
	call, done := p.arm.bounded(ctx)
	defer done()
	reads, err = r.ReadsContext(call, unit)
	switch {
	case err == nil:
		return reads, nil
	case ctx.Err() != nil:
		return reads, ctx.Err()
	case call.Err() != nil:
		return reads, parkError{fmt.Errorf("%s: no answer within %s", p.arm.rev, p.arm.budget)}
	case errors.Is(err, lockstep.ErrUnavailable):
		return reads, err
	}
	return reads, parkError{fmt.Errorf("%s: %w", p.arm.rev, err)}
}

// Room for an image after: most differ from the one before by a few bytes.
const (
	minImage   = 256
	slackImage = 64
)

// cause is the message of the job that caused a mutation, and its entity.
type cause struct {
	message int
	entity  string
}

// imaged adds one mutation of the handler with its images, unless it changes nothing.
func (p *planner) imaged(ctx context.Context, out *planned, s *sight, m *lockstep.Mutation, by cause) error {
	c, id := m.Collection, m.Record.ID
	before, ref, known := s.image(c, id)
	vm := version.Mutation{Collection: c, ID: id, Cause: by.message, Revision: p.arm.id, Before: before.bytes, Author: before.author}
	if m.Op == lockstep.Delete {
		if !known {
			return nil
		}
	} else {
		m.Record.Vector = ref
		if m.Vector != nil {
			vector := version.AppendVector(nil, m.Vector)
			if r := version.RefOf(vector); r != ref {
				m.Record.Vector, vm.VectorAfter = r, vector
				p.fix(out, c, len(m.Vector))
			}
		}
		vm.After = version.AppendRecord(make([]byte, 0, max(len(before.bytes), minImage)+slackImage), &m.Record)
		if known && string(vm.After) == string(before.bytes) {
			return nil
		}
	}
	if known && (vm.After == nil || vm.VectorAfter != nil) {
		var err error
		if vm.VectorBefore, err = p.reader.Vector(ctx, c, id, ref); err != nil {
			return err
		}
	}
	out.outcomes[by.message].Outcome = lockstep.Applied
	if out.changed == nil {
		out.changed = map[string]int{}
	}
	out.changed[by.entity]++
	p.add(out, vm)
	return nil
}

// fix notes that the job decides the dimension of a collection that had none.
func (p *planner) fix(out *planned, c lockstep.Collection, dim int) {
	if p.dims[c] == 0 {
		if out.dims == nil {
			out.dims = map[lockstep.Collection]int{}
		}
		out.dims[c] = dim
	}
}

func (p *planner) add(out *planned, m version.Mutation) {
	if out.tallies == nil {
		out.tallies = map[lockstep.Collection]*version.Tally{}
	}
	t := out.tallies[m.Collection]
	if t == nil {
		t = &version.Tally{}
		out.tallies[m.Collection] = t
	}
	t.Count(&p.hasher, &m)
	out.mutations = append(out.mutations, m)
}

// mirror adds the mutations of the mirror itself.
func (p *planner) mirror(out *planned, s *sight) error {
	for _, id := range s.itemIDs() {
		m := s.items[id]
		if m.cause < 0 {
			continue
		}
		rec := change.MirrorRecord(m.item)
		if err := rec.Check(); err != nil {
			return parkError{fmt.Errorf("the item cannot be mirrored: %w", err)}
		}
		after := version.AppendRecord(nil, &rec)
		if string(after) == string(m.before.bytes) {
			continue
		}
		p.add(out, version.Mutation{Collection: lockstep.Table, ID: id, Cause: m.cause, Before: m.before.bytes, After: after, Author: m.before.author})
	}
	return nil
}

// archiveMessages keeps the messages that had an effect, and renumbers causes to match.
func (p *planned) archiveMessages() {
	place := make([]int, len(p.job.messages))
	for i := range p.job.messages {
		m, o := &p.job.messages[i], p.outcomes[i]
		place[i] = -1
		if !kept(o.Outcome) || p.job.retry != nil && o.Outcome == lockstep.ParkedAway {
			continue // what stays parked is in the archive already
		}
		place[i] = len(p.archive)
		p.archive = append(p.archive, version.Archived{ID: m.ID, Group: m.Group, Source: m.Source, Outcome: o.Outcome, Reason: o.Reason, Body: m.Body})
	}
	for i := range p.archive {
		// Also of what it was not shown: to ignore a change is a decision.
		if o := p.archive[i].Outcome; o == lockstep.Applied || o == lockstep.Unchanged {
			p.archive[i].Revision = p.by
		}
	}
	for i := range p.mutations {
		if c := p.mutations[i].Cause; c >= 0 {
			p.mutations[i].Cause = place[c]
		}
	}
}

// kept says whether a message with this outcome goes into the archive. What had no
// effect at all is only counted.
func kept(o lockstep.Outcome) bool {
	switch o {
	case lockstep.Applied, lockstep.Unchanged, lockstep.ParkedAway, lockstep.BadInput, lockstep.ResolvedOut, lockstep.Rederived:
		return true
	case lockstep.Duplicate, lockstep.Stale, lockstep.Ignored:
		return false
	}
	return true
}
