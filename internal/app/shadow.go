package app

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"lockstep/internal/compact"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/shadow"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

// duel runs two revisions on archived units, stable twice, and compares what they answer.
// It has no effect on anything: the answers are thrown away.
//
// Nothing is re-derived from the table: that would take a revision which promises that its
// records follow from the mirror alone, and a description does not say so.
type duel struct {
	log       *version.Log
	stable    *compact.Subject
	candidate *compact.Subject
	schema    handler.KeySchema
	rules     shadow.Rules
	seed      uint64
	now       func() time.Time
	accepted  shadow.Acceptances // as of now, for what a tally has no room to judge later
}

// slowerDelta and slowerFloor say from when on a candidate counts as slower in a report;
// no verdict rests on it.
const (
	slowerDelta = 0.25
	slowerFloor = time.Millisecond
)

func (c *Control) newDuel(stable, candidate handler.Revision) (*duel, error) {
	d := &duel{
		log: c.Log, schema: stable.Handler.Describe().Key, now: c.opts.Now, seed: seedOf(stable, candidate),
		// No metadata key is ignored: all runs have the same clock, that of the version.
		rules: shadow.Rules{Delta: slowerDelta, Floor: slowerFloor},
	}
	var err error
	if d.stable, err = compact.NewSubject(stable, 0); err != nil {
		return nil, err
	}
	d.candidate, err = compact.NewSubject(candidate, c.cfg.Release.Budget)
	return d, err
}

// seedOf makes the order of runs the same wherever the same two are compared.
func seedOf(stable, candidate handler.Revision) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(stable.Hash + candidate.Hash)) // a hash does not fail
	return h.Sum64()
}

// comparison is what duels showed.
type comparison struct {
	tally shadow.Tally
	// narrow is tally without the differences that were expected when they were seen.
	narrow    shadow.Tally
	units     uint64
	events    map[lockstep.Event]uint64
	confirmed map[shadow.Class]int64 // broken invariants that were seen again when run again
	failed    []string               // units on which only the candidate failed: a few, with the reason
}

func newComparison() *comparison {
	return &comparison{events: map[lockstep.Event]uint64{}, confirmed: map[shadow.Class]int64{}}
}

func (c *comparison) drop(units int64) {
	c.tally.Drop(units)
	c.narrow.Drop(units)
}

// narrowed returns p without the differences that are expected at now.
func narrowed(p shadow.Pair, accepted shadow.Acceptances, now time.Time) shadow.Pair {
	expected := func(d shadow.Difference) bool {
		_, ok := accepted.Of(d.Class, now)
		return ok
	}
	p.Differences = slices.DeleteFunc(slices.Clone(p.Differences), expected)
	p.Noise = slices.DeleteFunc(slices.Clone(p.Noise), expected)
	return p
}

// maxFailed bounds the examples of failures.
const maxFailed = 3

// holdsUnits says whether a version has units that can be compared.
func holdsUnits(e *version.Entry) bool {
	return e.Kind == version.Compact && e.Delta != nil && e.Delta.Messages > 0
}

// version adds what the units of version e show, having moved st to its parent first.
// On error some of them may have been added; who continues begins with a fresh one.
func (d *duel) version(ctx context.Context, st *state.State, e *version.Entry, into *comparison) (err error) {
	if !holdsUnits(e) {
		return ctx.Err()
	}
	if err := st.MoveTo(ctx, d.log, e.Parent); err != nil {
		return fmt.Errorf("state of version %d: %w", e.Parent, err)
	}
	delta, err := d.log.Delta(ctx, e.Number)
	if err != nil {
		return err
	}
	units, err := compact.ArchivedUnits(ctx, delta, d.schema)
	if err != nil {
		return fmt.Errorf("version %d: %w", e.Number, err)
	}
	view, err := st.Read()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	stage := &compact.Stage{View: view, Store: d.log.Store(), Entry: e, Clock: d.now}
	if e.Parent > 0 {
		if stage.Parent, err = d.log.Read(ctx, e.Parent); err != nil {
			return err
		}
	}
	for _, messages := range units {
		if err := d.unit(ctx, stage, messages, into); err != nil {
			return fmt.Errorf("compare version %d, message %s: %w", e.Number, messages[0].ID, err)
		}
	}
	return nil
}

