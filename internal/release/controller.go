package release

import (
	"context"
	"fmt"
	"time"

	"lockstep/internal/lockstep"
)

// Fencer writes a fence into the ledger of versions: what was planned before it can
// no longer be published. The fence has to be found again by Effect.Name, which is
// what Observation.Fenced says.
type Fencer interface {
	Fence(ctx context.Context, e Effect) error
}

// Pinner keeps the version of Effect.Pair under the name Effect.Name, and lets it
// go. Doing either again changes nothing; letting go what is not kept is success.
type Pinner interface {
	Pin(ctx context.Context, e Effect) error
	Unpin(ctx context.Context, e Effect) error
}

// Observer looks at the running system. It is asked about the latest release of s,
// also for some time after it is over, because a fence may turn up late.
type Observer interface {
	Observe(ctx context.Context, s State) (Observation, error)
}

// Controller carries out what Next decides and what people order. It holds no state
// of its own: any number may run, and one that starts goes on where another died.
type Controller struct {
	Name     string // actor of its entries
	Log      *Log
	Fencer   Fencer
	Pinner   Pinner
	Observer Observer
	Calendar Calendar
}

// Tick looks once and does at most one thing. The Decision says what was done, or
// why nothing was and until when. After an error, effects may have been carried out
// and the entry may be there or not; the next Tick goes on from what is true.
// ledger.ErrHeadMoved: somebody else was first; tick again at once.
//
// An observer that fails stops a release from advancing, and never an abort that
// the ledger alone gives reason for.
func (c *Controller) Tick(ctx context.Context, now time.Time) (Decision, error) {
	head, d, err := c.look(ctx, now)
	if err != nil || d.Transition == nil {
		return d, err
	}
	t := *d.Transition
	t.Entry.Actor = c.Name
	if _, err := c.carryOut(ctx, head, t); err != nil {
		return d, fmt.Errorf("%s: %w", t.Entry.Kind, err)
	}
	return d, nil
}

// Look returns what Tick would do at now, and does nothing.
func (c *Controller) Look(ctx context.Context, now time.Time) (Decision, error) {
	_, d, err := c.look(ctx, now)
	return d, err
}

func (c *Controller) look(ctx context.Context, now time.Time) (Head, Decision, error) {
	head, err := c.Log.Head(ctx)
	if err != nil {
		return Head{}, Decision{}, err
	}
	s := head.State()
	seen, err := c.Observe(ctx, s, now)
	d := Next(s, seen, now)
	if err != nil && (d.Transition == nil || d.Transition.Entry.Kind != KindAbort) {
		return head, Decision{Why: "nothing could be observed"}, err
	}
	return head, d, nil
}

// Observe asks the observer and the calendar about s, as Promote wants it. After an
// error the Observation knows nothing but the calendar.
func (c *Controller) Observe(ctx context.Context, s State, now time.Time) (Observation, error) {
	var seen Observation
	var err error
	if s.Release != nil {
		if seen, err = c.Observer.Observe(ctx, s); err != nil {
			seen, err = Observation{}, fmt.Errorf("observe release %s: %w", s.Release.ID, err)
		}
	}
	seen.Frozen = c.Calendar.Frozen(now)
	return seen, err
}

// Do carries out a command: it gives the newest state to order, which is usually a
// call of one of the commands of this package, and appends what that returns. Errors
// of order are passed on, and nothing was done then. After any other, effects may
// have been carried out, which the next Tick makes good. ledger.ErrHeadMoved:
// somebody else was first, and the entry is not there.
func (c *Controller) Do(ctx context.Context, order func(State) (Transition, error)) (Head, error) {
	head, err := c.Log.Head(ctx)
	if err != nil {
		return Head{}, err
	}
	t, err := order(head.State())
	if err != nil {
		return Head{}, err
	}
	return c.carryOut(ctx, head, t)
}

// carryOut does the effects in order and appends the entry: an entry never says of
// an effect that it was done before it was.
func (c *Controller) carryOut(ctx context.Context, head Head, t Transition) (Head, error) {
	for _, e := range t.Before {
		if err := c.effect(ctx, e); err != nil {
			return Head{}, fmt.Errorf("%s %s: %w", e.Kind, e.Name(), err)
		}
	}
	return c.Log.Append(ctx, head, t.Entry)
}

func (c *Controller) effect(ctx context.Context, e Effect) error {
	switch e.Kind {
	case Fence:
		return c.Fencer.Fence(ctx, e)
	case Pin:
		return c.Pinner.Pin(ctx, e)
	case Unpin:
		return c.Pinner.Unpin(ctx, e)
	}
	return fmt.Errorf("%w kind of effect", lockstep.ErrInvalid)
}
