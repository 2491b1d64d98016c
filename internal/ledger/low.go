package ledger

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"lockstep/internal/blob"
	"lockstep/internal/lockstep"
)

const (
	lowFormat   = 1
	maxLowBytes = 1 << 10
)

// lowMark is the body of a low object.
type lowMark struct {
	Format int    `json:"format"`
	Low    uint64 `json:"low"` // the lowest valid entry from now on
}

// Low returns the lowest valid entry number; 0 when none was ever retired. Entries
// below it do not count, whether or not they are still there.
//
// The raises are numbered objects without gaps that are never deleted, so they are
// found by Get, like entries: a stale listing cannot hide one.
func (l *Log) Low(ctx context.Context) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	_, low, err := l.newestLow(ctx)
	if err != nil {
		return 0, fmt.Errorf("read lowest valid entry of %s: %w", l.prefix, err)
	}
	return low, nil
}

func (l *Log) newestLow(ctx context.Context) (seq, low uint64, err error) {
	known, low := l.knownLow()
	seq, err = gallop(known, func(k uint64) (bool, error) { return l.exists(ctx, l.lowKey(k)) })
	if err != nil || seq == known {
		return seq, low, err
	}
	if low, err = l.readLow(ctx, seq); err != nil {
		return 0, 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if seq > l.lowSeq {
		l.lowSeq, l.low = seq, low
	}
	return seq, low, nil
}

func (l *Log) knownLow() (seq, low uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lowSeq, l.low
}

func (l *Log) readLow(ctx context.Context, seq uint64) (uint64, error) {
	key := l.lowKey(seq)
	body, err := blob.ReadAll(ctx, l.store, key, maxLowBytes)
	if err != nil {
		return 0, err
	}
	low, err := decodeLow(body)
	if err != nil {
		return 0, fmt.Errorf("object %s: %w", key, err)
	}
	return low, nil
}

func decodeLow(body []byte) (uint64, error) {
	var m lowMark
	if err := json.Unmarshal(body, &m); err != nil {
		return 0, fmt.Errorf("%w: %w", lockstep.ErrCorrupt, err)
	}
	if m.Format != lowFormat {
		return 0, fmt.Errorf("%w: format %d, this binary knows %d", lockstep.ErrRefused, m.Format, lowFormat)
	}
	if m.Low == 0 {
		return 0, fmt.Errorf("%w: lowest valid entry is 0", lockstep.ErrCorrupt)
	}
	return m.Low, nil
}

// Retire makes low the lowest valid entry and deletes those below it, oldest
// first. Entry low must be there, so at least the head stays: ErrRefused
// otherwise. Entries must be far older than any append takes, a month say; Retire
// cannot tell, its caller can.
//
// It writes down the new low before it deletes anything. After an error it may be
// called again: entries below low count no more, whether deleted or not.
func (l *Log) Retire(ctx context.Context, low uint64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := blob.CheckCreateKey(l.lowKey(1)); err != nil {
		return fmt.Errorf("retire entries of %s: %w", l.prefix, err)
	}
	low, err := l.raiseLow(ctx, low)
	if err == nil {
		err = l.deleteBelow(ctx, low)
	}
	if err != nil {
		return fmt.Errorf("retire %s entries below %d: %w", l.prefix, low, err)
	}
	return nil
}

// raiseLow returns the low that holds afterwards, which is higher than asked for
// when another had raised it further.
func (l *Log) raiseLow(ctx context.Context, low uint64) (uint64, error) {
	for {
		seq, now, err := l.newestLow(ctx)
		if err != nil || now >= low {
			return now, err
		}
		switch there, err := l.has(ctx, low); {
		case err != nil:
			return low, err
		case !there:
			return low, fmt.Errorf("%w: entry %d, which would be the lowest valid one, does not exist", lockstep.ErrRefused, low)
		}
		body, err := json.Marshal(lowMark{Format: lowFormat, Low: low})
		if err != nil {
			return low, err
		}
		// Two that raise to the same low write the same bytes, so there is nothing to
		// settle: what is there decides, and when nothing is, the caller comes again.
		if err := l.store.Create(ctx, l.lowKey(seq+1), append(body, '\n')); err != nil && !errors.Is(err, blob.ErrExists) {
			return low, err
		}
	}
}

// deleteBelow deletes every entry below low that a listing shows, also what a
// sleeper wrote long after its neighbours went.
func (l *Log) deleteBelow(ctx context.Context, low uint64) error {
	type old struct {
		n   uint64
		key string
	}
	var found []old
	for m, err := range l.store.List(ctx, l.prefix+"/", "") {
		if err != nil {
			return err
		}
		if n, ok := parseNumber(strings.TrimPrefix(m.Key, l.prefix+"/")); ok && n < low {
			found = append(found, old{n, m.Key})
		}
	}
	slices.SortFunc(found, func(a, b old) int { return cmp.Compare(a.n, b.n) })
	for _, o := range found {
		if err := l.store.Delete(ctx, o.key); err != nil {
			return err
		}
	}
	return nil
}
