package faults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"lockstep/internal/blob"
	"lockstep/internal/branch"
	"lockstep/internal/compact"
	"lockstep/internal/handler"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
	"lockstep/internal/receipt"
	"lockstep/internal/receipt/synth"
	"lockstep/internal/revert"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

// The traffic of an index in which nobody looks: stable makes the table, the candidate
// has a share of some batches, and stable goes on upon what it left.
const (
	unguardedReceipts = 60
	unguardedEdits    = 50 // in one batch
	unguardedBatches  = 5  // with the candidate
	unguardedAfter    = 1  // without it again
	unguardedOthers   = 4  // one key in four stays with stable
	unguardedTables   = 4  // that are tried until a rare fault has harmed something
)

// unguardedBudget of one call is short: whoever uses it up is covered by stable, which is
// held against nobody here.
const unguardedBudget = 20 * time.Millisecond

// unguarded is what a run needs to let candidates decide with no guard and no comparison
// in their way: the same messages for all of them, and what stable alone makes of these.
// A release that is stopped in time leaves little to take back; here it is seen that a
// late one would be taken back as well.
type unguarded struct {
	opts    Options
	lessons map[subject]*lesson
}

// subject says what a lesson is made of.
type subject struct {
	seed   uint64
	places synth.Place
}

// lesson is a traffic and what it should come to.
type lesson struct {
	synth   *synth.Generator
	batches [][]compact.Input
	stopped map[site]string // the records when the candidate has had its batches
	records map[site]string // in the end
	digest  string
}

// site is one record of one collection.
type site struct {
	collection lockstep.Collection
	id         string
}

// course is one candidate on its way through a lesson, or stable alone.
type course struct {
	*compact.Compactor
	lesson            *lesson
	dir               string
	log               *version.Log
	state             *state.State
	now               time.Time // the same for all, so that a clock makes no difference
	stable, candidate handler.Revision
	on                bool             // the candidate has its share
	good              handler.Revision // what is taken back is handled again by this one
}

// takeBack lets the candidate of a fault do its harm, takes it back, and compares every
// record. Nil for a candidate that is good, or a program.
func (u *unguarded) takeBack(ctx context.Context, f *Fault) (b *Back, err error) {
	if f.candidate == nil || len(f.Catch) == 0 {
		return nil, nil //nolint:nilnil // there is nothing to measure
	}
	for n := range uint64(unguardedTables) {
		l, err := u.lesson(ctx, subject{u.opts.Seed + n, f.places})
		if err != nil {
			return nil, err
		}
		err = u.course(l, f.candidate(), func(c *course) error {
			b, err = c.takeBack(ctx, u.opts.Now)
			return err
		})
		if err != nil || b.Harmed > 0 || f.Harm == HarmNone || !b.whole() {
			return b, err
		}
	}
	return b, nil
}

// lesson returns the traffic of a subject. Stable, on its own, goes through it first.
func (u *unguarded) lesson(ctx context.Context, on subject) (*lesson, error) {
	if l := u.lessons[on]; l != nil {
		return l, nil
	}
	l := &lesson{synth: synth.New(on.seed, synth.Options{
		Receipts: unguardedReceipts, Lines: synth.Range{Min: 2, Max: 4}, Words: synth.Range{Min: 1, Max: 2},
		Dimension: dimension, Labels: 60, Place: on.places,
	})}
	l.batch(slices.Collect(l.synth.Events()))
	for range unguardedBatches + unguardedAfter {
		var events []synth.Event
		for _, edit := range l.synth.Edits(unguardedEdits) {
			events = append(events, edit.Events...)
		}
		l.batch(events)
	}
	err := u.course(l, nil, func(c *course) error {
		batches, rest := l.parts()
		err := c.run(ctx, batches)
		if err != nil {
			return err
		}
		if l.stopped, err = c.records(ctx); err != nil {
			return err
		}
		if err := c.run(ctx, rest); err != nil {
			return err
		}
		l.records, err = c.records(ctx)
		l.digest = version.IndexDigest(c.Head().Entry.Digests())
		return err
	})
	if err != nil {
		return nil, err
	}
	if u.lessons == nil {
		u.lessons = map[subject]*lesson{}
	}
	u.lessons[on] = l
	return l, nil
}

func (l *lesson) batch(events []synth.Event) {
	in := make([]compact.Input, len(events))
	for i := range events {
		in[i].Message = events[i].Message()
	}
	l.batches = append(l.batches, in)
}

