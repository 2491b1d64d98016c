package analysis

import (
	"fmt"
	"math"

	"lockstep/internal/lockstep"
)

// Weighted is one guard's evidence and its weight in the joint rule.
type Weighted struct {
	Guard  string  `json:"guard"`
	Weight float64 `json:"weight"`
	LogE   float64 `json:"log_e"`
}

// CulpritJoint is the culprit's name when the guards reach the threshold together and
// none of them alone.
const CulpritJoint = "joint"

// Joint returns the logarithm of the weighted mean of the guards' evidence. A weighted
// mean of e-values is an e-value however they depend on each other, so acting at 1/alpha
// keeps the chance of a false rollback at alpha over all guards together, without the
// penalty of a correction for their number. Errors: ErrInvalid unless the weights are
// positive and sum to 1.
func Joint(guards []Weighted) (float64, error) {
	terms := make([]float64, len(guards))
	sum, same := 0.0, true
	for i, g := range guards {
		if !(g.Weight > 0 && g.Weight <= 1) {
			return 0, fmt.Errorf("%w weight %g of guard %s: want it above 0 and at most 1", lockstep.ErrInvalid, g.Weight, g.Guard)
		}
		sum += g.Weight
		terms[i] = math.Log(g.Weight) + g.LogE
		same = same && g.LogE == 0
	}
	switch {
	case math.Abs(sum-1) > sumTolerance:
		return 0, fmt.Errorf("%w weights of the guards sum to %.10g, want 1", lockstep.ErrInvalid, sum)
	case same:
		return 0, nil
	}
	return logSumExp(terms), nil
}

// Culprit returns the guard that would have triggered the joint rule by itself, the
// clearest one when several would, or CulpritJoint when they do so only together. It is ""
// while the rule is not triggered or the weights are not valid.
func Culprit(guards []Weighted, alpha float64) string {
	joint, err := Joint(guards)
	if err != nil || joint < -math.Log(alpha) {
		return ""
	}
	name, most := CulpritJoint, math.Inf(-1)
	for _, g := range guards {
		if own := g.LogE + math.Log(g.Weight); own >= -math.Log(alpha) && own > most {
			name, most = g.Guard, own
		}
	}
	return name
}
