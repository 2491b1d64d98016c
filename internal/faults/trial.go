package faults

import (
	"context"
	"errors"
	"strings"
	"time"

	"lockstep/internal/lockstep"
	"lockstep/internal/release"
)

// Ended is how the release of a candidate ended.
type Ended string

// The endings. Those from EndRefused on are catches.
const (
	EndPromoted   Ended = "promoted"
	EndUnderWay   Ended = "under way" // nobody had said anything when the traffic was over
	EndHeld       Ended = "held"      // a guard stands in its way, and it keeps its share
	EndRefused    Ended = "refused"   // it did not start at all, or preflight names a risk that nobody accepted
	EndUnfit      Ended = "unfit"     // preflight failed
	EndRolledBack Ended = "rolled back"
)

// Result is what became of one candidate.
type Result struct {
	Ended   Ended         `json:"ended"`
	By      string        `json:"by,omitempty"`     // the guard that decided; "" when none did
	Reason  string        `json:"reason,omitempty"` // in the words of the ledger
	Step    string        `json:"step,omitempty"`   // where the release was
	Units   int           `json:"units"`            // decided by the candidate, in shadow none
	Bad     int           `json:"bad"`              // of those, failed and covered by stable
	Records int           `json:"records"`          // the index should have
	Harmed  int           `json:"harmed"`           // differ when the release is over
	Outside int           `json:"outside"`          // of those, of keys that it never decided for
	Mirror  int           `json:"mirror"`           // items of the mirror that differ
	Parked  int           `json:"parked"`
	Exposed time.Duration `json:"exposed_ns"` // from its first bad effect to the last version that it decided in
	Took    time.Duration `json:"took_ns"`

	Back      *Back `json:"back,omitempty"`      // of what it decided in its release; nil: nothing bad was released
	Unguarded *Back `json:"unguarded,omitempty"` // of what it decides when nobody looks; nil: it was not asked
}

// Caught says whether the candidate was kept from becoming stable, and decides nothing
// any more.
func (res *Result) Caught() bool {
	switch res.Ended {
	case EndRefused, EndUnfit, EndRolledBack:
		return true
	case EndPromoted, EndUnderWay, EndHeld:
	}
	return false
}

// trial is one release in a world.
type trial struct {
	*world
	candidate string   // label
	risks     []string // to be accepted
	edits     int      // per batch
	batches   int      // after which nobody waits any longer
	shadow    shadowing
	bad       bool          // what the candidate decided is taken back in the end
	beyond    release.Phase // the release is left as it is when it has come beyond this one; "": when it is over
}

// steps are small, so that they are about evidence and not about time.
func steps(shadow shadowing) []release.Step {
	list := []release.Step{{Kind: release.Preflight}}
	if shadow == compared {
		list = append(list, release.Step{Kind: release.Shadow, MinUnits: 200})
	}
	return append(list,
		release.Step{Kind: release.Canary, Weight: 1000, MinUnits: 20},
		release.Step{Kind: release.Canary, Weight: 2500, MinUnits: 40},
		release.Step{Kind: release.Bake, Weight: 5000, MinUnits: 60},
		release.Step{Kind: release.Promotion},
	)
}

// release starts the release, sends traffic until it is over, and measures.
func (t *trial) release(ctx context.Context) (res Result, err error) {
	began := t.opts.Now()
	defer func() { res.Took = t.opts.Now().Sub(began) }()
	rev, err := t.server.Revisions.Lookup(t.candidate)
	if errors.Is(err, lockstep.ErrNotFound) {
		// What does not start has no hash, and without one nothing can be released.
		return Result{Ended: EndRefused, By: preflight, Reason: err.Error(), Step: "start"}, nil
	}
	if err != nil {
		return res, err
	}
	head, err := t.server.Command(ctx, func(s release.State) (release.Transition, error) {
		return release.Start(s, t.server.Order("the catalogue of faults"), release.Request{
			Candidate: rev.ID(), Plan: release.Plan{Name: "catalogue", Steps: steps(t.shadow)}, Head: t.server.Compactor.Head().Number(),
		})
	})
	if err != nil {
		return res, err
	}
	for _, name := range t.risks {
		if head, err = t.server.Command(ctx, func(s release.State) (release.Transition, error) {
			return release.AcceptRisk(s, t.server.Order("the catalogue of faults"), name)
		}); err != nil {
			return res, err
		}
	}
	s, err := t.until(ctx)
	if err != nil {
		return res, err
	}
	return t.measure(ctx, s, head.State().Release.KnownGood.Version)
}

// until sends traffic until the release is over or the batches are.
func (t *trial) until(ctx context.Context) (release.State, error) {
	for n := range t.batches {
		head, err := t.server.Releases.Head(ctx)
		if err != nil {
			return release.State{}, err
		}
		if s := head.State(); s.Live() == nil || t.beyond != "" && s.Release.Phase != release.PhasePreflight && s.Release.Phase != t.beyond {
			return s, nil
		}
		if head.State().Release.Phase == release.PhasePreflight && n%riskEvery == riskEvery-1 {
			if open, _, err := t.openRisk(ctx); open || err != nil {
				return head.State(), err
			}
		}
		if err := t.world.edits(ctx, t.edits); err != nil {
			return release.State{}, err
		}
		wait := watch // a controller looks
		if p := head.State().Release.Phase; p == release.PhasePreflight || p == release.PhaseShadow {
			wait = offPathWait
		}
		if err := pause(ctx, wait); err != nil {
			return release.State{}, err
		}
	}
	head, err := t.server.Releases.Head(ctx)
	return head.State(), err
}

