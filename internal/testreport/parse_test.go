package testreport

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"lockstep/internal/lockstep"
)

func TestOutputOfNoRunnerIsInvalid(t *testing.T) {
	for _, c := range []struct {
		format Format
		text   string
	}{
		{Auto, ""},
		{Auto, "all 3 checks done"},
		{Auto, "{}"},
		{Pytest, "ok  \ta\t0.1s"},
		{Go, "3 passed in 0.1s"},
		{Go, `{"a":1}`},
		{JUnit, ""},
		{JUnit, "3 passed in 0.1s"},
		{JUnit, "<html></html>"},
		{JUnit, "<testsuite><testcase name='a'>"},
		{JUnit, "<testsuite/><testsuite/>"},
		{"tap", "ok 1"},
		{JUnit, `<!DOCTYPE t [<!ENTITY x SYSTEM "file:///etc/passwd">]><testsuite name="&x;"/>`},
		{JUnit, `<testsuite name="&x;"/>`},
		{JUnit, strings.Repeat("<testsuite>", 70) + strings.Repeat("</testsuite>", 70)},
	} {
		if r, err := Parse(c.format, Output{Text: []byte(c.text)}); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s %.40q: %+v, %v", c.format, c.text, r, err)
		}
	}
}

func TestTheReportFileCountsAndNotTheText(t *testing.T) {
	r, err := Parse(Auto, Output{Text: []byte("3 passed in 0.1s"), JUnit: []byte(`<testsuite tests="1" failures="1"><testcase classname="a.b" name="c"><failure message="m"/></testcase></testsuite>`)})
	if err != nil || r.Format != JUnit || r.Counts != (Counts{Failed: 1}) || r.Failures[0].ID != "a/b::c" || r.Failures[0].Message != "m" {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := Parse(Auto, Output{Text: []byte("3 passed in 0.1s"), JUnit: []byte{}}); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("an empty report file: %+v, %v", r, err)
	}
}

func TestSeveralRunnersInOneOutputCountTogether(t *testing.T) {
	r, err := Parse(Auto, Output{Text: []byte("== 2 passed, 1 skipped in 0.10s ==\n--- FAIL: TestA (0.00s)\nFAIL\ta/b\t0.1s\n")})
	if err != nil || r.Counts != (Counts{Passed: 2, Failed: 1, Skipped: 1}) || len(r.Failures) != 1 || r.Failures[0].ID != "a/b::TestA" {
		t.Errorf("%+v, %v", r, err)
	}
	r, err = Parse(Auto, Output{Text: []byte("3 passed in 0.1s\n1 failed, 1 passed in 0.1s\n")})
	if err != nil || r.Counts != (Counts{Passed: 4, Failed: 1}) {
		t.Errorf("two runs of pytest: %+v, %v", r, err)
	}
}

func TestNestedSuitesCountOnce(t *testing.T) {
	r, err := ParseJUnit([]byte(`<testsuites><testsuite name="out" tests="2" failures="1" errors="1"><testsuite name="in" tests="2" failures="1" errors="1">
		<testcase classname="a.B" name="x"><failure>a/B.java:3</failure></testcase><testcase classname="a.B" name="y"><error message="no"/></testcase></testsuite></testsuite>
		<testsuite name="more" tests="1" failures="0"><testcase name="z"/></testsuite></testsuites>`))
	if err != nil || r.Counts != (Counts{Passed: 1, Failed: 1, Errors: 1}) || len(r.Failures) != 2 || r.Failures[0].Line != 3 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestAFailureThatASuiteOnlyCountsIsNotLost(t *testing.T) {
	r, err := ParseJUnit([]byte(`<testsuite tests="2" failures="2"><testcase name="a"/></testsuite>`))
	if err != nil || r.Counts.Bad() != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	if v := Judge(r, End{Status: 1}, compile(t, Rule{Tests: "**", Minor: true})); v.Outcome != Blocking {
		t.Errorf("%+v", v)
	}
}

func TestAReportIsBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString("===== short test summary info =====\n")
	for i := range 3000 {
		fmt.Fprintf(&b, "FAILED tests/lint/test_%d.py::test - %s\n", i, strings.Repeat("ä", 5000))
	}
	b.WriteString("3000 failed in 1.00s\n")
	r, err := ParsePytest([]byte(b.String()))
	if err != nil || len(r.Failures) != MaxFailures || r.Counts.Failed != 3000 {
		t.Fatalf("%d failures, %+v, %v", len(r.Failures), r.Counts, err)
	}
	for _, f := range r.Failures {
		if len(f.Message) > maxMessage || !utf8.ValidString(f.Message) {
			t.Fatalf("%d bytes, valid %t", len(f.Message), utf8.ValidString(f.Message))
		}
	}
	if v := Judge(r, End{Status: 1}, compile(t, Rule{Tests: "tests/lint/**", Minor: true})); v.Outcome != Blocking {
		t.Errorf("failures beyond the limit are %s", v.Outcome)
	}
}

func TestWhatIsCutOutOfTheMiddleIsNotPassedOver(t *testing.T) {
	r, err := Parse(Go, Output{Text: []byte("ok  \ta\t0.1s\n"), Cut: true})
	if err != nil || Judge(r, End{}, Rules{}).Outcome != Blocking {
		t.Errorf("%+v, %v", r, err)
	}
}

func fuzz(f *testing.F, pattern string, parse func([]byte) (*Report, error)) {
	for name, body := range samples(f) {
		if strings.HasPrefix(name, pattern) {
			f.Add(body)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := parse(body)
		if err != nil {
			if !errors.Is(err, lockstep.ErrInvalid) || r != nil {
				t.Fatal(r, err)
			}
			return
		}
		c := r.Counts
		if c.Passed < 0 || c.Failed < 0 || c.Errors < 0 || c.Skipped < 0 || len(r.Failures) > c.Bad() || len(r.Failures) > MaxFailures || r.Ran != (c.Passed+c.Failed > 0) || r.Duration < 0 {
			t.Fatalf("%+v", r)
		}
		for _, f := range r.Failures {
			if len(f.Message) > maxMessage || len(f.ID) > maxID || !utf8.ValidString(f.ID+f.Message+f.File) {
				t.Fatalf("%+v", f)
			}
		}
		if v := Judge(r, End{Status: 1}, Rules{}); v.Outcome != Blocking {
			t.Fatalf("%+v: %+v", r, v)
		}
	})
}

func FuzzPytest(f *testing.F) { fuzz(f, "pytest-", ParsePytest) }
func FuzzGoText(f *testing.F) { fuzz(f, "go-", ParseGoText) }
func FuzzGoJSON(f *testing.F) { fuzz(f, "go-", ParseGoJSON) }
func FuzzJUnit(f *testing.F)  { fuzz(f, "junit-", ParseJUnit) }
func FuzzAuto(f *testing.F) {
	fuzz(f, "", func(text []byte) (*Report, error) { return Parse(Auto, Output{Text: text}) })
}
