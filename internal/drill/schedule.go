package drill

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/zeebo/blake3"

	"lockstep/internal/lockstep"
)

// Rule is a schedule as people write it.
type Rule struct {
	Every int // days from one drill to the next
	// Days are three-letter English names, "tue"; none means all.
	Days []string
	// From and To are times of the day, "09:00", between which a drill may begin; one
	// that is not after From is on the next day. Both empty: the whole day.
	From, To string
	// Zone is an IANA time zone, "Europe/Berlin". Empty: UTC.
	Zone string
	// Jitter is by how much at most a drill is put off, so that environments do not
	// drill at once.
	Jitter time.Duration
}

// Schedule says when drills may begin. The zero Schedule never lets one.
type Schedule struct {
	every    int
	days     [7]bool
	from, to int // minutes from the beginning of a day; to may lie beyond its end
	zone     *time.Location
	jitter   time.Duration
}

const (
	dayMinutes = 24 * 60
	maxEvery   = 366
	// again is how long an incomplete drill is left alone.
	again = time.Hour
)

// NewSchedule understands a rule. ErrInvalid names every mistake at once.
func NewSchedule(r Rule) (Schedule, error) {
	s := Schedule{every: r.Every, to: dayMinutes, zone: time.UTC, jitter: r.Jitter}
	var errs []error
	bad := func(what, value, want string) {
		errs = append(errs, fmt.Errorf("drill schedule: %w %s %.80q: want %s", lockstep.ErrInvalid, what, value, want))
	}
	if r.Every < 1 || r.Every > maxEvery {
		bad("distance", fmt.Sprint(r.Every), fmt.Sprintf("1 to %d days", maxEvery))
	}
	if r.Jitter < 0 || r.Jitter > time.Duration(max(r.Every, 1))*day {
		bad("jitter", r.Jitter.String(), "at most the distance of two drills")
	}
	if zone, err := time.LoadLocation(r.Zone); err != nil || r.Zone == "Local" {
		bad("zone", r.Zone, "an IANA time zone such as Europe/Berlin")
	} else {
		s.zone = zone
	}
	for _, d := range r.Days {
		i := slices.Index(weekdays(), strings.ToLower(d))
		if i < 0 {
			bad("day", d, strings.Join(weekdays(), ", "))
			continue
		}
		s.days[i] = true
	}
	if len(r.Days) == 0 {
		s.days = [7]bool{true, true, true, true, true, true, true}
	}
	if r.From != "" || r.To != "" {
		from, ferr := time.Parse("15:04", r.From)
		to, terr := time.Parse("15:04", r.To)
		if ferr != nil || terr != nil {
			bad("times", r.From+" to "+r.To, "two times such as 09:00 and 16:00, or none")
		}
		s.from, s.to = 60*from.Hour()+from.Minute(), 60*to.Hour()+to.Minute()
		if s.to <= s.from {
			s.to += dayMinutes
		}
	}
	if len(errs) > 0 {
		return Schedule{}, errors.Join(errs...)
	}
	return s, nil
}

func weekdays() []string { return []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"} }

// Call says whether a drill shall begin.
type Call struct {
	Due  bool
	Why  string    // one sentence, in either case
	Next time.Time // when it can be due, as far as time decides; not after now when it is
}

// Due says whether a drill shall begin now. busy says that a release or an incident is
// under way: then none does, however late it is.
func (b Book) Due(now time.Time, s Schedule, busy bool) Call {
	if s.every == 0 {
		return Call{Why: "no drills are scheduled"}
	}
	due, since := b.dueFrom(now, s)
	next := s.open(maxTime(due, now))
	switch {
	case now.Before(due):
		return Call{Why: since, Next: s.open(due)}
	case busy:
		return Call{Why: "a release or an incident is under way", Next: next}
	case now.Before(next):
		return Call{Why: "it is due, and now is not a time for drills", Next: next}
	}
	return Call{Due: true, Why: since, Next: next}
}

// dueFrom returns the time from which a drill is due, windows left out, and why.
func (b Book) dueFrom(now time.Time, s Schedule) (due time.Time, why string) {
	why = "no drill has ever been run to its end"
	last, ok := b.lastFinished()
	switch {
	case ok && last.At.Sub(now) > ahead:
		why = fmt.Sprintf("the last drill, %s, is dated in the future and does not count", last.ID)
	case ok:
		due = last.At.In(s.zone).AddDate(0, 0, s.every).Add(s.delay(last))
		why = fmt.Sprintf("the last drill was %s on %s, and one is due every %d days", last.ID, last.At.In(s.zone).Format(time.DateOnly), s.every)
	}
	if len(b.Drills) > 0 {
		if d := b.Drills[len(b.Drills)-1]; d.Outcome == Incomplete && d.At.Sub(now) <= ahead && d.At.Add(d.Took+again).After(due) {
			due = d.At.Add(d.Took + again)
			why = fmt.Sprintf("drill %s was incomplete and is tried again: %s", d.ID, d.Why)
		}
	}
	return due, why
}

// delay is by how much the drill behind another one is put off: the same for everybody
// who asks, and another for every environment and every drill.
func (s Schedule) delay(after Drill) time.Duration {
	if s.jitter <= 0 {
		return 0
	}
	sum := blake3.Sum256(fmt.Appendf(nil, "lockstep/drill-jitter/1\n%s\n%s", after.Environment, after.ID))
	return time.Duration(binary.BigEndian.Uint64(sum[:8]) % uint64(s.jitter))
}

// open returns the first time from t on at which a drill may begin.
func (s Schedule) open(t time.Time) time.Time {
	y, m, d := t.In(s.zone).Date()
	for i := -1; i <= 8; i++ {
		if !s.days[time.Date(y, m, d+i, 12, 0, 0, 0, s.zone).Weekday()] {
			continue
		}
		from := time.Date(y, m, d+i, 0, s.from, 0, 0, s.zone)
		if to := time.Date(y, m, d+i, 0, s.to, 0, 0, s.zone); t.Before(to) {
			return maxTime(t, from)
		}
	}
	return t // not reached: of nine days in a row one is allowed, and its window is open or to come
}

func maxTime(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
