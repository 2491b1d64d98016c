package analysis

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/lockstep"
)

// The table of median minutes to rollback in a bake of 24 hours, base rate 0.5 %, that
// the method was chosen by; power in place of a median that is not reached.
func TestThePowerTableIsTheOneTheMethodWasChosenBy(t *testing.T) {
	type cell struct{ power, minutes float64 }
	for _, c := range []struct {
		units, share float64
		want         [4]cell // 3x, 10x, 40x, total break
	}{
		{5, 0.10, [4]cell{{0.01, 0}, {0.45, 0}, {1, 325}, {1, 60}}},
		{5, 0.50, [4]cell{{0.05, 0}, {0.92, 695}, {1, 140}, {1, 20}}},
		{20, 0.10, [4]cell{{0.16, 0}, {1, 305}, {1, 55}, {1, 10}}},
		{20, 0.25, [4]cell{{0.42, 0}, {1, 170}, {1, 35}, {1, 5}}},
		{100, 0.10, [4]cell{{0.88, 670}, {1, 60}, {1, 15}, {1, 5}}},
		{500, 0.10, [4]cell{{1, 140}, {1, 15}, {1, 5}, {1, 5}}},
	} {
		o, err := Power(Traffic{Units: c.units, Share: c.share, Base: 0.005, Windows: 288}, planPolicy(), "batch-failure")
		if err != nil {
			t.Fatal(err)
		}
		if len(o.Effects) != len(c.want) {
			t.Fatalf("%d effects: %+v", len(o.Effects), o.Effects)
		}
		for i, want := range c.want {
			got := o.Effects[i]
			t.Logf("%g units, share %g, %s: power %.3f, median %.0f min; want %g, %g", c.units, c.share, got.Name, got.Power, got.Median.Minutes(), want.power, want.minutes)
			// Both are simulations of some hundred runs.
			if !near(got.Power, want.power, 0.08) || !near(got.Median.Minutes(), want.minutes, 5+0.1*want.minutes) {
				t.Errorf("%g units, share %g, %s: power %.3f, median %.0f min; want %g, %g", c.units, c.share, got.Name, got.Power, got.Median.Minutes(), want.power, want.minutes)
			}
		}
	}
}

// The relative and the absolute pass as they were measured: 99 % of the bakes in the mean
// after 427 min, and all after 185.
func TestHealthyBakesPassAsMeasured(t *testing.T) {
	b := newBakes(Traffic{Units: 100, Share: 0.1, Base: 0.005, Windows: 288}, planPolicy(), planPolicy().Guards[0])
	s := newSource(1)
	var relative, absolute, by, ba float64
	const runs = 400
	for range runs {
		r, a := b.passes(s)
		if r > 0 {
			relative++
			by += float64(5 * r)
		}
		if a > 0 {
			absolute++
			ba += float64(5 * a)
		}
	}
	t.Logf("relative %.3f after %.0f min, absolute %.3f after %.0f", relative/runs, by/relative, absolute/runs, ba/absolute)
	if !near(relative/runs, 0.99, 0.02) || !near(by/relative, 427, 40) || absolute != runs || !near(ba/absolute, 185, 15) {
		t.Errorf("relative %.3f after %.0f min, absolute %.3f after %.0f; measured were .99, 427, 1, 185", relative/runs, by/relative, absolute/runs, ba/absolute)
	}
	// With next to no failures anywhere there is nothing to compare.
	o, err := Power(Traffic{Units: 100, Share: 0.1, Base: 0.0001, Windows: 288}, planPolicy(), "batch-failure")
	if err != nil || o.Relative.Power > 0.01 || o.Absolute.Power < 0.99 || o.Pass.Power < o.Absolute.Power {
		t.Errorf("base 0.01 %%: relative %+v, absolute %+v, %v", o.Relative, o.Absolute, err)
	}
}

func TestThePowerTableIsTheSameEveryTimeAndQuick(t *testing.T) {
	traffic := Traffic{Units: 12.5, Share: 0.1, Base: 0.005, Windows: 2880}
	begin := time.Now()
	a, err := Power(traffic, DefaultPolicy(), "batch-failure")
	if err != nil {
		t.Fatal(err)
	}
	// Well under a second on an idle machine; this one may be busy.
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("the table took %s", took)
	}
	b, err := Power(traffic, DefaultPolicy(), "batch-failure")
	if diff := cmp.Diff(a, b); diff != "" || err != nil {
		t.Errorf("another table the second time: %s %v", diff, err)
	}
}

func TestThePowerTableWarns(t *testing.T) {
	for _, c := range []struct {
		name    string
		traffic Traffic
		want    []string // beginnings of words in the warnings, in order
	}{
		{"plenty", Traffic{200, 0.25, 0.005, 1440}, nil},
		{"a short bake", Traffic{20, 0.1, 0.005, 30}, []string{"a 3x failure rate", "a healthy candidate passes"}},
		{"thin windows", Traffic{0.2, 0.1, 0.005, 1440}, []string{"a 3x failure rate", "a window of 1m0s has 0.02 units", "a healthy candidate passes"}},
		{"a broken stable", Traffic{200, 0.25, 0.03, 1440}, []string{"stable itself fails in 3 %", "a healthy candidate passes"}},
	} {
		o, err := Power(c.traffic, DefaultPolicy(), "batch-failure")
		if err != nil {
			t.Fatal(err)
		}
		ok := len(o.Warnings) == len(c.want)
		for i := range c.want {
			ok = ok && strings.HasPrefix(o.Warnings[i], c.want[i])
		}
		if !ok {
			t.Errorf("%s: %q, want %q", c.name, o.Warnings, c.want)
		}
	}
}

