package recovery

import (
	"context"
	"fmt"

	"lockstep/internal/app"
	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
)

// The states of a follower.
const (
	followerBehind  = "behind"
	followerCurrent = "at the newest version"
)

// followerKept is the version that the follower has to reach.
type followerKept struct {
	Version uint64 `json:"version"`
}

// Follower brings what holds a copy of the index to the newest version, backward or
// forward.
type Follower struct {
	Store    *app.Store
	Position func(ctx context.Context) (app.FollowerStatus, error)
	Follow   func(ctx context.Context) error
}

var _ rollback.Target = (*Follower)(nil)

// FollowerStep is the step that brings the follower along.
func FollowerStep(needs string) rollback.Step {
	return rollback.Step{
		ID: TargetFollower, Target: TargetFollower, Phase: rollback.PhaseData, To: followerCurrent, Needs: []string{needs},
		Title: "Bring the follower to the newest version", Changes: "what readers of Chroma see", Manual: "lockstep follow", UndoBy: "it follows by itself",
	}
}

// Look implements rollback.Target.
func (f *Follower) Look(ctx context.Context, at rollback.At) (rollback.Sight, error) {
	head, err := f.Store.Log.Head(ctx)
	if err != nil {
		return rollback.Sight{}, err
	}
	st, err := f.Position(ctx)
	if err != nil {
		return rollback.Sight{}, err
	}
	kept, err := keptOf[followerKept](at)
	if err != nil {
		return rollback.Sight{}, err
	}
	want := head.Number()
	if kept.Version > 0 {
		want = kept.Version // what was published since comes by itself
	}
	out := rollback.Sight{State: followerBehind, Detail: fmt.Sprintf("the follower is at version %d of %d", st.Version, head.Number())}
	if st.Version >= want {
		out.State = followerCurrent
	}
	out.Evidence = []rollback.Evidence{{Item: rollback.ItemFollowers, OK: out.State == at.Step.To, Text: out.Detail}}
	return out, nil
}

// Do implements rollback.Target.
func (f *Follower) Do(ctx context.Context, _ rollback.At, keep rollback.Keeper) error {
	head, err := f.Store.Log.Head(ctx)
	if err != nil {
		return err
	}
	if err := keepJSON(ctx, keep, followerKept{head.Number()}); err != nil {
		return err
	}
	if err := f.Follow(ctx); err != nil {
		return lockstep.Hint(fmt.Errorf("bring the follower along: %w", err), `it tries by itself as long as "lockstep up" runs`)
	}
	return nil
}

// Undo implements rollback.Target: it follows by itself.
func (*Follower) Undo(context.Context, rollback.At) (*rollback.Step, error) { return nil, nil }
