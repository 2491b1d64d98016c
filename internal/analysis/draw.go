package analysis

import (
	"math"
	"math/rand/v2"
)

// source draws the counts of simulated traffic; the same seed draws the same.
type source struct{ rand *rand.Rand }

func newSource(seed uint64) source { return source{rand.New(rand.NewPCG(seed, 0x6c6f636b73746570))} }

// binomial returns how many of n happen when each does with probability p.
func (s source) binomial(n int64, p float64) int64 {
	switch {
	case n <= 0 || p <= 0:
		return 0
	case p >= 1:
		return n
	case p > 0.5:
		return n - s.binomial(n, 1-p)
	case float64(n)*p < 12:
		return s.inverse(n, p)
	}
	return s.rejected(n, p)
}

// inverse walks up the distribution function; right and fast while n p is small.
func (s source) inverse(n int64, p float64) int64 {
	u, odds := s.rand.Float64(), p/(1-p)
	term := math.Exp(float64(n) * math.Log1p(-p))
	for k := range n {
		if u < term {
			return k
		}
		u -= term
		term *= odds * float64(n-k) / float64(k+1)
		if term == 0 {
			return k // u was what rounding has left over
		}
	}
	return n
}

// rejected is Hörmann's transformed rejection (The generation of binomial random
// variates, 1993, algorithm BTRS), whose cost does not grow with n.
func (s source) rejected(n int64, p float64) int64 {
	fn, q := float64(n), 1-p
	sd := math.Sqrt(fn * p * q)
	b := 1.15 + 2.53*sd
	a := -0.0873 + 0.0248*b + 0.01*p
	c := fn*p + 0.5
	alpha := (2.83 + 5.1/b) * sd
	mode := math.Floor((fn + 1) * p)
	atMode := logFactorial(mode) + logFactorial(fn-mode)
	for {
		v := s.rand.Float64()
		u := s.rand.Float64() - 0.5
		us := 0.5 - math.Abs(u)
		k := math.Floor((2*a/us+b)*u + c)
		if k < 0 || k > fn {
			continue
		}
		if us >= 0.07 && v <= 0.92-4.2/b {
			return int64(k)
		}
		v *= alpha / (a/(us*us) + b)
		if math.Log(v) <= atMode-logFactorial(k)-logFactorial(fn-k)+(k-mode)*math.Log(p/q) {
			return int64(k)
		}
	}
}

func logFactorial(n float64) float64 {
	g, _ := math.Lgamma(n + 1)
	return g
}
