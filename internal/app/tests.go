package app

import (
	"context"
	"slices"
	"time"

	"lockstep/internal/config"
	"lockstep/internal/guard"
	"lockstep/internal/release"
)

// schedule says when the configured test commands run in a server: when an attempt of a
// release begins, and again while it is under way when their results are older than every.
// What is known stays known, with its age, until it is known better.
type schedule struct {
	tests []config.Test
	every time.Duration

	about string    // the attempt that the results are about
	at    time.Time // when they were begun
}

// due says whether the tests have to run for the state at now.
func (s *schedule) due(state release.State, now time.Time) bool {
	r := state.Live()
	if r == nil || len(s.tests) == 0 || s.every == 0 {
		return false
	}
	return s.about != attemptOf(r) || now.Sub(s.at) >= s.every
}

func attemptOf(r *release.Release) string {
	return release.Effect{Release: r.ID, Attempt: r.Attempt}.Name()
}

// begin notes that they run for the state from now on.
func (s *schedule) begin(state release.State, now time.Time) {
	s.about, s.at = attemptOf(state.Live()), now
}

// runTests runs the tests when they are due, until ctx ends. They run beside the work, one
// after the other.
func (s *Server) runTests(ctx context.Context) error {
	plan := &schedule{tests: s.Config.Checks.Tests, every: s.Config.Checks.Every}
	if len(plan.tests) == 0 || plan.every == 0 {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(s.Config.Release.Watch)
	defer tick.Stop()
	for {
		if head, err := s.Releases.Head(ctx); err == nil && plan.due(head.State(), s.opts.Now()) {
			plan.begin(head.State(), s.opts.Now())
			for _, t := range plan.tests {
				run, err := runTest(ctx, t, nil)
				if err != nil {
					return nil // the end of ctx: that a test fails is its result
				}
				run.At = s.opts.Now()
				s.guards.tested(run)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// tested takes in the result of a test command, in place of the one before.
func (g *guards) tested(run guard.TestRun) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tests = slices.DeleteFunc(slices.Clone(g.tests), func(t guard.TestRun) bool { return t.Name == run.Name })
	g.tests = append(g.tests, run)
}
