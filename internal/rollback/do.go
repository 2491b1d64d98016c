package rollback

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"lockstep/internal/lockstep"
)

const (
	lookFor = time.Minute      // one look, or one entry behind a Do, may take this long
	grace   = 10 * time.Second // what has passed its time gets this to end
)

// errHangs says that a target did not heed the end of its context. What hangs then goes on
// in a goroutine that nobody waits for, and the process is the one that ends it.
var errHangs = fmt.Errorf("it does not end, and was left behind: %w", lockstep.ErrUnavailable)

// answer is what a target says.
type answer[T any] struct {
	value T
	err   error
}

// ask calls f in a goroutine of its own: a panic is an error, and what hangs can be left.
// What comes too late is read by nobody.
func ask[T any](f func() (T, error)) <-chan answer[T] {
	out := make(chan answer[T], 1)
	go func() {
		a := answer[T]{err: fmt.Errorf("the target ended without an answer: %w", lockstep.ErrInvalid)}
		defer func() {
			if r := recover(); r != nil {
				a.err = fmt.Errorf("the target panicked: %w: %v", lockstep.ErrInvalid, r)
			}
			out <- a
		}()
		v, err := f()
		a = answer[T]{v, err}
	}()
	return out
}

// within asks, with a context that ends after a while, and leaves what does not heed it.
func within[T any](ctx context.Context, limit time.Duration, f func(ctx context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	said := ask(func() (T, error) { return f(ctx) })
	select {
	case a := <-said:
		return a.value, a.err
	case <-ctx.Done():
	}
	late := time.NewTimer(grace)
	defer late.Stop()
	select {
	case a := <-said:
		return a.value, a.err
	case <-late.C:
		var none T
		return none, errHangs
	}
}

// look asks the target what is there, in a time of its own: that a Do used up its time is
// no reason not to know what it left.
func (w *walk) look(ctx context.Context, t Target, at int) (Sight, error) {
	call := At{Step: w.state().Plan.Steps[at], Kept: w.state().Steps[at].Kept}
	s, err := within(ctx, lookFor, func(ctx context.Context) (Sight, error) { return t.Look(ctx, call) })
	return s.clip(), err
}

// do has the target make the step's end true, within the step's own time, and keeps what
// it wants kept. Failure is what the target says; broken is an error of the journal, after
// which the walk cannot go on.
func (w *walk) do(ctx context.Context, t Target, at int) (failure, broken error) {
	step := w.state().Plan.Steps[at]
	limit := step.Deadline
	if limit == 0 {
		limit = DefaultDeadline
	}
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	k := newKeeper(w.engine, step.ID)
	defer k.close()
	call := At{Step: step, Kept: w.state().Steps[at].Kept}
	ended := ask(func() (struct{}, error) { return struct{}{}, t.Do(bounded, call, k) })
	late := time.NewTimer(limit + grace)
	defer late.Stop()
	for over := bounded.Done(); ; {
		select {
		case a := <-ended:
			if a.err != nil && bounded.Err() != nil && ctx.Err() == nil && broken == nil {
				return fmt.Errorf("not done within %s: %w", limit, a.err), nil
			}
			return a.err, broken
		case k := <-k.asks:
			err := broken
			if err == nil {
				err = w.keep(ctx, at, k.kept)
			}
			if err != nil && !errors.Is(err, lockstep.ErrInvalid) {
				broken = err
				cancel() // nothing that it does from now on would be known
			}
			k.answer <- err
		case <-over:
			over = nil
			late.Reset(grace)
		case <-late.C:
			if ctx.Err() == nil && broken == nil {
				return fmt.Errorf("not done within %s: %w", limit, errHangs), nil
			}
			return errHangs, broken
		}
	}
}

// keep writes what a step wants kept. That the time of the step is over is no reason to
// forget what it has done.
func (w *walk) keep(ctx context.Context, at int, kept json.RawMessage) error {
	s := w.state()
	if err := s.room(at, kept); err != nil {
		return err
	}
	tail, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookFor)
	defer cancel()
	return w.note(tail, at, "step "+s.Plan.Steps[at].ID+" keeps", func(x *StepState, _ *State) { x.Kept = kept })
}
