package state

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// BaseSource opens the bases that the log names.
type BaseSource interface {
	VectorSource
	// Load passes every record of the base to use and returns the sums its manifest
	// states. lockstep.ErrNotFound when retention removed the base.
	Load(ctx context.Context, ref version.BaseRef, use func(lockstep.Collection, *lockstep.Record, *lockstep.Author) error) (map[lockstep.Collection]*version.Tally, error)
}

// MoveTo brings the state to version `to`: backward by images before to where the
// two lines of states part, forward by images after from there, or, when that way
// is not kept any more or begins at nothing, from the base that the version names.
// The result is compared with the digests of its entry: ErrCorrupt when it differs,
// and the state is then emptied, so that the next attempt starts from the store.
func (s *State) MoveTo(ctx context.Context, log *version.Log, to uint64) error {
	if to > 0 { // before anything is changed: the version must exist
		if _, err := log.Read(ctx, to); err != nil {
			return err
		}
	}
	path, err := log.Path(ctx, s.Version(), to)
	if err == nil && s.Version() == 0 {
		path, err = s.shortcut(ctx, log, to, path)
	}
	if err == nil {
		err = s.walk(ctx, log, path)
	}
	if errors.Is(err, lockstep.ErrNotFound) {
		// The way leads through what retention removed, or begins at a version that
		// this log never had. Begin anew.
		if err := s.Clear(s.store()); err != nil {
			return err
		}
		if path, err = s.shortcut(ctx, log, to, version.Path{}); err == nil {
			err = s.walk(ctx, log, path)
		}
	}
	if err != nil {
		return err
	}
	if err := s.check(ctx, log, to); err != nil {
		return errors.Join(err, s.Clear(s.store()))
	}
	return nil
}

func (s *State) store() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.meta.Store
}

// shortcut loads the newest base on the line of version `to` that is still there, if
// there is one, and returns the way that is left. A base that is missing or damaged
// costs time and no data: the one before it serves, and at last the whole way.
func (s *State) shortcut(ctx context.Context, log *version.Log, to uint64, path version.Path) (version.Path, error) {
	var lost error
	for at := to; at > 0; {
		e, err := log.Read(ctx, at)
		if err != nil {
			return version.Path{}, errors.Join(err, lost)
		}
		if e.Base == nil {
			break
		}
		err = s.LoadBase(ctx, *e.Base)
		if err == nil {
			return log.Path(ctx, e.Base.Version, to)
		}
		lost = errors.Join(lost, fmt.Errorf("load the base of version %d: %w", e.Base.Version, err))
		if !errors.Is(err, lockstep.ErrNotFound) && !errors.Is(err, lockstep.ErrCorrupt) {
			return version.Path{}, lost
		}
		at = e.Base.Version // its own entry names the base before
	}
	if s.Version() == 0 && len(path.Apply) > 0 {
		return path, nil
	}
	path, err := log.Path(ctx, s.Version(), to)
	if err != nil {
		return version.Path{}, errors.Join(err, lost)
	}
	return path, nil
}

func (s *State) walk(ctx context.Context, log *version.Log, path version.Path) error {
	for _, n := range path.Undo {
		e, err := log.Read(ctx, n)
		if err != nil {
			return err
		}
		d, err := log.Delta(ctx, n)
		if err != nil {
			return err
		}
		if err := s.Undo(ctx, e.Parent, d); err != nil {
			return err
		}
	}
	for _, n := range path.Apply {
		d, err := log.Delta(ctx, n)
		if err != nil {
			return err
		}
		ref, err := s.newBase(ctx, log, n)
		if err != nil {
			return err
		}
		if err := s.Apply(ctx, n, d, nil); err != nil {
			return err
		}
		if ref == nil {
			continue
		}
		if err := s.Rebase(*ref); err != nil {
			return err
		}
	}
	return nil
}

// prober is a source of bases that can say whether one is there: an error of class
// ErrNotFound or ErrCorrupt when it is not.
type prober interface {
	Probe(ctx context.Context, ref version.BaseRef) error
}

