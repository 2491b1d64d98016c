package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"lockstep/internal/blob"
	"lockstep/internal/lockstep"
)

const (
	// freshFor is how long after the head was seen an append may rely on it. It is
	// far below the age at which entries are retired.
	freshFor = time.Minute

	firstPause = 50 * time.Millisecond
	maxPause   = 5 * time.Second
)

// Append writes entry prev.N+1, whose predecessor is prev: what Head, Read or
// Append returned, or the zero Entry for an empty log. It does not keep body. When
// all goes well it costs one Create and one Hint.
//
// After nil the entry is in the log for good. ErrHeadMoved: another entry has that
// number. ErrRetired: the number is retired. ErrUnknown: it could not be settled
// within Options.Settle, or before ctx ended; the error then wraps that of ctx as
// well. Another error, among them that of a ctx that had ended before: nothing was
// appended.
func (l *Log) Append(ctx context.Context, prev Entry, body []byte) (Entry, error) {
	if err := ctx.Err(); err != nil {
		return Entry{}, err
	}
	p, err := l.prepare(prev, body)
	if err != nil {
		return Entry{}, fmt.Errorf("append to %s: %w", l.prefix, err)
	}
	if err := l.commit(ctx, p); err != nil {
		return Entry{}, fmt.Errorf("append %s entry %d: %w", l.prefix, p.entry.N, err)
	}
	l.sight(sighting{n: p.entry.N, at: p.begun})
	// A hint that cannot be written costs the next reader a search, nothing else.
	_ = l.store.Hint(ctx, l.hintKey(), fmt.Appendf(nil, "%020d", p.entry.N))
	return p.entry, nil
}

// pending is an append on its way.
type pending struct {
	entry  Entry
	object []byte // the same bytes in every attempt, so that an early one that lands late is recognised
	begun  time.Time
}

func (l *Log) prepare(prev Entry, body []byte) (pending, error) {
	switch {
	case len(body) > MaxBodyBytes:
		return pending{}, fmt.Errorf("%w body of %d bytes, at most %d", lockstep.ErrInvalid, len(body), MaxBodyBytes)
	case prev.N == math.MaxUint64:
		return pending{}, fmt.Errorf("%w predecessor: no number is left", lockstep.ErrInvalid)
	case (prev.N == 0) != (prev.Hash == [32]byte{}):
		return pending{}, fmt.Errorf("%w predecessor: number %d with hash %x", lockstep.ErrInvalid, prev.N, prev.Hash)
	}
	if err := blob.CheckCreateKey(l.key(prev.N + 1)); err != nil {
		return pending{}, err
	}
	var putID [putIDBytes]byte
	if err := l.random(putID[:]); err != nil {
		return pending{}, err
	}
	p := pending{begun: l.now()}
	p.object = encode(prev.N+1, prev.Hash, putID, p.begun, body)
	p.entry = seal(p.object)
	return p, nil
}

// commit sends the entry and settles the outcome by the table of TRAPS 4.2.
func (l *Log) commit(ctx context.Context, p pending) error {
	var waited time.Duration
	for attempt := 0; ; attempt++ {
		sent := l.store.Create(ctx, l.key(p.entry.N), p.object)
		if sent == nil && !l.opts.Paranoid {
			return l.committed(ctx, p)
		}
		settled, err := l.look(ctx, p)
		if settled {
			return err
		}
		if attempt == 0 && notCarriedOut(sent) && errors.Is(err, lockstep.ErrNotFound) {
			return sent
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w", ErrUnknown, ctx.Err())
		}
		if waited >= l.opts.Settle || l.now().Sub(p.begun) >= l.opts.Settle {
			return fmt.Errorf("%w: create: %w; read back: %w", ErrUnknown, orNone(sent), err)
		}
		pause, err := l.pause(attempt)
		if err == nil {
			waited += pause
			err = l.opts.Wait(ctx, pause)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnknown, err)
		}
	}
}

// look decides by what is in the slot. It is not settled when nothing is there,
// or when that cannot be told; err then says which.
func (l *Log) look(ctx context.Context, p pending) (settled bool, err error) {
	there, err := l.read(ctx, p.entry.N)
	switch {
	case err == nil && there.PutID == p.entry.PutID:
		return true, l.committed(ctx, p)
	case err == nil:
		return true, fmt.Errorf("%w: entry of put %s is there", ErrHeadMoved, there.PutID)
	case errors.Is(err, lockstep.ErrCorrupt), errors.Is(err, errFormat):
		return true, err // taken, and not by us: ours is whole and of our format
	}
	return false, err
}

// committed is reached when the entry is in its slot. It remains to exclude that
// the slot had been retired before and was free only for that reason.
func (l *Log) committed(ctx context.Context, p pending) error {
	if !l.opts.Paranoid && l.fresh(p.entry.N-1) {
		return nil
	}
	low, err := l.Low(ctx)
	if err != nil {
		return fmt.Errorf("%w: the entry is written, but whether its number is retired is not known: %w", ErrUnknown, err)
	}
	if p.entry.N < low {
		// It is left where it is: only Retire deletes (TRAPS 4.6).
		return fmt.Errorf("%w: %d, the lowest valid one is %d", ErrRetired, p.entry.N, low)
	}
	return nil
}

// fresh says whether entry n was seen to be the head so recently that the slot
// after it cannot have been written and retired since. The clock may have been
// stopped, with the machine, or set back: both readings of it must agree.
func (l *Log) fresh(n uint64) bool {
	if l.opts.Now == nil {
		return false
	}
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	ticked := now.Sub(l.seen.at)
	wall := now.Round(0).Sub(l.seen.at.Round(0))
	return l.started && l.seen.n == n && ticked <= freshFor && 0 <= wall && wall <= freshFor
}

func (l *Log) sight(s sighting) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen, l.started = s, true
}

// pause is how long to wait before the next attempt: twice as long each time, and
// between half and all of that, so that writers do not meet again.
func (l *Log) pause(attempt int) (time.Duration, error) {
	var b [8]byte
	if err := l.random(b[:]); err != nil {
		return 0, err
	}
	d := maxPause
	if attempt < 7 {
		d = min(maxPause, firstPause<<attempt)
	}
	return d/2 + time.Duration(binary.BigEndian.Uint64(b[:])%uint64(d/2)), nil
}

// notCarriedOut says whether an answer means that the store understood the request
// and did nothing.
func notCarriedOut(err error) bool {
	return (errors.Is(err, lockstep.ErrRefused) || errors.Is(err, lockstep.ErrInvalid)) && !errors.Is(err, lockstep.ErrUnavailable)
}

func orNone(err error) error {
	if err == nil {
		return errors.New("no error")
	}
	return err
}
