package versiontest

import (
	"context"
	"fmt"

	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// Grow publishes steps more versions, as pick decides, which answers a number below
// its argument: commits, resets to earlier versions, fences and bases. There are few
// records, so that most are written often, removed, and written again.
func (w *World) Grow(ctx context.Context, steps int, pick func(n int) int) {
	w.tb.Helper()
	for range steps {
		switch at := int(w.Head()); {
		case at > 0 && pick(4) == 0:
			w.Reset(ctx, uint64(pick(at)))
		case at > 0 && pick(8) == 0:
			w.Publish(ctx, version.Fence, func(*version.Entry) {})
		case at > 0 && pick(8) == 0:
			w.Base(ctx, w.Head())
		case pick(16) == 0:
			w.CommitLarge(ctx, anyWrites(pick)...)
		default:
			w.Commit(ctx, anyWrites(pick)...)
		}
	}
}

func anyWrites(pick func(n int) int) []Write {
	out := make([]Write, 1+pick(4))
	for i := range out {
		wr := Write{Collection: [...]lockstep.Collection{"lines", "words", lockstep.Table}[pick(3)], ID: [...]string{"a", "a#1", "b", "c"}[pick(4)]}
		wr.Message = [...]string{"", "m1", "m2"}[pick(3)]
		wr.Revision = [...]string{"", "r@1", "r@2"}[pick(3)]
		if pick(3) > 0 {
			wr.Record = Rec(wr.ID, fmt.Sprint("document ", pick(3)), "k", fmt.Sprint(pick(2)))
			wr.Vector = [][]float32{nil, {1, 2}, {3, 4}, {0, -1}}[pick(4)]
		}
		out[i] = wr
	}
	return out
}
