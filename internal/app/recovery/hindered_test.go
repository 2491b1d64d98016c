package recovery

import (
	"context"
	"fmt"
	"testing"

	"lockstep/internal/app"
	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
)

// A follower that cannot be reached keeps nothing else from going back, and comes along later.
func TestAFollowerThatIsNotReachedHoldsNothingElseUp(t *testing.T) {
	w := newWorld(t)
	w.trial()
	a := w.assembly()
	a.Config.Rollback.Watch.For = 0
	reached := false
	a.Position = func(ctx context.Context) (app.FollowerStatus, error) {
		if !reached {
			return app.FollowerStatus{}, fmt.Errorf("connection refused: %w", lockstep.ErrUnavailable)
		}
		head, err := w.server.Log.Head(ctx)
		return app.FollowerStatus{Version: head.Number()}, err
	}
	a.Follow = func(context.Context) error { return nil }
	e, err := a.Engine(nil)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := a.Plan(t.Context(), "local-1", Request{Request: rollback.Request{Procedure: rollback.Quick}, By: "tester", Reason: "a test"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Start(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	s, err := e.Run(t.Context(), plan.ID)
	if err != nil || s.Outcome() != rollback.Incomplete {
		t.Fatalf("%v\n%s", err, s.Text())
	}
	for i, step := range s.Plan.Steps {
		want := rollback.Done
		if step.ID == TargetFollower {
			want = rollback.Failed
		}
		if got := s.Steps[i].Progress; got != want {
			t.Errorf("%s is %s, want %s: %s", step.ID, got, want, s.Steps[i].Error)
		}
	}
	reached = true
	if _, err := e.Retry(t.Context(), plan.ID); err != nil {
		t.Fatal(err)
	}
	if s, err = e.Run(t.Context(), plan.ID); err != nil || s.Outcome() != rollback.Complete {
		t.Errorf("once it is reached: %v\n%s", err, s.Text())
	}
}