// parts returns the batches up to where the candidate is stopped, and the rest.
func (l *lesson) parts() (batches, rest [][]compact.Input) {
	return l.batches[:1+unguardedBatches], l.batches[1+unguardedBatches:]
}

// Import implements compact.Importer.
func (l *lesson) Import(_ context.Context, ref handler.ImportRef) (handler.Import, error) {
	return l.synth.Import(ref)
}

// course makes an index of its own for do, with its store in memory, and removes it.
func (u *unguarded) course(l *lesson, candidate handler.Handler, do func(*course) error) (err error) {
	dir, err := os.MkdirTemp(u.opts.Dir, "lockstep-unguarded-")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	c := &course{lesson: l, dir: dir, now: time.Unix(1_700_000_000, 0).UTC(), stable: handler.NewRevision(receipt.V2(receipt.V2Config{}))}
	c.good = c.stable
	if candidate != nil {
		c.candidate = handler.NewRevision(candidate)
	}
	blobs := &blob.Mem{}
	c.log = version.NewLog(blobs, ledger.Options{Now: c.clock})
	if c.state, err = state.Open(filepath.Join(dir, "state"), "unguarded", state.NewBases(blobs), state.Options{}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.state.Close()) }()
	c.Compactor, err = compact.New(c.log, c.state, c, l, compact.Options{Actor: "faults", Now: c.clock, CandidateBudget: unguardedBudget})
	if err != nil {
		return err
	}
	return do(c)
}

func (c *course) clock() time.Time { return c.now }

// Route implements compact.Router.
func (c *course) Route(context.Context) (compact.Routing, error) {
	if !c.on {
		return compact.Routing{Stable: c.stable}, nil
	}
	return compact.Routing{
		Stable: c.stable, Candidate: c.candidate, Trial: "unguarded.1",
		Canary: func(key string) bool { return !one(unguardedOthers, key) },
	}, nil
}

// run commits batches.
func (c *course) run(ctx context.Context, batches [][]compact.Input) error {
	for _, in := range batches {
		if _, err := c.Commit(ctx, in); err != nil {
			return fmt.Errorf("commit a batch: %w", err)
		}
		c.now = c.now.Add(time.Second)
		c.on = c.candidate.Handler != nil // stable made the table
	}
	return nil
}

// takeBack measures. The proof and the index of stable alone are two answers to the same
// question, and both have to agree.
func (c *course) takeBack(ctx context.Context, now func() time.Time) (*Back, error) {
	batches, rest := c.lesson.parts()
	if err := c.run(ctx, batches); err != nil {
		return nil, err
	}
	b := &Back{}
	var err error
	if b.Harmed, err = c.differ(ctx, c.lesson.stopped); err != nil {
		return nil, err
	}
	bad := c.candidate.ID()
	c.candidate, c.on = handler.Revision{}, false
	if err := c.run(ctx, rest); err != nil {
		return nil, err
	}
	began := now()
	from := branch.Origin{Log: c.log, State: c.state, Importer: c.lesson, Dir: c.dir}
	b.take(ctx, c.Compactor, from, revert.Request{
		Bad: revert.Bad{Revision: bad}, Good: c.good, Actor: "faults", Reason: "the catalogue of faults", Now: c.now,
	}, began, now)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if b.Wrong, err = c.differ(ctx, c.lesson.records); err != nil {
		return nil, err
	}
	if got := version.IndexDigest(c.Head().Entry.Digests()); got != c.lesson.digest && b.Why == "" {
		b.Equal, b.Why = false, fmt.Sprintf("the digest is %s, with stable alone %s", version.Short(got), version.Short(c.lesson.digest))
	}
	b.Took = now().Sub(began)
	return b, nil
}

// differ counts the records, those of the mirror included, that are not as
// stable alone makes them.
func (c *course) differ(ctx context.Context, want map[site]string) (n int, err error) {
	have, err := c.records(ctx)
	if err != nil {
		return 0, err
	}
	for at, record := range want {
		if got, ok := have[at]; !ok || got != record {
			n++
		}
		delete(have, at)
	}
	return n + len(have), nil
}

func (c *course) records(ctx context.Context) (out map[site]string, err error) {
	r, err := c.state.Read()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	out = map[site]string{}
	for _, name := range []lockstep.Collection{receipt.Lines, receipt.Words, lockstep.Table} {
		err := r.Scan(ctx, name, "", func(row state.Row) error {
			out[site{name, string(row.ID)}] = string(row.Record)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
