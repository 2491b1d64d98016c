package load

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/lockstep"
)

func TestParseRange(t *testing.T) {
	for s, want := range map[string]Range{
		"500": {500, 500}, "0.5": {0.5, 0.5}, "100..2000": {100, 2000}, "2000 .. 100": {2000, 100}, "1e3": {1000, 1000},
	} {
		if got, err := ParseRange(s); err != nil || got != want {
			t.Errorf("%q is %v, %v, want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "0", "-1", "fast", "100..", "..5", "1..2..3", "NaN", "Inf", "1..NaN", "1000001"} {
		if got, err := ParseRange(s); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%q is %v, %v", s, got, err)
		}
	}
}

func TestARampIsCutIntoStepsFromTheFirstRateToTheLast(t *testing.T) {
	for _, c := range []struct {
		name        string
		rates       Range
		whole, step time.Duration
		want        []Step
	}{
		{"one rate is one step", Range{5, 5}, time.Minute, time.Second, []Step{{5, time.Minute}}},
		{"up", Range{100, 400}, 4 * time.Second, time.Second, []Step{{100, time.Second}, {200, time.Second}, {300, time.Second}, {400, time.Second}}},
		{"down", Range{3, 1}, 3 * time.Second, time.Second, []Step{{3, time.Second}, {2, time.Second}, {1, time.Second}}},
		{"a rest is left out", Range{1, 2}, 5 * time.Second, 2 * time.Second, []Step{{1, 2 * time.Second}, {2, 2 * time.Second}}},
		{"a ramp of one step", Range{1, 2}, time.Second, time.Second, nil},
		{"too many steps", Range{1, 2}, time.Hour, 10 * time.Millisecond, nil},
		{"no time", Range{1, 1}, 0, time.Second, nil},
		{"steps of nothing", Range{1, 2}, time.Second, 0, nil},
	} {
		got, err := c.rates.Steps(c.whole, c.step)
		if (err != nil) != (c.want == nil) || err != nil && !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s: %v", c.name, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func collect(a Arrivals, seed uint64, perSecond float64, during time.Duration) []time.Duration {
	return slices.Collect(a.times(rand.New(rand.NewPCG(seed, arrivalStream)), perSecond, during))
}

func TestArrivalsAreThoseOfTheSeedAndComeInOrder(t *testing.T) {
	for _, a := range []Arrivals{Poisson, Constant} {
		got := collect(a, 1, 1000, 10*time.Second)
		if !slices.IsSorted(got) || got[len(got)-1] >= 10*time.Second {
			t.Errorf("%s: not in order, or beyond the end", a)
		}
		if !slices.Equal(got, collect(a, 1, 1000, 10*time.Second)) {
			t.Errorf("%s: the same seed makes other arrivals", a)
		}
		// Four standard deviations of a Poisson count.
		if n := float64(len(got)); math.Abs(n-10_000) > 4*100 {
			t.Errorf("%s: %g arrivals, want about 10,000", a, n)
		}
	}
	if slices.Equal(collect(Poisson, 1, 1000, time.Second), collect(Poisson, 2, 1000, time.Second)) {
		t.Error("another seed makes the same arrivals")
	}
	want := []time.Duration{0, 250 * time.Millisecond, 500 * time.Millisecond, 750 * time.Millisecond}
	if got := collect(Constant, 1, 4, time.Second); !slices.Equal(got, want) {
		t.Errorf("constant arrivals %v, want %v", got, want)
	}
}

// TestPoissonArrivalsAreIndependent compares the spread of the gaps with that of the
// exponential distribution, whose mean and standard deviation are equal.
func TestPoissonArrivalsAreIndependent(t *testing.T) {
	got := collect(Poisson, 7, 1000, 20*time.Second)
	var sum, squares float64
	for i := 1; i < len(got); i++ {
		gap := (got[i] - got[i-1]).Seconds()
		sum, squares = sum+gap, squares+gap*gap
	}
	n := float64(len(got) - 1)
	mean := sum / n
	if ratio := math.Sqrt(squares/n-mean*mean) / mean; math.Abs(ratio-1) > 0.05 {
		t.Errorf("standard deviation is %.3f of the mean", ratio)
	}
}

func TestParseArrivals(t *testing.T) {
	for _, a := range []Arrivals{Poisson, Constant} {
		if got, err := ParseArrivals(string(a)); got != a || err != nil {
			t.Errorf("%s: %s, %v", a, got, err)
		}
	}
	if _, err := ParseArrivals("bursts"); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("%v", err)
	}
}
