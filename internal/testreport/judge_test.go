package testreport

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"lockstep/internal/lockstep"
)

func compile(t testing.TB, rules ...Rule) Rules {
	t.Helper()
	r, err := Compile(rules)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestARuleMatchesTheWholeIdOrByItsRegexp(t *testing.T) {
	for _, c := range []struct {
		rule  Rule
		id    string
		match bool
	}{
		{Rule{Tests: "tests/lint/**"}, "tests/lint/test_style.py::test_line_length", true},
		{Rule{Tests: "tests/lint/**"}, "tests/lint/deep/er.py::test", true},
		{Rule{Tests: "tests/lint/**"}, "other/tests/lint/test_style.py::test", false},
		{Rule{Tests: "**/lint/*"}, "tests/lint/test_style.py::test", true},
		{Rule{Tests: "**/lint/*"}, "lint/test_style.py::test", true},
		{Rule{Tests: "**/lint/*"}, "lint/a/test_style.py::test", false},
		{Rule{Tests: "tests/*.py::test_count[2]"}, "tests/test_merge.py::test_count[2]", true},
		{Rule{Tests: "tests/*.py::test_count[2]"}, "tests/test_merge.py::test_count2", false},
		{Rule{Tests: "tests/test_?.py::**"}, "tests/test_ä.py::test", true},
		{Rule{Tests: "tests"}, "tests/test_merge.py::test", false},
		{Rule{Tests: "prüfung/**"}, "prüfung/test.py::t", true},
		{Rule{Regexp: "::TestLint"}, "example.com/receipts/merge::TestLint/a", true},
		{Rule{Regexp: "^TestLint"}, "example.com/receipts/merge::TestLint/a", false},
	} {
		c.rule.Minor = true
		if got := compile(t, c.rule).Minor(c.id); got != c.match {
			t.Errorf("%+v on %s: %t", c.rule, c.id, got)
		}
	}
}

func TestTheFirstRuleThatMatchesDecides(t *testing.T) {
	r := compile(t, Rule{Tests: "tests/lint/test_imports.py::**"}, Rule{Tests: "tests/lint/**", Minor: true})
	if r.Minor("tests/lint/test_imports.py::test_cycle") || !r.Minor("tests/lint/test_style.py::test") || r.Minor("tests/test_merge.py::test") {
		t.Error("the order of rules does not count")
	}
}

func TestEveryWrongRuleIsNamed(t *testing.T) {
	_, err := Compile([]Rule{{}, {Tests: "a", Regexp: "b"}, {Regexp: "("}, {Tests: "ok"}, {Tests: strings.Repeat("x", 501)}})
	if !errors.Is(err, lockstep.ErrInvalid) {
		t.Fatal(err)
	}
	for _, want := range []string{"rule 1", "rule 2", "rule 3", "rule 5"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not in %v", want, err)
		}
	}
}

func TestJudge(t *testing.T) {
	lint := Failure{ID: "tests/lint/test_style.py::test"}
	merge := Failure{ID: "tests/test_merge.py::test"}
	rules := compile(t, Rule{Tests: "tests/lint/**", Minor: true})
	report := func(passed int, failures ...Failure) *Report {
		r := &Report{Format: Pytest, Counts: Counts{Passed: passed}}
		for _, f := range failures {
			r.fail(f)
		}
		return r.close()
	}
	stopped := report(3, lint)
	stopped.stop("stopping after 1 failures")
	unnamed := report(3, lint)
	unnamed.Counts.Failed++
	for _, c := range []struct {
		name string
		r    *Report
		end  End
		want Outcome
		why  string
	}{
		{"all is well", report(3), End{}, Passed, "3 passed"},
		{"nothing ran", report(0), End{}, Blocking, "no data is not good news"},
		{"the status alone", Unread("x"), End{}, Passed, "status 0"},
		{"the status alone is bad", Unread("x"), End{Status: 3}, Blocking, "ended with status 3"},
		{"the runner knows better", report(3), End{Status: 1}, Blocking, "the runner says otherwise"},
		{"a failure that the status hides", report(3, merge), End{}, Blocking, "ended with status 0 all the same"},
		{"a minor one that the status hides", report(3, lint), End{}, Minor, "ended with status 0 all the same"},
		{"a failure", report(3, merge), End{Status: 1}, Blocking, "1 of 1 failures block"},
		{"a minor failure", report(3, lint), End{Status: 1}, Minor, "fix forward"},
		{"a minor failure, by make", report(3, lint), End{Status: 2}, Minor, "fix forward"},
		{"a minor failure and a crash", report(3, lint), End{Status: 139}, Blocking, "more than a failed test"},
		{"both", report(3, lint, merge), End{Status: 1}, Blocking, "1 of 2 failures block"},
		{"a minor failure stopped the run", stopped, End{Status: 1}, Blocking, "not every test was run"},
		{"a failure without a name", unnamed, End{Status: 1}, Blocking, "1 failures are counted and not named"},
		{"too slow", report(3), End{Status: -1, TimeOut: "10m0s"}, Blocking, "not done within 10m0s"},
		{"killed", report(3, lint), End{Status: -1}, Blocking, "a signal"},
	} {
		if v := Judge(c.r, c.end, rules); v.Outcome != c.want || !strings.Contains(v.Why, c.why) {
			t.Errorf("%s: %s: %s; want %s: %s", c.name, v.Outcome, v.Why, c.want, c.why)
		}
	}
}

