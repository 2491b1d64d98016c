package testreport

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite golden files")

// statuses are those with which the recorded runs ended; the others ended with 1.
var statuses = map[string]int{
	"go-none.txt": 0, "go-norun.json": 0, "go-norun.txt": 0, "go-ok.json": 0, "go-ok.txt": 0, "go-okv.txt": 0,
	"pytest-allskip.txt": 0, "pytest-ok.txt": 0, "pytest-okq.txt": 0,
	"pytest-collect.txt": 2, "junit-pytest-collect.xml": 2, "pytest-internal.txt": 3, "pytest-nodir.txt": 4, "pytest-usage.txt": 4,
	"pytest-deselect.txt": 5, "pytest-empty.txt": 5, "pytest-emptyq.txt": 5,
}

func samples(t testing.TB) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, pattern := range []string{"pytest-*", "go-*", "junit-*"} {
		names, err := filepath.Glob(filepath.Join("testdata", pattern))
		if err != nil || len(names) == 0 {
			t.Fatalf("no samples %s: %v", pattern, err)
		}
		for _, name := range names {
			body, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			out[filepath.Base(name)] = body
		}
	}
	return out
}

func statusOf(name string) int {
	if s, ok := statuses[name]; ok {
		return s
	}
	return 1
}

func render(name string, r *Report, v Verdict) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s (status %d)\n%s: %s\n", name, statusOf(name), v.Outcome, v.Why)
	fmt.Fprintf(&b, "format %s, ran %t, %s\n", r.Format, r.Ran, r.Summary())
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	for _, f := range r.Failures {
		kind := "failed"
		if f.Error {
			kind = "error"
		}
		fmt.Fprintf(&b, "- %s %s\n", kind, f)
		if _, rest, more := strings.Cut(f.Message, "\n"); more {
			lines := strings.Split(rest, "\n")
			fmt.Fprintf(&b, "    %s\n", strings.Join(lines[:min(3, len(lines))], "\n    "))
		}
	}
	return b.String() + "\n"
}

func TestWhatRunnersPrintIsReadAsRecorded(t *testing.T) {
	rules, err := Compile([]Rule{{Tests: "tests/lint/**", Minor: true}})
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	all := samples(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		r, err := Parse(Auto, Output{Text: all[name]})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		v := Judge(r, End{Status: statusOf(name)}, rules)
		if statusOf(name) != 0 && v.Outcome == Passed {
			t.Errorf("%s ended with status %d and is passed", name, statusOf(name))
		}
		got.WriteString(render(name, r, v))
	}
	path := filepath.Join("testdata", "reports.golden")
	if *update {
		if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
