package analysis

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// split returns the chance of each possible XC of a table with these margins at ratio psi.
func split(nc, nb, m int64, psi float64) map[int64]float64 {
	p := map[int64]float64{}
	norm := logNorm(nc, nb, m, psi)
	for k := max(0, m-nb); k <= min(nc, m); k++ {
		p[k] = math.Exp(logHypergeometric(nc, nb, m, k) + float64(k)*math.Log(psi) - norm)
	}
	return p
}

func TestTheExpectationIsOneAtTheMarginAndNoMoreBelow(t *testing.T) {
	tables := 0
	for _, arms := range [][2]int64{{1, 1}, {1, 9}, {3, 7}, {10, 90}, {50, 50}, {90, 10}, {25, 400}} {
		nc, nb := arms[0], arms[1]
		for m := int64(1); m < nc+nb; m++ {
			tables++
			for _, psi0 := range []float64{1, 1.25, 2} {
				for _, truth := range []float64{psi0, 0.9 * psi0, 0.3 * psi0} {
					p := split(nc, nb, m, truth)
					for _, psi1 := range []float64{3, 50} {
						mean, sum := 0.0, 0.0
						for k, pk := range p {
							mean += pk * math.Exp(LogE(Table{NC: nc, XC: k, NB: nb, XB: m - k}, psi0, psi1))
							sum += pk
						}
						if !near(sum, 1, 1e-12) || mean > 1+1e-12 || truth == psi0 && !near(mean, 1, 1e-12) {
							t.Fatalf("nc %d, nb %d, m %d, truth %g: E[e] = %.15f at %g against %g, probabilities sum to %.15f", nc, nb, m, truth, mean, psi0, psi1, sum)
						}
					}
				}
			}
		}
	}
	if tables < 500 {
		t.Fatalf("only %d tables were enumerated", tables)
	}
}

func TestTheRelativePassIsAnEValueAtTheRatioThatMustNotPass(t *testing.T) {
	for m := int64(1); m < 60; m++ {
		for _, truth := range []float64{3, 4} {
			mean := 0.0
			for k, pk := range split(20, 80, m, truth) {
				mean += pk * math.Exp(LogRelativePass(Table{NC: 20, XC: k, NB: 80, XB: m - k}, 3))
			}
			if mean > 1+1e-12 || truth == 3 && !near(mean, 1, 1e-12) {
				t.Fatalf("m %d, truth %g: E[e] = %.15f", m, truth, mean)
			}
		}
	}
}

func TestTheSignEvidenceIsAnEValueUnderAFairCoin(t *testing.T) {
	for n := int64(1); n < 60; n++ {
		mean, pass := 0.0, 0.0
		for k := range n + 1 {
			mean += math.Exp(logBinomial(k, n, 1, 1) + SignLogE(k, n))
			pass += math.Exp(logBinomial(k, n, 3, 1) + SignLogPass(k, n, 3))
		}
		if !near(mean, 1, 1e-12) || !near(pass, 1, 1e-12) {
			t.Fatalf("n %d: E[e] = %.15f, for the pass %.15f", n, mean, pass)
		}
	}
}

func TestTheSampleRatioAndTheAbsoluteLimitAreEValues(t *testing.T) {
	a := Absolute{Max: 0.1, Plan: 0.03}
	for n := int64(1); n < 100; n++ {
		ratio, limit := 0.0, 0.0
		for k := range n + 1 {
			l, err := SampleRatio(k, n-k, 0.1)
			if err != nil {
				t.Fatal(err)
			}
			p := math.Exp(logBinomial(k, n, 1, 9))
			ratio += p * math.Exp(l)
			limit += p * math.Exp(a.LogE(n, k))
		}
		if !near(ratio, 1, 1e-11) || !near(limit, 1, 1e-11) {
			t.Fatalf("n %d: E[e] = %.13f for the ratio, %.13f for the limit", n, ratio, limit)
		}
	}
}

func drawTable(t *rapid.T, most int64) Table {
	nc, nb := rapid.Int64Range(0, most).Draw(t, "nc"), rapid.Int64Range(0, most).Draw(t, "nb")
	return Table{NC: nc, NB: nb, XC: rapid.Int64Range(0, nc).Draw(t, "xc"), XB: rapid.Int64Range(0, nb).Draw(t, "xb")}
}

