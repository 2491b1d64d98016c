package app

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lockstep/internal/guard"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/release"
)

func TestACandidateThatOnlyBreaksAGuardIsRolledBack(t *testing.T) {
	deletes := func(_ handler.Unit, muts []lockstep.Mutation) ([]lockstep.Mutation, error) {
		for i, m := range muts {
			muts[i] = lockstep.Mutation{Collection: m.Collection, Op: lockstep.Delete, Record: lockstep.Record{ID: m.Record.ID}, Cause: m.Cause}
			if m.Vector != nil { // an import: the record may not be there yet
				muts[i] = m
			}
		}
		return muts, nil
	}
	for _, c := range []struct {
		name, guard string
		plan        func(handler.Unit, []lockstep.Mutation) ([]lockstep.Mutation, error)
	}{
		{"writes-nothing", "rederivation", func(handler.Unit, []lockstep.Mutation) ([]lockstep.Mutation, error) { return nil, nil }},
		{"deletes-too-much", "records-shrinking", deletes},
	} {
		t.Run(c.name, func(t *testing.T) {
			// It behaves until it has traffic, so that preflight lets it through.
			var serves atomic.Bool
			x := newTrial(t, newVariant(c.name, func(u handler.Unit, muts []lockstep.Mutation) ([]lockstep.Mutation, error) {
				if !serves.Load() {
					return muts, nil
				}
				return c.plan(u, muts)
			}))
			x.start("receipts@"+c.name, release.Step{Kind: release.Canary, Weight: 5000, MinUnits: 100_000})
			x.reach(release.PhaseCanary)
			serves.Store(true)
			s := x.until()
			r := s.Release
			if r.Ending.Outcome != release.RolledBack || !strings.Contains(r.Ending.Reason, c.guard) {
				t.Fatalf("it ended as %+v", r.Ending)
			}
			if _, bad := s.Quarantined(r.Candidate); !bad {
				t.Error("it is not quarantined")
			}
			if err := x.server.drive(t.Context(), x.server.Controller()); err != nil { // one more look
				t.Fatal(err)
			}
			text := metricsText(t, x.server)
			for _, want := range []string{`lockstep_release_phase{phase="aborted"} 1`, `lockstep_guard_verdict{guard="` + c.guard + `",verdict="fail"} 1`} {
				if !strings.Contains(text, want) {
					t.Errorf("no %s in the metrics", want)
				}
			}
		})
	}
}

