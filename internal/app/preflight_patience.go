package app

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// patience is how many times the budget of a candidate a call may take in preflight: one that
// is slow once is no reason to refuse it, and one that does not answer is.
const patience = 10

// patient is a builtin handler that preflight does not wait for: one that heeds no ctx would
// hold it up for as long as it likes. A call that exhausts the patience fails, and so does
// every later one, at once. The call itself cannot be ended; it is left behind, which one
// release costs once.
type patient struct {
	handler.Handler
	budget time.Duration
	lost   *atomic.Bool // patience
}

func newPatient(rev handler.Revision, budget time.Duration) handler.Revision {
	if builtin(rev.Handler) { // programs are ended
		rev.Handler = patient{rev.Handler, patience * budget, &atomic.Bool{}}
	}
	return rev
}

// Reads implements handler.Handler. What takes too long asks for nothing, and the Plan that
// follows says why.
func (p patient) Reads(messages []lockstep.Message) handler.Reads {
	reads, _ := within(p, func() (handler.Reads, error) { return p.Handler.Reads(messages), nil })
	return reads
}

// Plan implements handler.Handler.
func (p patient) Plan(ctx context.Context, u handler.Unit) ([]lockstep.Mutation, error) {
	return within(p, func() ([]lockstep.Mutation, error) { return p.Handler.Plan(ctx, u) })
}

// within returns what call returns, and panics when it does, if it does so in time.
func within[T any](p patient, call func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
		panic any
	}
	var none T
	if p.lost.Load() {
		return none, fmt.Errorf("it was not asked: a call before had no answer within %s", p.budget)
	}
	done := make(chan result, 1)
	go func() {
		var r result
		defer func() {
			r.panic = recover()
			done <- r
		}()
		r.value, r.err = call()
	}()
	timer := time.NewTimer(p.budget)
	defer timer.Stop()
	select {
	case r := <-done:
		if r.panic != nil {
			panic(r.panic) // the caller's to judge, in the caller's goroutine
		}
		return r.value, r.err
	case <-timer.C:
		p.lost.Store(true)
		return none, fmt.Errorf("no answer within %s", p.budget)
	}
}
