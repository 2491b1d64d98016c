package app

import (
	"os/exec"
	"testing"
	"time"

	"lockstep/internal/config"
	"lockstep/internal/guard"
	"lockstep/internal/release"
)

func TestTestsRunWhenAReleaseBeginsAndWhenTheirResultsAreOld(t *testing.T) {
	now := time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)
	live := release.State{Release: &release.Release{ID: "dev-1", Attempt: 1, Phase: release.PhaseCanary}}
	again := release.State{Release: &release.Release{ID: "dev-1", Attempt: 2, Phase: release.PhaseShadow}}
	over := release.State{Release: &release.Release{ID: "dev-1", Attempt: 1, Phase: release.PhaseAborted}}
	s := &schedule{tests: make([]config.Test, 1), every: time.Hour}
	for _, c := range []struct {
		state release.State
		after time.Duration
		due   bool
	}{
		{release.State{}, 0, false},
		{over, 0, false},
		{live, 0, true},
		{live, 59 * time.Minute, false},
		{live, time.Hour, true},
		{live, 61 * time.Minute, false},
		{again, 61 * time.Minute, true},
		{over, 10 * time.Hour, false},
	} {
		at := now.Add(c.after)
		if due := s.due(c.state, at); due != c.due {
			t.Errorf("after %s: due %t", c.after, due)
		} else if due {
			s.begin(c.state, at)
		}
	}
	for _, off := range []*schedule{{tests: make([]config.Test, 1)}, {every: time.Hour}} {
		if off.due(live, now) {
			t.Errorf("%+v is due", off)
		}
	}
}

// TestAServerRunsTheTestsOfAReleaseByItself has a test command that fails: the release is
// held before the candidate decides about anything. With one that passes it goes on.
func TestAServerRunsTheTestsOfAReleaseByItself(t *testing.T) {
	for command, passes := range map[string]bool{"false": false, "true": true} {
		t.Run(command, func(t *testing.T) {
			path, err := exec.LookPath(command)
			if err != nil {
				t.Fatal(err) // POSIX has it
			}
			x := newTrialWith(t, func(cfg *config.Config) {
				cfg.Checks = config.Checks{Every: time.Hour, Tests: []config.Test{{Name: "unit", Command: []string{path}, Blocking: true, Timeout: time.Minute}}}
			}, newVariant("good", nil))
			x.start("receipts@good", release.Step{Kind: release.Canary, Weight: 5000, MinUnits: 20})
			var r *release.Release
			for range 300 {
				head, err := x.server.Releases.Head(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if r = head.State().Release; r.Phase == release.PhaseCanary || r.Halt != nil && r.Halt.Culprit != nil && r.Halt.Culprit.Name == "blocking-tests" {
					break
				}
				time.Sleep(20 * time.Millisecond)
			}
			if held := r.Halt != nil; held == passes || passes != (r.Phase == release.PhaseCanary) {
				t.Errorf("phase %s, halt %+v", r.Phase, r.Halt)
			}
			x.server.guards.mu.Lock()
			defer x.server.guards.mu.Unlock()
			if runs := x.server.guards.tests; len(runs) != 1 || runs[0].At.IsZero() || runs[0].Passed != passes {
				t.Errorf("results %+v", runs)
			}
		})
	}
}

func TestOfATestTheLastResultCounts(t *testing.T) {
	g := &guards{}
	for _, passed := range []bool{true, false} {
		g.tested(guard.TestRun{Name: "unit", Passed: passed})
		g.tested(guard.TestRun{Name: "lint", Passed: true})
	}
	if len(g.tests) != 2 || g.tests[0].Passed || !g.tests[1].Passed {
		t.Errorf("%+v", g.tests)
	}
}

func TestAScheduledTestWithoutAResultHolds(t *testing.T) {
	g := &guards{testing: true}
	needs := g.needs(&situation{})
	if len(needs) != 1 || needs[0] != guard.NeedTests {
		t.Errorf("needs %v: the guards on tests are not asked, which reads silence as good news", needs)
	}
}
