package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
	"lockstep/internal/release"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

// shadower compares, while a release is under way, what its candidate would have done with
// every version that is published. It follows the log and so is beside the path of a change:
// with a local state of its own and, because a program answers one call at a time, with
// revisions of its own. All it knows is in the store; killed, it goes on from there.
type shadower struct {
	app   *App
	dir   string // of its local state
	lag   uint64 // versions that it may be behind before it gives some up
	every time.Duration
	rest  func(ctx context.Context, worked time.Duration) error // lets commits go first; nil: never

	state     *state.State
	revisions *Revisions
	pair      *pairing // nil: nothing to compare
}

// pairing is one pair of revisions being compared.
type pairing struct {
	book    *shadowBook
	duel    *duel         // nil: the pair cannot be compared here
	prev    ledger.Entry  // behind which the next record goes
	record  *ShadowRecord // as of prev
	at      uint64        // newest version looked at
	kept    time.Time     // when a record was written last
	pending *comparison   // since record
	step    *ShadowStep   // as of at
}

const (
	// pieceVersions is how many versions are compared before the ledger of releases is read again.
	pieceVersions = 16
	// recordEvery times the watch of the controller is how often a record is written.
	recordEvery = 10
	// recordUnits asks for a record before its time.
	recordUnits = 5000
)

func newShadower(a *App) *shadower {
	return &shadower{app: a, dir: filepath.Join(a.Config.Data, "shadow-state"), lag: uint64(a.Config.Release.ShadowLag), every: recordEvery * a.Config.Release.Watch}
}

// shadows says whether the candidate of r has to be compared with stable now.
func shadows(r *release.Release) bool {
	if r == nil || !hasShadow(r.Plan) {
		return false
	}
	return r.Phase == release.PhaseShadow || r.Phase == release.PhaseCanary || r.Phase == release.PhaseBake
}

// hasShadow says whether a plan wants the comparison; where nobody wants it, nothing is
// compared and nothing rests on it.
func hasShadow(p release.Plan) bool {
	return slices.ContainsFunc(p.Steps, func(s release.Step) bool { return s.Kind == release.Shadow })
}

