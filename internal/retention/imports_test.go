package retention

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"lockstep/internal/lockstep"
	"lockstep/internal/version"
	"lockstep/internal/version/versiontest"
)

// TestAnImportStaysWhileAKeptVersionHoldsItsMessage has one import of a message whose
// version is retired, one of a message that was committed later, long after it was
// fetched, one that nobody ever used, and a young one.
func TestAnImportStaysWhileAKeptVersionHoldsItsMessage(t *testing.T) {
	for _, parked := range []bool{false, true} {
		w, mem := newWorld(t)
		create := func(message string) string {
			key := version.ImportKey(message, "lines", "s3://bucket/"+message)
			if err := mem.Create(t.Context(), key, []byte("x")); err != nil {
				t.Fatal(err)
			}
			return key
		}
		retired, late, unused := create("m-a0"), create("m-blate"), create("never")
		for i := range 10 {
			w.CommitLarge(t.Context(), put("a", fmt.Sprint(i)))
			if i%3 == 1 {
				w.Base(t.Context(), w.Head())
			}
		}
		w.Clock = w.Clock.Add(20 * 24 * time.Hour)
		w.Commit(t.Context(), put("b", "late"))
		if parked {
			w.Commit(t.Context(), versiontest.Write{Collection: lockstep.Parked, ID: "p", Record: versiontest.Rec("p", "parked"), Message: "m-p"})
		}
		young := create("young")
		d := collect(t, w, Policy{})
		if d.By[RetiredEntry].Objects == 0 {
			t.Fatalf("no version was retired: %v", d.By)
		}
		left := keys(t, mem, version.ImportPrefix)
		want := []string{late, young}
		if parked {
			want = []string{late, young, retired, unused}
		}
		slices.Sort(want)
		if !slices.Equal(left, want) {
			t.Errorf("parked %t: left are %v, want %v", parked, left, want)
		}
	}
}
