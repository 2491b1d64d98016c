package analysis

import (
	"fmt"
	"math"

	"lockstep/internal/lockstep"
)

// MaxUnits is the most units one arm of a table may have. More than that is a mistake,
// and the work of LogE grows with the square root of the bad ones.
const MaxUnits = 1 << 40

// Table is what one window, or one size class of it, showed: how many units each
// revision decided, and how many of them were bad.
type Table struct {
	NC int64 `json:"nc"` // units of the candidate
	XC int64 `json:"xc"` // bad ones among them
	NB int64 `json:"nb"` // units of stable
	XB int64 `json:"xb"` // bad ones among them
}

// Check returns ErrInvalid unless every count is between 0 and MaxUnits and no arm has
// more bad units than units.
func (t Table) Check() error {
	switch {
	case t.NC < 0 || t.XC < 0 || t.NB < 0 || t.XB < 0:
		return fmt.Errorf("%w table %s: a count is negative", lockstep.ErrInvalid, t)
	case t.XC > t.NC || t.XB > t.NB:
		return fmt.Errorf("%w table %s: more bad units than units", lockstep.ErrInvalid, t)
	case t.NC > MaxUnits || t.NB > MaxUnits:
		return fmt.Errorf("%w table %s: at most %d units in an arm", lockstep.ErrInvalid, t, int64(MaxUnits))
	}
	return nil
}

func (t Table) String() string {
	return fmt.Sprintf("candidate %d/%d, stable %d/%d", t.XC, t.NC, t.XB, t.NB)
}

// plus adds up two tables, for totals only: the sum of tables is not evidence. A total
// stays at 2^53, which no running system reaches, instead of wrapping around.
func (t Table) plus(u Table) Table {
	return Table{plus(t.NC, u.NC), plus(t.XC, u.XC), plus(t.NB, u.NB), plus(t.XB, u.XB)}
}

const maxTotal = 1 << 53

func plus(a, b int64) int64 { return min(a+b, maxTotal) }

// silent says that the table is no evidence: with no bad unit, only bad ones, or one arm empty, the counts of both
// arms are fixed by their sum.
func (t Table) silent() bool {
	m := t.XC + t.XB
	return m == 0 || t.NC == 0 || t.NB == 0 || m == t.NC+t.NB
}

// LogE returns the logarithm of the e-value of one table: how much more likely the split
// of its bad units over the arms is when their odds ratio (candidate to stable) is psi1
// than when it is psi0. Given the sum of the bad units, that split follows Fisher's
// noncentral hypergeometric distribution, in which the unknown base rate has cancelled.
// The expectation of the e-value is 1 at psi0 and, for psi1 > psi0, at most 1 at
// every smaller ratio, because the likelihood ratio is monotone in XC.
//
// A table that says nothing gives exactly 0. The table must pass Check and both ratios
// must be positive and finite.
func LogE(t Table, psi0, psi1 float64) float64 {
	if t.silent() || psi0 == psi1 {
		return 0
	}
	m := t.XC + t.XB
	return float64(t.XC)*(math.Log(psi1)-math.Log(psi0)) + logNorm(t.NC, t.NB, m, psi0) - logNorm(t.NC, t.NB, m, psi1)
}
