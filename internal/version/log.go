package version

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"lockstep/internal/blob"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
)

// InlineBytes is the delta size up to which it travels inside the entry: then a
// commit is one object and no orphan can exist (TRAPS 4.1).
const InlineBytes = 64 << 10

// MaxDeltaBytes bounds a delta object.
const MaxDeltaBytes = 1 << 30

// ErrRetired says that retention has removed what the request needs.
var ErrRetired = fmt.Errorf("version retired: %w", lockstep.ErrNotFound)

// Log is the ledger of versions. Entries never change, so those read once are
// kept, up to a bound.
type Log struct {
	store blob.Store
	log   *ledger.Log

	mu    sync.Mutex // guards everything below
	cache map[uint64]*Entry
}

// LogPrefix is where the entries live in the store.
const LogPrefix = "log"

const cachedEntries = 4096

// NewLog returns the log of versions in store.
func NewLog(store blob.Store, opts ledger.Options) *Log {
	return &Log{store: store, log: ledger.New(store, LogPrefix, opts), cache: map[uint64]*Entry{}}
}

// Store returns the store the log is in.
func (l *Log) Store() blob.Store { return l.store }

// Ledger returns the ledger below, for checks and retention.
func (l *Log) Ledger() *ledger.Log { return l.log }

// Head is a position in the log: an entry and its ledger envelope, which the next
// append must name. The zero Head is an empty log.
type Head struct {
	Ledger ledger.Entry
	Entry  *Entry // nil: no version yet
}

// Number returns the version's number, 0 for the empty log.
func (h Head) Number() uint64 { return h.Ledger.N }

// Head returns the newest version, the zero Head when there is none.
func (l *Log) Head(ctx context.Context) (Head, error) {
	le, err := l.log.Head(ctx)
	if errors.Is(err, lockstep.ErrNotFound) {
		return Head{}, nil
	}
	if err != nil {
		return Head{}, fmt.Errorf("find the newest version: %w", err)
	}
	return l.head(le)
}

func (l *Log) head(le ledger.Entry) (Head, error) {
	e, _, err := l.decode(le)
	return Head{Ledger: le, Entry: e}, err
}

func (l *Log) decode(le ledger.Entry) (*Entry, []byte, error) {
	e, inline, err := DecodeEntry(le.Body)
	if err != nil {
		return nil, nil, fmt.Errorf("version %d: %w", le.N, err)
	}
	if e.Number != le.N {
		return nil, nil, fmt.Errorf("version %d: %w: its entry says %d", le.N, lockstep.ErrCorrupt, e.Number)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.cache) >= cachedEntries {
		clear(l.cache)
	}
	l.cache[le.N] = e
	return e, inline, nil
}

// Read returns one version's entry. ErrRetired when it lies before what retention
// keeps, ErrNotFound when it does not exist yet.
func (l *Log) Read(ctx context.Context, n uint64) (*Entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	e := l.cache[n]
	l.mu.Unlock()
	if e != nil {
		return e, nil
	}
	e, _, err := l.read(ctx, n)
	return e, err
}

// At returns version n as a position.
func (l *Log) At(ctx context.Context, n uint64) (Head, error) {
	le, err := l.log.Read(ctx, n)
	if err != nil {
		return Head{}, fmt.Errorf("version %d: %w", n, err)
	}
	return l.head(le)
}

func (l *Log) read(ctx context.Context, n uint64) (*Entry, []byte, error) {
	le, err := l.log.Read(ctx, n)
	if errors.Is(err, lockstep.ErrNotFound) {
		return nil, nil, l.missing(ctx, n)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("version %d: %w", n, err)
	}
	return l.decode(le)
}

func (l *Log) missing(ctx context.Context, n uint64) error {
	low, err := l.log.Low(ctx)
	if err != nil {
		return err
	}
	if n < low {
		return lockstep.Hint(fmt.Errorf("version %d: %w", n, ErrRetired), fmt.Sprintf("versions from %d on are kept; pin what must stay", low))
	}
	return lockstep.Hint(fmt.Errorf("version %d: %w", n, lockstep.ErrNotFound), `"lockstep log" lists the versions`)
}

