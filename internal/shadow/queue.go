package shadow

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
)

// Queue holds work for one or more workers, up to a number of items. Pushing never waits:
// what does not fit is dropped and counted, because a comparison may be lost and a batch
// may not be late. It is safe for concurrent use.
type Queue[T any] struct {
	items   chan T
	dropped atomic.Int64

	mu     sync.RWMutex // guards everything below
	closed bool
}

// NewQueue returns an empty queue of at most size items; less than 1 is 1.
func NewQueue[T any](size int) *Queue[T] {
	return &Queue[T]{items: make(chan T, max(size, 1))}
}

// Push adds item and says whether there was room. It returns at once. Into a closed queue
// nothing fits.
func (q *Queue[T]) Push(item T) bool {
	q.mu.RLock()
	defer q.mu.RUnlock()
	if !q.closed {
		select {
		case q.items <- item:
			return true
		default:
		}
	}
	q.dropped.Add(1)
	return false
}

// Pop removes the oldest item and waits for one when there is none. It returns io.EOF when
// the queue is closed and empty, and ctx.Err() when ctx ends first; then nothing is removed.
func (q *Queue[T]) Pop(ctx context.Context) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	select {
	case item, ok := <-q.items:
		if !ok {
			return none, io.EOF
		}
		return item, nil
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// Close lets nothing more in. What waits can still be popped. Closing twice is once.
func (q *Queue[T]) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.closed = true
		close(q.items)
	}
}

// Len is how many items wait now.
func (q *Queue[T]) Len() int { return len(q.items) }

// Dropped returns how many items were dropped since the last call, so that each is counted
// into a tally once.
func (q *Queue[T]) Dropped() int64 { return q.dropped.Swap(0) }
