// Package ledger is an append-only numbered log on an object store: the only way
// anything becomes true.
//
// It answers "which entry is number n, and what is the last one?" and promises:
// entry n is written once and by one writer; whoever appends learns whether its
// entry is in the log, is not, or cannot be known yet; every entry names the hash
// of the one before, so that an overwritten or resurrected one is noticed by the
// next reader, whatever the backend promised (TRAPS 4.1).
//
// The failure it guards against is the create whose answer was lost. Its outcome
// is decided by what is in the slot, never by the status alone: the entry carries
// 128 random bits of its writer (TRAPS 4.2). The second is name reuse: a writer
// that slept while its slot was written by another and retired could create the
// slot again and believe it won. Retire therefore raises the lowest valid number
// before it deletes, and a writer that may have slept looks at it (TRAPS 4.4 T3).
//
// It does not elect anybody, knows nothing of what the bodies say, and never lists
// except to find what Retire should delete. The format is docs/format/ledger.md.
package ledger

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"lockstep/internal/blob"
	"lockstep/internal/lockstep"
)

var (
	// ErrHeadMoved says that another writer took the number. Nothing was appended.
	ErrHeadMoved = fmt.Errorf("head moved: %w", lockstep.ErrConflict)
	// ErrUnknown says that nobody can tell yet whether the entry is in the log. It
	// may even appear later. Read the head again before anything else; keep every
	// object the entry refers to.
	ErrUnknown = fmt.Errorf("outcome of the append unknown: %w", lockstep.ErrUnavailable)
	// ErrRetired says that the number lies below the lowest valid one: the writer
	// slept while the log went on. The entry does not count.
	ErrRetired = fmt.Errorf("entry number is retired: %w", lockstep.ErrConflict)
)

// Log is one ledger. It is safe for concurrent use; it starts nothing and holds
// nothing open.
type Log struct {
	store  blob.Store
	prefix string
	opts   Options

	mu      sync.Mutex // guards everything below
	seen    sighting   // the last time the head was seen
	lowSeq  uint64     // number of the newest low object known; 0: none
	low     uint64     // its value
	started bool       // seen is set
}

// sighting says that at a time nothing had ever been in the slot after entry n.
type sighting struct {
	n  uint64
	at time.Time
}

// Options tune a Log. The zero value works and is safe.
type Options struct {
	// Now dates entries and tells how long an append took. Nil: entries are dated to
	// the Unix epoch, and every append looks whether its number was retired, because
	// nobody can tell whether the writer slept.
	Now func() time.Time
	// Rand makes put ids and jitter. Nil: crypto/rand. It is read by one goroutine
	// at a time.
	Rand io.Reader
	// Wait sleeps between attempts and returns early, with its error, when ctx ends.
	// Nil: a real timer.
	Wait func(ctx context.Context, d time.Duration) error
	// Settle is how long Append goes on to settle an unknown outcome. 0: 60 seconds.
	Settle time.Duration
	// Prefetch is how many entries Range reads at once. 0: 8; 1: one after the other,
	// in the goroutine of the caller.
	Prefetch int
	// Paranoid trusts no answer: every append reads its entry back and looks whether
	// its number was retired.
	Paranoid bool
}

const (
	defaultSettle   = 60 * time.Second
	defaultPrefetch = 8
)

// New returns the log whose entries lie below prefix, a key without a trailing
// slash. It does not touch the store; a bad prefix makes every method return
// ErrInvalid.
func New(store blob.Store, prefix string, opts Options) *Log {
	if opts.Rand == nil {
		opts.Rand = rand.Reader
	}
	if opts.Wait == nil {
		opts.Wait = sleep
	}
	if opts.Settle == 0 {
		opts.Settle = defaultSettle
	}
	if opts.Prefetch <= 0 {
		opts.Prefetch = defaultPrefetch
	}
	return &Log{store: store, prefix: prefix, opts: opts}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Read returns entry n. ErrNotFound: there is none, because n lies after the head
// or was retired. ErrCorrupt: what is there is not entry n.
func (l *Log) Read(ctx context.Context, n uint64) (Entry, error) {
	if err := ctx.Err(); err != nil {
		return Entry{}, err
	}
	e, err := l.read(ctx, n)
	if err != nil {
		return Entry{}, fmt.Errorf("read %s entry %d: %w", l.prefix, n, err)
	}
	return e, nil
}

func (l *Log) read(ctx context.Context, n uint64) (Entry, error) {
	if n == 0 {
		return Entry{}, fmt.Errorf("%w: entries are numbered from 1", lockstep.ErrNotFound)
	}
	object, err := blob.ReadAll(ctx, l.store, l.key(n), maxObjectBytes)
	if err != nil {
		return Entry{}, err
	}
	e, err := Decode(object)
	if err != nil {
		return Entry{}, fmt.Errorf("object %s: %w", l.key(n), err)
	}
	if e.N != n {
		return Entry{}, fmt.Errorf("object %s: %w: it says it is entry %d", l.key(n), lockstep.ErrCorrupt, e.N)
	}
	return e, nil
}

// exists asks whether object key is there, without reading it.
func (l *Log) exists(ctx context.Context, key string) (bool, error) {
	rc, _, err := l.store.Get(ctx, key)
	if errors.Is(err, lockstep.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	// Only whether it could be opened counts; nothing was read that Close could lose.
	_ = rc.Close()
	return true, nil
}

func (l *Log) has(ctx context.Context, n uint64) (bool, error) { return l.exists(ctx, l.key(n)) }

func (l *Log) key(n uint64) string    { return fmt.Sprintf("%s/%020d", l.prefix, n) }
func (l *Log) lowKey(k uint64) string { return fmt.Sprintf("%s-low/%020d", l.prefix, k) }
func (l *Log) hintKey() string        { return blob.HintPrefix + l.prefix + "/head" }

// parseNumber reads the 20 digits of an object's name.
func parseNumber(digits string) (uint64, bool) {
	if len(digits) != 20 {
		return 0, false
	}
	for _, c := range []byte(digits) {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil
}

func (l *Log) now() time.Time {
	if l.opts.Now == nil {
		return time.Unix(0, 0)
	}
	return l.opts.Now()
}

func (l *Log) random(p []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := io.ReadFull(l.opts.Rand, p); err != nil {
		return fmt.Errorf("read randomness: %w", err)
	}
	return nil
}
