package revert

import (
	"context"
	"fmt"
	"slices"

	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// Bad names what is to be taken back. Exactly one of the fields is set.
type Bad struct {
	Revision string // handler.Revision.ID: all that it decided
	Version  uint64 // all of one version; that of a revert: the revert is taken back
	Message  string // id of one message
}

// String says it in words.
func (b Bad) String() string {
	switch {
	case b.Revision != "":
		return "what " + b.Revision + " decided"
	case b.Version > 0:
		return fmt.Sprintf("version %d", b.Version)
	}
	return "message " + b.Message
}

func (b Bad) check() error {
	n := 0
	for _, set := range []bool{b.Revision != "", b.Version > 0, b.Message != ""} {
		if set {
			n++
		}
	}
	if n != 1 {
		return fmt.Errorf("revert: %w: name one revision, one version or one message", lockstep.ErrInvalid)
	}
	return nil
}

// decided says whether a message of version v was decided by what is bad.
func (b Bad) decided(v uint64, m *version.Archived) bool {
	switch {
	case b.Revision != "":
		return m.Revision == b.Revision
	case b.Version > 0:
		return v == b.Version
	}
	return m.ID == b.Message
}

// same says whether an entry took the same back.
func (b Bad) same(r *version.Reverted) bool {
	return r.Revision == b.Revision && r.Version == b.Version && r.Message == b.Message
}

// era is the part of a line of states in which something may be bad: entries, oldest
// first, of which those up to settled were taken back already.
type era struct {
	entries []*version.Entry
	settled uint64 // what is bad up to this version is taken back by version `by`
	by      uint64
}

// lineOf reads the entries on the line that ends at head, down to the version after since,
// oldest first. What retention has removed ends it, and complete is false then.
func lineOf(ctx context.Context, log *version.Log, head, since uint64) (entries []*version.Entry, complete bool, err error) {
	low, err := log.Ledger().Low(ctx)
	if err != nil {
		return nil, false, err
	}
	for n := head; n > since; {
		if n < low {
			slices.Reverse(entries)
			return entries, false, nil
		}
		e, err := log.Read(ctx, n)
		if err != nil {
			return nil, false, err
		}
		entries = append(entries, e)
		n = e.Parent
	}
	slices.Reverse(entries)
	return entries, true, nil
}

// settle finds the newest revert on the line that took the same back and that no later
// revert took back in its turn.
func (b Bad) settle(x *era) {
	undone := map[uint64]bool{}
	for _, e := range slices.Backward(x.entries) {
		switch r := e.Reverts; {
		case r == nil || undone[e.Number]:
			continue
		case r.Version > 0:
			undone[r.Version] = true
		}
		if b.same(e.Reverts) && e.Reverts.Through > x.settled {
			x.settled, x.by = e.Reverts.Through, e.Number
		}
	}
}
