package ledger

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"lockstep/internal/lockstep"
)

// Range yields the entries of a range, both ends included, in order, and reads up to
// Options.Prefetch of them ahead. It checks each link between two of them. The
// first error ends it: ErrNotFound names the first entry that is not there,
// ErrCorrupt the first that is damaged or does not follow the one before.
func (l *Log) Range(ctx context.Context, from, to uint64) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(Entry{}, err)
			return
		}
		if from == 0 || from > to {
			yield(Entry{}, fmt.Errorf("range %s entries %d to %d: %w range", l.prefix, from, to, lockstep.ErrInvalid))
			return
		}
		var before *Entry
		for e, err := range l.reads(ctx, from, to) {
			if err == nil {
				err = l.follows(before, e)
			}
			if err != nil {
				yield(Entry{}, err)
				return
			}
			if !yield(e, nil) {
				return
			}
			before = &e
		}
	}
}

// follows checks the link of e to the entry before, nil when that was not read.
func (l *Log) follows(before *Entry, e Entry) error {
	var want [32]byte
	switch {
	case before != nil:
		want = before.Hash
	case e.N > 1:
		return nil
	}
	if e.Prev != want {
		return fmt.Errorf("%s entry %d: %w: it does not follow entry %d: it names %x, which hashes to %x",
			l.prefix, e.N, lockstep.ErrCorrupt, e.N-1, e.Prev, want)
	}
	return nil
}

func (l *Log) reads(ctx context.Context, from, to uint64) iter.Seq2[Entry, error] {
	if l.opts.Prefetch == 1 || from == to {
		return l.readsInTurn(ctx, from, to)
	}
	return l.readsAhead(ctx, from, to)
}

func (l *Log) readsInTurn(ctx context.Context, from, to uint64) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for n := from; ; n++ {
			if e, err := l.Read(ctx, n); !yield(e, err) || err != nil || n == to {
				return
			}
		}
	}
}

// readsAhead keeps a window of reads under way and waits for all of them before
// it returns.
func (l *Log) readsAhead(ctx context.Context, from, to uint64) iter.Seq2[Entry, error] {
	type result struct {
		entry Entry
		err   error
	}
	return func(yield func(Entry, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		window := min(uint64(l.opts.Prefetch), to-from+1)
		if to-from+1 == 0 { // all numbers there are
			window = uint64(l.opts.Prefetch)
		}
		slots := make([]chan result, window)
		start := func(n uint64) {
			c := make(chan result, 1)
			slots[n%window] = c
			wg.Go(func() {
				e, err := l.Read(ctx, n)
				c <- result{e, err}
			})
		}
		for i := range window {
			start(from + i)
		}
		for n := from; ; n++ {
			r := <-slots[n%window]
			if r.err == nil && to-n >= window {
				start(n + window)
			}
			if !yield(r.entry, r.err) || r.err != nil || n == to {
				return
			}
		}
	}
}

// Verify walks the entries of a range, both ends included, and returns ErrCorrupt
// for the first that is damaged, missing among others, or does not follow the one
// before. ErrNotFound: the range is not all in the log, because it was retired or
// is not written yet.
func (l *Log) Verify(ctx context.Context, from, to uint64) error {
	n := from
	for _, err := range l.Range(ctx, from, to) {
		if errors.Is(err, lockstep.ErrNotFound) {
			err = l.explainMissing(ctx, n, err)
		}
		if err != nil {
			return fmt.Errorf("verify: %w", err)
		}
		n++
	}
	return nil
}

// explainMissing tells a hole, which is damage, from an entry that was retired or
// never written.
func (l *Log) explainMissing(ctx context.Context, n uint64, missing error) error {
	low, err := l.Low(ctx)
	if err != nil {
		return err
	}
	if n < low {
		return fmt.Errorf("%w: entries below %d are retired", missing, low)
	}
	head, err := l.Head(ctx)
	if err != nil && !errors.Is(err, lockstep.ErrNotFound) {
		return err
	}
	// A head found on this side of the hole says nothing; the next entry may.
	next, err := l.has(ctx, n+1)
	if err != nil {
		return err
	}
	if n < head.N || next {
		return fmt.Errorf("%s entry %d: %w: it is missing, and later entries are there", l.prefix, n, lockstep.ErrCorrupt)
	}
	return missing
}
