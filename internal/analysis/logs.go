package analysis

import (
	"fmt"
	"math"
)

// logSumExp returns ln(exp(a[0]) + exp(a[1]) + ...) without leaving the range of a
// float64 on the way; -Inf for no terms.
func logSumExp(a []float64) float64 {
	top := math.Inf(-1)
	for _, x := range a {
		top = max(top, x)
	}
	if math.IsInf(top, 0) {
		return top
	}
	sum := 0.0
	for _, x := range a {
		sum += math.Exp(x - top)
	}
	return top + math.Log(sum)
}

// factor writes an e-value, given as its logarithm, for people: 0.031, 12, 4.1e+05, and
// 10^1234 for what no float64 holds.
func factor(logE float64) string {
	if math.Abs(logE) > 650 {
		return fmt.Sprintf("10^%.0f", logE/math.Ln10)
	}
	return fmt.Sprintf("%.3g", math.Exp(logE))
}

// percent writes a share of bad units for people.
func percent(bad, units int64) string {
	if units == 0 {
		return "no units"
	}
	return fmt.Sprintf("%.2f %%", 100*float64(bad)/float64(units))
}
