package load

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

// Step is one rate that is held for a time.
type Step struct {
	Rate float64       // changes per second
	For  time.Duration // how long changes are due at this rate
}

// Limits of a plan.
const (
	MaxRate  = 1_000_000 // changes per second
	MaxSteps = 1000
	minStep  = 10 * time.Millisecond
)

// Range is one rate, or a ramp from one to another.
type Range struct{ From, To float64 }

// Ramp says whether the rate changes.
func (r Range) Ramp() bool { return r.From != r.To }

// ParseRange reads "500" or "100..2000", in changes per second. ErrInvalid says what
// was expected.
func ParseRange(s string) (Range, error) {
	from, to, ramp := strings.Cut(s, "..")
	if !ramp {
		to = from
	}
	a, aerr := strconv.ParseFloat(strings.TrimSpace(from), 64)
	b, berr := strconv.ParseFloat(strings.TrimSpace(to), 64)
	ok := aerr == nil && berr == nil && a > 0 && b > 0 && a <= MaxRate && b <= MaxRate // NaN is none of these
	if !ok {
		return Range{}, fmt.Errorf("%w rate %.80q: want changes per second, at most %d, such as 500 or 100..2000", lockstep.ErrInvalid, s, MaxRate)
	}
	return Range{a, b}, nil
}

// Steps cuts a time into steps of the same length, the first at the first rate and
// the last at the last. One rate is one step of the whole time. ErrInvalid: a ramp
// that is not at least two steps long, or a plan beyond the limits.
func (r Range) Steps(whole, step time.Duration) ([]Step, error) {
	if !r.Ramp() {
		step = whole
	}
	if whole < minStep || step < minStep {
		return nil, fmt.Errorf("%w time: %s in steps of %s, want at least %s each", lockstep.ErrInvalid, whole, step, minStep)
	}
	n := int64(whole / step)
	switch {
	case r.Ramp() && n < 2:
		return nil, fmt.Errorf("%w ramp: %s holds %d steps of %s, want at least two", lockstep.ErrInvalid, whole, n, step)
	case n > MaxSteps:
		return nil, fmt.Errorf("%w ramp: %d steps, at most %d", lockstep.ErrInvalid, n, MaxSteps)
	}
	steps := make([]Step, n)
	for i := range steps {
		steps[i] = Step{Rate: r.From, For: step}
		if i > 0 {
			steps[i].Rate += (r.To - r.From) * float64(i) / float64(n-1)
		}
	}
	return steps, nil
}

// Arrivals says how requests are spread over time.
type Arrivals string

// The ways: independent of each other, as those of many clients are, or evenly.
const (
	Poisson  Arrivals = "poisson"
	Constant Arrivals = "constant"
)

// ParseArrivals reads the name of a way. ErrInvalid lists them.
func ParseArrivals(s string) (Arrivals, error) {
	switch a := Arrivals(s); a {
	case Poisson, Constant:
		return a, nil
	}
	return "", fmt.Errorf("%w arrivals %.80q: want %s or %s", lockstep.ErrInvalid, s, Poisson, Constant)
}

// times yields when requests are due, from the beginning of a step. It does not ask
// how the server is doing.
func (a Arrivals) times(rng *rand.Rand, perSecond float64, during time.Duration) iter.Seq[time.Duration] {
	return func(yield func(time.Duration) bool) {
		mean := float64(time.Second) / perSecond
		at := 0.0
		for i := 0; ; i++ {
			if a == Poisson {
				at += rng.ExpFloat64() * mean
			} else {
				at = float64(i) * mean // not summed up: no error grows
			}
			if at >= float64(during) || !yield(time.Duration(at)) {
				return
			}
		}
	}
}
