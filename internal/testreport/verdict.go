package testreport

import (
	"fmt"
	"strings"
)

// Outcome is what a run means for whoever waits for it.
type Outcome string

// The outcomes.
const (
	Passed   Outcome = "passed"   // tests ran, none failed, and the runner says so too
	Minor    Outcome = "minor"    // everything ran, and what failed is minor by rule: fix forward
	Blocking Outcome = "blocking" // something else
)

// End is how the run ended.
type End struct {
	Status  int    `json:"status"`            // exit status; -1 when it was ended by a signal or never began
	TimeOut string `json:"timeout,omitempty"` // the limit that it did not keep; "" when it did
}

// Verdict is a judged report.
type Verdict struct {
	Outcome  Outcome   `json:"outcome"`
	Why      string    `json:"why"` // one line for people
	Blocking []Failure `json:"blocking,omitempty"`
	Minor    []Failure `json:"minor,omitempty"`
}

// Judge judges a report. See the package's promises: a status other than 0 is never
// Passed, nor is a run without a test; Minor needs a complete run whose every failure has
// a name that a rule calls minor.
func Judge(r *Report, end End, rules Rules) Verdict {
	v := Verdict{}
	for _, f := range r.Failures {
		if rules.Minor(f.ID) {
			v.Minor = append(v.Minor, f)
		} else {
			v.Blocking = append(v.Blocking, f)
		}
	}
	if why := blocks(r, end, len(v.Blocking)); why != "" {
		v.Outcome, v.Why = Blocking, why
		return v
	}
	if len(v.Minor) == 0 {
		v.Outcome, v.Why = Passed, r.Summary()
		if r.Format == Exit {
			v.Why = "ended with status 0"
		}
		return v
	}
	v.Outcome = Minor
	v.Why = fmt.Sprintf("%d minor by rule, fix forward; %s", len(v.Minor), r.Summary())
	if end.Status == 0 {
		v.Why += "; it ended with status 0 all the same"
	}
	return v
}

// blocks returns every reason why the run is not good enough, in one line, or "".
func blocks(r *Report, end End, blocking int) string {
	var why []string
	add := func(format string, args ...any) { why = append(why, fmt.Sprintf(format, args...)) }
	if end.TimeOut != "" {
		add("not done within %s", end.TimeOut)
	}
	if blocking > 0 {
		add("%d of %d failures block", blocking, r.Counts.Bad())
	}
	if n := r.Counts.Bad() - len(r.Failures); n > 0 {
		add("%d failures are counted and not named", n)
	}
	if r.Stopped != "" {
		add("not every test was run: %s", r.Stopped)
	}
	if !r.Ran {
		add("no test ran, and no data is not good news")
	}
	switch {
	case end.Status != 0 && r.Format == Exit:
		add("ended with %s", end)
	case end.Status != 0 && r.Counts.Bad() == 0 && !r.Ran:
		add("it ended with %s", end)
	case end.Status != 0 && r.Counts.Bad() == 0:
		add("no failure was found in its output (%s), the runner says otherwise: it ended with %s", r.Summary(), end)
	case end.Status < 0 || end.Status > 2 && (r.Format == Pytest || r.Format == Go):
		// 1 is a failed test, 2 is what make turns it into.
		add("it ended with %s, which is more than a failed test", end)
	case end.Status == 0 && blocking > 0:
		add("it ended with status 0 all the same")
	}
	return strings.Join(why, "; ")
}

// String says how the run ended, for people.
func (e End) String() string {
	switch {
	case e.TimeOut != "":
		return "its time"
	case e.Status < 0:
		return "a signal"
	}
	return fmt.Sprintf("status %d", e.Status)
}
