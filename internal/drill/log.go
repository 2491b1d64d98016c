package drill

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"lockstep/internal/blob"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
)

// LogPrefix is where the entries live in the store.
const LogPrefix = "drill"

// Log is the ledger of drills. It is safe for concurrent use.
type Log struct {
	log *ledger.Log
}

// NewLog returns the ledger of drills in store. It does not touch the store.
func NewLog(store blob.Store, opts ledger.Options) *Log {
	return &Log{log: ledger.New(store, LogPrefix, opts)}
}

// Head is a position in the ledger. The zero Head is an empty ledger.
type Head struct {
	Ledger ledger.Entry
	Entry  *Entry // nil: nothing yet
}

// Number returns the entry's number, 0 for the empty ledger.
func (h Head) Number() uint64 { return h.Ledger.N }

// Book returns the drills of an environment.
func (h Head) Book(environment string) Book { return h.Entry.Book(environment) }

// Head returns the newest entry, the zero Head when there is none.
func (l *Log) Head(ctx context.Context) (Head, error) {
	le, err := l.log.Head(ctx)
	if errors.Is(err, lockstep.ErrNotFound) {
		return Head{}, nil
	}
	if err != nil {
		return Head{}, fmt.Errorf("find the newest drill entry: %w", err)
	}
	return decode(le)
}

func decode(le ledger.Entry) (Head, error) {
	e, err := DecodeEntry(le.Body)
	if err != nil {
		return Head{}, fmt.Errorf("drill entry %d: %w", le.N, err)
	}
	if e.Number != le.N {
		return Head{}, fmt.Errorf("drill entry %d: %w: it says it is %d", le.N, lockstep.ErrCorrupt, e.Number)
	}
	return Head{Ledger: le, Entry: e}, nil
}

// Range yields the entries of a range, both ends included, oldest first. The first
// error ends it.
func (l *Log) Range(ctx context.Context, from, to uint64) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		for le, err := range l.log.Range(ctx, from, to) {
			var h Head
			if err == nil {
				h, err = decode(le)
			}
			if !yield(h.Entry, err) || err != nil {
				return
			}
		}
	}
}

const tries = 16

// Record appends a drill, at most once: what is recorded already is left as it is, and
// the head is returned. A writer that was first is followed, up to a limit.
//
// ErrInvalid, ErrConflict, ErrRefused: as Book.With says, and for an environment too
// many; nothing was appended. ledger.ErrHeadMoved: others were always first, and
// nothing was appended. ledger.ErrUnknown: nobody can tell yet; record it again.
func (l *Log) Record(ctx context.Context, d Drill, now time.Time) (Head, error) {
	var moved error
	for range tries {
		h, err := l.Head(ctx)
		if err != nil {
			return Head{}, err
		}
		next, changed, err := h.Entry.with(d)
		if err != nil {
			return Head{}, err
		}
		if !changed {
			return h, nil
		}
		if h, err = l.append(ctx, h, next, now); !errors.Is(err, ledger.ErrHeadMoved) {
			return h, err
		}
		moved = err
	}
	return Head{}, lockstep.Hint(fmt.Errorf("record drill %s: %w", d.ID, moved), "record it again; it is recorded once")
}

func (l *Log) append(ctx context.Context, prev Head, e Entry, now time.Time) (Head, error) {
	e.Format, e.MinReader, e.Number, e.At = Format, Format, prev.Number()+1, now.Round(0).UTC()
	body, err := e.Encode()
	if err != nil {
		return Head{}, err
	}
	// An entry that cannot be read would end the ledger for everybody.
	if _, err := DecodeEntry(body); err != nil {
		return Head{}, fmt.Errorf("append drill entry %d: %w: %w", e.Number, lockstep.ErrInvalid, err)
	}
	le, err := l.log.Append(ctx, prev.Ledger, body)
	if err != nil {
		return Head{}, fmt.Errorf("append drill entry %d: %w", e.Number, err)
	}
	return decode(le)
}