// Delta returns what version n changes, nil when it changes nothing. ErrRetired
// when its object was removed by retention.
func (l *Log) Delta(ctx context.Context, n uint64) (*Delta, error) {
	e, err := l.Read(ctx, n)
	if err != nil || e.Delta == nil {
		return nil, err
	}
	var body []byte
	if e.Delta.Key == "" {
		if _, body, err = l.read(ctx, n); err != nil {
			return nil, err
		}
	} else if body, err = l.deltaObject(ctx, e); err != nil {
		return nil, fmt.Errorf("version %d: %w", n, err)
	}
	d, err := DecodeDelta(body)
	if err != nil {
		return nil, fmt.Errorf("version %d: %w", n, err)
	}
	return d, nil
}

func (l *Log) deltaObject(ctx context.Context, e *Entry) ([]byte, error) {
	body, err := blob.ReadAll(ctx, l.store, e.Delta.Key, MaxDeltaBytes)
	if errors.Is(err, lockstep.ErrNotFound) {
		return nil, fmt.Errorf("its delta %s: %w", e.Delta.Key, ErrRetired)
	}
	if err != nil {
		return nil, err
	}
	if HashOf(body) != e.Delta.Hash {
		return nil, fmt.Errorf("delta %s: %w: its bytes have another hash", e.Delta.Key, lockstep.ErrCorrupt)
	}
	return body, nil
}

// Publish appends e behind prev, with its delta as encoded bytes (nil: none). It
// sets the entry's number, format and delta reference, and carries the fences of prev on,
// which only an entry of kind Fence may change. A large delta is written as
// an object of its own first, and read back when the store's answer leaves doubt.
// Errors: ErrInvalid for what no reader would accept, ledger.ErrHeadMoved when
// another version took the number (nothing became true), ledger.ErrUnknown when
// that could not be settled; the delta object then stays, for retention to judge.
func (l *Log) Publish(ctx context.Context, prev Head, e *Entry, delta []byte) (Head, error) {
	e.Format, e.MinReader, e.Number = Format, Format, prev.Number()+1
	if e.Kind != Fence && prev.Entry != nil {
		e.Fenced = prev.Entry.Fenced
	}
	var inline []byte
	if err := checkDelta(e, delta); err != nil {
		return Head{}, fmt.Errorf("publish version %d: %w", e.Number, err)
	}
	if e.Delta != nil {
		e.Delta.Size, e.Delta.Hash, e.Delta.Key = int64(len(delta)), HashOf(delta), ""
		if inline = delta; len(delta) > InlineBytes {
			inline, e.Delta.Key = nil, DeltaKey(e.Delta.Hash)
			if err := l.putDelta(ctx, e, delta); err != nil {
				return Head{}, err
			}
		}
	}
	body, err := EncodeEntry(e, inline)
	if err != nil {
		return Head{}, err
	}
	// An entry that cannot be read would end the log for everybody.
	if _, _, err := DecodeEntry(body); err != nil {
		return Head{}, fmt.Errorf("publish version %d: %w: %w", e.Number, lockstep.ErrInvalid, err)
	}
	le, err := l.log.Append(ctx, prev.Ledger, body)
	if err != nil {
		return Head{}, fmt.Errorf("publish version %d: %w", e.Number, err)
	}
	return l.head(le)
}

// checkDelta refuses what Delta would refuse to read, before it is published.
func checkDelta(e *Entry, delta []byte) error {
	if (e.Delta == nil) != (len(delta) == 0) || len(delta) > MaxDeltaBytes {
		return fmt.Errorf("%w delta of %d bytes, at most %d, none without a reference", lockstep.ErrInvalid, len(delta), MaxDeltaBytes)
	}
	if e.Delta == nil {
		return nil
	}
	if err := checkPlainBytes(delta); err != nil {
		return fmt.Errorf("%w: %w", lockstep.ErrInvalid, err)
	}
	return nil
}

func (l *Log) putDelta(ctx context.Context, e *Entry, delta []byte) error {
	err := l.store.Create(ctx, e.Delta.Key, delta)
	if err == nil {
		return nil
	}
	// Taken or unknown: the name is the content's hash, so the same bytes under it
	// are success whoever wrote them.
	if body, rerr := blob.ReadAll(ctx, l.store, e.Delta.Key, MaxDeltaBytes); rerr == nil && HashOf(body) == e.Delta.Hash {
		return nil
	}
	return fmt.Errorf("write delta %s: %w", e.Delta.Key, err)
}
