package history

import (
	"fmt"
	"slices"

	"lockstep/internal/lockstep"
)

// Mark is what somebody says of one version.
type Mark string

// The marks. A version that cannot be judged is skipped.
const (
	Good Mark = "good"
	Bad  Mark = "bad"
	Skip Mark = "skip"
)

// Bisect searches a line of states for the first bad version. It is data: stored
// with its steps and loaded again, it goes on. It asks nobody anything.
type Bisect struct {
	// Line is the versions after the good one up to the bad one, oldest first, as
	// version.Log.Line returns them. The last is known to be bad.
	Line  []uint64 `json:"line"`
	Steps []Step   `json:"steps"`
}

// Step is one answer.
type Step struct {
	Version uint64 `json:"version"`
	Mark    Mark   `json:"mark"`
}

// BisectResult is how far a search has come.
type BisectResult struct {
	Done bool `json:"done"`
	// First is the first bad version, 0 while it is not known.
	First uint64 `json:"first,omitempty"`
	// Suspects are the versions that may be the first bad one; more than one when
	// done means that those before the last were skipped.
	Suspects []uint64 `json:"suspects"`
	Left     int      `json:"left"` // answers still needed, about
}

// NewBisect begins a search. ErrInvalid when the line is empty or does not rise: a
// parent is always older.
func NewBisect(line []uint64) (*Bisect, error) {
	b := &Bisect{Line: slices.Clone(line), Steps: []Step{}}
	return b, b.Check()
}

// Check returns ErrInvalid when b, as it was loaded, is no search.
func (b *Bisect) Check() error {
	if len(b.Line) == 0 {
		return lockstep.Hint(fmt.Errorf("bisect: %w line: it is empty", lockstep.ErrInvalid), "the bad version must come after the good one on the same line of states")
	}
	for i := 1; i < len(b.Line); i++ {
		if b.Line[i] <= b.Line[i-1] {
			return fmt.Errorf("bisect: %w line: version %d after %d", lockstep.ErrInvalid, b.Line[i], b.Line[i-1])
		}
	}
	steps := b.Steps
	b.Steps = []Step{}
	for _, s := range steps {
		if err := b.Mark(s.Version, s.Mark); err != nil {
			b.Steps = steps
			return err
		}
	}
	return nil
}

// bounds returns the index of the newest version known to be good, -1 for the one
// before the line, and of the oldest known to be bad.
func (b *Bisect) bounds() (good, bad int, skipped map[int]bool) {
	good, bad, skipped = -1, len(b.Line)-1, map[int]bool{}
	for _, s := range b.Steps {
		i, ok := slices.BinarySearch(b.Line, s.Version)
		switch {
		case !ok:
		case s.Mark == Good:
			good = max(good, i)
		case s.Mark == Bad:
			bad = min(bad, i)
		case s.Mark == Skip:
			skipped[i] = true
		}
	}
	return good, bad, skipped
}

// Next returns the version to judge next; ok is false when nothing is left to ask.
func (b *Bisect) Next() (n uint64, ok bool) {
	good, bad, skipped := b.bounds()
	mid := good + (bad-good)/2
	// The nearest to the middle that was not skipped.
	for d := 0; d < bad-good; d++ {
		for _, i := range []int{mid - d, mid + d} {
			if good < i && i < bad && !skipped[i] {
				return b.Line[i], true
			}
		}
	}
	return 0, false
}

// Mark notes an answer about a version of the line. ErrInvalid for an unknown mark
// or another version; ErrConflict when it contradicts an earlier answer. On error
// nothing is noted.
func (b *Bisect) Mark(n uint64, m Mark) error {
	i, ok := slices.BinarySearch(b.Line, n)
	if !ok {
		return fmt.Errorf("bisect: %w version %d: it is not on the line", lockstep.ErrInvalid, n)
	}
	good, bad, _ := b.bounds()
	switch {
	case m != Good && m != Bad && m != Skip:
		return fmt.Errorf("bisect: %w mark %q: want good, bad or skip", lockstep.ErrInvalid, string(m))
	case m == Good && i >= bad:
		return fmt.Errorf("bisect: version %d is good: %w: version %d, not after it, is bad", n, lockstep.ErrConflict, b.Line[bad])
	case m == Bad && i <= good:
		return fmt.Errorf("bisect: version %d is bad: %w: version %d, not before it, is good", n, lockstep.ErrConflict, b.Line[good])
	}
	b.Steps = append(b.Steps, Step{n, m})
	return nil
}

// Result says how far the search has come.
func (b *Bisect) Result() BisectResult {
	good, bad, skipped := b.bounds()
	_, more := b.Next()
	r := BisectResult{Done: !more, Suspects: slices.Clone(b.Line[good+1 : bad+1])}
	if len(r.Suspects) == 1 {
		r.First = r.Suspects[0]
	}
	open := 0
	for i := good + 1; i < bad; i++ {
		if !skipped[i] {
			open++
		}
	}
	for ; open > 0; open /= 2 {
		r.Left++
	}
	return r
}
