package drill

import (
	"fmt"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

// Refusal says why no release may start. It is lockstep.ErrRefused.
type Refusal struct{ Why string }

// Error is the reason, with what to do about it.
func (r Refusal) Error() string { return r.Why }

// Unwrap makes it ErrRefused.
func (Refusal) Unwrap() error { return lockstep.ErrRefused }

const (
	day = 24 * time.Hour
	// ahead is how far a clock may be behind that of whoever recorded a drill.
	ahead = time.Hour
)

// Gate returns nil when the way back was walked lately enough for a release to start,
// and else a Refusal: no drill has passed, the last one that did is older than maxAge,
// or the newest one with a result failed. A maxAge of 0 asks for nothing.
func (b Book) Gate(now time.Time, maxAge time.Duration) error {
	if maxAge <= 0 {
		return nil
	}
	if d, ok := b.lastFinished(); ok && d.Outcome == Failed {
		return Refusal{fmt.Sprintf("the newest drill in %s, %s of %s, failed: %s: find out why, then run lockstep rollback drill",
			b.Environment, d.ID, d.At.Format(time.DateOnly), strings.TrimSuffix(oneLine(d.Why), "."))}
	}
	age, ok := b.Age(now)
	switch {
	case !ok:
		return Refusal{fmt.Sprintf("no drill has passed in %s: run lockstep rollback drill", b.Environment)}
	case age < -ahead:
		d, _ := b.LastPassed()
		return Refusal{fmt.Sprintf("the last passed drill in %s, %s, is dated %s, which is still to come: look at the clocks, then run lockstep rollback drill",
			b.Environment, d.ID, d.At.Format(time.RFC3339))}
	case age > maxAge:
		return Refusal{fmt.Sprintf("the last passed drill in %s is %s: run lockstep rollback drill", b.Environment, tooOld(age, maxAge))}
	}
	return nil
}

// tooOld says "41 days old, the limit is 30", in hours where days are too coarse.
func tooOld(age, limit time.Duration) string {
	unit, name := day, "days"
	if limit%day != 0 {
		unit, name = time.Hour, "hours"
	}
	old := fmt.Sprintf("%d %s", age/unit, name)
	switch {
	case limit%unit != 0:
		return fmt.Sprintf("%s old, the limit is %s", age.Round(time.Second), limit)
	case age/unit == limit/unit:
		old = "more than " + old
	}
	return fmt.Sprintf("%s old, the limit is %d", old, limit/unit)
}