// reach waits until the release is in a phase.
func (x *trial) reach(phase release.Phase) {
	x.t.Helper()
	for range 1000 {
		head, err := x.server.Releases.Head(x.t.Context())
		if err != nil {
			x.t.Fatal(err)
		}
		if r := head.State().Release; r != nil && r.Phase == phase {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	x.t.Fatalf("the release does not reach %s", phase)
}

func TestGuardsThatHaveNoAnswerHereAreNotAskedAndSaySo(t *testing.T) {
	x := newTrial(t, newVariant("good", nil))
	x.start("receipts@good", release.Step{Kind: release.Canary, Weight: 5000, MinUnits: 20})
	s := x.until()
	if s.Release.Ending.Outcome != release.Promoted {
		t.Fatalf("it ended as %+v", s.Release.Ending)
	}
	last := x.server.guards.latest()
	for _, name := range []string{"forbidden-keys", "blocking-tests"} {
		if last.NotAsked[name] == "" {
			t.Errorf("%s was asked, or it is not said why not", name)
		}
	}
	if last.NotAsked["rederivation"] != "" {
		t.Errorf("rederivation: %s", last.NotAsked["rederivation"])
	}
}

func TestAnAssessmentOfAHealthyIndexIsHealthy(t *testing.T) {
	x := newTrial(t)
	x.edits(50)
	a, err := x.server.Assess(t.Context(), AssessOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if a.Verdict != "healthy" {
		t.Fatal(a.Text())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	time.Sleep(10 * time.Millisecond) // the same answer is not given again
	if _, err := x.server.Assess(ctx, AssessOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
}

func TestWhatIsNewIsCountedFromTheLedgerAlsoByAFreshProcess(t *testing.T) {
	x := newTrial(t, newVariant("good", nil))
	x.edits(10)
	g := x.server.guards
	head, err := x.server.Log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sit := situation{now: time.Now(), head: head, stable: x.server.Revision}
	if _, err := g.look(t.Context(), sit); err != nil {
		t.Fatal(err)
	}
	if g.tally.versions == 0 || len(g.tally.touched) == 0 || g.tally.runs == 0 || g.tally.vectors == 0 {
		t.Errorf("%d versions, %d items, %d runs, %d vectors", g.tally.versions, len(g.tally.touched), g.tally.runs, g.tally.vectors)
	}
	f := g.latest().facts
	if f.DigestsChecked == 0 || f.DigestsWrong != 0 {
		t.Errorf("%d digests, %d wrong", f.DigestsChecked, f.DigestsWrong)
	}
}

func TestAProcessWithoutLocalStateAsksWhatTheLedgerKnows(t *testing.T) {
	x := newTrial(t, newVariant("good", nil))
	x.start("receipts@good", release.Step{Kind: release.Canary, Weight: 5000, MinUnits: 100_000})
	x.reach(release.PhaseCanary)
	x.edits(200)
	c, err := OpenControl(t.Context(), x.server.Config, Options{Now: time.Now, Actor: "another", Handlers: []handler.Handler{newVariant("good", nil)}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	head, err := c.Releases.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen, err := c.observer().Observe(t.Context(), head.State())
	if err != nil {
		t.Fatal(err)
	}
	if seen.Verdict == release.Bad || seen.Verdict == release.Hold {
		t.Errorf("%s: %v", seen.Verdict, seen.Reasons)
	}
	for _, name := range []string{"digests", "rederivation", "publish-time", "memory"} {
		if c.guards.last.NotAsked[name] == "" {
			t.Errorf("%s was asked", name)
		}
	}
	for _, line := range c.guards.last.Criteria {
		for _, r := range line.Evidence {
			if r.Verdict != guard.Pass && r.Guard != "candidate-vs-stable" {
				t.Errorf("%s is %s: %s", r.Guard, r.Verdict, r.Reason)
			}
		}
	}
}

func TestNoAnswerIsNoHealth(t *testing.T) {
	live := &release.Release{}
	for _, c := range []struct {
		verdict guard.Decision
		of      guard.Verdict
		live    *release.Release
		want    release.Health
	}{
		{"", "", live, release.NoData},
		{guard.Healthy, "", live, release.Healthy},
		{guard.FixForward, "", live, release.Healthy},
		{guard.RollBack, guard.Fail, live, release.Bad},
		{guard.RollBack, guard.Fail, nil, release.Hold}, // a candidate without traffic is not the cause
		{guard.Holding, guard.Inconclusive, live, release.NoData},
		{guard.Holding, guard.Broken, live, release.Hold},
		{guard.Holding, guard.Fail, live, release.Hold},
	} {
		a := Answer{Assessment: guard.Assessment{
			Verdict: c.verdict, Decided: []string{"x"},
			Criteria: []guard.CriterionVerdict{{Evidence: []guard.Result{{Guard: "x", Verdict: c.of}}}},
		}}
		if got, _ := a.health(c.live); got != c.want {
			t.Errorf("%s of %s: %q, want %q", c.verdict, c.of, got, c.want)
		}
	}
	order := []release.Health{release.Healthy, release.NoData, release.Hold, release.Bad}
	for i, a := range order {
		for j, b := range order {
			if got := worse(a, b); got != order[max(i, j)] {
				t.Errorf("the worse of %q and %q is %q", a, b, got)
			}
		}
	}
}

func TestTheCulpritOfAnAnswerSpeaksAgainstTheCandidate(t *testing.T) {
	result := func(name string, v guard.Verdict) guard.Result {
		return guard.Result{Guard: name, Criterion: guard.ProductionFailure, Action: guard.Hold, Verdict: v}
	}
	a := Answer{Assessment: guard.Assess([]guard.Result{
		result("a-unsure", guard.Inconclusive), result("b-broken", guard.Broken), result("c-fails", guard.Fail), result("d-passes", guard.Pass),
	})}
	if got := a.culprit(); got != "c-fails" {
		t.Errorf("%q of %q", got, a.Decided)
	}
	if got := (&Answer{}).culprit(); got != "" {
		t.Errorf("nobody was asked, and %q is it", got)
	}
}