func TestTheShortSumIsTheWholeSum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawTable(t, 400)
		psi0 := rapid.Float64Range(0.05, 5).Draw(t, "psi0")
		psi1 := rapid.Float64Range(0.05, 60).Draw(t, "psi1")
		got, want := LogE(c, psi0, psi1), direct(c, psi0, psi1)
		if !near(got, want, 1e-9*max(1, math.Abs(want))) {
			t.Fatalf("%s at %g against %g: %.12f, directly %.12f", c, psi0, psi1, got, want)
		}
	})
}

func TestEvidenceGrowsWithTheCandidatesShareOfTheBadUnits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// A table in which a bad unit of stable can become one of the candidate.
		c := Table{NC: rapid.Int64Range(1, 200).Draw(t, "nc"), NB: rapid.Int64Range(1, 200).Draw(t, "nb")}
		c.XC, c.XB = rapid.Int64Range(0, c.NC-1).Draw(t, "xc"), rapid.Int64Range(1, c.NB).Draw(t, "xb")
		worse := c
		worse.XC, worse.XB = c.XC+1, c.XB-1
		if a, b := LogE(c, 1.25, 3), LogE(worse, 1.25, 3); b <= a {
			t.Fatalf("%s: %g; one more bad in the candidate: %g", c, a, b)
		}
	})
}

func TestATableThatSaysNothingIsExactlyNoEvidence(t *testing.T) {
	p, err := NewProcess(1.25, DefaultAlternatives())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []Table{
		{}, {NC: 10, NB: 90}, {NC: 1e9, NB: 1e9}, {NC: 5, XC: 5}, {NB: 7, XB: 3}, {NC: 4, XC: 4, NB: 9, XB: 9},
	} {
		if l := LogE(c, 1.25, 50); l != 0 {
			t.Errorf("%s: %g, want exactly 0", c, l)
		}
		if err := p.Observe(c); err != nil || p.LogE() != 0 {
			t.Errorf("process after %s: %g, %v, want exactly 0", c, p.LogE(), err)
		}
	}
}

func TestHugeCountsStayFiniteAndRight(t *testing.T) {
	const g = 1_000_000_000
	for _, c := range []Table{
		{NC: g, XC: 1, NB: g},
		{NC: g, XC: g / 2, NB: g, XB: g / 2},
		{NC: g, XC: g, NB: g},
		{NC: g, NB: g, XB: g},
		{NC: 1, XC: 1, NB: g, XB: g - 1},
		{NC: g, XC: g - 1, NB: g, XB: 1},
		{NC: MaxUnits, XC: g, NB: MaxUnits, XB: 1},
	} {
		for _, psi := range []float64{1.25, 3, 1e6} {
			if l := LogE(c, 1, psi); math.IsNaN(l) || math.IsInf(l, 0) {
				t.Errorf("%s at %g: %g", c, psi, l)
			}
		}
	}
	// With few bad units among very many, the split is binomial: 1:1 here.
	got := LogE(Table{NC: g, XC: 30, NB: g, XB: 10}, 1, 3)
	want := 30*math.Log(3) - 40*math.Log(2)
	if !near(got, want, 1e-6) {
		t.Errorf("few bad units in huge arms: %.9f, want %.9f", got, want)
	}
	// A difference of Lgammas has an error of 1e-5 here. The split is Gaussian: in its
	// middle ln e is minus half the variance times the square of ln psi.
	got = LogE(Table{NC: g, XC: g / 4, NB: g, XB: g / 4}, 1, 1.001)
	variance := float64(g) / 2 * 0.25 * 0.75
	if want := -variance / 2 * math.Log(1.001) * math.Log(1.001); !near(got, want, 1e-5) {
		t.Errorf("even split of very many: %.9f, want %.9f", got, want)
	}
	if l, err := SampleRatio(maxTotal/10, maxTotal-maxTotal/10, 0.1); err != nil || math.IsNaN(l) || l > 0 {
		t.Errorf("sample ratio of a huge even split: %g, %v", l, err)
	}
	for _, l := range []float64{SignLogE(g, g), SignLogE(0, g), SignLogPass(g, g, 3), (Absolute{Max: 0.02, Plan: 0.005}).LogE(g, g/2)} {
		if math.IsNaN(l) || math.IsInf(l, 0) {
			t.Errorf("not finite: %g", l)
		}
	}
}
