package recovery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"lockstep/internal/app"
	"lockstep/internal/compact"
	"lockstep/internal/lockstep"
	"lockstep/internal/release"
	"lockstep/internal/rollback"
)

// The targets, as steps name them.
const (
	TargetFlag       = rollback.TargetFlag
	TargetQuarantine = rollback.TargetQuarantine
	TargetGit        = rollback.TargetGit
	TargetPackage    = rollback.TargetPackage
	TargetImports    = rollback.TargetImports
	TargetTests      = rollback.TargetTests
	TargetDeploy     = rollback.TargetDeploy
	TargetIndex      = rollback.TargetIndex
	TargetProof      = rollback.TargetProof
	TargetFollower   = rollback.TargetFollower
	TargetWatch      = rollback.TargetWatch
	TargetNotify     = rollback.TargetNotify
	TargetIssue      = rollback.TargetIssue
)

// The states of the flag.
const (
	flagTrial  = "on trial"    // the bad revision decides for a share of the keys
	flagStable = "stable"      // it decides for all of them
	flagOff    = "not routed"  // it decides for none
	flagBack   = "routed back" // of an undo: as it was before the rollback
)

// flagParams are those of the step, and of the one that undoes it.
type flagParams struct {
	Revision string       `json:"revision"` // the bad one
	Good     release.Pair `json:"good"`     // to be stable, when the bad one is
	Reason   string       `json:"reason"`
	Back     string       `json:"back,omitempty"` // of an undo: the state to return to
}

// flagKept is what the flag was before.
type flagKept struct {
	Was string `json:"was"`
}

// Flag takes a revision out of the routing: a fence in the ledger of versions, so that
// nothing planned under it can be published, and an entry in the ledger of releases.
type Flag struct{ Control *app.Control }

var _ rollback.Target = Flag{}

// FlagStep is the step that takes the bad revision out of the routing.
func FlagStep(bad string, good release.Pair, reason string) (rollback.Step, error) {
	params, err := json.Marshal(flagParams{Revision: bad, Good: good, Reason: reason})
	return rollback.Step{
		ID: TargetFlag, Target: TargetFlag, Phase: rollback.PhaseFlag, To: flagOff, Params: params,
		Title:   fmt.Sprintf("Take %s out of the routing", bad),
		Changes: "every key is decided by " + good.Revision + " from the next batch on; what was planned before cannot be published",
		Manual:  "lockstep release abort --reason TEXT", UndoBy: "the release is retried, and keeps its evidence",
	}, err
}

func (f Flag) state(ctx context.Context, p flagParams) (string, release.State, error) {
	_, s, err := f.Control.Standing(ctx)
	if err != nil {
		return "", release.State{}, err
	}
	switch r := s.Live(); {
	case release.SameRevision(s.Stable.Revision, p.Revision):
		return flagStable, s, nil
	case r != nil && release.SameRevision(r.Candidate, p.Revision):
		return flagTrial, s, nil
	}
	return flagOff, s, nil
}

// Look implements rollback.Target.
func (f Flag) Look(ctx context.Context, at rollback.At) (rollback.Sight, error) {
	p, err := decode[flagParams](at)
	if err != nil {
		return rollback.Sight{}, err
	}
	state, s, err := f.state(ctx, p)
	if err != nil {
		return rollback.Sight{}, err
	}
	out := rollback.Sight{State: state, Detail: fmt.Sprintf("%s is %s, %s is stable", p.Revision, state, s.Stable.Revision)}
	if p.Back != "" && state == p.Back {
		out.State = flagBack
	}
	out.Evidence = []rollback.Evidence{{Item: rollback.ItemRouting, OK: state == flagOff, Text: out.Detail, Link: "release ledger"}}
	return out, nil
}

// Do implements rollback.Target.
func (f Flag) Do(ctx context.Context, at rollback.At, keep rollback.Keeper) error {
	p, err := decode[flagParams](at)
	if err != nil {
		return err
	}
	state, s, err := f.state(ctx, p)
	if err != nil {
		return err
	}
	if p.Back != "" {
		return f.back(ctx, p, state)
	}
	if len(at.Kept) == 0 {
		if err := keepJSON(ctx, keep, flagKept{state}); err != nil {
			return err
		}
	}
	switch state {
	case flagTrial:
		_, err = f.Control.Abort(ctx, p.Reason)
	case flagStable:
		if err = f.fence(ctx, s, p); err == nil {
			_, err = f.Control.Command(ctx, func(s release.State) (release.Transition, error) {
				return release.Restore(s, f.Control.Order(p.Reason), release.Pair{Revision: p.Good.Revision, Version: s.KnownGood.Version})
			})
		}
	}
	if err != nil && !errors.Is(err, release.ErrNone) {
		return err
	}
	return nil
}

// fence makes all that was planned until now lose its commit: a promotion has left no
// trial that could be ended.
func (f Flag) fence(ctx context.Context, s release.State, p flagParams) error {
	req := compact.FenceRequest{Revision: p.Revision, Actor: f.Control.Order("").Actor, Reason: p.Reason, Now: f.Control.Order("").At}
	if live := s.Live(); live != nil {
		return lockstep.Hint(fmt.Errorf("restore %s: %w: release %s is under way", p.Good.Revision, release.ErrBusy, live.ID), `"lockstep release abort" it first`)
	}
	_, err := compact.PutFence(ctx, f.Control.Log, req)
	return err
}

// back returns the routing to what it was before: the release is retried, or what was
// stable is stable again.
func (f Flag) back(ctx context.Context, p flagParams, state string) error {
	if state == p.Back || p.Back == flagOff {
		return nil
	}
	_, err := f.Control.Command(ctx, func(s release.State) (release.Transition, error) {
		by := f.Control.Order(p.Reason)
		if p.Back == flagStable {
			return release.Restore(s, by, release.Pair{Revision: p.Revision, Version: s.Stable.Version})
		}
		head, err := f.Control.Log.Head(ctx)
		if err != nil {
			return release.Transition{}, err
		}
		return release.Retry(s, by, release.Request{Head: head.Number()})
	})
	return err
}

// Undo implements rollback.Target.
func (Flag) Undo(_ context.Context, at rollback.At) (*rollback.Step, error) {
	p, err := decode[flagParams](at)
	if err != nil {
		return nil, err
	}
	kept, err := keptOf[flagKept](at)
	if err != nil || kept.Was == "" {
		return nil, err // it was so already: nothing to take back
	}
	s := at.Step
	p.Back, p.Reason = kept.Was, "the rollback is rolled back"
	if s.Params, err = json.Marshal(p); err != nil {
		return nil, err
	}
	s.ID, s.From, s.To, s.Title = "undo-"+TargetFlag, flagOff, flagBack, "Route "+p.Revision+" as before: "+kept.Was
	s.Changes, s.UndoBy, s.Needs = "the release goes on where it left, with its evidence", "lockstep rollback run", nil
	s.Manual = "lockstep release retry"
	return &s, nil
}
