package ledger

import (
	"context"
	"errors"
	"fmt"
	"math"

	"lockstep/internal/blob"
	"lockstep/internal/lockstep"
)

const (
	maxHintBytes = 64
	// searches is how often Head starts over when entries are retired under it.
	searches = 8
)

// Head returns the last entry. ErrNotFound: the log is empty. It starts at the
// hint, whatever that is worth, and finds its way by Get alone: four calls when the
// hint is right, O(log distance) when it is not.
func (l *Log) Head(ctx context.Context) (Entry, error) {
	if err := ctx.Err(); err != nil {
		return Entry{}, err
	}
	e, err := l.head(ctx)
	if err != nil {
		return Entry{}, fmt.Errorf("find head of %s: %w", l.prefix, err)
	}
	return e, nil
}

func (l *Log) head(ctx context.Context) (Entry, error) {
	begun := l.now()
	from := l.hint(ctx)
	for range searches {
		n, err := l.search(ctx, from)
		if errors.Is(err, lockstep.ErrNotFound) {
			l.sight(sighting{n: 0, at: begun})
			return Entry{}, err
		}
		if err != nil {
			return Entry{}, err
		}
		// The order of the next two is what makes the answer safe to append to. Entries
		// are deleted oldest first, so an entry that is there after its successor was
		// missing never had one. And low is raised before anything is deleted, so an
		// entry that is not below it now was found in a stretch without holes.
		e, err := l.read(ctx, n)
		if errors.Is(err, lockstep.ErrNotFound) {
			from = 0
			continue
		}
		if err != nil {
			return Entry{}, err
		}
		low, err := l.Low(ctx)
		if err != nil {
			return Entry{}, err
		}
		if e.N >= low {
			l.sight(sighting{n: e.N, at: begun})
			return e, nil
		}
		from = 0 // written by a sleeper into a retired slot: it does not count
	}
	return Entry{}, fmt.Errorf("%w: entries were retired during each of %d searches", lockstep.ErrUnavailable, searches)
}

// hint returns the number the hint names, or 0. A hint that cannot be read is like
// none: it only saves a search, and the search meets the same trouble if it counts.
func (l *Log) hint(ctx context.Context) uint64 {
	body, err := blob.ReadAll(ctx, l.store, l.hintKey(), maxHintBytes)
	if err != nil {
		return 0
	}
	n, ok := parseNumber(string(body))
	if !ok || n == math.MaxUint64 {
		return 0
	}
	return n
}

// search returns a number n such that entry n was there and, when looked for, entry
// n+1 was not. It begins at from; 0, or an entry that is not there, means the
// lowest valid one.
func (l *Log) search(ctx context.Context, from uint64) (uint64, error) {
	if from > 0 {
		// The successor first: when the hint is right it is missing, and the entry is
		// then read once instead of twice.
		switch next, err := l.has(ctx, from+1); {
		case err != nil:
			return 0, err
		case next:
			return l.gallop(ctx, from+1)
		}
		if there, err := l.has(ctx, from); err != nil || there {
			return from, err
		}
	}
	first, err := l.lowest(ctx)
	if err != nil {
		return 0, err
	}
	return l.gallop(ctx, first)
}

// lowest returns the lowest valid entry, which is there. ErrNotFound: the log is
// empty.
func (l *Log) lowest(ctx context.Context) (uint64, error) {
	low, err := l.Low(ctx)
	for err == nil {
		there, err := l.has(ctx, max(low, 1))
		if err != nil || there {
			return max(low, 1), err
		}
		again, err := l.Low(ctx)
		switch {
		case err != nil:
			return 0, err
		case again == 0:
			return 0, fmt.Errorf("%w: no entry yet", lockstep.ErrNotFound)
		case again == low:
			return 0, fmt.Errorf("%w: entry %d, the lowest valid one, is missing", lockstep.ErrCorrupt, low)
		}
		low = again // retired meanwhile; low only ever grows, so this ends
	}
	return 0, err
}

// gallop returns the last entry of the unbroken stretch that begins at lo, which is
// there.
func (l *Log) gallop(ctx context.Context, lo uint64) (uint64, error) {
	return gallop(lo, func(n uint64) (bool, error) { return l.has(ctx, n) })
}

// gallop finds the last number of an unbroken stretch that begins at lo: steps of
// 1, 2, 4, … until one is missing, then halving.
func gallop(lo uint64, has func(n uint64) (bool, error)) (uint64, error) {
	hi := uint64(math.MaxUint64) // missing, or never to be asked for
	for step := uint64(1); step < hi-lo; step *= 2 {
		there, err := has(lo + step)
		if err != nil {
			return 0, err
		}
		if !there {
			hi = lo + step
			break
		}
		lo += step
	}
	for hi-lo > 1 {
		mid := lo + (hi-lo)/2
		there, err := has(mid)
		if err != nil {
			return 0, err
		}
		if there {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo, nil
}