const (
	// offPathWait leaves time to what works beside the batches: preflight and the comparison.
	offPathWait = 4 * watch
	// riskEvery is after how many batches in preflight somebody asks what it waits for.
	riskEvery = 40
)

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// measure says what the release did, from the ledgers and the index alone.
func (t *trial) measure(ctx context.Context, s release.State, from uint64) (Result, error) {
	r := s.Release
	res := Result{Step: stepOf(r)}
	res.end(r)
	if r.Phase == release.PhasePreflight {
		if err := t.whyNot(ctx, &res); err != nil {
			return res, err
		}
	}
	share := release.Routing{Release: r.ID, Candidate: r.Candidate, Weight: share(r)}
	d, err := t.damage(ctx, share)
	if err != nil {
		return res, err
	}
	res.Records, res.Harmed, res.Outside, res.Mirror = d.Records, d.Harmed, d.Outside, d.Mirror
	status, err := t.server.Status(ctx)
	if err != nil {
		return res, err
	}
	res.Parked = int(status.ParkedCount)
	if err := t.walk(ctx, &res, r, from, d.First); err != nil || !t.bad {
		return res, err
	}
	res.Back, err = t.takeBack(ctx, r, share, d.Harmed+d.Mirror)
	return res, err
}

// whyNot tells a release that preflight does not let pass from one whose preflight has
// not come to an answer yet: the first has a risk that is open, and named.
func (t *trial) whyNot(ctx context.Context, res *Result) error {
	open, why, err := t.openRisk(ctx)
	if res.Reason = why; open {
		res.Ended, res.By = EndRefused, preflight
	}
	return err
}

// openRisk says whether the release waits for somebody to accept a risk, and the reason
// why it waits. It costs a preflight.
func (t *trial) openRisk(ctx context.Context) (open bool, why string, err error) {
	d, err := t.server.Controller().Look(ctx, t.opts.Now())
	return strings.Contains(d.Why, "the risk "), d.Why, err
}

// walk counts the candidate's units in the versions of the release. First is the first
// version that holds a record which it got wrong.
func (t *trial) walk(ctx context.Context, res *Result, r *release.Release, from, first uint64) error {
	head, err := t.server.Log.Head(ctx)
	if err != nil {
		return err
	}
	var begun, bad, last time.Time
	for n := from + 1; n <= head.Number(); n++ {
		e, err := t.server.Log.Read(ctx, n)
		if err != nil {
			return err
		}
		if e.Trial == nil || !strings.HasPrefix(e.Trial.Name, "release-"+r.ID+".") {
			continue
		}
		for _, u := range e.Trial.Arms {
			if !release.SameRevision(u.Revision, r.Candidate) || u.Units == 0 {
				continue
			}
			res.Units, res.Bad = res.Units+u.Units, res.Bad+u.Bad
			if last = e.At; begun.IsZero() {
				begun = e.At
			}
			if bad.IsZero() && (u.Bad > 0 || first > 0 && n >= first) {
				bad = e.At
			}
		}
	}
	if bad.IsZero() && (res.Harmed > 0 || res.Caught()) {
		bad = begun // what it left out, or how slow it was, no version shows
	}
	if !bad.IsZero() {
		res.Exposed = last.Sub(bad)
	}
	return nil
}

func (res *Result) end(r *release.Release) {
	res.Ended = EndUnderWay
	switch {
	case r.Ending != nil:
		res.Reason = r.Ending.Reason
		switch r.Ending.Outcome {
		case release.Promoted:
			res.Ended, res.Reason = EndPromoted, ""
		case release.Unfit:
			res.Ended, res.By = EndUnfit, by(r.Ending.Culprit)
		case release.RolledBack, release.Forbidden, release.Called, release.TakenBack:
			res.Ended, res.By = EndRolledBack, by(r.Ending.Culprit)
		}
	case r.Halt != nil:
		res.Ended, res.Reason, res.By = EndHeld, r.Halt.Reason, by(r.Halt.Culprit)
	}
}

// share is the largest share of the keys that the candidate had.
func share(r *release.Release) release.Weight {
	if r.Phase == release.PhasePromoted {
		return release.All
	}
	var w release.Weight
	for _, s := range r.Plan.Steps[:r.Step+1] {
		w = max(w, s.Weight)
	}
	return w
}

func stepOf(r *release.Release) string {
	s := r.Current()
	if s.Weight > 0 {
		return string(s.Kind) + " " + s.Weight.String()
	}
	return string(s.Kind)
}

// by names what found a candidate bad. In shadow, an invariant that is broken is a part of
// what the comparison is there for.
func by(c *release.Culprit) string {
	switch {
	case c == nil:
		return ""
	case c.Source == release.FromShadow:
		return "shadow-mismatch"
	}
	return c.Name
}
