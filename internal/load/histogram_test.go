package load

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestQuantilesAreNeverBelowTheExactOnesAndCloseToThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h histogram
		var exact []time.Duration
		for range rapid.IntRange(1, 60).Draw(t, "samples") {
			bits := rapid.IntRange(0, 62).Draw(t, "bits")
			d := time.Duration(rapid.Int64Range(0, math.MaxInt64>>(62-bits)).Draw(t, "duration"))
			times := rapid.IntRange(1, 3).Draw(t, "times")
			h.add(d, times)
			for range times {
				exact = append(exact, d)
			}
		}
		slices.Sort(exact)
		pm := rapid.Uint64Range(1, 1000).Draw(t, "thousandths")
		rank := max(1, (uint64(len(exact))*pm+999)/1000)
		want, got := exact[rank-1], h.quantile(pm)
		if got < want || float64(got-want) > float64(want)/parts {
			t.Fatalf("the %d thousandths are %d, exactly %d", pm, got, want)
		}
		if h.max != exact[len(exact)-1] || h.quantile(1000) != h.max {
			t.Fatalf("the longest is %d, exactly %d", h.max, exact[len(exact)-1])
		}
	})
}

func TestEveryBucketHoldsWhatLiesUpToItsUpperEnd(t *testing.T) {
	for i := range buckets {
		top := upper(i)
		if got := bucketOf(uint64(top)); got != i {
			t.Fatalf("%d is the upper end of bucket %d and lies in %d", top, i, got)
		}
		if i+1 < buckets && bucketOf(uint64(top)+1) != i+1 {
			t.Fatalf("%d does not begin bucket %d", top+1, i+1)
		}
	}
	if upper(buckets-1) != math.MaxInt64 {
		t.Errorf("the last bucket ends at %d", upper(buckets-1))
	}
}

func TestAnEmptyHistogramSaysNothing(t *testing.T) {
	var h histogram
	h.add(time.Second, 0)
	if got := h.spread(); got != (Spread{}) {
		t.Errorf("%+v", got)
	}
	h.add(-time.Second, 1)
	if got := h.spread(); got != (Spread{Samples: 1}) {
		t.Errorf("a clock that was set back: %+v", got)
	}
}