// unit adds what one unit shows.
func (d *duel) unit(ctx context.Context, stage *compact.Stage, messages []lockstep.Message, into *comparison) error {
	pair, asked, err := d.pair(ctx, stage, messages)
	if errors.Is(err, compact.ErrNotArchived) {
		into.drop(1) // nobody's fault, and nothing was compared
		return nil
	}
	if err != nil || !asked {
		return err
	}
	if hard := brokenInvariants(pair); len(hard) > 0 {
		// One run may be an accident. A second that breaks the same is the revision.
		again, _, err := d.pair(ctx, stage, messages)
		if err != nil {
			return err
		}
		for _, c := range brokenInvariants(again) {
			if slices.Contains(hard, c) {
				into.confirmed[c]++
			}
		}
	}
	if pair.Failure == shadow.FailedCandidate && len(into.failed) < maxFailed {
		into.failed = append(into.failed, fmt.Sprintf("unit %s: %s", pair.Unit, pair.Differences[0].Candidate.Str()))
	}
	into.tally.Add(pair, nil)
	into.narrow.Add(narrowed(pair, d.accepted, d.now()), nil)
	into.units++
	for i := range messages {
		into.events[messages[i].Change.Event]++
	}
	return nil
}

// brokenInvariants returns the hard classes in which only the candidate differs, each once.
func brokenInvariants(p shadow.Pair) []shadow.Class {
	var out []shadow.Class
	for i := range p.Differences {
		c := p.Differences[i].Class
		noisy := slices.ContainsFunc(p.Noise, func(n shadow.Difference) bool { return n.Class == c })
		if c.Hard() && !noisy && !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	return out
}

// pair runs both on one unit, in an order drawn for it, and stable once more.
func (d *duel) pair(ctx context.Context, stage *compact.Stage, messages []lockstep.Message) (p shadow.Pair, asked bool, err error) {
	t := shadow.Trial{Unit: fmt.Sprintf("%d/%s", stage.Entry.Number, messages[0].ID), Now: stage.Entry.At}
	for _, side := range shadow.Order(d.seed, t.Unit) {
		who, answer := d.stable, &t.Stable
		if side == shadow.Candidate {
			who, answer = d.candidate, &t.Candidate
		}
		r, err := stage.Ask(ctx, who, messages)
		if err != nil && (side == shadow.Stable || ctx.Err() != nil || !errors.Is(err, lockstep.ErrUnavailable)) {
			return p, false, err
		}
		if err != nil { // a candidate that cannot be asked has no other excuse
			r.Asked, r.Failed = true, err
		}
		*answer, asked = answerOf(r), asked || r.Asked
	}
	if !asked {
		return p, false, nil
	}
	r, err := stage.Ask(ctx, d.stable, messages)
	if err != nil {
		return p, false, err
	}
	again := answerOf(r)
	t.Again = &again
	if err := lookBefore(ctx, stage.View, &t); err != nil {
		return p, false, err
	}
	return d.rules.Compare(t), true, nil
}

func answerOf(r compact.Reply) shadow.Answer {
	return shadow.Answer{Mutations: r.Mutations, Err: r.Failed, Took: max(r.Took, 1)}
}

// lookBefore looks up every record that an answer touches, as it was before: what the revisions
// asked for may differ, and then neither view is enough.
func lookBefore(ctx context.Context, view *state.Reader, t *shadow.Trial) error {
	type place struct {
		c  lockstep.Collection
		id string
	}
	vector := map[place]bool{} // some answer replaces it
	for _, a := range []*shadow.Answer{&t.Stable, t.Again, &t.Candidate} {
		if a.Err != nil {
			continue
		}
		for i := range a.Mutations {
			m := &a.Mutations[i]
			p := place{m.Collection, m.Record.ID}
			vector[p] = vector[p] || m.Vector != nil
		}
	}
	for p, replaced := range vector {
		t.Reads.Records = append(t.Reads.Records, handler.RecordRange{Collection: p.c, ID: p.id})
		rec, _, ok, err := view.Record(p.c, p.id)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		k := shadow.Known{Collection: p.c, Record: rec}
		if replaced && rec.Vector.Dim > 0 {
			b, err := view.Vector(ctx, p.c, p.id, rec.Vector)
			if err != nil {
				return err
			}
			k.Vector = version.VectorOf(b)
		}
		t.Known = append(t.Known, k)
	}
	return nil
}
