package analysis

import (
	"fmt"
	"strconv"

	"lockstep/internal/lockstep"
)

// Verdict is the answer to a guard's question. The zero value is Inconclusive, so that a
// verdict nobody gave is not good news.
type Verdict int

// The four verdicts. Only Pass advances a release and only Fail takes it back; the other
// two hold it.
const (
	// Inconclusive says that there is not enough evidence either way.
	Inconclusive Verdict = iota
	// Pass says that the candidate was shown to be good enough.
	Pass
	// Broken says that the question itself cannot be trusted, as when routing does not
	// split the traffic as it was told to.
	Broken
	// Fail says that the candidate was shown to be worse than the margin allows.
	Fail
)

// Verdicts returns all four, the best first.
func Verdicts() []Verdict { return []Verdict{Pass, Inconclusive, Broken, Fail} }

func (v Verdict) String() string {
	switch v {
	case Pass:
		return "pass"
	case Inconclusive:
		return "inconclusive"
	case Broken:
		return "broken"
	case Fail:
		return "fail"
	}
	return "verdict(" + strconv.Itoa(int(v)) + ")"
}

// rank orders verdicts from good to bad; what is no verdict at all is Broken's equal.
func (v Verdict) rank() int {
	switch v {
	case Pass:
		return 0
	case Inconclusive:
		return 1
	case Broken:
		return 2
	case Fail:
		return 3
	}
	return 2
}

// Worst returns the worse of two verdicts: pass, inconclusive, broken, fail, in this
// order.
func Worst(a, b Verdict) Verdict {
	if b.rank() > a.rank() {
		return b
	}
	return a
}

// MarshalText writes the verdict's word; ErrInvalid when it is none of the four.
func (v Verdict) MarshalText() ([]byte, error) {
	switch v {
	case Pass, Inconclusive, Broken, Fail:
		return []byte(v.String()), nil
	}
	return nil, fmt.Errorf("%w verdict %d", lockstep.ErrInvalid, int(v))
}

// UnmarshalText reads a verdict's word; ErrInvalid for any other, and v stays as it was.
func (v *Verdict) UnmarshalText(text []byte) error {
	for _, w := range Verdicts() {
		if string(text) == w.String() {
			*v = w
			return nil
		}
	}
	return fmt.Errorf("%w verdict %.40q: want pass, inconclusive, broken or fail", lockstep.ErrInvalid, text)
}
