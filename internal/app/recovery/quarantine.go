package recovery

import (
	"context"
	"encoding/json"
	"fmt"

	"lockstep/internal/app"
	"lockstep/internal/release"
	"lockstep/internal/rollback"
)

// The states of a quarantine.
const (
	quarantined = "quarantined"
	admitted    = "admitted"
)

type quarantineParams struct {
	Revision string `json:"revision"`
	Reason   string `json:"reason"`
	Lift     bool   `json:"lift,omitempty"`
}

// Quarantine has a revision refused everywhere by the hash of its content.
type Quarantine struct{ Control *app.Control }

var _ rollback.Target = Quarantine{}

// QuarantineStep is the step that quarantines the bad revision.
func QuarantineStep(bad, reason string) (rollback.Step, error) {
	params, err := json.Marshal(quarantineParams{Revision: bad, Reason: reason})
	return rollback.Step{
		ID: TargetQuarantine, Target: TargetQuarantine, Phase: rollback.PhaseFlag, From: admitted, To: quarantined, Params: params,
		Title: "Quarantine " + bad, Changes: "no environment starts a release of it, under whatever name", Needs: []string{TargetFlag},
		Manual: "lockstep revision quarantine " + bad + " --reason TEXT", UndoBy: "lockstep revision release-quarantine " + bad,
	}, err
}

// Look implements rollback.Target.
func (q Quarantine) Look(ctx context.Context, at rollback.At) (rollback.Sight, error) {
	p, err := decode[quarantineParams](at)
	if err != nil {
		return rollback.Sight{}, err
	}
	head, err := q.Control.Releases.Head(ctx)
	if err != nil {
		return rollback.Sight{}, err
	}
	out := rollback.Sight{State: admitted, Detail: p.Revision + " is not quarantined"}
	if by, bad := head.State().Quarantined(p.Revision); bad {
		out.State, out.Detail = quarantined, fmt.Sprintf("%s was quarantined by %s: %s", p.Revision, by.By, by.Reason)
	}
	out.Evidence = []rollback.Evidence{{Item: rollback.ItemQuarantine, OK: out.State == quarantined, Text: out.Detail, Link: fmt.Sprintf("release ledger, entry %d", head.Number())}}
	return out, nil
}

// Do implements rollback.Target.
func (q Quarantine) Do(ctx context.Context, at rollback.At, _ rollback.Keeper) error {
	p, err := decode[quarantineParams](at)
	if err != nil {
		return err
	}
	_, err = q.Control.Command(ctx, func(s release.State) (release.Transition, error) {
		if p.Lift {
			return release.Unquarantine(s, q.Control.Order(p.Reason), p.Revision)
		}
		return release.Quarantine(s, q.Control.Order(p.Reason), p.Revision)
	})
	if err == nil {
		return nil
	}
	// Somebody else may have done it between the look and now.
	if now, lerr := q.Look(ctx, at); lerr == nil && now.State == at.Step.To {
		return nil
	}
	return err
}

// Undo implements rollback.Target.
func (Quarantine) Undo(_ context.Context, at rollback.At) (*rollback.Step, error) {
	p, err := decode[quarantineParams](at)
	if err != nil {
		return nil, err
	}
	s := at.Step
	p.Lift, p.Reason = !p.Lift, "the rollback is rolled back"
	if s.Params, err = json.Marshal(p); err != nil {
		return nil, err
	}
	s.ID, s.From, s.To, s.Title, s.Needs = "undo-"+TargetQuarantine, s.To, admitted, "Let "+p.Revision+" in again", nil
	if !p.Lift {
		s.To = quarantined
	}
	s.Manual = "lockstep revision release-quarantine " + p.Revision
	return &s, nil
}
