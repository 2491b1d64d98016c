package recovery

import (
	"context"
	"encoding/json"
	"fmt"

	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
)

// decode reads the parameters of a step.
func decode[T any](at rollback.At) (T, error) {
	var p T
	if err := json.Unmarshal(at.Step.Params, &p); err != nil {
		return p, fmt.Errorf("parameters of step %s: %w: %w", at.Step.ID, lockstep.ErrCorrupt, err)
	}
	return p, nil
}

// keptOf reads what a step has kept, the zero value when it kept nothing.
func keptOf[T any](at rollback.At) (T, error) {
	var k T
	if len(at.Kept) == 0 {
		return k, nil
	}
	if err := json.Unmarshal(at.Kept, &k); err != nil {
		return k, fmt.Errorf("what step %s has kept: %w: %w", at.Step.ID, lockstep.ErrCorrupt, err)
	}
	return k, nil
}

func keepJSON(ctx context.Context, keep rollback.Keeper, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return keep.Keep(ctx, b)
}
