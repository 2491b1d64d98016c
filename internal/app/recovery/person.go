package recovery

import (
	"context"
	"encoding/json"
	"fmt"

	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
)

// TargetPerson stands for what a machine cannot do here: a step of it stays open until a
// person leaves it out with a reason, and the rollback is incomplete until then.
const TargetPerson = "person"

type personParams struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// Person is a target that does nothing.
type Person struct{}

var _ rollback.Target = Person{}

// PersonStep is a step for a person: what could not be planned, and why.
func PersonStep(id string, phase rollback.Phase, what string, why error) (rollback.Step, error) {
	params, err := json.Marshal(personParams{what, why.Error()})
	return rollback.Step{
		ID: id, Target: TargetPerson, Phase: phase, From: "left to a person", To: "done by a person", Params: params, Title: what,
		Changes: "nothing by itself: it could not be planned, " + why.Error(), Manual: hintOr(why, what),
	}, err
}

func hintOr(err error, otherwise string) string {
	if h := lockstep.HintOf(err); h != "" {
		return h
	}
	return otherwise
}

// Look implements rollback.Target.
func (Person) Look(_ context.Context, at rollback.At) (rollback.Sight, error) {
	p, err := decode[personParams](at)
	return rollback.Sight{State: "left to a person", Detail: p.Why}, err
}

// Do implements rollback.Target. ErrRefused, always.
func (Person) Do(_ context.Context, at rollback.At, _ rollback.Keeper) error {
	p, err := decode[personParams](at)
	if err != nil {
		return err
	}
	return lockstep.Hint(fmt.Errorf("%s: %w: it could not be planned: %s", p.What, lockstep.ErrRefused, p.Why),
		fmt.Sprintf(`do it by hand, then "lockstep rollback skip %s --reason TEXT"`, at.Step.ID))
}

// Undo implements rollback.Target.
func (Person) Undo(_ context.Context, at rollback.At) (*rollback.Step, error) {
	return nil, fmt.Errorf("step %s was done by a person: %w", at.Step.ID, lockstep.ErrRefused)
}
