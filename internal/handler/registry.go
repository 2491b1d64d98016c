package handler

import (
	"fmt"
	"slices"
	"strings"

	"lockstep/internal/lockstep"
)

// Registry knows the revisions that can run here. It does not change.
type Registry struct {
	revisions []Revision
}

// minHashPrefix keeps a slip of the finger from naming a revision.
const minHashPrefix = 4

// NewRegistry returns the registry of the handlers, in their order. It refuses a
// description that does not check, and the same revision twice.
func NewRegistry(handlers []Handler) (*Registry, error) {
	r := &Registry{revisions: make([]Revision, 0, len(handlers))}
	for _, h := range handlers {
		if err := h.Describe().Check(); err != nil {
			return nil, fmt.Errorf("register: %w", err)
		}
		rev := NewRevision(h)
		for _, other := range r.revisions {
			if other.Hash == rev.Hash {
				return nil, fmt.Errorf("register %s: %w: it is registered already", rev, lockstep.ErrConflict)
			}
		}
		r.revisions = append(r.revisions, rev)
	}
	return r, nil
}

// All returns the revisions in the order in which they were registered.
func (r *Registry) All() []Revision { return slices.Clone(r.revisions) }

// Lookup finds a revision by label ("receipts@2"), by ID
// ("receipts@2+3fa9c1d2e4f5") or by the first digits, 4 or more, of its hash.
// lockstep.ErrNotFound lists what is known; a name that fits several revisions is
// lockstep.ErrRefused and lists those.
func (r *Registry) Lookup(name string) (Revision, error) {
	var found []Revision
	for _, rev := range r.revisions {
		if rev.answersTo(name) {
			found = append(found, rev)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		err := fmt.Errorf("revision %q: %w; known are %s", name, lockstep.ErrNotFound, list(r.revisions))
		return Revision{}, lockstep.Hint(err, `run "lockstep revision list"`)
	}
	err := fmt.Errorf("revision %q: %w: it could be %s", name, lockstep.ErrRefused, list(found))
	return Revision{}, lockstep.Hint(err, "name it by its id or by more digits of its hash")
}

func (r Revision) answersTo(name string) bool {
	if name == r.Label() || name == r.ID() {
		return true
	}
	return len(name) >= minHashPrefix && strings.HasPrefix(r.Hash, strings.ToLower(name))
}

func list(revisions []Revision) string {
	if len(revisions) == 0 {
		return "none"
	}
	ids := make([]string, len(revisions))
	for i, r := range revisions {
		ids[i] = r.ID()
	}
	return strings.Join(ids, ", ")
}
