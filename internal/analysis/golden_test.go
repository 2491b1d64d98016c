package analysis

import (
	"errors"
	"math"
	"testing"

	"lockstep/internal/lockstep"
)

func near(a, b, by float64) bool { return math.Abs(a-b) <= by }

func TestEvidenceOfOneTableIsTheGoldenValue(t *testing.T) {
	for _, c := range []struct {
		table            Table
		psi0, psi1, want float64
	}{
		{Table{NC: 10, XC: 3, NB: 90, XB: 1}, 1, 5, 3.5263746326},
		{Table{NC: 10, XC: 3, NB: 90, XB: 1}, 1.25, 5, 2.9553907635},
		{Table{NC: 10, XC: 0, NB: 90, XB: 4}, 1, 5, -1.3019391048},
		{Table{NC: 1, XC: 1, NB: 9, XB: 0}, 1, 10, 1.6607312068},
		{Table{NC: 50, XC: 2, NB: 50, XB: 2}, 1, 3, -0.5601164981},
		{Table{NC: 100, XC: 0, NB: 900, XB: 0}, 1, 3, 0},
		{Table{NC: 20, XC: 5, NB: 180, XB: 0}, 1.25, 20, 8.8595116203},
	} {
		if got := LogE(c.table, c.psi0, c.psi1); !near(got, c.want, 1e-9) {
			t.Errorf("%s at %g against %g: %.10f, want %.10f", c.table, c.psi0, c.psi1, got, c.want)
		}
	}
}

func TestSignEvidenceIsTheGoldenValue(t *testing.T) {
	for _, c := range []struct {
		k, n int64
		want float64
	}{{9, 9, 4.618556}, {18, 20, 6.267524}, {12, 20, -0.442368}, {0, 0, 0}} {
		if got := SignLogE(c.k, c.n); !near(got, c.want, 1e-6) {
			t.Errorf("%d of %d: %.7f, want %.6f", c.k, c.n, got, c.want)
		}
	}
}

func TestSampleRatioIsTheGoldenValue(t *testing.T) {
	for _, c := range []struct {
		nc, nb int64
		want   float64
	}{{100, 900, -1.206605}, {150, 850, 9.867117}, {0, 0, 0}} {
		got, err := SampleRatio(c.nc, c.nb, 0.1)
		if err != nil || !near(got, c.want, 1e-6) {
			t.Errorf("%d and %d: %.7f, %v, want %.6f", c.nc, c.nb, got, err, c.want)
		}
	}
}

func TestMinUnitsAreTheGoldenValues(t *testing.T) {
	for pMax, want := range map[float64]int64{0.1: 29, 0.05: 59, 0.02: 149, 0.01: 299, 0.001: 2995, 0: 0, 1: 0, 1e-300: maxTotal} {
		if got := MinUnits(0.05, pMax); got != want {
			t.Errorf("p_max %g: %d, want %d", pMax, got, want)
		}
	}
}

// The units needed with failures of the candidate only, one at a time.
func TestEvidencePerFailureIsTheGoldenTable(t *testing.T) {
	want := map[float64][3]int{0.01: {2, 3, 3}, 0.05: {2, 3, 4}, 0.10: {3, 4, 5}, 0.25: {4, 6, 8}, 0.50: {8, 11, 16}}
	for share, counts := range want {
		for i, alpha := range []float64{0.05, 0.01, 0.001} {
			p, err := NewProcess(1.25, DefaultAlternatives())
			if err != nil {
				t.Fatal(err)
			}
			if more, ok := p.MoreBad(share, -math.Log(alpha)); !ok || more != counts[i] {
				t.Errorf("share %g, alpha %g: MoreBad says %d, want %d", share, alpha, more, counts[i])
			}
			n := 0
			for ; !p.Crossed(alpha); n++ {
				if err := p.Observe(Table{NC: int64(1000 * share), XC: 1, NB: int64(1000 - 1000*share)}); err != nil {
					t.Fatal(err)
				}
			}
			if n != counts[i] {
				t.Errorf("share %g, alpha %g: %d failures, want %d", share, alpha, n, counts[i])
			}
		}
	}
}

// direct is the formula as it is written: every term of the sum, each from Lgamma.
func direct(t Table, psi0, psi1 float64) float64 {
	lnC := func(n, k int64) float64 {
		return logFactorial(float64(n)) - logFactorial(float64(k)) - logFactorial(float64(n-k))
	}
	m := t.XC + t.XB
	norm := func(psi float64) float64 {
		var terms []float64
		for k := max(0, m-t.NB); k <= min(t.NC, m); k++ {
			terms = append(terms, lnC(t.NC, k)+lnC(t.NB, m-k)-lnC(t.NC+t.NB, m)+float64(k)*math.Log(psi))
		}
		return logSumExp(terms)
	}
	return float64(t.XC)*math.Log(psi1/psi0) + norm(psi0) - norm(psi1)
}

func TestImpossibleTablesAreRefused(t *testing.T) {
	for _, c := range []Table{
		{NC: -1},
		{NC: 1, XC: 2},
		{NC: 1, XC: -1},
		{NB: 1, XB: 2},
		{NB: -1, XB: -1},
		{NC: MaxUnits + 1},
		{NB: math.MaxInt64},
		{NC: math.MinInt64},
	} {
		if err := c.Check(); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%+v: %v, want ErrInvalid", c, err)
		}
	}
	for _, c := range []Table{{}, {NC: 1, XC: 1, NB: 1, XB: 1}, {NC: MaxUnits, NB: MaxUnits, XB: MaxUnits}} {
		if err := c.Check(); err != nil {
			t.Error(err)
		}
	}
}
