package testreport

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"

	"lockstep/internal/lockstep"
)

// Output is what a run left behind.
type Output struct {
	Text  []byte // standard output and standard error
	JUnit []byte // the report file; nil: there is none
	// Cut: Text is not all that was printed, its middle is missing.
	Cut bool
}

// Parse reads o in the given format. ErrInvalid: the output is not in that format, or, for
// Auto, in none that is known; what to think of the run is then up to its exit status
// (Unread). A report that could be read in part says so in Stopped and Notes.
func Parse(format Format, o Output) (*Report, error) {
	text := escapes.ReplaceAll(o.Text, nil)
	var r *Report
	var err error
	switch format {
	case Exit:
		return Unread("judged by its exit status alone, as configured"), nil
	case Pytest:
		r, err = ParsePytest(text)
	case Go:
		r, err = parseGo(text)
	case JUnit:
		r, err = ParseJUnit(junitOf(o, text))
	case Auto:
		r, err = parseAny(o, text)
	default:
		return nil, fmt.Errorf("%w format %.40q: known are %v", lockstep.ErrInvalid, format, Formats())
	}
	if err != nil {
		return nil, err
	}
	if o.Cut && r.Format != JUnit {
		r.stop("the output was too long, its middle was not read")
	}
	return r, nil
}

// Unread is the report of a run that nobody can read: its exit status is all there is.
func Unread(why string) *Report {
	return &Report{Format: Exit, Ran: true, Notes: []string{clip(why, maxID)}}
}

// escapes are what terminals understand and readers do not.
var escapes = regexp.MustCompile("\x1b\\[[0-9;?]*[A-Za-z]")

// junitOf is the report file, or an output that is one.
func junitOf(o Output, text []byte) []byte {
	if o.JUnit == nil {
		return text
	}
	return o.JUnit
}

// parseAny takes the report file if there is one, and otherwise all that it recognises:
// "make test" may well run several runners.
func parseAny(o Output, text []byte) (*Report, error) {
	if start := bytes.TrimSpace(junitOf(o, text)); o.JUnit != nil || bytes.HasPrefix(start, []byte("<?xml")) || bytes.HasPrefix(start, []byte("<testsuite")) {
		return ParseJUnit(start)
	}
	var found []*Report
	if r, err := ParsePytest(text); err == nil {
		found = append(found, r)
	}
	if r, err := parseGo(text); err == nil {
		found = append(found, r)
	}
	found = slices.DeleteFunc(found, func(r *Report) bool { return !r.Ran && r.Stopped == "" && len(found) > 1 })
	if len(found) == 0 {
		return nil, unreadable("output", "it is that of no runner that is known (pytest, go test, JUnit XML)")
	}
	all := found[0]
	for _, r := range found[1:] {
		all.note("%s and %s in one output", all.Format, r.Format)
		all.merge(r)
		all.Format = Auto
	}
	return all, nil
}

// parseGo reads JSON if there is any, and text otherwise.
func parseGo(text []byte) (*Report, error) {
	if r, err := ParseGoJSON(text); err == nil {
		return r, nil
	}
	return ParseGoText(text)
}

func unreadable(what, why string) error {
	return fmt.Errorf("%w %s: %s", lockstep.ErrInvalid, what, why)
}
