package rollback

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"lockstep/internal/lockstep"
)

// keeper is what a target tells of its work through. A target that was given up may still
// call it: from then on nothing is kept.
type keeper struct {
	walk *walk
	at   int
	step string

	mu   sync.Mutex // guards everything below
	said time.Time
	err  error
}

// sayEvery bounds how often progress is passed on.
const sayEvery = 100 * time.Millisecond

// Say implements Keeper.
func (k *keeper) Say(text string, done, total int64) {
	if k.walk.engine.Say == nil {
		return
	}
	k.mu.Lock()
	now := k.walk.engine.Now()
	late := now.Sub(k.said) >= sayEvery || done == total
	if late {
		k.said = now
	}
	k.mu.Unlock()
	if late {
		k.walk.engine.Say(k.step, text, done, total)
	}
}

// Keep implements Keeper.
func (k *keeper) Keep(ctx context.Context, kept json.RawMessage) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err != nil {
		return k.err
	}
	// What a Do has done must be kept also when its own time is just over.
	tail, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookFor)
	defer cancel()
	k.err = k.walk.note(tail, "step "+k.step+" keeps", k.step, func(s *State) { s.Steps[k.at].Kept = kept })
	return k.err
}

// errGivenUp is what a target hears that goes on after it was given up.
var errGivenUp = fmt.Errorf("the step is over: %w", lockstep.ErrRefused)

// close lets nothing be kept any more, and returns what went wrong when something was.
func (k *keeper) close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	err := k.err
	k.err = errGivenUp
	return err
}
