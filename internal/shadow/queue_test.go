package shadow

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

func TestQueueDropsAndCountsWhatHasNoRoom(t *testing.T) {
	q := NewQueue[int](2)
	for i, want := range []bool{true, true, false, false} {
		if got := q.Push(i); got != want {
			t.Errorf("push %d: %v", i, got)
		}
	}
	if q.Len() != 2 || q.Dropped() != 2 || q.Dropped() != 0 {
		t.Error("want 2 waiting and 2 drops, told once")
	}
	for want := range 2 {
		if got, err := q.Pop(t.Context()); got != want || err != nil {
			t.Errorf("%d, %v, want %d", got, err, want)
		}
	}
	if !q.Push(9) {
		t.Error("there was room again")
	}
	if q := NewQueue[int](0); !q.Push(1) || q.Push(2) {
		t.Error("a queue of nothing holds one")
	}
}

func TestClosedQueueIsEmptiedAndLetsNothingIn(t *testing.T) {
	q := NewQueue[string](2)
	q.Push("a")
	q.Close()
	q.Close()
	if q.Push("b") || q.Dropped() != 1 {
		t.Error("a closed queue let something in, or did not count it")
	}
	if got, err := q.Pop(t.Context()); got != "a" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := q.Pop(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("%v, want io.EOF", err)
	}
}

func TestPopEndsWithItsContext(t *testing.T) {
	q := NewQueue[int](1)
	q.Push(1)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := q.Pop(ended); !errors.Is(err, context.Canceled) || q.Len() != 1 {
		t.Errorf("%v, %d waiting, want context.Canceled and nothing taken", err, q.Len())
	}
	synctest.Test(t, func(t *testing.T) {
		q := NewQueue[int](1)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, err := q.Pop(ctx)
			done <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// Every item is popped or counted as dropped, also when the queue closes meanwhile.
func TestNothingIsLostUncounted(t *testing.T) {
	q := NewQueue[int](4)
	const pushers, each = 4, 500
	var pushes, pops sync.WaitGroup
	var popped atomic.Int64
	for range 2 {
		pops.Go(func() {
			for {
				if _, err := q.Pop(t.Context()); err != nil {
					return
				}
				popped.Add(1)
			}
		})
	}
	for range pushers {
		pushes.Go(func() {
			for i := range each {
				if i == each/2 {
					q.Close()
				}
				q.Push(i)
			}
		})
	}
	pushes.Wait()
	pops.Wait()
	if n := popped.Load() + q.Dropped(); n != pushers*each {
		t.Errorf("%d of %d accounted for", n, pushers*each)
	}
}
