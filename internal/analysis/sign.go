package analysis

import (
	"fmt"
	"math"

	"lockstep/internal/lockstep"
)

// Pairs is what comparing two runs on the same input showed. For a mismatch guard,
// stable runs twice and the candidate once, and a pair is decided when exactly one of the
// second and the third differs from the first: Worse when it is the candidate. For slower
// or dearer, every pair is decided, and Worse when the candidate used more than the
// tolerated excess over stable.
type Pairs struct {
	Compared int64 `json:"compared"` // inputs that were run
	Decided  int64 `json:"decided"`  // of those, where one side lost
	Worse    int64 `json:"worse"`    // of those, where it was the candidate
}

// Check returns ErrInvalid unless 0 <= Worse <= Decided <= Compared <= MaxUnits.
func (p Pairs) Check() error {
	if p.Worse < 0 || p.Decided < p.Worse || p.Compared < p.Decided || p.Compared > MaxUnits {
		return fmt.Errorf("%w pairs: %d worse of %d decided of %d compared: want each to contain the one before, at most %d",
			lockstep.ErrInvalid, p.Worse, p.Decided, p.Compared, int64(MaxUnits))
	}
	return nil
}

func (p Pairs) plus(q Pairs) Pairs {
	return Pairs{plus(p.Compared, q.Compared), plus(p.Decided, q.Decided), plus(p.Worse, q.Worse)}
}

// signGrid is how many alternatives between one half and one the sign test mixes.
const signGrid = 10

// signTheta returns alternative i: .525, .575, ... .975.
func signTheta(i int) float64 { return 0.5 + (float64(i)+0.5)/(2*signGrid) }

// SignLogE returns the logarithm of the evidence, after worse of decided pairs, that the
// candidate loses more often than stable: a sign test as an e-process, with an even
// mixture over how often it loses. Under "no worse than noise" a decided pair is a fair
// coin, and the chance of ever reaching 1/alpha is at most alpha (Ville's inequality).
// The process is the two counts; nothing else needs to be kept.
func SignLogE(worse, decided int64) float64 {
	if decided == 0 {
		return 0
	}
	var terms [signGrid]float64
	for i := range terms {
		g := signTheta(i)
		terms[i] = float64(worse)*math.Log(2*g) + float64(decided-worse)*math.Log(2*(1-g))
	}
	return logSumExp(terms[:]) - math.Log(signGrid)
}

// SignLogPass returns the logarithm of the evidence that, of the decided pairs, the
// candidate loses fewer than bad to one: the likelihood at even odds over that at odds
// bad. It is what LogRelativePass is for tables.
func SignLogPass(worse, decided int64, bad float64) float64 {
	if decided == 0 {
		return 0
	}
	theta := bad / (1 + bad)
	return -float64(worse)*math.Log(2*theta) - float64(decided-worse)*math.Log(2*(1-theta))
}

// signMoreWorse returns how many lost pairs in a row bring the evidence to logThreshold;
// false when a million do not.
func signMoreWorse(p Pairs, logThreshold float64) (int, bool) {
	const most = 1_000_000
	reaches := func(n int) bool { return SignLogE(p.Worse+int64(n), p.Decided+int64(n)) >= logThreshold }
	return firstThat(most, reaches)
}

// firstThat returns the smallest n of 0..most that reaches, which it does from there on.
func firstThat(most int, reaches func(int) bool) (int, bool) {
	if !reaches(most) {
		return 0, false
	}
	lo, hi := -1, most
	for hi-lo > 1 {
		if mid := lo + (hi-lo)/2; reaches(mid) {
			hi = mid
		} else {
			lo = mid
		}
	}
	return hi, true
}
