package testreport

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
)

const (
	maxXMLDepth = 64
	maxXMLParts = 2_000_000 // elements
)

// junitRun walks one report file.
type junitRun struct {
	r        *Report
	depth    int
	suites   []string // names of the open suites
	test     *junitCase
	inside   *Failure // the failure whose text is being read
	text     strings.Builder
	totals   Counts // the attributes of the outermost elements
	outer    int    // the depth of an element whose attributes count
	failures []Failure
}

type junitCase struct {
	id      string
	file    string
	line    int
	took    string
	skipped bool
	bad     int
}

// ParseJUnit reads a JUnit XML report in the dialects of pytest, Maven Surefire and
// gotestsum. Nothing outside the text is ever read: a document type with entities is
// refused, as is what is nested too deep. ErrInvalid: it is no such report, or it ends
// early.
func ParseJUnit(text []byte) (*Report, error) {
	j := &junitRun{r: &Report{Format: JUnit}, outer: -1}
	d := xml.NewDecoder(bytes.NewReader(text))
	roots := 0
	for parts := 0; ; parts++ {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		switch {
		case err != nil:
			return nil, unreadable("JUnit report", clip(oneLine(err.Error()), 200))
		case parts > maxXMLParts:
			return nil, unreadable("JUnit report", "it has too many elements")
		}
		switch t := token.(type) {
		case xml.Directive:
			return nil, unreadable("JUnit report", "it has a document type, which no runner writes")
		case xml.StartElement:
			if j.depth == 0 {
				roots++
				if t.Name.Local != "testsuites" && t.Name.Local != "testsuite" || roots > 1 {
					return nil, unreadable("JUnit report", "its root is <"+clip(t.Name.Local, 40)+">, want one <testsuites> or <testsuite>")
				}
			}
			if j.depth++; j.depth > maxXMLDepth {
				return nil, unreadable("JUnit report", "it is nested too deep")
			}
			j.start(t)
		case xml.EndElement:
			j.end(t.Name.Local)
			j.depth--
		case xml.CharData:
			if j.inside != nil && j.text.Len() < 2*maxMessage {
				j.text.Write(t[:min(len(t), 2*maxMessage)])
			}
		}
	}
	if roots == 0 {
		return nil, unreadable("JUnit report", "it is empty")
	}
	j.finish()
	return j.r.close(), nil
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > 1_000_000_000 {
		return 0
	}
	return n
}

func (j *junitRun) start(e xml.StartElement) {
	switch name := e.Name.Local; {
	case name == "testsuites", name == "testsuite":
		j.suite(e)
	case name == "testcase":
		j.test = &junitCase{
			id: junitID(attribute(e, "classname"), attribute(e, "name"), j.suites), file: attribute(e, "file"),
			line: number(attribute(e, "line")), took: attribute(e, "time"),
		}
	case name == "skipped" && j.test != nil:
		j.test.skipped = true
	case name == "failure" || name == "error":
		f := Failure{Error: name == "error", Message: attribute(e, "message")}
		if j.test != nil {
			f.ID, f.File, f.Duration = j.test.id, j.test.file, seconds(j.test.took)
			if f.Line = j.test.line; f.File != "" {
				f.Line++ // pytest counts from 0
			}
			j.test.bad++
		} else {
			f.ID = strings.Join(j.suites, "/") // a suite that could not be set up
		}
		j.inside = &f
		j.text.Reset()
	}
}

func (j *junitRun) suite(e xml.StartElement) {
	name := attribute(e, "name")
	if e.Name.Local == "testsuites" {
		name = "" // the name of the whole run says nothing of a test
	}
	j.suites = append(j.suites, name)
	if j.outer >= 0 && j.depth > j.outer {
		return // counted in the one around it
	}
	if attribute(e, "tests") == "" {
		return // this one does not count
	}
	j.outer = j.depth
	j.totals.Failed += number(attribute(e, "failures"))
	j.totals.Errors += number(attribute(e, "errors"))
	j.r.Duration += seconds(attribute(e, "time"))
}

// junitID makes the id: where, "::", name. A dotted class is a path, for rules.
func junitID(class, name string, suites []string) string {
	if class == "" && len(suites) > 0 {
		class = suites[len(suites)-1]
		if class == "pytest" { // a file that could not be collected
			return strings.ReplaceAll(name, ".", "/")
		}
	}
	if !strings.ContainsAny(class, "/ ") {
		class = strings.ReplaceAll(class, ".", "/")
	}
	return class + "::" + name
}

func (j *junitRun) end(name string) {
	switch {
	case (name == "failure" || name == "error") && j.inside != nil:
		j.failed()
	case name == "testcase" && j.test != nil:
		switch {
		case j.test.bad > 0:
		case j.test.skipped:
			j.r.Counts.Skipped++
		default:
			j.r.Counts.Passed++
		}
		j.test = nil
	case name == "testsuites" || name == "testsuite":
		if len(j.suites) > 0 {
			j.suites = j.suites[:len(j.suites)-1]
		}
	}
	if j.outer == j.depth {
		j.outer = -1
	}
}

var junitPlace = regexp.MustCompile(`([\w./\\-]+\.(?:py|go|java|kt|scala|js|ts|rb|rs|cs)):(\d+)`)

// placeAnywhere takes the first place of the text; in a Python traceback it is the last.
func (f *Failure) placeAnywhere() {
	all := junitPlace.FindAllStringSubmatch(f.Message, -1)
	if len(all) == 0 {
		return
	}
	m := all[0]
	if last := all[len(all)-1]; strings.HasSuffix(last[1], ".py") {
		m = last
	}
	f.File, f.Line = m[1], number(m[2])
}

func (j *junitRun) failed() {
	f := *j.inside
	j.inside = nil
	text := strings.TrimSpace(j.text.String())
	switch first := strings.TrimSpace(f.Message); first {
	case "", "Failed": // gotestsum says no more than that
		f.Message = plainGo(text)
	case "collection failure": // nor does pytest
		f.Message = first + "\n" + text
	default:
		f.Message = first
	}
	g := Failure{Message: text}
	if g.place(); g.File == "" {
		g.placeAnywhere()
	}
	if g.File != "" {
		f.File, f.Line = g.File, g.Line
	}
	if f.Error {
		j.r.Counts.Errors++
	} else {
		j.r.Counts.Failed++
	}
	if len(j.failures) < 4*MaxFailures {
		j.failures = append(j.failures, f)
	}
}

// finish names the failures, and compares what was found with what the file says of itself.
func (j *junitRun) finish() {
	r := j.r
	for i, f := range j.failures {
		if j.parent(i) {
			r.Counts.Failed--
			continue
		}
		r.name(f)
		found := strings.Contains(f.Message, "panic: ")
		if found && strings.Contains(f.Message, "goroutine ") {
			r.stop("%s: panic", f.ID)
		}
	}
	if n := j.totals.Failed + j.totals.Errors - len(j.failures); n > 0 && len(j.failures) < 4*MaxFailures {
		r.note("the report counts %d failures more than it lists", n)
		r.Counts.Errors += n
	}
	if r.Counts.Passed+r.Counts.Bad() == 0 && r.Counts.Skipped == 0 {
		r.note("the report lists no test")
	}
}

// parent says whether a failure of go test is that of its subtests alone.
func (j *junitRun) parent(i int) bool {
	f := j.failures[i]
	if f.Error || f.Line > 0 || f.Message != "" {
		return false
	}
	for _, o := range j.failures {
		if strings.HasPrefix(o.ID, f.ID+"/") {
			return true
		}
	}
	return false
}
