package analysis

import "math"

// logNorm returns ln sum_k h(k) psi^k, where h is the hypergeometric distribution of the
// candidate's share of m bad units among nc and nb units. It is the normalisation of
// Fisher's noncentral hypergeometric distribution with odds ratio psi.
//
// The terms are log-concave, so the sum starts at the largest and walks to both sides
// until the rest cannot be seen in a float64: about twenty standard deviations, also
// when there are 10^9 terms. Arms that are not empty and 0 < m < nc+nb are required.
func logNorm(nc, nb, m int64, psi float64) float64 {
	if psi == 1 {
		return 0
	}
	lo, hi := max(0, m-nb), min(nc, m)
	mode := noncentralMode(nc, nb, m, psi)
	// up is h(k+1) psi / h(k).
	up := func(k int64) float64 {
		return psi * (float64(nc-k) / float64(k+1)) * (float64(m-k) / float64(nb-m+k+1))
	}
	const unseen = 1e-20
	sum := 1.0
	for k, term := mode, 1.0; k < hi && term > unseen; k++ {
		term *= up(k)
		sum += term
	}
	for k, term := mode, 1.0; k > lo && term > unseen; k-- {
		term /= up(k - 1)
		sum += term
	}
	return logHypergeometric(nc, nb, m, mode) + float64(mode)*math.Log(psi) + math.Log(sum)
}

// noncentralMode returns a k at or next to the largest term of the sum in logNorm: the
// root of up(k-1) = 1, a quadratic equation, in the form that does not cancel.
func noncentralMode(nc, nb, m int64, psi float64) int64 {
	n, f, s := float64(nc)+1, float64(nb), float64(m)+1
	a := psi - 1
	b := (n+s)*psi - s + f + 1
	root := 2 * psi * n * s / (b + math.Sqrt(max(0, b*b-4*a*psi*n*s)))
	return min(max(int64(root), 0, m-nb), nc, m)
}

// logHypergeometric returns the logarithm of the chance that k of the m bad units fall to
// the candidate. As a ratio of three binomial probabilities in Loader's saddle-point form
// (Fast and accurate computation of binomial probabilities, 2000) it keeps all digits at
// counts where the difference of three Lgammas would keep none.
func logHypergeometric(nc, nb, m, k int64) float64 {
	good := nc + nb - m
	return logBinomial(k, nc, m, good) + logBinomial(m-k, nb, m, good) - logBinomial(m, nc+nb, m, good)
}

// logBinomial returns the logarithm of the chance of x among n at probability
// bad/(bad+good); both are positive.
func logBinomial(x, n, bad, good int64) float64 {
	p, q := float64(bad)/float64(bad+good), float64(good)/float64(bad+good)
	switch x {
	case 0:
		return float64(n) * log(q, p)
	case n:
		return float64(n) * log(p, q)
	}
	fx, fn := float64(x), float64(n)
	fy := float64(n - x)
	return stirlingError(fn) - stirlingError(fx) - stirlingError(fy) -
		deviance(fx, fn*p) - deviance(fy, fn*q) - 0.5*math.Log(2*math.Pi*fx*(fy/fn))
}

// log returns ln p, through the smaller of p and q = 1-p.
func log(p, q float64) float64 {
	if q < p {
		return math.Log1p(-q)
	}
	return math.Log(p)
}

// stirlingError returns ln n! minus Stirling's formula ln sqrt(2 pi n) + n ln n - n.
func stirlingError(n float64) float64 {
	if n <= 15 {
		g, _ := math.Lgamma(n + 1)
		return g - (n+0.5)*math.Log(n) + n - 0.5*math.Log(2*math.Pi)
	}
	nn := n * n
	return (1.0/12 - (1.0/360-(1.0/1260-(1.0/1680-1.0/1188/nn)/nn)/nn)/nn) / n
}

// deviance returns x ln(x/np) + np - x; when the two are close, the first two terms
// cancel but for a rest that only Log1p keeps.
func deviance(x, np float64) float64 {
	d := x - np
	return x*math.Log1p(d/np) - d
}
