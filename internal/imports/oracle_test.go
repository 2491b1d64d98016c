package imports

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// libraryDirectories is how much of Python's own library is read; LOCKSTEP_IMPORTS_TREE
// names another tree, which is read in full.
var libraryDirectories = []string{".", "asyncio", "importlib", "importlib/metadata", "email", "logging", "concurrent/futures"}

// TestImportsAreThoseThatPythonSees compares with CPython's own parser, on code that
// nobody wrote for this test.
func TestImportsAreThoseThatPythonSees(t *testing.T) {
	files := library(t)
	cmd := exec.Command("python3", "testdata/oracle.py")
	cmd.Stdin = strings.NewReader(strings.Join(files, "\n") + "\n")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 64<<20)
	compared, imports := 0, 0
	for _, name := range files {
		if !lines.Scan() {
			t.Fatalf("no answer for %s", name)
		}
		body, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Python(body)
		if lines.Text() == "null" {
			continue // more lenient is fine
		}
		if err != nil {
			if !strings.Contains(err.Error(), "encoding") {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		var want [][]any
		if err := json.Unmarshal(lines.Bytes(), &want); err != nil {
			t.Fatal(err)
		}
		compared++
		imports += len(want)
		if diff := cmp.Diff(want, asOracle(got, body)); diff != "" {
			t.Errorf("%s (-CPython +here):\n%s", name, diff)
		}
	}
	if compared < 50 || imports < 200 {
		t.Errorf("only %d files with %d imports were compared", compared, imports)
	}
	t.Logf("%d files with %d imports", compared, imports)
}

// asOracle is a list as the oracle gives it: with the line of the statement.
func asOracle(found []Import, body []byte) [][]any {
	var out [][]any
	for i, f := range found {
		if f.Form != FormImport && f.Form != FormFrom {
			continue
		}
		line := f.Line
		for _, earlier := range found[:i] {
			if earlier.statement == f.statement {
				line = earlier.Line
				break
			}
		}
		line = statementLine(body, line)
		out = append(out, []any{float64(line), string(f.Form), float64(f.Level), f.Module, f.Name, f.As, string(f.When), f.Guarded})
	}
	if out == nil {
		out = [][]any{}
	}
	return out
}

// statementLine goes back from the first name of an import to the line with its keyword.
func statementLine(body []byte, line int) int {
	all := bytes.Split(body, []byte("\n"))
	for ; line > 1; line-- {
		if text := string(all[line-1]); strings.Contains(text, "import ") || strings.Contains(text, "from ") {
			if before := bytes.TrimRight(all[line-2], " \r"); !bytes.HasSuffix(before, []byte(`\`)) {
				return line
			}
		}
	}
	return line
}

func library(t *testing.T) []string {
	t.Helper()
	if root := os.Getenv("LOCKSTEP_IMPORTS_TREE"); root != "" {
		return pythonBelow(t, root)
	}
	out, err := exec.Command("python3", "-c", "import os; print(os.path.dirname(os.__file__))").Output()
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("python3 is missing: %v", err)
		}
		t.Skipf("SKIPPED, nothing was compared: python3 is missing: %v", err)
	}
	var files []string
	for _, dir := range libraryDirectories {
		found, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), dir, "*.py"))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	slices.Sort(files)
	var some []string
	for i := 0; i < len(files); i += 2 { // half of them tell as much, in half the time
		some = append(some, files[i])
	}
	return some
}

func pythonBelow(t *testing.T, root string) []string {
	var files []string
	err := filepath.WalkDir(root, func(name string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && filepath.Ext(name) == ".py" {
			files = append(files, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
