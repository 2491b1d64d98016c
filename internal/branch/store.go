package branch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"

	"lockstep/internal/blob"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// Store is the store of a branch: what its parent held when the branch was taken, and
// what was created on the branch itself. It implements blob.Store. Of the parent's log it
// shows the entries up to the version that the branch begins at, whatever the parent
// publishes meanwhile.
type Store struct {
	parent blob.Store
	head   uint64
	own    blob.Mem
}

var _ blob.Store = (*Store)(nil)

// NewStore returns a branch of parent at version head.
func NewStore(parent blob.Store, head uint64) *Store { return &Store{parent: parent, head: head} }

// shows says whether the parent's object of that name belongs to the branch.
func (s *Store) shows(key string) bool {
	if strings.HasPrefix(key, blob.HintPrefix) {
		return false // the parent's hints speak of the parent
	}
	rest, ok := strings.CutPrefix(key, version.LogPrefix+"/")
	if !ok {
		return true
	}
	n, err := strconv.ParseUint(rest, 10, 64)
	return err != nil || n <= s.head
}

// Create implements blob.Store. A delta is named by what is in it, so that the branch may
// have one of its own beside the same in its parent.
func (s *Store) Create(ctx context.Context, key string, body []byte) error {
	if s.shows(key) && !strings.HasPrefix(key, "delta/") {
		rc, _, err := s.parent.Get(ctx, key)
		if err == nil {
			_ = rc.Close() // nothing was read
			return fmt.Errorf("create %s: %w", key, blob.ErrExists)
		}
		if !errors.Is(err, lockstep.ErrNotFound) {
			return err
		}
	}
	return s.own.Create(ctx, key, body)
}

// Get implements blob.Store.
func (s *Store) Get(ctx context.Context, key string) (io.ReadCloser, blob.Meta, error) {
	rc, meta, err := s.own.Get(ctx, key)
	if err == nil || !errors.Is(err, lockstep.ErrNotFound) || !s.shows(key) {
		return rc, meta, err
	}
	return s.parent.Get(ctx, key)
}

// List implements blob.Store.
func (s *Store) List(ctx context.Context, prefix, after string) iter.Seq2[blob.Meta, error] {
	return func(yield func(blob.Meta, error) bool) {
		seen := map[string]bool{}
		for meta, err := range s.own.List(ctx, prefix, after) {
			seen[meta.Key] = true
			if !yield(meta, err) || err != nil {
				return
			}
		}
		for meta, err := range s.parent.List(ctx, prefix, after) {
			if err == nil && (seen[meta.Key] || !s.shows(meta.Key)) {
				continue
			}
			if !yield(meta, err) || err != nil {
				return
			}
		}
	}
}

// Delete implements blob.Store. What the parent has cannot be deleted: ErrRefused.
func (s *Store) Delete(ctx context.Context, key string) error {
	if s.shows(key) {
		rc, _, err := s.parent.Get(ctx, key)
		if err == nil {
			_ = rc.Close() // nothing was read
			return fmt.Errorf("delete %s: %w: it belongs to the store that the branch was taken from", key, lockstep.ErrRefused)
		}
		if !errors.Is(err, lockstep.ErrNotFound) {
			return err
		}
	}
	return s.own.Delete(ctx, key)
}

// Hint implements blob.Store.
func (s *Store) Hint(ctx context.Context, key string, body []byte) error {
	return s.own.Hint(ctx, key, body)
}

// Adopt creates in the parent what was created on the branch below prefix: imports that
// were fetched there, which must be at hand for whoever repeats what is published. What
// the parent has by now stays as it is.
func (s *Store) Adopt(ctx context.Context, prefix string) error {
	for meta, err := range s.own.List(ctx, prefix, "") {
		if err != nil {
			return err
		}
		body, err := blob.ReadAll(ctx, &s.own, meta.Key, meta.Size)
		if err != nil {
			return err
		}
		if err := s.parent.Create(ctx, meta.Key, body); err != nil && !errors.Is(err, blob.ErrExists) {
			return err
		}
	}
	return nil
}