func TestPowerAtExtremeTraffic(t *testing.T) {
	for name, c := range map[string]Traffic{
		"very much":        {1e8, 0.01, 0.01, 1440},
		"a month":          {3, 0.1, 0.01, 43200},
		"no failures ever": {100, 0.1, 0, 288},
		"half bad":         {100, 0.1, 0.5, 288},
		"one window":       {1, 0.5, 0.5, 1},
		"a sliver":         {1e6, 1e-6, 0.01, 1440},
	} {
		begin := time.Now()
		o, err := Power(c, DefaultPolicy(), "batch-failure")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		t.Logf("%s: %s %+v", name, time.Since(begin), o)
		for _, e := range append(o.Effects, o.Relative, o.Absolute, o.Pass) {
			if math.IsNaN(e.Power) || e.Power < 0 || e.Power > 1 || e.Median < 0 || e.Median > time.Duration(c.Windows+1)*time.Minute {
				t.Errorf("%s: %+v", name, e)
			}
		}
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("%s: took %s", name, took)
		}
	}
}

func TestPowerRefusesWhatItCannotSimulate(t *testing.T) {
	good := Traffic{Units: 10, Share: 0.1, Base: 0.01, Windows: 10}
	for name, spoil := range map[string]func(*Traffic){
		"units": func(x *Traffic) { x.Units = 0 }, "NaN": func(x *Traffic) { x.Units = math.NaN() },
		"share": func(x *Traffic) { x.Share = 1 }, "base": func(x *Traffic) { x.Base = 1 }, "windows": func(x *Traffic) { x.Windows = 0 },
	} {
		c := good
		spoil(&c)
		if _, err := Power(c, DefaultPolicy(), "batch-failure"); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	for _, guard := range []string{"", "x", "shadow-mismatch"} {
		if _, err := Power(good, DefaultPolicy(), guard); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("guard %q: %v, want ErrInvalid", guard, err)
		}
	}
	if _, err := Power(good, Policy{}, "batch-failure"); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("no policy: %v, want ErrInvalid", err)
	}
}

// Mean and variance of what is drawn, by inversion and by rejection, within five standard
// errors.
func TestDrawnCountsAreBinomial(t *testing.T) {
	const draws = 100_000
	for _, c := range []struct {
		n int64
		p float64
	}{{1, 0.3}, {10, 0.1}, {100, 0.005}, {1000, 0.01}, {100, 0.5}, {100, 0.9}, {1000, 0.2}, {1_000_000, 0.3}, {40, 0.97}} {
		s := newSource(4)
		sum, squares := 0.0, 0.0
		for range draws {
			k := s.binomial(c.n, c.p)
			if k < 0 || k > c.n {
				t.Fatalf("%d of %d", k, c.n)
			}
			d := float64(k) - float64(c.n)*c.p
			sum += d
			squares += d * d
		}
		variance := float64(c.n) * c.p * (1 - c.p)
		kurtosis := 3 + (1-6*c.p*(1-c.p))/variance
		mean, got := sum/draws, squares/draws
		if math.Abs(mean) > 5*math.Sqrt(variance/draws) || math.Abs(got-variance) > 5*variance*math.Sqrt((kurtosis-1)/draws) {
			t.Errorf("n %d, p %g: mean off by %g, variance %g, want %g", c.n, c.p, mean, got, variance)
		}
	}
	s := newSource(1)
	if s.binomial(0, 0.5) != 0 || s.binomial(5, 0) != 0 || s.binomial(5, 1) != 5 || s.binomial(-1, 0.5) != 0 {
		t.Error("certain outcomes are not certain")
	}
}

// Rejection draws the distribution itself, not only its first moments: chi-square.
func TestDrawnCountsFollowTheDistribution(t *testing.T) {
	const draws, n, p = 400_000, 1000, 0.2
	s := newSource(9)
	var counts [n + 1]float64
	for range draws {
		counts[s.binomial(n, p)]++
	}
	chi, cells := 0.0, 0.0
	for k := range counts {
		if want := draws * math.Exp(logBinomial(int64(k), n, 1, 4)); want > 20 {
			chi += (counts[k] - want) * (counts[k] - want) / want
			cells++
		}
	}
	if cells < 50 || chi > cells+5*math.Sqrt(2*cells) {
		t.Errorf("chi-square %.1f in %.0f cells", chi, cells)
	}
}

func TestAGuardOfLittleWeightTakesLonger(t *testing.T) {
	light := planPolicy()
	light.Guards[0].Weight = 0.05
	light.Guards = append(light.Guards, GuardPolicy{Name: "other", Test: Arms, Weight: 0.95})
	traffic := Traffic{Units: 100, Share: 0.1, Base: 0.005, Windows: 288}
	a, errA := Power(traffic, planPolicy(), "batch-failure")
	b, errB := Power(traffic, light, "batch-failure")
	if errA != nil || errB != nil || b.Effects[0].Power >= a.Effects[0].Power || b.Effects[1].Median <= a.Effects[1].Median {
		t.Errorf("weight 1: %+v (%v), weight 0.05: %+v (%v)", a.Effects, errA, b.Effects, errB)
	}
}
