package rollback

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"lockstep/internal/lockstep"
)

const (
	// MaxKept bounds what one step keeps, in bytes.
	MaxKept = 256 << 10
	// maxKeptAll bounds what all steps of a plan keep together: it is in every entry.
	maxKeptAll = 2 << 20
	// sayEvery bounds how often progress is passed on.
	sayEvery = 100 * time.Millisecond
)

// errGivenUp is what a target hears that goes on after it was given up.
var errGivenUp = fmt.Errorf("the step is over: %w", lockstep.ErrRefused)

// keeper is what a target tells of its work through, from any goroutine. What it keeps is
// written by the walk itself, which alone touches its head. A target that was given up may
// still call it: from then on nothing is kept and nothing is said.
type keeper struct {
	step string
	say  func(step, text string, done, total int64)
	now  func() time.Time
	asks chan keepAsk
	over chan struct{} // closed when the step is over

	mu   sync.Mutex // guards everything below
	said time.Time
	last bool // the end of the work was said
}

// keepAsk asks the walk to keep something.
type keepAsk struct {
	kept   json.RawMessage
	answer chan error
}

func newKeeper(g *Engine, step string) *keeper {
	return &keeper{step: step, say: g.Say, now: g.Now, asks: make(chan keepAsk), over: make(chan struct{})}
}

// close lets nothing be kept or said any more.
func (k *keeper) close() { close(k.over) }

// Say implements Keeper.
func (k *keeper) Say(text string, done, total int64) {
	select {
	case <-k.over:
		return
	default:
	}
	if k.say != nil && k.due(total > 0 && done >= total) {
		k.say(k.step, text, done, total)
	}
}

// due says whether it is time to pass something on: now and then, and the end once.
func (k *keeper) due(end bool) bool { //nolint:revive // end is what is said and no mode
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	since := now.Sub(k.said)
	if end {
		if k.last {
			return false
		}
		k.last, k.said = true, now
		return true
	}
	if 0 <= since && since < sayEvery { // a clock that was set back silences nobody
		return false
	}
	k.last, k.said = false, now
	return true
}

// Keep implements Keeper. lockstep.ErrInvalid: it is no JSON or too large; what was kept
// before stays, and the target may keep something smaller. lockstep.ErrRefused: the step is
// over. Any other error is one of the journal: nothing can be kept any more, the walk ends,
// and the Do should. The context is not asked: what was done must be kept also when the
// time of the step is just over.
func (k *keeper) Keep(_ context.Context, kept json.RawMessage) error {
	if len(kept) > MaxKept {
		return lockstep.Hint(fmt.Errorf("step %s keeps %d bytes: %w: at most %d", k.step, len(kept), lockstep.ErrInvalid, MaxKept), "keep a summary, and where the whole is to be found")
	}
	if !json.Valid(kept) {
		return fmt.Errorf("step %s keeps what is no JSON: %w", k.step, lockstep.ErrInvalid)
	}
	ask := keepAsk{kept, make(chan error, 1)}
	select {
	case k.asks <- ask:
		return <-ask.answer
	case <-k.over:
		return errGivenUp
	}
}

// room returns lockstep.ErrInvalid when there is none for what a step wants to keep.
func (s *State) room(at int, kept json.RawMessage) error {
	all := len(kept)
	for i := range s.Steps {
		if i != at {
			all += len(s.Steps[i].Kept)
		}
	}
	if all > maxKeptAll {
		return fmt.Errorf("step %s keeps %d bytes, and all of plan %s %d: %w: at most %d", s.Plan.Steps[at].ID, len(kept), s.Plan.ID, all, lockstep.ErrInvalid, maxKeptAll)
	}
	return nil
}
