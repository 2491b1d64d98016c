package release

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"lockstep/internal/blob"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
)

// LogPrefix is where the entries live in the store.
const LogPrefix = "release"

// Log is the ledger of releases of one environment. It is safe for concurrent use.
type Log struct {
	log *ledger.Log
}

// NewLog returns the ledger of releases in store. It does not touch the store.
func NewLog(store blob.Store, opts ledger.Options) *Log {
	return &Log{log: ledger.New(store, LogPrefix, opts)}
}

// Head is a position in the ledger: an entry and its envelope, which the next
// append must name. The zero Head is an empty ledger.
type Head struct {
	Ledger ledger.Entry
	Entry  *Entry // nil: nothing yet
}

// Number returns the entry's number, 0 for the empty ledger.
func (h Head) Number() uint64 { return h.Ledger.N }

// State returns the state after the entry, the zero State for the empty ledger.
func (h Head) State() State {
	if h.Entry == nil {
		return State{}
	}
	return h.Entry.State
}

// Routing returns what RoutingOf says of the entry.
func (h Head) Routing(forced string) Routing { return RoutingOf(h.Number(), h.State(), forced) }

// Head returns the newest entry, the zero Head when there is none.
func (l *Log) Head(ctx context.Context) (Head, error) {
	le, err := l.log.Head(ctx)
	if errors.Is(err, lockstep.ErrNotFound) {
		return Head{}, nil
	}
	if err != nil {
		return Head{}, fmt.Errorf("find the newest release entry: %w", err)
	}
	return decode(le)
}

func decode(le ledger.Entry) (Head, error) {
	e, err := DecodeEntry(le.Body)
	if err != nil {
		return Head{}, fmt.Errorf("release entry %d: %w", le.N, err)
	}
	if e.Number != le.N {
		return Head{}, fmt.Errorf("release entry %d: %w: it says it is %d", le.N, lockstep.ErrCorrupt, e.Number)
	}
	return Head{Ledger: le, Entry: e}, nil
}

// At returns entry n. ErrNotFound: there is none.
func (l *Log) At(ctx context.Context, n uint64) (Head, error) {
	le, err := l.log.Read(ctx, n)
	if err != nil {
		return Head{}, fmt.Errorf("release entry %d: %w", n, err)
	}
	return decode(le)
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

// Append writes e behind prev, which is what it was decided on; it sets number and
// format. ErrInvalid: no reader would accept it, and nothing was appended.
// ledger.ErrHeadMoved: another entry was first, and nothing was appended.
// ledger.ErrUnknown: nobody can tell yet; read the head again.
func (l *Log) Append(ctx context.Context, prev Head, e Entry) (Head, error) {
	e.Format, e.MinReader, e.Number = Format, Format, prev.Number()+1
	body, err := e.Encode()
	if err != nil {
		return Head{}, err
	}
	// An entry that cannot be read would end the ledger for everybody.
	if _, err := DecodeEntry(body); err != nil {
		return Head{}, fmt.Errorf("append release entry %d (%s): %w: %w", e.Number, e.Kind, lockstep.ErrInvalid, err)
	}
	le, err := l.log.Append(ctx, prev.Ledger, body)
	if err != nil {
		err = fmt.Errorf("append release entry %d (%s): %w", e.Number, e.Kind, err)
		if errors.Is(err, ledger.ErrHeadMoved) {
			err = lockstep.Hint(err, `somebody else was first: look with "lockstep release status", then decide again`)
		}
		return Head{}, err
	}
	return decode(le)
}
