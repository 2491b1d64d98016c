package analysis

import (
	"fmt"
	"math"

	"lockstep/internal/lockstep"
)

// LogRelativePass returns the logarithm of one table's evidence that the candidate's odds
// ratio is below bad: the likelihood of its split at ratio 1 over that at ratio bad. It is
// the mirror image of LogE. Tables of a bake add up; at ln(1/beta) the candidate is shown
// to be better than bad over the bake as a whole. It means something only while stable
// itself is inside its service level: against a broken stable everything looks good.
func LogRelativePass(t Table, bad float64) float64 { return LogE(t, bad, 1) }

// Absolute is the claim that a share of bad units is below Max, tested by the likelihood
// ratio of two Bernoulli rates (Wald's statistic, read as an e-value).
type Absolute struct {
	Max float64 // the share that is not tolerated
	// Plan is the share at which the test is best, below Max; a claim is easier to prove
	// the further below Max the truth is. It must be fixed before the first unit.
	Plan float64
}

// Check returns ErrInvalid unless 0 < Plan < Max < 1.
func (a Absolute) Check() error {
	if !(a.Plan > 0 && a.Plan < a.Max && a.Max < 1) {
		return fmt.Errorf("%w absolute limit: plan %g, max %g: want 0 < plan < max < 1", lockstep.ErrInvalid, a.Plan, a.Max)
	}
	return nil
}

// logGood and logBad are what one unit adds.
func (a Absolute) logGood() float64 { return math.Log1p(-a.Plan) - math.Log1p(-a.Max) }
func (a Absolute) logBad() float64  { return math.Log(a.Plan / a.Max) }

// LogE returns the logarithm of the evidence that the share of bad units is below Max,
// after bad of units; at ln(1/beta) it is shown.
func (a Absolute) LogE(units, bad int64) float64 {
	if units == 0 {
		return 0
	}
	return float64(bad)*a.logBad() + float64(units-bad)*a.logGood()
}

// MoreGood returns how many further good units, with no bad one, would bring the evidence
// to ln(1/beta); 0 when it is there.
func (a Absolute) MoreGood(beta float64, units, bad int64) int64 {
	missing := -math.Log(beta) - a.LogE(units, bad)
	return units64(math.Ceil(missing / a.logGood()))
}

// MinUnits returns how many units without a bad one show, at error beta, that the share of
// bad units is below pMax, when the planned share is next to nothing: the smallest n with
// (1-pMax)^n <= beta. Less cannot pass, so it is the least a step has to see. It is 0
// unless both are between 0 and 1.
func MinUnits(beta, pMax float64) int64 {
	if !(beta > 0 && beta < 1 && pMax > 0 && pMax < 1) {
		return 0
	}
	return units64(math.Ceil(math.Log(beta) / math.Log1p(-pMax)))
}

// units64 keeps what no release can see, and what no int64 can hold, in range.
func units64(n float64) int64 { return int64(min(max(n, 0), maxTotal)) }