// anyOutput draws lines that runners print, in any order, as a hostile test would.
func anyOutput(t *rapid.T) []byte {
	line := rapid.SampledFrom([]string{
		"===== test session starts =====", "===== short test summary info =====", "== 3 passed in 0.1s ==", "1 failed, 2 passed in 0.1s", "no tests ran in 0.0s",
		"FAILED tests/lint/test_a.py::test_b - x", "ERROR tests/test_a.py", "tests/lint/test_a.py::test_b FAILED [ 1%]", "tests/a.py::t PASSED", "INTERNALERROR> boom",
		"!!!!! Interrupted: x !!!!!", "..F.E [100%]", "... [100%]", "1 error in 1s", "5 warnings, 99999999999999999999 failed in 1s",
		"--- FAIL: TestA (0.00s)", "--- PASS: TestA (0.00s)", "    --- FAIL: TestA/b (0.00s)", "=== RUN   TestC", "FAIL\ta/b\t0.1s", "ok  \ta/b\t0.1s", "ok  \ta/c\t(cached) [no tests to run]",
		"?   \ta/d\t[no test files]", "panic: x", "FAIL", "PASS", "# a/b", "FAIL\ta/b [build failed]",
		`{"Action":"run","Package":"p","Test":"T"}`, `{"Action":"fail","Package":"p","Test":"T"}`, `{"Action":"pass","Package":"p"}`, `{"Action":"fail","Package":"p","Test":"T/x"}`, `{"Action":"fail","Package":"p"}`,
		"<testsuite tests='1' failures='1'><testcase name='a'/></testsuite>", "noise", "",
	})
	return []byte(strings.Join(rapid.SliceOfN(line, 0, 12).Draw(t, "lines"), "\n"))
}

func TestTheStatusIsNeverOverruledInSilence(t *testing.T) {
	all := compile(t, Rule{Tests: "**", Minor: true})
	rapid.Check(t, func(t *rapid.T) {
		format := rapid.SampledFrom(Formats()).Draw(t, "format")
		end := End{Status: rapid.SampledFrom([]int{-1, 0, 1, 2, 3, 5, 137}).Draw(t, "status")}
		rules := rapid.SampledFrom([]Rules{{}, all}).Draw(t, "rules")
		r, err := Parse(format, Output{Text: anyOutput(t)})
		if err != nil {
			if !errors.Is(err, lockstep.ErrInvalid) {
				t.Fatal(err)
			}
			r = Unread(err.Error())
		}
		v := Judge(r, end, rules)
		what := fmt.Sprintf("%+v %+v: %+v", r, end, v)
		switch v.Outcome {
		case Passed:
			if end.Status != 0 || !r.Ran || r.Counts.Bad() > 0 || r.Stopped != "" {
				t.Fatal(what)
			}
		case Minor:
			if end.Status < 0 || len(v.Minor) != r.Counts.Bad() || r.Counts.Bad() == 0 || !r.Ran || !rules.Any() || r.Stopped != "" {
				t.Fatal(what)
			}
		case Blocking:
			if end.Status != 0 && r.Counts.Bad() == 0 && !strings.Contains(v.Why, "ended with") {
				t.Fatal(what)
			}
		}
		if v.Why == "" || r.Ran && r.Format != Exit && r.Counts.Passed+r.Counts.Failed == 0 || len(r.Failures) > r.Counts.Bad() {
			t.Fatal(what)
		}
	})
}
