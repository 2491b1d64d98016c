package guard

import (
	"fmt"

	"lockstep/internal/lockstep"
)

// Verdict is what a guard says. The zero value, and every other text than the four
// below, is unknown and counts as worse than all of them.
type Verdict string

// The four verdicts.
const (
	Pass         Verdict = "pass"
	Inconclusive Verdict = "inconclusive"
	Broken       Verdict = "broken"
	Fail         Verdict = "fail"
)

// Verdicts lists the verdicts from the best to the worst.
func Verdicts() []Verdict { return []Verdict{Pass, Inconclusive, Broken, Fail} }

// Sentence says what the verdict means, for people.
func (v Verdict) Sentence() string {
	switch v {
	case Pass:
		return "The samples say that what must hold does hold."
	case Inconclusive:
		return "There is not enough to say anything; this holds, and is never read as a pass."
	case Broken:
		return "The question could not be asked: the source failed; this holds and never rolls back by itself."
	case Fail:
		return "The samples say that what must hold does not hold."
	}
	return "Not a verdict that this program knows; it counts as worse than a failure."
}

// String returns the verdict's word, "unknown" when it is none of the four.
func (v Verdict) String() string {
	if v.rank() == unknownRank {
		return "unknown"
	}
	return string(v)
}

// MarshalText refuses an unknown verdict with ErrInvalid: it must not be stored.
func (v Verdict) MarshalText() ([]byte, error) {
	if v.rank() == unknownRank {
		return nil, fmt.Errorf("%w verdict %.40q: known are %v", lockstep.ErrInvalid, string(v), Verdicts())
	}
	return []byte(v), nil
}

// UnmarshalText accepts the four words and refuses everything else with ErrInvalid,
// which leaves v as it was.
func (v *Verdict) UnmarshalText(text []byte) error {
	if Verdict(text).rank() == unknownRank {
		return fmt.Errorf("%w verdict %.40q: known are %v", lockstep.ErrInvalid, text, Verdicts())
	}
	*v = Verdict(text)
	return nil
}

const unknownRank = 4

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
	return unknownRank
}

// Worst returns the worst of the verdicts: pass < inconclusive < broken < fail <
// unknown, and an unknown one comes back as "". Of none it is Inconclusive, so that
// having asked nothing never passes.
func Worst(verdicts ...Verdict) Verdict {
	if len(verdicts) == 0 {
		return Inconclusive
	}
	worst := Pass
	for _, v := range verdicts {
		if v.rank() == unknownRank {
			return ""
		}
		if v.rank() > worst.rank() {
			worst = v
		}
	}
	return worst
}
