package imports

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// importAll imports each [root, module] of its input in a process of its own and prints
// what went wrong.
const importAll = `
import importlib, json, os, sys
sys.dont_write_bytecode = True
for root, name in json.load(sys.stdin):
    r, w = os.pipe()
    if os.fork() == 0:
        sys.path.insert(0, root)
        said = ""
        try:
            importlib.import_module(name)
        except BaseException as e:
            said = f"{type(e).__name__}: {e}"
        os.write(w, said.encode())
        os._exit(0)
    os.close(w)
    os.wait()
    print(json.dumps(os.read(r, 65536).decode()))
    os.close(r)
`

// TestGradesAreWhatPythonMakesOfThem imports the modules of every cycle of the fixtures,
// each first.
func TestGradesAreWhatPythonMakesOfThem(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("SKIPPED, nothing was compared: %v", err)
	}
	graded := map[Grade]int{}
	names, err := filepath.Glob("testdata/pycycles/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		ar, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := txtar.Write(ar, dir); err != nil {
			t.Fatal(err)
		}
		var roots []string
		for line := range strings.Lines(string(ar.Comment)) {
			if value, ok := strings.CutPrefix(line, "roots: "); ok {
				roots = strings.Fields(value)
			}
		}
		g, err := PythonCycles(t.Context(), os.DirFS(dir), Trees{Roots: roots})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range g.Cycles {
			graded[c.Grade]++
			failed := importEach(t, dir, c)
			if len(c.Edges) == len(c.Modules) {
				if diff := cmp.Diff(c.Failing, failed); diff != "" {
					t.Errorf("%s: %s is graded %s; what cannot be first (-here +python):\n%s", name, c, c.Grade, diff)
				}
			} else if len(failed) > 0 != (len(c.Failing) > 0) {
				t.Errorf("%s: %s is graded %s; in python %v cannot be first", name, c, c.Grade, failed)
			}
		}
	}
	if graded[Unresolvable] < 3 || graded[Ordered] < 2 || graded[Plain] < 3 || graded[Deferred] < 3 {
		t.Errorf("too few cycles to tell: %v", graded)
	}
}

// importEach imports each module of a way around first and returns those that cannot be,
// for the reason that there is a circle. Another reason fails the test.
func importEach(t *testing.T, dir string, c Cycle) []string {
	t.Helper()
	var pairs [][2]string
	for _, e := range c.Edges {
		file := strings.TrimSuffix(strings.TrimSuffix(e.Path, ".py"), "/__init__")
		root := strings.TrimSuffix(file, strings.ReplaceAll(e.From, ".", "/"))
		pairs = append(pairs, [2]string{filepath.Join(dir, root), e.From})
	}
	in, err := json.Marshal(pairs)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("python3", "-c", importAll)
	cmd.Stdin = strings.NewReader(string(in))
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var failed []string
	next := 0
	for line := range strings.Lines(string(out)) {
		var said string
		if err := json.Unmarshal([]byte(line), &said); err != nil {
			t.Fatal(err)
		}
		switch {
		case strings.Contains(said, "partially initialized"):
			failed = append(failed, pairs[next][1])
		case said != "":
			t.Errorf("%s fails for another reason: %s", pairs[next][1], said)
		}
		next++
	}
	if next != len(pairs) {
		t.Fatalf("%d answers for %d modules", next, len(pairs))
	}
	slices.Sort(failed)
	return failed
}
