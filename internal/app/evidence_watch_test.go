package app

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"lockstep/internal/guard"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/release"
	"lockstep/internal/version"
)

// tick drives until nothing is due, and returns the state.
func (x *still) tick(c *release.Controller) release.State {
	x.t.Helper()
	if err := tickAll(x.t.Context(), c, time.Now, func(release.Decision) {}); err != nil {
		x.t.Fatal(err)
	}
	head, err := x.app.Releases.Head(x.t.Context())
	if err != nil {
		x.t.Fatal(err)
	}
	return head.State()
}

// TestAFaultThatBeginsAfterThePromotionIsFoundAndShownEverywhere promotes a candidate that
// is fine until then.
func TestAFaultThatBeginsAfterThePromotionIsFoundAndShownEverywhere(t *testing.T) {
	var ill atomic.Bool
	late := newVariant("late", func(u handler.Unit, muts []lockstep.Mutation) ([]lockstep.Mutation, error) {
		if h := version.KeyHash(u.Messages[0].ID); ill.Load() && h < "4" {
			return nil, errors.New("the service it asks is gone")
		}
		return muts, nil
	})
	x := newStillOf(t, 300, late)
	x.app.guards.every = 0 // every look asks
	x.created()
	rev, err := x.app.Revisions.Lookup("receipts@late")
	if err != nil {
		t.Fatal(err)
	}
	plan := release.Plan{Name: "test", Steps: []release.Step{{Kind: release.Preflight}, {Kind: release.Canary, Weight: 5000, MinUnits: 50}, {Kind: release.Promotion}}}
	if _, err := x.app.Command(t.Context(), func(s release.State) (release.Transition, error) {
		return release.Start(s, x.app.Order("a test"), release.Request{Candidate: rev.ID(), Plan: plan, Head: x.app.Compactor.Head().Number()})
	}); err != nil {
		t.Fatal(err)
	}
	controller := x.app.Controller()
	s := x.tick(controller)
	for range 60 {
		if s.Live() == nil {
			break
		}
		x.edits(60)
		s = x.tick(controller)
	}
	if s.Release.Phase != release.PhasePromoted {
		t.Fatalf("it was not promoted:\n%s", s.Describe(time.Now()))
	}
	for range 4 {
		x.edits(60)
		s = x.tick(controller)
	}
	if s.Release.Alarm != nil || strings.Contains(s.Describe(time.Now()), "ALARM") {
		t.Fatalf("an alarm while all is well: %+v", s.Release.Alarm)
	}
	if a, err := x.app.Assess(t.Context(), AssessOptions{}); err != nil || lateVerdict(a) != guard.Pass {
		t.Errorf("late-fault says %q while all is well, %v", lateVerdict(a), err)
	}
	ill.Store(true)
	for range 8 {
		x.edits(60)
		if s = x.tick(controller); s.Release.Alarm != nil {
			break
		}
	}
	a := s.Release.Alarm
	if a == nil || a.Guard != guardFailure || !strings.Contains(s.Describe(time.Now()), "ALARM since") {
		t.Fatalf("alarm %+v:\n%s", a, s.Describe(time.Now()))
	}
	if s.Release.Phase != release.PhasePromoted || !release.SameRevision(s.Stable.Revision, rev.ID()) {
		t.Errorf("it took something back: %s", s.Describe(time.Now()))
	}
	kept, err := decodeEvidence(s.Release.Evidence)
	if err != nil || kept.Since == nil || kept.Since.Watch.Peak().LogD == 0 {
		t.Errorf("the evidence of the alarm is not kept: %+v, %v", kept, err)
	}
	before, err := x.app.Releases.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	x.edits(20)
	x.tick(x.app.Controller()) // another one, which knows what is stored and nothing else
	if after, err := x.app.Releases.Head(t.Context()); err != nil || after.Number() != before.Number() {
		t.Errorf("the alarm is raised again: entries %d to %d, %v", before.Number(), after.Number(), err)
	}
	if a, err := x.app.Assess(t.Context(), AssessOptions{}); err != nil || lateVerdict(a) != guard.Fail || a.Verdict == guard.Healthy {
		t.Errorf("assessed as %s, late-fault %q, %v", a.Verdict, lateVerdict(a), err)
	}
	m := newReleaseMetrics()
	m.note(s, release.NoData, Answer{})
	if got := gauge(t, m, "lockstep_release_alarm"); got != 1 {
		t.Errorf("the metric of the alarm is %g", got)
	}
	if r, err := x.app.Rejudge(t.Context(), 0, 0); err != nil || !r.Agrees {
		t.Errorf("what was seen before the promotion is not as it was: %q, %v", r.Differences, err)
	}
}

