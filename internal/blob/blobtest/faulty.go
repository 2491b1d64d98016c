package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"

	"lockstep/internal/blob"
	"lockstep/internal/lockstep"
)

// Fault is what goes wrong with one call of a Store.
type Fault int

// The faults. Those that only make sense for calls with an effect (LoseAnswer,
// Delay, SendTwice, IgnoreCondition) are FailBefore for Get and List, or None where
// the comment says so.
const (
	// None lets the call through.
	None Fault = iota
	// FailBefore answers ErrUnavailable; nothing happens.
	FailBefore
	// LoseAnswer lets the call through and answers ErrUnavailable, whatever it said.
	LoseAnswer
	// Delay answers ErrUnavailable; the effect happens at Flush.
	Delay
	// SendTwice lets the call through twice and gives the second answer, as a
	// transport does that retries by itself (TRAPS T4). None for Get and List.
	SendTwice
	// IgnoreCondition is the bad backend: Create overwrites. None for other calls.
	IgnoreCondition
)

// Faulty is a Store that breaks on command, deterministically: it has no clock
// and no randomness of its own. It is safe for concurrent use.
type Faulty struct {
	store  blob.Store
	decide func(op, key string) Fault

	mu      sync.Mutex // guards everything below
	delayed []func(context.Context) error
	calls   map[string]int
}

var _ blob.Store = (*Faulty)(nil)

// NewFaulty wraps a store. Decide is asked before every call with "create", "get",
// "list", "delete" or "hint" and the key (the prefix for list); nil never breaks
// anything. It is called by one goroutine at a time and must not use the Faulty.
func NewFaulty(store blob.Store, decide func(op, key string) Fault) *Faulty {
	return &Faulty{store: store, decide: decide, calls: make(map[string]int)}
}

// Calls returns how often op was called.
func (f *Faulty) Calls(op string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[op]
}

// Flush lets the delayed calls take effect, in the order they came, and joins
// their errors, which their callers never see.
func (f *Faulty) Flush(ctx context.Context) error {
	f.mu.Lock()
	delayed := f.delayed
	f.delayed = nil
	f.mu.Unlock()
	var errs []error
	for _, apply := range delayed {
		errs = append(errs, apply(ctx))
	}
	return errors.Join(errs...)
}

// Create implements blob.Store.
func (f *Faulty) Create(ctx context.Context, key string, body []byte) error {
	fault := f.next("create", key)
	if fault == IgnoreCondition {
		return f.overwrite(ctx, key, body)
	}
	body = bytes.Clone(body) // a delayed effect must not see later changes
	return f.act(ctx, fault, "create "+key, func(ctx context.Context) error { return f.store.Create(ctx, key, body) })
}

// Delete implements blob.Store.
func (f *Faulty) Delete(ctx context.Context, key string) error {
	return f.act(ctx, f.next("delete", key), "delete "+key, func(ctx context.Context) error { return f.store.Delete(ctx, key) })
}

// Hint implements blob.Store.
func (f *Faulty) Hint(ctx context.Context, key string, body []byte) error {
	body = bytes.Clone(body)
	return f.act(ctx, f.next("hint", key), "hint "+key, func(ctx context.Context) error { return f.store.Hint(ctx, key, body) })
}

// Get implements blob.Store.
func (f *Faulty) Get(ctx context.Context, key string) (io.ReadCloser, blob.Meta, error) {
	if fault := f.next("get", key); unreadable(fault) {
		return nil, blob.Meta{}, broken("get "+key, fault)
	}
	return f.store.Get(ctx, key)
}

// List implements blob.Store. Each loop over the result is one call.
func (f *Faulty) List(ctx context.Context, prefix, after string) iter.Seq2[blob.Meta, error] {
	return func(yield func(blob.Meta, error) bool) {
		if fault := f.next("list", prefix); unreadable(fault) {
			yield(blob.Meta{}, broken("list "+prefix, fault))
			return
		}
		f.store.List(ctx, prefix, after)(yield)
	}
}

func unreadable(fault Fault) bool {
	return fault == FailBefore || fault == LoseAnswer || fault == Delay
}

func (f *Faulty) next(op, key string) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[op]++
	if f.decide == nil {
		return None
	}
	return f.decide(op, key)
}

func (f *Faulty) act(ctx context.Context, fault Fault, what string, apply func(context.Context) error) error {
	switch fault {
	case FailBefore:
		return broken(what, fault)
	case LoseAnswer:
		_ = apply(ctx) // the answer that is lost
		return broken(what, fault)
	case Delay:
		f.mu.Lock()
		defer f.mu.Unlock()
		f.delayed = append(f.delayed, apply)
		return broken(what, fault)
	case SendTwice:
		_ = apply(ctx) // the answer that the transport did not wait for
		return apply(ctx)
	case None, IgnoreCondition:
	}
	return apply(ctx)
}

// overwrite is not atomic: another create may slip in between, and is then
// overwritten as well, which is what such a backend does.
func (f *Faulty) overwrite(ctx context.Context, key string, body []byte) error {
	for {
		if err := f.store.Delete(ctx, key); err != nil {
			return err
		}
		if err := f.store.Create(ctx, key, body); !errors.Is(err, blob.ErrExists) {
			return err
		}
	}
}

func broken(what string, fault Fault) error {
	return fmt.Errorf("%s: %w by fault %d", what, lockstep.ErrUnavailable, fault)
}
