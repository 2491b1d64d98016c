package rollback

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
)

// walk is one Run.
type walk struct {
	engine  *Engine
	journal *Journal
	head    Head // the newest entry that is known
}

func (w *walk) state() State { return w.head.Entry.State }

func (w *walk) now() time.Time { return w.engine.Now().UTC() }

// note writes the state that change makes of the newest one. What people write meanwhile,
// a signature for one, is no reason not to: it is written behind that. ErrElsewhere:
// another process walks the plan, or the step at is not any more as this walk left it.
func (w *walk) note(ctx context.Context, at int, what string, change func(x *StepState, s *State)) error {
	for {
		s := w.state()
		s = s.clone()
		change(&s.Steps[at], &s)
		head, err := w.journal.append(ctx, w.head, Entry{What: what, Actor: w.engine.Name, State: s, Step: s.Plan.Steps[at].ID})
		if err == nil {
			w.head = head
			return nil
		}
		if !errors.Is(err, ledger.ErrHeadMoved) {
			return err
		}
		if err := w.catchUp(ctx, at); err != nil {
			return err
		}
	}
}

// catchUp goes on from the newest entry, unless that is one of another walk: it says that
// the step at is not as it was, or that somebody is at another.
func (w *walk) catchUp(ctx context.Context, at int) error {
	head, err := w.journal.Head(ctx)
	if err != nil {
		return err
	}
	was, is := w.state(), head.Entry.State
	if is.doing(at) >= 0 || at >= 0 && !reflect.DeepEqual(was.Steps[at], is.Steps[at]) {
		return lockstep.Hint(fmt.Errorf("%w: entry %d, %q, is by %s", ErrElsewhere, head.Entry.Number, head.Entry.What, head.Entry.Actor), w.journal.watching())
	}
	w.head = head
	return is.inForce()
}

// finish notes that nothing is left that can be done, unless something is meanwhile.
func (w *walk) finish(ctx context.Context) (over bool, err error) {
	for {
		s, at := Next(w.state())
		if at >= 0 {
			return false, nil
		}
		if !s.Ended.IsZero() && s.same(w.state()) {
			return true, nil
		}
		if s.Ended = w.now(); s.Began.IsZero() {
			s.Began = s.Ended
		}
		head, err := w.journal.append(ctx, w.head, Entry{What: "walked", Actor: w.engine.Name, State: s})
		if err == nil {
			w.head = head
			return true, nil
		}
		if !errors.Is(err, ledger.ErrHeadMoved) {
			return false, err
		}
		if err := w.catchUp(ctx, -1); err != nil {
			return false, err
		}
	}
}

// same says whether every step is as far as in t.
func (s *State) same(t State) bool {
	for i := range s.Steps {
		if s.Steps[i].Progress != t.Steps[i].Progress {
			return false
		}
	}
	return true
}

// step looks, does and looks again.
func (w *walk) step(ctx context.Context, at int) error {
	step := w.state().Plan.Steps[at]
	target, ok := w.engine.Targets[step.Target]
	if !ok {
		return w.fail(ctx, at, Failed, lockstep.Hint(fmt.Errorf("nothing here knows how to do %q: %w", step.Target, lockstep.ErrNotFound), "run it where it is configured"), nil)
	}
	before, err := w.look(ctx, target, at)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return w.fail(ctx, at, Failed, fmt.Errorf("look first: %w", err), nil)
	}
	switch {
	case before.State == step.To:
		return w.done(ctx, at, before)
	case step.From != "" && before.State != step.From && before.State != Partial:
		return w.fail(ctx, at, Third, astray(fmt.Errorf("found %q, where %q was to be made %q: %w", before.State, step.From, step.To, lockstep.ErrConflict)), &before)
	}
	if err := w.begin(ctx, at, before); err != nil {
		return err
	}
	stop := w.journal.beat(ctx, step.ID, w.state().Steps[at].Tries)
	idle := false
	defer func() { stop(idle) }()
	failure, broken := w.do(ctx, target, at)
	if broken != nil || ctx.Err() != nil {
		idle = !errors.Is(failure, errHangs)
		return errors.Join(ctx.Err(), broken) // a later Run goes on
	}
	after, err := w.look(ctx, target, at)
	if ctx.Err() != nil {
		idle = !errors.Is(err, errHangs)
		return ctx.Err()
	}
	return w.outcome(ctx, at, seen{after, err}, failure)
}

