package load

import (
	"context"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"time"

	"lockstep/internal/change"
	"lockstep/internal/lockstep"
	"lockstep/internal/receipt/synth"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

// Left lists the items that load tests have left in the table, in the order of their
// keys. It needs no memory of the runs: the keys say whose they are.
func Left(ctx context.Context, view *state.Reader) ([]lockstep.MirrorItem, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var left []lockstep.MirrorItem
	err := view.Scan(ctx, lockstep.Table, KeyPrefix, func(row state.Row) error {
		rec, err := version.DecodeRecord(string(row.ID), row.Record)
		if err != nil {
			return err
		}
		it, err := change.ParseMirror(rec)
		if err == nil && it.Image != nil {
			left = append(left, it)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for what load tests have left: %w", err)
	}
	return left, nil
}

// Removals returns the removal of every item, numbered from the epoch on or, if that
// is greater, from behind the newest change of them.
func Removals(items []lockstep.MirrorItem, epoch uint64) []synth.Event {
	next := new(big.Int).SetUint64(epoch)
	for i := range items {
		if seq, ok := new(big.Int).SetString(string(items[i].Seq), 10); ok && seq.Cmp(next) > 0 {
			next = seq
		}
	}
	one := big.NewInt(1)
	out := make([]synth.Event, len(items))
	for i := range items {
		next.Add(next, one)
		out[i] = synth.Event{ID: "load-clean-" + strconv.FormatUint(epoch, 10) + "-" + strconv.Itoa(i), Change: lockstep.Change{
			Key: items[i].Key, Event: lockstep.Remove, Seq: lockstep.Sequence(next.String()), Old: items[i].Image, At: time.Unix(0, int64(min(epoch, math.MaxInt64))).UTC(),
		}}
	}
	return out
}

// Cleaned is what was removed.
type Cleaned struct {
	Items   int    `json:"items"`   // of the table
	Records int    `json:"records"` // published
	Version uint64 `json:"version,omitempty"`
}

const cleanTogether = 500 // removals in one request

// Clean sends the removals. Sent again, they have no second effect. Cleaned counts what
// is done, also together with an error. ErrConflict: an earlier change of a key waits,
// parked, and its removal waits behind it.
func Clean(ctx context.Context, target Target, removals []synth.Event, progress func(done, total int)) (Cleaned, error) {
	var c Cleaned
	for at := 0; at < len(removals); at += cleanTogether {
		part := removals[at:min(at+cleanTogether, len(removals))]
		var lines []byte
		for _, e := range part {
			lines = append(e.AppendJSON(lines), '\n')
		}
		a, err := target.Send(ctx, lines)
		if err != nil {
			return c, fmt.Errorf("clean: %d of %d items are removed: %w", c.Items, len(removals), err)
		}
		if n := a.Outcomes[lockstep.ParkedAway]; n > 0 {
			return c, lockstep.Hint(fmt.Errorf("clean: %w: %d removals wait behind parked changes of their keys", lockstep.ErrConflict, n), `drop those with "lockstep parked", then clean again`)
		}
		c.Items, c.Records, c.Version = c.Items+len(part), c.Records+a.Changed, max(c.Version, a.Version)
		if progress != nil {
			progress(c.Items, len(removals))
		}
	}
	return c, nil
}
