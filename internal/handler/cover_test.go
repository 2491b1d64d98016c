package handler

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"lockstep/internal/lockstep"
)

// TestACoverHasWhatOneOfItsRangesHas compares the search with looking at every range.
func TestACoverHasWhatOneOfItsRangesHas(t *testing.T) {
	ids := rapid.StringOfN(rapid.RuneFrom([]rune("abÿ")), 0, 4, -1)
	collections := rapid.SampledFrom([]lockstep.Collection{"lines", "words"})
	rapid.Check(t, func(t *rapid.T) {
		ranges := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) RecordRange {
			return RecordRange{collections.Draw(t, "collection"), ids.Draw(t, "id"), rapid.Bool().Draw(t, "prefix")}
		}), 0, 8).Draw(t, "ranges")
		before := slices.Clone(ranges)
		cover := CoverOf(ranges)
		if !slices.Equal(ranges, before) {
			t.Fatal("the ranges were changed")
		}
		for range 20 {
			c, id := collections.Draw(t, "of"), ids.Draw(t, "record")
			want := slices.ContainsFunc(ranges, func(r RecordRange) bool { return r.Has(c, id) })
			if got := cover.Has(c, id); got != want {
				t.Fatalf("%v of %+v has %q in %s: %t", cover.Ranges(), ranges, id, c, got)
			}
		}
		for i, r := range cover.Ranges() {
			if i > 0 && cover.Ranges()[i-1].Has(r.Collection, r.ID) {
				t.Fatalf("one range is within another: %+v", cover.Ranges())
			}
		}
	})
}