// seen is what a second look has found.
type seen struct {
	sight Sight
	err   error
}

// outcome notes what became of a Do. Whatever it says itself: what is there counts.
func (w *walk) outcome(ctx context.Context, at int, after seen, failure error) error {
	step := w.state().Plan.Steps[at]
	switch {
	case after.err == nil && after.sight.State == step.To:
		return w.done(ctx, at, after.sight)
	case after.err != nil && failure != nil:
		return w.fail(ctx, at, Failed, fmt.Errorf("%w; look again: %w", failure, after.err), nil)
	case after.err != nil:
		return w.fail(ctx, at, Failed, fmt.Errorf("look again: %w", after.err), nil)
	case failure != nil:
		return w.fail(ctx, at, Failed, failure, &after.sight)
	}
	why := fmt.Errorf("it was done, and is not so: want %q, found %q: %w", step.To, after.sight.State, lockstep.ErrConflict)
	if after.sight.State == step.From || after.sight.State == Partial {
		return w.fail(ctx, at, Failed, why, &after.sight)
	}
	return w.fail(ctx, at, Third, astray(why), &after.sight)
}

func astray(err error) error {
	return lockstep.Hint(err, "somebody else may be at it: find out who, and put it right, or leave the step out")
}

// begin notes that the step is being done, before anything of it is.
func (w *walk) begin(ctx context.Context, at int, before Sight) error {
	now := w.now()
	return w.note(ctx, at, "begin "+w.state().Plan.Steps[at].ID, func(x *StepState, s *State) {
		if x.Progress != Doing || x.Began.IsZero() {
			x.Began = now // a step that somebody was killed at has begun already
		}
		x.Progress, x.By, x.Ended, x.Tries, x.Sight, x.Error, x.Hint = Doing, w.engine.Name, time.Time{}, x.Tries+1, before, "", ""
		s.begin(now)
	})
}

// done notes that the end of the step is true. It was so already unless somebody has ever
// begun to make it so.
func (w *walk) done(ctx context.Context, at int, sight Sight) error {
	now := w.now()
	return w.settle(ctx, at, "done", func(x *StepState, s *State) {
		if x.Progress != Doing {
			x.Began = now
		}
		x.Progress, x.By, x.Ended, x.Sight, x.Already, x.Error, x.Hint = Done, w.engine.Name, now, sight, x.Tries == 0, "", ""
		s.begin(now)
	})
}

// fail notes that a step cannot be done now, and why. Nil: it was not seen, what was seen
// before stays.
func (w *walk) fail(ctx context.Context, at int, p Progress, why error, sight *Sight) error {
	now := w.now()
	return w.settle(ctx, at, string(p), func(x *StepState, s *State) {
		if x.Progress != Doing {
			x.Began = now
		}
		x.Progress, x.By, x.Ended, x.Error, x.Hint = p, w.engine.Name, now, clip(why.Error(), maxText), clip(lockstep.HintOf(why), maxText)
		if sight != nil {
			x.Sight = *sight
		}
		s.begin(now)
	})
}

func (w *walk) settle(ctx context.Context, at int, how string, change func(x *StepState, s *State)) error {
	if err := w.note(ctx, at, "step "+w.state().Plan.Steps[at].ID+" "+how, change); err != nil {
		return err
	}
	if w.engine.Settled != nil {
		w.engine.Settled(w.state().Plan.Steps[at], w.state().Steps[at])
	}
	return nil
}

// begin notes that the plan is under way.
func (s *State) begin(now time.Time) {
	if s.Began.IsZero() {
		s.Began = now
	}
}