// gauge returns the value of a metric without labels.
func gauge(t *testing.T, c prometheus.Collector, name string) float64 {
	t.Helper()
	reg := prometheus.NewRegistry()
	if err := reg.Register(c); err != nil {
		t.Fatal(err)
	}
	all, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range all {
		if family.GetName() == name {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

func lateVerdict(a Answer) guard.Verdict {
	for _, line := range a.Criteria {
		for _, r := range line.Evidence {
			if r.Guard == "late-fault" {
				return r.Verdict
			}
		}
	}
	return ""
}

// since is a version after a promotion, with 20 units of which so many failed.
func since(r *release.Release, n uint64, alone int, took time.Duration) *version.Entry {
	return &version.Entry{Number: n, Trial: &version.Trial{Name: r.WatchName(), Arms: []version.Units{{
		Revision: r.Candidate, Units: 20 - alone, Alone: alone, Took: map[int]int{version.TookKey(took): 20 - alone},
	}}}}
}

func TestAPromotedCandidateIsWatchedByTheLimitsItWasPromotedWith(t *testing.T) {
	r := underTrial()
	watch := func() *evidence {
		e := gather(t, r, entry(1, units(idStable, 200, 0, time.Millisecond), units(idCandidate, 200, 0, time.Millisecond)),
			entry(2, units(idStable, 200, 0, time.Millisecond), units(idCandidate, 200, 0, time.Millisecond)))
		if err := e.startWatch(policyOf(r.Plan), r, 2); err != nil {
			t.Fatal(err)
		}
		return e
	}
	for name, c := range map[string]struct {
		alone int
		took  time.Duration
		guard string
	}{
		"well":  {0, time.Millisecond, ""},
		"fails": {4, time.Millisecond, guardFailure},
		"slow":  {0, 9 * time.Millisecond, ""}, // perhaps the machine is
	} {
		e := watch()
		for n := range uint64(30) {
			if err := e.since(since(r, 3+n, c.alone, c.took), 3+n, r); err != nil {
				t.Fatal(err)
			}
		}
		_, raised := e.Since.Watch.Alarm(policyOf(r.Plan))
		if raised != (c.guard != "") || raised && e.Since.Watch.Peak().Guard != c.guard {
			t.Errorf("%s: alarm %t, %+v", name, raised, e.Since.Watch.Peak())
		}
		raw, err := e.encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodeEvidence(raw)
		if err != nil {
			t.Fatal(err)
		}
		if err := again.startWatch(policyOf(r.Plan), r, 2); err != nil || again.Since.seen != 32 {
			t.Errorf("it goes on behind version %d, %v", again.Since.seen, err)
		}
	}
	another := underTrial()
	another.ID = "local-2"
	e := watch()
	for n := range uint64(30) {
		if err := e.since(since(r, 3+n, 10, 0), 3+n, r); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.startWatch(policyOf(r.Plan), another, 40); err != nil || e.Since.Watch.Last() != 0 || e.Since.seen != 40 {
		t.Errorf("another promotion goes on with the watch of the one before: %+v, %v", e.Since, err)
	}
	e = watch()
	if err := e.since(nil, 3, r); err != nil || e.Since.seen != 3 {
		t.Errorf("a version that is gone: %v", err)
	}
}
