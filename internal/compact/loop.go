package compact

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lockstep/internal/lockstep"
)

// Bounds of a group commit.
type Bounds struct {
	Messages int           // at most this many in one commit; default 2,000
	Bytes    int           // at most about this many bytes of bodies; default 8 MiB
	Delay    time.Duration // wait this long for company; default 0: only as long as the commit before takes
	Poll     time.Duration // look for foreign versions this often when idle; default 200 ms
}

func (b Bounds) withDefaults() Bounds {
	if b.Messages <= 0 {
		b.Messages = 2000
	}
	if b.Bytes <= 0 {
		b.Bytes = 8 << 20
	}
	if b.Poll <= 0 {
		b.Poll = 200 * time.Millisecond
	}
	return b
}

// Loop lets many submitters share the commits of one Compactor.
type Loop struct {
	compactor *Compactor
	bounds    Bounds
	in        chan *submission
	tasks     chan *task
	hooks     Hooks
}

// Hooks are called in the loop's own goroutine; each may be nil.
type Hooks struct {
	// Committed hears of every commit and how long it took.
	Committed func(Result, error, time.Duration)
	// After runs after each commit and each look at the log. Its error ends the loop.
	After func(context.Context) error
}

type submission struct {
	inputs []Input
	bytes  int
	done   chan reply
}

type reply struct {
	res Result
	err error
}

type task struct {
	do   func(context.Context, *Compactor) error
	done chan error
}

// ErrStopped says that the loop has ended: nothing was done, and the caller must
// bring its inputs again.
var ErrStopped = fmt.Errorf("the compactor has stopped: %w", lockstep.ErrUnavailable)

// NewLoop returns a loop around c.
func NewLoop(c *Compactor, bounds Bounds, hooks Hooks) *Loop {
	return &Loop{compactor: c, bounds: bounds.withDefaults(), in: make(chan *submission), tasks: make(chan *task), hooks: hooks}
}

// Submit brings inputs into a version and returns when they are in one. When ctx
// ends first, they may or may not get there; submitting them again is safe.
func (l *Loop) Submit(ctx context.Context, inputs []Input) (Result, error) {
	s := &submission{inputs: inputs, done: make(chan reply, 1)}
	for i := range inputs {
		s.bytes += len(inputs[i].Message.Body)
	}
	select {
	case l.in <- s:
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
	select {
	case r := <-s.done:
		return r.res, r.err
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
}

// Do runs one task between two commits, with the compactor to itself.
func (l *Loop) Do(ctx context.Context, do func(context.Context, *Compactor) error) error {
	t := &task{do: do, done: make(chan error, 1)}
	select {
	case l.tasks <- t:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-t.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run commits what is submitted until ctx ends, and returns its error. A commit that
// fails is reported to its submitters and does not end the loop, unless the local
// state is corrupt.
func (l *Loop) Run(ctx context.Context) error {
	poll := time.NewTicker(l.bounds.Poll)
	defer poll.Stop()
	if err := l.look(ctx); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case s := <-l.in:
			if err := l.commit(ctx, l.gather(ctx, s)); err != nil {
				return err
			}
		case t := <-l.tasks:
			t.done <- t.do(ctx, l.compactor)
		case <-poll.C:
			if err := l.look(ctx); err != nil {
				return err
			}
		}
	}
}

// look follows foreign versions. A store that cannot be reached now is tried again
// at the next tick; only corruption ends the loop.
func (l *Loop) look(ctx context.Context) error {
	l.compactor.Poll()
	if err := l.compactor.Refresh(ctx); err != nil {
		if errors.Is(err, lockstep.ErrCorrupt) {
			return err
		}
		l.compactor.opts.Log.WarnContext(ctx, "the log cannot be followed now", "error", err)
		return nil
	}
	return l.tail(ctx)
}

func (l *Loop) tail(ctx context.Context) error {
	if l.hooks.After == nil {
		return nil
	}
	return l.hooks.After(ctx)
}

// gather collects company for the first submission: whatever waits already, and what
// comes within the delay.
func (l *Loop) gather(ctx context.Context, first *submission) []*submission {
	batch, messages, bytes := []*submission{first}, len(first.inputs), first.bytes
	var late <-chan time.Time
	if l.bounds.Delay > 0 {
		t := time.NewTimer(l.bounds.Delay)
		defer t.Stop()
		late = t.C
	}
	for messages < l.bounds.Messages && bytes < l.bounds.Bytes {
		var s *submission
		if late == nil {
			select {
			case s = <-l.in:
			default:
				return batch
			}
		} else {
			select {
			case s = <-l.in:
			case <-late:
				return batch
			case <-ctx.Done():
				return batch
			}
		}
		batch, messages, bytes = append(batch, s), messages+len(s.inputs), bytes+s.bytes
	}
	return batch
}

func (l *Loop) commit(ctx context.Context, batch []*submission) error {
	inputs := batch[0].inputs
	if len(batch) > 1 {
		inputs = nil
		for _, s := range batch {
			inputs = append(inputs, s.inputs...)
		}
	}
	start := l.compactor.opts.Now()
	res, err := l.compactor.Commit(ctx, inputs)
	if l.hooks.Committed != nil {
		l.hooks.Committed(res, err, l.compactor.opts.Now().Sub(start))
	}
	at := 0
	for _, s := range batch {
		part := Result{Version: res.Version, Changed: res.Changed, Counts: map[lockstep.Outcome]int{}}
		if err == nil {
			part.Outcomes = res.Outcomes[at : at+len(s.inputs)]
			for _, o := range part.Outcomes {
				part.Counts[o.Outcome]++
			}
		}
		at += len(s.inputs)
		s.done <- reply{part, err}
	}
	switch {
	case err == nil:
		return l.tail(ctx)
	case errors.Is(err, lockstep.ErrCorrupt):
		return err
	}
	return nil // each submitter has the error
}
