package release

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

// Rule is one rule of the calendar: a time in which nothing starts or advances. It
// closes every day from Begin to End that is one of Days, from From to To.
type Rule struct {
	Name string
	// Days are three-letter English names, "fri"; none means all.
	Days []string
	// From and To are times of the day, "16:00"; To is excluded, and one that is not
	// after From is on the next day. Both empty: the whole day.
	From, To string
	// Begin and End are dates, "2026-12-20", both included. Empty: without bound.
	Begin, End string
	// Zone is an IANA time zone, "Europe/Berlin". Empty: UTC.
	Zone string
}

// Calendar answers whether a time is frozen. The zero Calendar never is.
type Calendar struct {
	windows []window
}

// window is a rule that was understood.
type window struct {
	name       string
	days       [7]bool
	from, to   int // minutes from the beginning of a day; to may lie beyond its end
	begin, end time.Time
	zone       *time.Location
}

const (
	dayMinutes = 24 * 60
	dateLayout = "2006-01-02"
	timeLayout = "15:04"
	// maxHops bounds the search for the end of windows that touch each other.
	maxHops = 1000
)

// NewCalendar understands the rules. lockstep.ErrInvalid names every mistake of all
// of them at once.
func NewCalendar(rules []Rule) (Calendar, error) {
	var c Calendar
	var errs []error
	for i, r := range rules {
		w, err := r.window()
		if err != nil {
			errs = append(errs, fmt.Errorf("freeze window %d (%s): %w", i+1, r.Name, err))
			continue
		}
		c.windows = append(c.windows, w)
	}
	return c, errors.Join(errs...)
}

func (r Rule) window() (window, error) {
	w := window{name: r.Name, to: dayMinutes}
	var errs []error
	bad := func(what, value, want string) {
		errs = append(errs, fmt.Errorf("%w %s %.80q: want %s", lockstep.ErrInvalid, what, value, want))
	}
	if err := checkText("name", r.Name); err != nil {
		errs = append(errs, err)
	}
	zone, err := time.LoadLocation(r.Zone)
	if err != nil || r.Zone == "Local" {
		bad("zone", r.Zone, "an IANA time zone such as Europe/Berlin")
		zone = time.UTC
	}
	w.zone = zone
	for _, d := range r.Days {
		i := slices.Index(weekdays(), strings.ToLower(d))
		if i < 0 {
			bad("day", d, strings.Join(weekdays(), ", "))
			continue
		}
		w.days[i] = true
	}
	if len(r.Days) == 0 {
		w.days = [7]bool{true, true, true, true, true, true, true}
	}
	if r.From != "" || r.To != "" {
		from, ferr := time.Parse(timeLayout, r.From)
		to, terr := time.Parse(timeLayout, r.To)
		if ferr != nil || terr != nil {
			bad("times", r.From+" to "+r.To, "two times such as 16:00 and 08:00, or none")
		}
		w.from, w.to = 60*from.Hour()+from.Minute(), 60*to.Hour()+to.Minute()
		if w.to <= w.from {
			w.to += dayMinutes
		}
	}
	for what, d := range map[string]struct {
		text string
		to   *time.Time
	}{"begin": {r.Begin, &w.begin}, "end": {r.End, &w.end}} {
		if d.text == "" {
			continue
		}
		if *d.to, err = time.ParseInLocation(dateLayout, d.text, zone); err != nil {
			bad(what, d.text, "a date such as 2026-12-20")
		}
	}
	if !w.begin.IsZero() && !w.end.IsZero() && w.end.Before(w.begin) {
		bad("end", r.End, "a date that is not before "+r.Begin)
	}
	return w, errors.Join(errs...)
}

func weekdays() []string { return []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"} }

// Frozen returns the window that now lies in, with the time at which nothing is
// frozen any more, windows that follow at once included; the zero Window when now is
// not frozen. Rollbacks and aborts never ask.
func (c Calendar) Frozen(now time.Time) Window {
	name, until := c.closed(now)
	if name == "" {
		return Window{}
	}
	for range maxHops {
		again, later := c.closed(until)
		if again == "" {
			return Window{Reason: name, Until: plain(until)}
		}
		until = later
	}
	return Window{Reason: name} // for good, as far as anybody can see
}

// closed returns the window at now that ends last, and its end.
func (c Calendar) closed(now time.Time) (name string, until time.Time) {
	for _, w := range c.windows {
		if end, in := w.contains(now); in && end.After(until) {
			name, until = w.name, end
		}
	}
	return name, until
}

// contains says whether now lies in the window, and when that ends. A window of
// today may have begun yesterday.
func (w window) contains(now time.Time) (end time.Time, in bool) {
	y, m, d := now.In(w.zone).Date()
	for back := 1; back >= 0; back-- {
		day := time.Date(y, m, d-back, 0, 0, 0, 0, w.zone)
		if !w.days[day.Weekday()] || (!w.begin.IsZero() && day.Before(w.begin)) || (!w.end.IsZero() && day.After(w.end)) {
			continue
		}
		from := time.Date(y, m, d-back, 0, w.from, 0, 0, w.zone)
		to := time.Date(y, m, d-back, 0, w.to, 0, 0, w.zone)
		if !now.Before(from) && now.Before(to) && to.After(end) {
			end, in = to, true
		}
	}
	return end, in
}
