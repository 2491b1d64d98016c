package drill

import (
	"fmt"
	"slices"
	"time"

	"lockstep/internal/lockstep"
)

// Book is the drills of one environment. The zero Book with a name is that of one in
// which none was ever run.
type Book struct {
	Environment string  `json:"environment"`
	Total       int     `json:"total"`  // ever recorded
	Drills      []Drill `json:"drills"` // the newest Keep in the order in which they were recorded, which no clock can spoil
}

// Keep is how many drills a book holds; older ones are in older entries of the ledger.
const Keep = 50

// NextID is the name of the next drill.
func (b Book) NextID() string { return fmt.Sprintf("%s-drill-%d", b.Environment, b.Total+1) }

// Last returns the newest n drills, oldest first.
func (b Book) Last(n int) []Drill { return b.Drills[max(0, len(b.Drills)-max(n, 0)):] }

// LastPassed returns the newest drill that passed.
func (b Book) LastPassed() (d Drill, ok bool) {
	return b.newest(func(d Drill) bool { return d.Outcome == Passed })
}

// lastFinished returns the newest drill that had a result.
func (b Book) lastFinished() (d Drill, ok bool) {
	return b.newest(func(d Drill) bool { return d.Outcome != Incomplete })
}

func (b Book) newest(want func(Drill) bool) (Drill, bool) {
	for _, d := range slices.Backward(b.Drills) {
		if want(d) {
			return d, true
		}
	}
	return Drill{}, false
}

// Age returns how long ago the newest drill that passed began. ok is false when none
// did.
func (b Book) Age(now time.Time) (age time.Duration, ok bool) {
	d, ok := b.LastPassed()
	return now.Sub(d.At), ok
}

// With returns the book with one more drill. changed is false when it holds d already.
// A drill that was incomplete gives way to what came of it later. ErrInvalid: d may
// not be recorded, or is of another environment. ErrConflict: another drill has its id,
// and a result.
func (b Book) With(d Drill) (next Book, changed bool, err error) {
	if err := d.Check(); err != nil {
		return b, false, err
	}
	if d.Environment != b.Environment {
		return b, false, fmt.Errorf("drill %s: %w environment %s: the book is of %.80q", d.ID, lockstep.ErrInvalid, d.Environment, b.Environment)
	}
	d = d.plain()
	next = Book{Environment: b.Environment, Total: b.Total, Drills: slices.Clone(b.Drills)}
	if i := slices.IndexFunc(next.Drills, func(o Drill) bool { return o.ID == d.ID }); i < 0 {
		next.Total++
	} else {
		old := next.Drills[i]
		switch {
		case old == d:
			return b, false, nil
		case old.Outcome != Incomplete:
			return b, false, lockstep.Hint(fmt.Errorf("drill %s: %w: it has been recorded as %s", d.ID, lockstep.ErrConflict, old.Outcome), "give the drill the next id: "+b.NextID())
		}
		next.Drills = slices.Delete(next.Drills, i, i+1)
	}
	next.Drills = append(next.Drills, d)
	next.Drills = slices.Clone(next.Last(Keep))
	return next, true, nil
}

func (b Book) check() error {
	if !environmentName.MatchString(b.Environment) {
		return fmt.Errorf("%w environment %.80q", lockstep.ErrInvalid, b.Environment)
	}
	if n := len(b.Drills); n == 0 || n > Keep || n > b.Total {
		return fmt.Errorf("%w book of %s: %d drills of %d, at most %d", lockstep.ErrInvalid, b.Environment, n, b.Total, Keep)
	}
	ids := map[string]bool{}
	for _, d := range b.Drills {
		if err := d.Check(); err != nil {
			return err
		}
		switch {
		case d.Environment != b.Environment:
			return fmt.Errorf("%w book of %s: drill %s is of %s", lockstep.ErrInvalid, b.Environment, d.ID, d.Environment)
		case ids[d.ID]:
			return fmt.Errorf("%w book of %s: drill %s is there twice", lockstep.ErrInvalid, b.Environment, d.ID)
		}
		ids[d.ID] = true
	}
	return nil
}