// runShadow compares until ctx ends. What fails costs evidence and nothing else, and is
// tried again.
func (s *Server) runShadow(ctx context.Context) (err error) {
	w := newShadower(s.App)
	w.rest = s.restAfter
	defer func() { err = errors.Join(err, w.close()) }()
	tick := time.NewTicker(s.Config.Release.Watch)
	defer tick.Stop()
	for {
		more, err := w.work(ctx)
		if err != nil && ctx.Err() == nil {
			s.opts.Log.WarnContext(ctx, "the candidate cannot be compared now", "error", err)
		}
		if more && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// restAfter rests as long as was worked, while changes are being committed.
func (s *Server) restAfter(ctx context.Context, worked time.Duration) error {
	if s.opts.Now().UnixNano()-s.courtesy.committed.Load() > int64(busyFor) {
		return ctx.Err()
	}
	t := time.NewTimer(min(worked, longestRest))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// close gives everything free. What was not recorded is compared again next time.
func (w *shadower) close() error {
	var errs []error
	if w.state != nil {
		errs = append(errs, w.state.Close())
	}
	if w.revisions != nil {
		errs = append(errs, w.revisions.Close())
	}
	w.state, w.revisions, w.pair = nil, nil, nil
	return errors.Join(errs...)
}

// work compares a few versions and says whether there are more.
func (w *shadower) work(ctx context.Context) (more bool, err error) {
	head, err := w.app.Releases.Head(ctx)
	if err != nil {
		return false, err
	}
	s := head.State()
	r := s.Live()
	if !shadows(r) {
		return false, errors.Join(w.flush(ctx), w.close())
	}
	if err := w.begin(ctx, s); err != nil {
		return false, err
	}
	p := w.pair
	if p.duel == nil {
		if w.app.opts.Now().Sub(p.kept) >= w.every {
			return false, w.close() // it may start now
		}
		return false, nil
	}
	index, err := w.app.Log.Head(ctx)
	if err != nil {
		return false, err
	}
	if p.duel.accepted, err = w.app.Acceptances(ctx, w.app.opts.Now); err != nil {
		return false, err
	}
	p.at = max(p.at, r.KnownGood.Version)
	if err := w.skip(ctx, r, index.Number()); err != nil {
		return false, err
	}
	for n := range pieceVersions {
		if p.at >= index.Number() || n > 0 && w.due() { // units may be slow, and somebody waits for a verdict
			break
		}
		if err := w.next(ctx, r); err != nil {
			return false, err
		}
	}
	if w.due() {
		err = w.flush(ctx)
	}
	return err == nil && p.at < index.Number(), err
}

// begin makes ready to compare the candidate of s with its stable.
func (w *shadower) begin(ctx context.Context, s release.State) error {
	candidate, stable := s.Release.Candidate, s.Stable.Revision
	if w.pair != nil && w.pair.book.candidate == candidate && w.pair.book.stable == stable {
		return nil
	}
	if err := errors.Join(w.flush(ctx), w.close()); err != nil {
		return err
	}
	var err error
	if w.revisions, err = OpenRevisions(ctx, w.app.Config, w.app.opts); err != nil {
		return err
	}
	p := &pairing{book: newShadowBook(w.app.Blobs, w.app.opts.Now, stable, candidate)}
	if p.prev, p.record, err = p.book.head(ctx); err != nil {
		return errors.Join(err, w.close())
	}
	p.forget()
	old, oldErr := w.revisions.Lookup(stable)
	fresh, freshErr := w.revisions.Lookup(candidate)
	if err := errors.Join(oldErr, freshErr); err != nil {
		w.pair, p.kept = p, w.app.opts.Now() // not tried again at once
		return fmt.Errorf("compare %s with %s: %w", candidate, stable, err)
	}
	if p.duel, err = w.app.newDuel(old, fresh); err != nil {
		return errors.Join(err, w.close())
	}
	if w.state, err = w.open(); err != nil {
		return errors.Join(err, w.close())
	}
	w.pair = p
	return nil
}

// open opens the local state. It is a cache: a damaged one is made anew.
func (w *shadower) open() (*state.State, error) {
	opts := state.Options{CacheBytes: 8 << 20, MemTableBytes: 8 << 20}
	st, err := state.Open(w.dir, w.app.Format.Store, state.NewBases(w.app.Blobs), opts)
	if !errors.Is(err, lockstep.ErrCorrupt) {
		return st, err
	}
	if err := os.RemoveAll(w.dir); err != nil {
		return nil, fmt.Errorf("remove the damaged state of the comparison: %w", err)
	}
	return state.Open(w.dir, w.app.Format.Store, state.NewBases(w.app.Blobs), opts)
}

// forget goes back to what is recorded.
func (p *pairing) forget() {
	p.at, p.step, p.pending = p.record.Through, p.record.Step, newComparison()
}

// next compares the version behind the last one.
func (w *shadower) next(ctx context.Context, r *release.Release) error {
	p := w.pair
	start := w.app.opts.Now()
	e, err := w.app.Log.Read(ctx, p.at+1)
	if err != nil {
		return err
	}
	units, events := p.pending.units, maps.Clone(p.pending.events)
	if err := p.duel.version(ctx, w.state, e, p.pending); err != nil {
		p.forget() // a version counts whole or not at all
		return err
	}
	p.at = e.Number
	p.note(r, e, units, events)
	if w.rest == nil || !holdsUnits(e) {
		return nil
	}
	return w.rest(ctx, w.app.opts.Now().Sub(start))
}

// note counts a version for the step in which it was published.
func (p *pairing) note(r *release.Release, e *version.Entry, units uint64, events map[lockstep.Event]uint64) {
	if !p.step.of(r) {
		p.step = &ShadowStep{Release: r.ID, Attempt: r.Attempt, Step: r.Step}
	}
	if e.At.Before(r.StepSince) {
		return
	}
	fresh := map[lockstep.Event]uint64{}
	for event, n := range p.pending.events {
		if n > events[event] {
			fresh[event] = n - events[event]
		}
	}
	p.step = p.step.plus(p.pending.units-units, fresh)
}

// skip gives versions up when there are too many, and counts their units as dropped: a
// comparison that is late is worth little, and one that catches up costs what commits need.
func (w *shadower) skip(ctx context.Context, r *release.Release, head uint64) error {
	p := w.pair
	if head <= p.at || head-p.at <= w.lag {
		return nil
	}
	for to := head - w.lag/2; p.at < to; p.at++ {
		e, err := w.app.Log.Read(ctx, p.at+1)
		if err != nil {
			p.forget()
			return err
		}
		p.pending.drop(unitsOf(e))
	}
	w.app.opts.Log.WarnContext(ctx, "the comparison is too far behind and has dropped versions", "release", r.ID, "version", p.at)
	return nil
}

// unitsOf returns how many units a version had; where no release counted them, its messages.
func unitsOf(e *version.Entry) int64 {
	switch {
	case !holdsUnits(e):
		return 0
	case e.Trial == nil || len(e.Trial.Arms) == 0:
		return int64(e.Delta.Messages)
	}
	n := int64(0)
	for i := range e.Trial.Arms {
		n += int64(e.Trial.Arms[i].Units)
	}
	return n
}

// due says whether a record should be written.
func (w *shadower) due() bool {
	p := w.pair
	return w.app.opts.Now().Sub(p.kept) >= w.every || p.pending.units >= recordUnits || len(p.pending.confirmed) > 0
}

// flush writes what was seen since the last record. When somebody else was first, or
// nobody can tell, the comparison goes on from what is there.
func (w *shadower) flush(ctx context.Context) error {
	p := w.pair
	if p == nil || p.duel == nil {
		return nil
	}
	if counts := p.pending.tally.Counts(nil, w.app.opts.Now()); counts.Units+counts.BothFailed+counts.Dropped == 0 {
		return nil
	}
	record := p.record.after(p.pending, p.at, p.step)
	record.At = w.app.opts.Now().UTC()
	le, err := p.book.append(ctx, p.prev, record)
	if err == nil {
		p.prev, p.record, p.kept = le, record, record.At
		p.forget()
		return nil
	}
	var rerr error
	if p.prev, p.record, rerr = p.book.head(ctx); rerr != nil {
		w.pair = nil // begun anew next time
		return errors.Join(err, rerr, w.close())
	}
	p.forget()
	if errors.Is(err, ledger.ErrHeadMoved) {
		err = nil
	}
	return err
}
