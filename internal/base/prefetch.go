package base

import (
	"context"
	"iter"
)

// fetched is a part with its bytes, or why it could not be read.
type fetched struct {
	part Part
	body []byte
	err  error
}

// ahead yields the parts in order and reads the next one while the loop works on
// the present one, so that at most two are in memory besides what the loop keeps.
// The reader has ended when the loop has.
func (b *Base) ahead(ctx context.Context, parts []Part) iter.Seq[fetched] {
	return func(yield func(fetched) bool) {
		ctx, cancel := context.WithCancel(ctx)
		next := make(chan fetched)
		go func() {
			defer close(next)
			for _, p := range parts {
				body, err := b.fetch(ctx, p)
				select {
				case next <- fetched{p, body, err}:
				case <-ctx.Done():
					return
				}
				if err != nil {
					return
				}
			}
		}()
		defer func() {
			cancel()
			for range next {
				continue // waits for the reader to end
			}
		}()
		for range parts {
			f, ok := <-next
			if !ok {
				yield(fetched{err: ctx.Err()})
				return
			}
			if !yield(f) || f.err != nil {
				return
			}
		}
	}
}

// oneByOne is ahead without reading ahead: half the memory.
func (b *Base) oneByOne(ctx context.Context, parts []Part) iter.Seq[fetched] {
	return func(yield func(fetched) bool) {
		for _, p := range parts {
			body, err := b.fetch(ctx, p)
			if !yield(fetched{p, body, err}) || err != nil {
				return
			}
		}
	}
}