// newBase returns the base that version n adopts, nil when it adopts none or that base
// is lost by now: vectors then stay where they are found.
func (s *State) newBase(ctx context.Context, log *version.Log, n uint64) (*version.BaseRef, error) {
	e, err := log.Read(ctx, n)
	if err != nil || e.Kind != version.BaseSet || e.Base == nil || !s.lean() {
		return nil, err
	}
	if p, ok := s.bases.(prober); ok {
		err := p.Probe(ctx, *e.Base)
		if errors.Is(err, lockstep.ErrNotFound) || errors.Is(err, lockstep.ErrCorrupt) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("look for the base of version %d: %w", e.Base.Version, err)
		}
	}
	return e.Base, nil
}

// lean says whether some vectors may be in a base alone.
func (s *State) lean() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.meta.Base != nil
}

// Rebase says that the vectors which the state does not hold are to be read from ref
// from now on, a base on the state's own line: such a vector has not changed since the
// state's old base, so it is in the new one as well. Without this, retention would
// remove the old base under a state that lives long.
func (s *State) Rebase(ref version.BaseRef) error {
	s.mu.Lock()
	m := s.meta
	s.mu.Unlock()
	if m.Base == nil || *m.Base == ref {
		return nil // every vector is here
	}
	m.Base = &ref
	b := s.db.NewBatch()
	defer func() { _ = b.Close() }() // gives memory back; the batch is applied by then
	if err := s.commit(b, m); err != nil {
		return fmt.Errorf("local state: %w", err)
	}
	return nil
}

// check compares the state with what the entry of version n says about it.
func (s *State) check(ctx context.Context, log *version.Log, n uint64) error {
	if got := s.Version(); got != n {
		return fmt.Errorf("local state: %w: it is at version %d after a move to %d", lockstep.ErrCorrupt, got, n)
	}
	want := map[lockstep.Collection]string{}
	if n > 0 {
		e, err := log.Read(ctx, n)
		if err != nil {
			return err
		}
		want = e.Digests()
	}
	for name, t := range s.Tallies() {
		digest := want[name]
		if digest == "" {
			digest = version.EmptyDigest()
		}
		if got := t.Sum.Digest(); got != digest {
			return fmt.Errorf("local state: %w: collection %s of version %d has digest %s, its entry says %s", lockstep.ErrCorrupt, name, n, version.Short(got), version.Short(digest))
		}
		delete(want, name)
	}
	for name, digest := range want {
		if digest != version.EmptyDigest() {
			return fmt.Errorf("local state: %w: collection %s of version %d is missing", lockstep.ErrCorrupt, name, n)
		}
	}
	return nil
}

// loadBatch is how many bytes of rows go into one write while a base is loaded.
const loadBatch = 8 << 20

// LoadBase replaces the state by the base's. On error the state is empty. Until it is
// complete the state belongs to no store, so that after a crash half-way Open finds
// another store's state and empties it: rows that no version counts would stay for ever.
func (s *State) LoadBase(ctx context.Context, ref version.BaseRef) error {
	src, ok := s.bases.(BaseSource)
	if !ok {
		return fmt.Errorf("base of version %d: %w: no source of bases", ref.Version, lockstep.ErrNotFound)
	}
	store := s.store()
	if err := s.Clear(""); err != nil {
		return err
	}
	if err := s.loadBase(ctx, src, ref, store); err != nil {
		return errors.Join(err, s.Clear(store))
	}
	return nil
}

func (s *State) loadBase(ctx context.Context, src BaseSource, ref version.BaseRef, store string) error {
	b := s.db.NewBatch()
	defer func() { _ = b.Close() }() // nothing of it is needed any more
	var key, row []byte
	tallies, err := src.Load(ctx, ref, func(c lockstep.Collection, rec *lockstep.Record, a *lockstep.Author) error {
		key = appendKey(key[:0], keyRecord, c, rec.ID)
		row = version.AppendRecord(appendRow(row[:0], a, nil), rec)
		if err := b.Set(key, row, nil); err != nil {
			return err
		}
		if b.Len() < loadBatch {
			return nil
		}
		return s.flushRows(&b)
	})
	if err != nil {
		return err
	}
	m := meta{Store: store, Version: ref.Version, Base: &ref, Tallies: tallies}
	return s.commit(b, m)
}

func (s *State) flushRows(b **pebble.Batch) error {
	if err := s.db.Apply(*b, pebble.NoSync); err != nil {
		return err
	}
	if err := (*b).Close(); err != nil {
		return err
	}
	*b = s.db.NewBatch()
	return nil
}
