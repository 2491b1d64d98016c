package drill

import (
	"fmt"
	"regexp"
	"slices"
	"time"
	"unicode/utf8"

	"lockstep/internal/lockstep"
)

// Outcome is how a drill ended.
type Outcome string

// The outcomes.
const (
	Passed Outcome = "passed"
	Failed Outcome = "failed"
	// Incomplete drills have proved nothing in either direction: they were stopped, or
	// never got to the rollback.
	Incomplete Outcome = "incomplete"
)

// Outcomes lists all outcomes.
func Outcomes() []Outcome { return []Outcome{Passed, Failed, Incomplete} }

// Drill is one rollback that was practised, and what came of it.
type Drill struct {
	ID          string        `json:"id"` // of its environment: Book.NextID
	Environment string        `json:"environment"`
	At          time.Time     `json:"at"` // when it began
	By          string        `json:"by"`
	Scenario    string        `json:"scenario"`  // of the manual: pre-deploy, dev, prod
	Procedure   string        `json:"procedure"` // quick or full
	Fault       string        `json:"fault"`     // what the injected revision did wrong
	Revision    string        `json:"revision"`  // that the plan went back to
	Plan        string        `json:"plan,omitempty"`
	Outcome     Outcome       `json:"outcome"`
	Why         string        `json:"why,omitempty"` // it did not pass
	Marks       Marks         `json:"marks"`
	Harmed      int64         `json:"harmed"`   // records that the fault got wrong
	Restored    int64         `json:"restored"` // records that the plan put right
	Same        bool          `json:"same"`     // the digest afterwards is that of the counterfactual
	Took        time.Duration `json:"took_ns"`  // all of it, with the injecting and the proving
}

// Marks are the five times that a rollback is measured by. A zero time is not known.
type Marks struct {
	FirstBad  time.Time `json:"first_bad,omitzero"` // the first bad effect
	Detected  time.Time `json:"detected,omitzero"`
	Commanded time.Time `json:"commanded,omitzero"`
	LastBad   time.Time `json:"last_bad,omitzero"` // the last execution of the bad revision
	Clean     time.Time `json:"clean,omitzero"`    // no record is wrong any more
}

// MaxText bounds every text of a drill, in bytes.
const MaxText = 1024

const maxTook = 31 * day

var environmentName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

// Check returns ErrInvalid, naming what is wrong, unless d may be recorded. A drill that
// passed has all five marks, in an order that can be, and the digest of the
// counterfactual.
func (d Drill) Check() error {
	if err := d.check(); err != nil {
		return fmt.Errorf("drill %.80q: %w", d.ID, err)
	}
	return nil
}

func (d Drill) check() error {
	if !environmentName.MatchString(d.Environment) {
		return fmt.Errorf("%w environment %.80q: want 1 to 32 of a-z 0-9 -, a letter or digit at both ends", lockstep.ErrInvalid, d.Environment)
	}
	if !slices.Contains(Outcomes(), d.Outcome) {
		return fmt.Errorf("%w outcome %.80q: want one of %v", lockstep.ErrInvalid, d.Outcome, Outcomes())
	}
	for _, t := range []struct {
		what, text string
		may        bool // be empty
	}{
		{"id", d.ID, false},
		{"person", d.By, false},
		{"scenario", d.Scenario, false},
		{"procedure", d.Procedure, false},
		{"fault", d.Fault, d.Outcome == Incomplete},
		{"revision", d.Revision, d.Outcome == Incomplete},
		{"plan", d.Plan, d.Outcome != Passed},
		{"reason", d.Why, d.Outcome == Passed},
	} {
		if err := checkText(t.what, t.text); err != nil && (t.text != "" || !t.may) {
			return err
		}
	}
	switch {
	case d.At.IsZero():
		return fmt.Errorf("%w time: there is none", lockstep.ErrInvalid)
	case d.Took > maxTook:
		return fmt.Errorf("%w time: it took %s, at most %s", lockstep.ErrInvalid, d.Took, maxTook)
	case d.Took < 0 || d.Harmed < 0 || d.Restored < 0:
		return fmt.Errorf("%w count: took %s, harmed %d, restored %d", lockstep.ErrInvalid, d.Took, d.Harmed, d.Restored)
	}
	if d.Outcome == Passed {
		return d.checkPassed()
	}
	return nil
}

func (d Drill) checkPassed() error {
	m := d.Marks
	switch {
	case d.Why != "":
		return fmt.Errorf("%w outcome: it passed, and there is a reason why it did not: %.200s", lockstep.ErrInvalid, d.Why)
	case !d.Same:
		return fmt.Errorf("%w outcome: it passed, and its digest is not that of the counterfactual", lockstep.ErrInvalid)
	case m.FirstBad.IsZero() || m.Detected.IsZero() || m.Commanded.IsZero() || m.LastBad.IsZero() || m.Clean.IsZero():
		return fmt.Errorf("%w marks: it passed, and one of the five times is not known", lockstep.ErrInvalid)
	case m.Detected.Before(m.FirstBad) || m.Commanded.Before(m.Detected) || m.Clean.Before(m.Commanded) || m.LastBad.Before(m.FirstBad) || m.Clean.Before(m.LastBad):
		return fmt.Errorf("%w marks: they are not in an order that can be: %s", lockstep.ErrInvalid, m)
	}
	return nil
}

// String is the marks in one line.
func (m Marks) String() string {
	words := ""
	for _, t := range []struct {
		name string
		at   time.Time
	}{{"first bad", m.FirstBad}, {"detected", m.Detected}, {"commanded", m.Commanded}, {"last bad", m.LastBad}, {"clean", m.Clean}} {
		at := "not known"
		if !t.at.IsZero() {
			at = t.at.UTC().Format(time.RFC3339Nano)
		}
		if words != "" {
			words += ", "
		}
		words += t.name + " " + at
	}
	return words
}

func checkText(what, s string) error {
	switch {
	case s == "":
		return fmt.Errorf("%w %s: it is empty", lockstep.ErrInvalid, what)
	case len(s) > MaxText:
		return fmt.Errorf("%w %s: %d bytes, at most %d", lockstep.ErrInvalid, what, len(s), MaxText)
	case !utf8.ValidString(s):
		return fmt.Errorf("%w %s %.80q: it is not UTF-8", lockstep.ErrInvalid, what, s)
	}
	return nil
}

// plain returns d as it is read back: times in UTC and without a monotonic reading.
func (d Drill) plain() Drill {
	for _, t := range []*time.Time{&d.At, &d.Marks.FirstBad, &d.Marks.Detected, &d.Marks.Commanded, &d.Marks.LastBad, &d.Marks.Clean} {
		*t = t.Round(0).UTC()
	}
	return d
}
