package retention

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lockstep/internal/blob"
	"lockstep/internal/lockstep"
)

// Status says how far a stored plan has come.
type Status struct {
	N         uint64 `json:"n"`
	Begun     bool   `json:"begun"`
	Cancelled bool   `json:"cancelled"`
	Done      bool   `json:"done"`
}

// note is the body of the small objects beside a plan.
type note struct {
	Format int       `json:"format"`
	At     time.Time `json:"at"` // by the clock of who wrote it; information only
	Reason string    `json:"reason,omitempty"`
}

// Plans returns the state of every stored plan, oldest first.
func Plans(ctx context.Context, s blob.Store) ([]Status, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out, err := planStates(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("list the collections: %w", err)
	}
	return out, nil
}

// Cancel keeps a stored plan from being begun, and stops one that was begun as soon
// as it looks. Cancelling it again is success. ErrNotFound when there is no such
// plan; ErrConflict when it has ended.
func Cancel(ctx context.Context, s blob.Store, n uint64, now time.Time, reason string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	there, err := exists(ctx, s, gcKey(n, gcPlan))
	if err == nil && !there {
		err = lockstep.ErrNotFound
	}
	if err == nil {
		if there, err = exists(ctx, s, gcKey(n, gcDone)); there {
			err = fmt.Errorf("it has ended: %w", lockstep.ErrConflict)
		}
	}
	if err == nil {
		err = writeNote(ctx, s, gcKey(n, gcCancel), note{Format: planFormat, At: now.UTC(), Reason: reason})
	}
	if err != nil {
		return fmt.Errorf("cancel collection %d: %w", n, err)
	}
	return nil
}

// writeNote is success when the object is there, whoever wrote it: that it exists is
// what it says.
func writeNote(ctx context.Context, s blob.Store, key string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := create(ctx, s, key, append(body, '\n')); err != nil && !errors.Is(err, blob.ErrExists) {
		return err
	}
	return nil
}

func planStates(ctx context.Context, s blob.Store) ([]Status, error) {
	byN := map[uint64]*Status{}
	for m, err := range s.List(ctx, gcPrefix, "") {
		if err != nil {
			return nil, err
		}
		name := strings.TrimPrefix(m.Key, gcPrefix)
		if len(name) < 20 {
			continue
		}
		n, ok := parseNumber(name[:20])
		if !ok {
			continue
		}
		if byN[n] == nil {
			byN[n] = &Status{N: n}
		}
		switch name[20:] {
		case gcBegin:
			byN[n].Begun = true
		case gcCancel:
			byN[n].Cancelled = true
		case gcDone:
			byN[n].Done = true
		}
	}
	out := make([]Status, 0, len(byN))
	for _, st := range byN {
		out = append(out, *st)
	}
	slices.SortFunc(out, func(a, b Status) int { return int(min(max(int64(a.N-b.N), -1), 1)) })
	return out, nil
}

// openPlans returns the plans that may still delete something: those that have not
// ended, unless they were cancelled before they were begun.
func openPlans(ctx context.Context, s blob.Store) ([]uint64, error) {
	states, err := planStates(ctx, s)
	if err != nil {
		return nil, err
	}
	var out []uint64
	for _, st := range states {
		if !st.Done && (st.Begun || !st.Cancelled) {
			out = append(out, st.N)
		}
	}
	return out, nil
}
