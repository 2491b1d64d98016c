// Package state answers: what is in the index at the version this process works on?
//
// It is a cache: a local key-value store that holds every record of one version,
// and that can be thrown away and rebuilt from the object store at any time. It
// promises that what it shows is exactly the state of one version, also after a
// crash, because a version is applied in one atomic batch together with its
// number. There is no write-ahead log: what a crash loses is only how far the
// cache had come, and the store's own log is read again from there.
//
// Vectors are kept on disk and never in memory.
package state

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// State is the index at one version.
type State struct {
	db   *pebble.DB
	opts Options

	mu     sync.Mutex // guards everything below
	meta   meta
	hasher version.Hasher
	bases  VectorSource
}

// Options tunes a State; the zero value works.
type Options struct {
	CacheBytes    int64 // block cache; default 16 MiB
	MemTableBytes int   // default 16 MiB; up to two exist at a time
	// FS is where the files are. Nil: the disk. A simulation gives one in memory.
	FS vfs.FS
}

// VectorSource finds a vector that the local state does not hold, because the
// state was loaded from a base, which keeps vectors apart.
type VectorSource interface {
	// Vector returns the vector of one record in the base of that version, as
	// version.AppendVector makes it. lockstep.ErrNotFound when the base lacks it.
	Vector(ctx context.Context, ref version.BaseRef, c lockstep.Collection, id string) ([]byte, error)
}

// Open opens the state in dir and makes an empty one (version 0) when there is
// none. A state of another store, by its identity, is emptied first. ErrCorrupt
// when the directory holds something else; deleting the directory always repairs.
func Open(dir, store string, bases VectorSource, opts Options) (*State, error) {
	db, err := pebble.Open(dir, pebbleOptions(opts))
	if err != nil {
		return nil, lockstep.Hint(fmt.Errorf("open the local state %s: %w", dir, err),
			"stop other processes that use it; if there is none, delete the directory: it is a cache and will be rebuilt")
	}
	s := &State{db: db, opts: opts, bases: bases}
	if err := s.load(store); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

func pebbleOptions(opts Options) *pebble.Options {
	cache := opts.CacheBytes
	if cache == 0 {
		cache = 16 << 20
	}
	mem := opts.MemTableBytes
	if mem == 0 {
		mem = 16 << 20
	}
	po := &pebble.Options{
		CacheSize:                   cache,
		DisableWAL:                  true,
		MemTableSize:                uint64(mem),
		MemTableStopWritesThreshold: 2,
		// Edits scatter over the whole key space, so every compaction out of L0 rewrites
		// about everything below it. Let L0 grow, and keep one level below.
		L0CompactionThreshold: 24,
		L0StopWritesThreshold: 64,
		LBaseMaxBytes:         2 << 30,
		MaxOpenFiles:          512,
		// Nothing waits for these files to be on the disk but the sync at their end.
		BytesPerSync: 16 << 20,
		Logger:       quiet{},
		FS:           opts.FS,
	}
	for i := range po.Levels {
		// A receipt is read as a run of some 200 records, and every block is a system call to
		// write and one to read: large blocks make these a few, and large files make few syncs.
		// Compression costs more time than it saves where the files are in the page cache.
		po.TargetFileSizes[i] = 64 << 20
		po.Levels[i].BlockSize = 32 << 10
		po.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.NoCompression }
	}
	po.CompactionConcurrencyRange = func() (int, int) { return 1, 2 }
	return po
}

// quiet drops Pebble's own progress messages: the state is a cache, and what
// matters of it comes back as errors.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf("local state: "+format, args...))
}

func (s *State) load(store string) error {
	m, err := readMeta(s.db)
	if errors.Is(err, pebble.ErrNotFound) || err == nil && m.Store != store {
		return s.Clear(store)
	}
	if err != nil {
		return err
	}
	s.meta = m
	return nil
}

// Close flushes and closes the state. What was not flushed is read again from the
// store's log next time.
func (s *State) Close() error {
	if err := s.db.Flush(); err != nil {
		return errors.Join(fmt.Errorf("flush the local state: %w", err), s.db.Close())
	}
	return s.db.Close()
}

// Clear empties the state: version 0 of the named store.
func (s *State) Clear(store string) error {
	b := s.db.NewBatch()
	defer func() { _ = b.Close() }() // gives memory back; the batch is applied by then
	if err := b.DeleteRange([]byte{0}, []byte{0xff}, nil); err != nil {
		return fmt.Errorf("clear the local state: %w", err)
	}
	m := meta{Store: store, Tallies: map[lockstep.Collection]*version.Tally{}}
	if err := s.commit(b, m); err != nil {
		return fmt.Errorf("clear the local state: %w", err)
	}
	return nil
}

// Version returns the version whose state this is, 0 for the empty index.
func (s *State) Version() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.meta.Version
}

// Tallies returns the sum and count of every collection, as a copy.
func (s *State) Tallies() map[lockstep.Collection]version.Tally {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[lockstep.Collection]version.Tally, len(s.meta.Tallies))
	for c, t := range s.meta.Tallies {
		out[c] = *t
	}
	return out
}

// commit applies a batch together with the meta record that describes the result.
func (s *State) commit(b *pebble.Batch, m meta) error {
	if err := b.Set(metaKey(), m.encode(), nil); err != nil {
		return err
	}
	if err := s.db.Apply(b, pebble.NoSync); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.meta = m
	return nil
}
