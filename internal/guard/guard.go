package guard

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

// LedgerSource is the source that is always there: the facts of the ledger, by the
// names that Metrics lists.
const LedgerSource = "ledger"

// Guard is one question about the running system.
type Guard struct {
	Name      string    `json:"name"` // lower case words joined by hyphens
	Criterion Criterion `json:"criterion"`
	Source    string    `json:"source"`   // "ledger" or the name of a configured source
	Question  string    `json:"question"` // a metric of the ledger, or in the source's language
	// Against is the question about stable; set exactly when Test.Kind is Ratio.
	Against string `json:"against,omitempty"`
	// Window is how far back samples count: those in (now-Window, now].
	Window time.Duration `json:"window_ns"`
	// Fresh is how old the newest sample may be. 0: as old as the window.
	Fresh    time.Duration `json:"fresh_ns,omitempty"`
	Test     Test          `json:"test"`
	Debounce Debounce      `json:"debounce"`
	Action   Action        `json:"action"`
	OnNoData NoData        `json:"on_no_data,omitempty"`
	Needs    Need          `json:"needs,omitempty"`
	Why      string        `json:"why,omitempty"` // one sentence for people
}

// Limits of a guard.
const (
	MaxWindow   = 30 * 24 * time.Hour
	MaxQuestion = 4096 // bytes
	maxName     = 64
)

// Check returns every mistake of the guard at once, as one ErrInvalid. sources are the
// configured ones beside the ledger; a source or a metric that does not exist is a
// mistake whose text lists those that do.
func (g Guard) Check(sources ...string) error {
	var m mistakes
	if !validName(g.Name) {
		m.add("name %.80q: want lower case letters, digits and hyphens, at most %d", g.Name, maxName)
	}
	oneOf(&m, "criterion", g.Criterion, Criteria())
	oneOf(&m, "action", g.Action, Actions())
	oneOf(&m, "needs", g.Needs, Needs())
	if g.OnNoData != "" {
		oneOf(&m, "on_no_data", g.OnNoData, NoDatas())
	}
	g.checkSource(&m, append([]string{LedgerSource}, sources...))
	if g.Window <= 0 || g.Window > MaxWindow {
		m.add("window %s: want more than 0 and at most %s", g.Window, MaxWindow)
	}
	if g.Fresh < 0 || g.Fresh > g.Window {
		m.add("fresh %s: want at most the window, %s", g.Fresh, g.Window)
	}
	g.Test.check(&m)
	g.Debounce.check(&m)
	g.checkTogether(&m)
	return m.err(g.Name)
}

// checkSource finds mistakes in where the samples come from.
func (g Guard) checkSource(m *mistakes, known []string) {
	if !slices.Contains(known, g.Source) {
		m.add("source %.80q: known are %s", g.Source, listed(known))
	}
	for _, q := range []struct{ field, text string }{{"question", g.Question}, {"against", g.Against}} {
		switch {
		case len(q.text) > MaxQuestion:
			m.add("%s: %d bytes, at most %d", q.field, len(q.text), MaxQuestion)
		case q.field == "against" && q.text == "" || g.Source != LedgerSource:
		case !isMetric(q.text):
			m.add("%s %.80q: no such metric; known are %s", q.field, q.text, listed(metricNames()))
		}
	}
}

// checkTogether finds fields that are right by themselves and wrong together.
func (g Guard) checkTogether(m *mistakes) {
	if (g.Test.Kind == Ratio) != (g.Against != "") {
		m.add("against: a ratio test needs it, and no other test has it")
	}
	if !g.Criterion.Trigger() && g.Action != Observe {
		m.add("action %q: %q is a reason not to roll back, its guards only observe", g.Action, g.Criterion)
	}
	switch {
	case g.Test.Kind == Absent && g.OnNoData != NoDataPass:
		m.add("on_no_data: a test for absence passes on no data only, so say pass")
	case g.Test.Kind != Absent && g.OnNoData == NoDataPass && g.Action != Observe:
		m.add("on_no_data pass: no data is not good news; only an observer or a test for absence may say so")
	}
}

// CheckAll checks every guard and that no two share a name, and returns all mistakes.
func CheckAll(guards []Guard, sources ...string) error {
	var m mistakes
	seen := map[string]bool{}
	for _, g := range guards {
		if err := g.Check(sources...); err != nil {
			m.list = append(m.list, err.Error())
		}
		if seen[g.Name] {
			m.add("guard %q is there twice", g.Name)
		}
		seen[g.Name] = true
	}
	return m.err("")
}

// Select returns the guards whose need is among those given; those that need nothing
// always are.
func Select(guards []Guard, needs ...Need) []Guard {
	var out []Guard
	for _, g := range guards {
		if g.Needs == NeedNothing || slices.Contains(needs, g.Needs) {
			out = append(out, g)
		}
	}
	return out
}

// Find returns the guard of that name. ErrNotFound lists the names that there are.
func Find(guards []Guard, name string) (Guard, error) {
	names := make([]string, 0, len(guards))
	for _, g := range guards {
		if g.Name == name {
			return g, nil
		}
		names = append(names, g.Name)
	}
	return Guard{}, fmt.Errorf("guard %.80q: %w; known are %s", name, lockstep.ErrNotFound, listed(names))
}

func validName(s string) bool {
	if s == "" || len(s) > maxName || strings.HasPrefix(s, "-") || strings.HasSuffix(s, "-") {
		return false
	}
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// mistakes gathers what is wrong with one thing.
type mistakes struct{ list []string }

func (m *mistakes) add(format string, args ...any) {
	m.list = append(m.list, fmt.Sprintf(format, args...))
}

func (m *mistakes) err(name string) error {
	switch {
	case len(m.list) == 0:
		return nil
	case name == "":
		return fmt.Errorf("%w guards:\n  %s", lockstep.ErrInvalid, strings.Join(m.list, "\n  "))
	}
	return fmt.Errorf("%w guard %.80q:\n  %s", lockstep.ErrInvalid, name, strings.Join(m.list, "\n  "))
}

func oneOf[T ~string](m *mistakes, field string, got T, known []T) {
	if slices.Contains(known, got) {
		return
	}
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = string(k)
		if k == "" {
			names[i] = `""`
		}
	}
	m.add("%s %.80q: known are %s", field, string(got), listed(names))
}

func finite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }
