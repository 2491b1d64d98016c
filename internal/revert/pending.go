package revert

import (
	"context"
	"errors"

	"lockstep/internal/version"
)

// Standing says how it stands about what is bad.
type Standing struct {
	Pending bool   `json:"pending"`         // something is still to be taken back
	First   uint64 `json:"first,omitempty"` // the first version in which it is
	By      uint64 `json:"by,omitempty"`    // the version that took back what was
	Head    uint64 `json:"head"`
}

// Look says whether something of what is bad is still to be taken back. It reads entries
// and, for a message, deltas, and is cheap enough to ask before and after. since is as in
// Request.
func Look(ctx context.Context, log *version.Log, bad Bad, since uint64) (Standing, error) {
	if err := bad.check(); err != nil {
		return Standing{}, err
	}
	head, err := log.Head(ctx)
	if err != nil {
		return Standing{}, err
	}
	out := Standing{Head: head.Number()}
	entries, _, err := lineOf(ctx, log, head.Number(), since)
	if err != nil {
		return out, err
	}
	x := &era{entries: entries}
	bad.settle(x)
	out.By = x.by
	first, err := bad.first(ctx, log, x)
	if errors.Is(err, ErrNothing) {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	if first >= 0 {
		out.Pending, out.First = true, x.entries[first].Number
	}
	return out, nil
}
