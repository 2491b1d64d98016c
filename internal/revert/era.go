package revert

import (
	"context"
	"errors"
	"fmt"

	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// eraOf returns the part of the line that begins with the first thing that is bad, or
// right behind version since when that is given and older things are needed.
func eraOf(ctx context.Context, log *version.Log, head, since uint64, bad Bad) (*era, error) {
	floor := since
	if bad.Version > 0 && (floor == 0 || floor >= bad.Version) {
		floor = bad.Version - 1
	}
	entries, complete, err := lineOf(ctx, log, head, floor)
	if err != nil {
		return nil, err
	}
	x := &era{entries: entries}
	bad.settle(x)
	first, err := bad.first(ctx, log, x)
	if err != nil {
		return nil, err
	}
	if first < 0 {
		if !complete && since == 0 && bad.Revision == "" {
			return nil, lockstep.Hint(fmt.Errorf("revert %s: %w", bad, version.ErrRetired), `the history that a revert needs is gone: "lockstep rollback plan --data rebuild" derives everything from the mirror of the table`)
		}
		return nil, nothing(x, bad)
	}
	if since > 0 && since+1 < x.entries[first].Number {
		first = max(0, x.indexOf(since+1))
	}
	x.entries = x.entries[first:]
	return x, nil
}

// first returns the place of the first entry in which the bad one decided something that
// is not taken back, -1 when there is none.
func (b Bad) first(ctx context.Context, log *version.Log, x *era) (int, error) {
	for i, e := range x.entries {
		if e.Number <= x.settled {
			continue
		}
		switch {
		case b.Revision != "":
			if _, ok := e.Revisions[b.Revision]; !ok || e.Kind != version.Compact {
				continue
			}
			return i, nil
		case b.Version > 0:
			if e.Number == b.Version {
				return i, revertible(e)
			}
		default:
			found, err := b.in(ctx, log, e)
			if err != nil || found {
				return i, err
			}
		}
	}
	if b.Version > 0 {
		return -1, b.elsewhere(ctx, log, x)
	}
	return -1, nil
}

// in says whether the message is in a version.
func (b Bad) in(ctx context.Context, log *version.Log, e *version.Entry) (bool, error) {
	if e.Delta == nil || e.Delta.Messages == 0 || e.Kind != version.Compact {
		return false, nil
	}
	d, err := log.Delta(ctx, e.Number)
	if errors.Is(err, version.ErrRetired) {
		return false, nil // if it was there, nothing can be handled again; the end says so
	}
	if err != nil {
		return false, err
	}
	for i := range d.Messages {
		if d.Messages[i].ID == b.Message {
			return true, nil
		}
	}
	return false, nil
}

func revertible(e *version.Entry) error {
	if e.Kind == version.Rebuild {
		return lockstep.Hint(fmt.Errorf("revert version %d: %w: it is a rebuild", e.Number, lockstep.ErrRefused), fmt.Sprintf(`"lockstep reset --to %d" returns to what was before, and replays what came since`, e.Parent))
	}
	return nil
}

// elsewhere says why a version is not on the line.
func (b Bad) elsewhere(ctx context.Context, log *version.Log, x *era) error {
	if b.Version <= x.settled {
		return nil
	}
	if _, err := log.Read(ctx, b.Version); err != nil {
		return err
	}
	return lockstep.Hint(fmt.Errorf("revert version %d: %w: a reset has left it already", b.Version, ErrNothing), `"lockstep log" shows which versions the newest one rests on`)
}
