package release

import (
	"testing"
	"time"

	"lockstep/internal/lockstep"
)

const (
	oldRev   = "receipts@1+111111111111"
	newRev   = "receipts@2+222222222222"
	otherRev = "receipts@3+333333333333"
)

// t0 is a Monday.
func t0() time.Time { return time.Date(2026, 5, 4, 8, 0, 0, 0, time.UTC) }

func at(d time.Duration) time.Time { return t0().Add(d) }

func by(actor string, d time.Duration) Order {
	return Order{Actor: actor, Reason: "because", At: at(d)}
}

// shortPlan has every kind of step.
func shortPlan() Plan {
	return Plan{Name: "short", Steps: []Step{
		{Kind: Preflight},
		{Kind: Shadow, MinUnits: 5},
		{Kind: Canary, Weight: 1000, For: 10 * time.Minute, MinUnits: 10},
		{Kind: Bake, For: time.Hour, MinUnits: 10, Mix: []lockstep.Event{lockstep.Insert, lockstep.Remove}},
		{Kind: Promotion, Approvals: 1, Expires: time.Hour},
	}}
}

func request() Request { return Request{Candidate: newRev, Plan: shortPlan(), Head: 41} }

func must(t testing.TB) func(Transition, error) State {
	t.Helper()
	return func(tr Transition, err error) State {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if err := tr.Entry.State.check(); err != nil {
			t.Fatalf("%s leads to a state that is none: %v", tr.Entry.Kind, err)
		}
		return tr.Entry.State
	}
}

func adopted(t testing.TB) State {
	t.Helper()
	return must(t)(Adopt(State{}, by("anna", 0), "dev", Pair{oldRev, 40}))
}

func started(t testing.TB) State {
	t.Helper()
	return must(t)(Start(adopted(t), by("anna", 0), request()))
}

// settled is started, with its pin carried out.
func settled(t testing.TB) State {
	t.Helper()
	return step(t, started(t), Observation{}, 0, KindCarried)
}

// step lets Next decide, and wants an entry of that kind.
func step(t testing.TB, s State, seen Observation, d time.Duration, want Kind) State {
	t.Helper()
	got := Next(s, seen, at(d))
	if got.Transition == nil || got.Transition.Entry.Kind != want {
		t.Fatalf("at %s: %s, want %s", d, got.Describe(), want)
	}
	return must(t)(*got.Transition, nil)
}

// good is an observation with which every step of shortPlan is passed, time aside.
func good() Observation {
	return Observation{
		Preflight: Healthy, Verdict: Healthy, Stable: Healthy, Head: 50,
		Seen: Seen{Stable: 1000, Candidate: 100, Mix: []lockstep.Event{lockstep.Insert, lockstep.Modify, lockstep.Remove}},
	}
}

// in brings a release of shortPlan to a phase: canary at 0, bake at 10m, promote at
// 70m after t0.
func in(t testing.TB, phase Phase) State {
	t.Helper()
	s := settled(t)
	for _, p := range []struct {
		phase Phase
		after time.Duration
	}{{PhasePreflight, 0}, {PhaseShadow, 0}, {PhaseCanary, 10 * time.Minute}, {PhaseBake, 70 * time.Minute}} {
		if s.Release.Phase != p.phase {
			t.Fatalf("phase %s, want %s", s.Release.Phase, p.phase)
		}
		if p.phase == phase {
			return s
		}
		s = step(t, s, good(), p.after, KindAdvance)
	}
	if phase == PhasePromote {
		return s
	}
	s = must(t)(Approve(s, by("bert", 71*time.Minute)))
	return step(t, s, good(), 72*time.Minute, KindPromote)
}
