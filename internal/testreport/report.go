package testreport

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Format is the language of a runner's output.
type Format string

// The formats. Auto takes whatever it recognises, several if they are there, and the exit
// status when there is none. Exit reads nothing: the status alone counts.
const (
	Auto   Format = "auto"
	Pytest Format = "pytest"
	Go     Format = "go" // text or JSON
	JUnit  Format = "junit"
	Exit   Format = "exit"
)

// Formats lists the formats that can be asked for.
func Formats() []Format { return []Format{Auto, Pytest, Go, JUnit, Exit} }

// Limits of what a report holds. Counts go on beyond them.
const (
	MaxFailures = 200
	maxMessage  = 2000 // bytes of one message
	maxNotes    = 20
	maxID       = 500
)

// Report is what a runner said.
type Report struct {
	Format  Format `json:"format"` // that was read
	Counts  Counts `json:"counts"`
	Ran     bool   `json:"ran"`               // at least one test was run to an end, good or bad
	Stopped string `json:"stopped,omitempty"` // why tests were left out: "internal error"; "" when none were
	// Failures are the first MaxFailures of Counts.Failed and Counts.Errors.
	Failures []Failure     `json:"failures,omitempty"`
	Duration time.Duration `json:"duration_ns,omitempty"` // as the runner says; 0 when it does not
	Notes    []string      `json:"notes,omitempty"`       // what a reader should know of the numbers
}

// Counts are of tests. An expected failure counts as skipped, an unexpected success as
// passed, as in JUnit XML.
type Counts struct {
	Passed  int `json:"passed"`
	Failed  int `json:"failed"`
	Errors  int `json:"errors"` // tests that could not be run: fixtures, imports, builds
	Skipped int `json:"skipped"`
}

// Bad is the number of tests that failed or could not be run.
func (c Counts) Bad() int { return c.Failed + c.Errors }

func (c *Counts) add(d Counts) {
	c.Passed += d.Passed
	c.Failed += d.Failed
	c.Errors += d.Errors
	c.Skipped += d.Skipped
}

// Failure is one test that failed or could not be run.
type Failure struct {
	// ID is where the test is, "::", and its name: tests/test_merge.py::TestLines::test_count[2],
	// example.com/receipts/merge::TestTable/bad_one, com/example/MergeTest::sums. Of what is
	// not one test, such as a package that does not build, it is the first half.
	ID       string        `json:"id"`
	Error    bool          `json:"error,omitempty"` // it could not be run
	File     string        `json:"file,omitempty"`
	Line     int           `json:"line,omitempty"`
	Message  string        `json:"message,omitempty"` // at most 2000 bytes
	Duration time.Duration `json:"duration_ns,omitempty"`
}

// String is one line for people.
func (f Failure) String() string {
	var b strings.Builder
	b.WriteString(f.ID)
	if f.File != "" {
		fmt.Fprintf(&b, " (%s", f.File)
		if f.Line > 0 {
			fmt.Fprintf(&b, ":%d", f.Line)
		}
		b.WriteByte(')')
	}
	if first, _, _ := strings.Cut(f.Message, "\n"); first != "" {
		b.WriteString(": " + clip(first, 160))
	}
	return b.String()
}

// Summary is one line for people: "4 failed, 2 errors, 5 passed, 2 skipped in 0.06s".
func (r Report) Summary() string {
	var parts []string
	errors := "errors"
	if r.Counts.Errors == 1 {
		errors = "error"
	}
	for _, p := range []struct {
		n    int
		what string
	}{{r.Counts.Failed, "failed"}, {r.Counts.Errors, errors}, {r.Counts.Passed, "passed"}, {r.Counts.Skipped, "skipped"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	text := strings.Join(parts, ", ")
	if !r.Ran {
		text = strings.TrimSuffix("no test ran, "+text, ", ")
	}
	if r.Duration > 0 {
		text += fmt.Sprintf(" in %.2fs", r.Duration.Seconds())
	}
	if r.Stopped != "" {
		text += "; stopped: " + r.Stopped
	}
	return text
}

// fail adds a failure and counts it.
func (r *Report) fail(f Failure) {
	if f.Error {
		r.Counts.Errors++
	} else {
		r.Counts.Failed++
	}
	r.name(f)
}

// name adds a failure that is counted already.
func (r *Report) name(f Failure) {
	if len(r.Failures) >= MaxFailures {
		return
	}
	f.ID, f.File, f.Message = clip(f.ID, maxID), clip(f.File, maxID), clip(strings.TrimSpace(f.Message), maxMessage)
	r.Failures = append(r.Failures, f)
}

func (r *Report) note(format string, args ...any) {
	if len(r.Notes) < maxNotes {
		r.Notes = append(r.Notes, clip(fmt.Sprintf(format, args...), maxID))
	}
}

// stop notes the first reason why tests were left out.
func (r *Report) stop(format string, args ...any) {
	if r.Stopped == "" {
		r.Stopped = clip(oneLine(fmt.Sprintf(format, args...)), maxID)
	}
}

// close fills what follows from the rest.
func (r *Report) close() *Report {
	r.Ran = r.Counts.Passed+r.Counts.Failed > 0
	return r
}

// merge joins what two formats in one output said.
func (r *Report) merge(o *Report) {
	r.Counts.add(o.Counts)
	r.Ran = r.Ran || o.Ran
	r.Duration += o.Duration
	for _, f := range o.Failures {
		r.name(f)
	}
	for _, n := range o.Notes {
		r.note("%s", n)
	}
	if o.Stopped != "" {
		r.stop("%s", o.Stopped)
	}
}

// clip returns valid text of at most that many bytes.
func clip(text string, most int) string {
	text = strings.ToValidUTF8(text, "?")
	if len(text) <= most {
		return text
	}
	cut := most - len("...")
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "..."
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// seconds reads a duration such as "0.06".
func seconds(text string) time.Duration {
	d, err := time.ParseDuration(text + "s")
	if err != nil || d < 0 {
		return 0
	}
	return d
}
