package contract

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lockstep/internal/change"
	"lockstep/internal/lockstep"
)

// The model's mirror and the real one were written apart and must agree on every
// history, leading zeros included.
func TestMergeAgreesWithPackageChange(t *testing.T) {
	key := lockstep.ItemKey{Partition: "p|", Sort: "s"}
	rapid.Check(t, func(r *rapid.T) {
		var mine, theirs lockstep.MirrorItem
		known := false
		for range rapid.IntRange(1, 12).Draw(r, "n") {
			c := lockstep.Change{
				Key: key, Entity: "E",
				Event: rapid.SampledFrom([]lockstep.Event{lockstep.Insert, lockstep.Modify, lockstep.Remove}).Draw(r, "event"),
				Seq:   rapid.SampledFrom([]lockstep.Sequence{"0", "1", "02", "2", "9", "10", "0011", "100000000000000000000000"}).Draw(r, "seq"),
			}
			if c.Event != lockstep.Remove {
				c.New = lockstep.Item{"at": {Type: lockstep.AttrN, Text: string(c.Seq)}}
			}
			next, outcome := Merge(mine, known, c)
			got := change.Merge(theirs, known, c)
			if diff := cmp.Diff(next, got.Item); diff != "" || outcome != got.Outcome || got.Effect != (outcome == "") {
				r.Fatalf("%s %s: model %q, change %q effect %v; item (-model +change):\n%s", c.Event, c.Seq, outcome, got.Outcome, got.Effect, diff)
			}
			mine, theirs, known = next, got.Item, true
		}
	})
}
