package pypackage

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
	"lockstep/internal/rollback/targettest"
)

// lambdas is a tree of handlers with two imports of what is gone.
func lambdas(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, body := range map[string]string{
		"handler.py":                     "from compaction import metadata_handler\nfrom receipt_chroma.compaction import (\n  update,\n)\n",
		"compaction/__init__.py":         "",
		"compaction/metadata_handler.py": "def f():\n    from receipt_chroma import stream\n",
		"notes.md":                       "receipt_chroma.stream was here\n",
	} {
		write(t, filepath.Join(dir, name), body)
	}
	return dir
}

func lambdaSettings(dir string) ImportsSettings {
	return ImportsSettings{Root: dir, Paths: []string{"**/*.py"}, Forbidden: []string{"receipt_chroma.compaction", "receipt_chroma.stream"}}
}

func TestImportsThatAreLeftAreRefusedByTheirPlaces(t *testing.T) {
	dir := lambdas(t)
	steps, err := PlanImports(t.Context(), lambdaSettings(dir), []string{"git-tree"})
	if err != nil {
		t.Fatal(err)
	}
	step := steps[0]
	places := []string{
		"handler.py:2:6: from receipt_chroma.compaction import ( update, ) (parsed Python)",
		"compaction/metadata_handler.py:2:32: from receipt_chroma import stream (parsed Python, in a function)",
	}
	for _, p := range append(places, "cd "+dir, "grep -rnF -e receipt_chroma.compaction -e receipt_chroma.stream .") {
		if !strings.Contains(step.Manual, p) {
			t.Errorf("no %q in what a person does:\n%s", p, step.Manual)
		}
	}
	look := func(kept []byte) rollback.Sight {
		t.Helper()
		s, err := Imports{}.Look(t.Context(), rollback.At{Step: step, Kept: kept})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if s := look(nil); s.State != Residual || items(s) != "-lambda.no-imports -lambda.local-imports" {
		t.Errorf("%+v", s)
	}
	k := &targettest.Keeper{}
	err = Imports{}.Do(t.Context(), rollback.At{Step: step}, k)
	if !errors.Is(err, lockstep.ErrRefused) || lockstep.HintOf(err) == "" || k.Kept != nil {
		t.Fatalf("%v, hint %q", err, lockstep.HintOf(err))
	}
	for _, p := range places {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("no %q in %v", p, err)
		}
	}

	write(t, filepath.Join(dir, "handler.py"), "from compaction import metadata_handler  # receipt_chroma.stream\n")
	write(t, filepath.Join(dir, "compaction/metadata_handler.py"), "def f(): pass\n")
	if s := look(nil); s.State != Unchecked || items(s) != "+lambda.no-imports +lambda.local-imports" || !strings.Contains(s.Detail, "1 strings and comments") {
		t.Errorf("%+v", s)
	}
	if err := (Imports{}).Do(t.Context(), rollback.At{Step: step}, k); err != nil {
		t.Fatal(err)
	}
	if s := look(k.Kept); s.State != Clean {
		t.Errorf("%+v", s)
	}
	// A record does not hide what comes later.
	write(t, filepath.Join(dir, "new.py"), "import receipt_chroma.stream.x\n")
	if s := look(k.Kept); s.State != Residual || !strings.Contains(s.Detail, "new.py:1:8") {
		t.Errorf("%+v", s)
	}
}

func TestASourceThatNobodyCanReadIsNotClean(t *testing.T) {
	for name, body := range map[string]string{"x.py": "x = '", "latin.py": "# coding: latin-1\n", "x.go": "package"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, name), body)
			steps, err := PlanImports(t.Context(), ImportsSettings{Root: dir, Forbidden: []string{"a.b"}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			s, err := Imports{}.Look(t.Context(), rollback.At{Step: steps[0]})
			if err != nil || s.State != Unread || items(s) != "-lambda.no-imports" {
				t.Errorf("%+v, %v", s, err)
			}
			err = Imports{}.Do(t.Context(), rollback.At{Step: steps[0]}, &targettest.Keeper{})
			if !errors.Is(err, lockstep.ErrRefused) || !strings.Contains(err.Error(), name+": not read: ") {
				t.Errorf("%v", err)
			}
		})
	}
	t.Run("nothing at all", func(t *testing.T) {
		steps, err := PlanImports(t.Context(), ImportsSettings{Root: t.TempDir(), Forbidden: []string{"a.b"}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := (Imports{}).Do(t.Context(), rollback.At{Step: steps[0]}, &targettest.Keeper{}); !errors.Is(err, lockstep.ErrRefused) {
			t.Errorf("a tree without a file is clean: %v", err)
		}
	})
}

func TestARootThatIsAPackageKnowsItsName(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "receipt_chroma")
	write(t, filepath.Join(dir, "__init__.py"), "")
	write(t, filepath.Join(dir, "lake/__init__.py"), "from ..compaction import x\nfrom .compaction import y\n")
	for root, want := range map[string]string{dir: "1 imports", filepath.Join(dir, "lake"): "1 imports"} {
		steps, err := PlanImports(t.Context(), ImportsSettings{Root: root, Forbidden: []string{"receipt_chroma.compaction"}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Imports{}.Look(t.Context(), rollback.At{Step: steps[0]})
		if err != nil || s.State != Residual || !strings.HasPrefix(s.Detail, want) {
			t.Errorf("%s: %+v, %v", root, s, err)
		}
	}
}

func TestACheckOfNoTreeIsAnError(t *testing.T) {
	gone := filepath.Join(t.TempDir(), "gone")
	if _, err := PlanImports(t.Context(), ImportsSettings{Root: gone, Forbidden: []string{"a.b"}}, nil); !errors.Is(err, lockstep.ErrNotFound) {
		t.Errorf("%v", err)
	}
	dir := t.TempDir()
	steps, err := PlanImports(t.Context(), ImportsSettings{Root: dir, Forbidden: []string{"a.b"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := (Imports{}).Look(t.Context(), rollback.At{Step: steps[0]}); !errors.Is(err, lockstep.ErrNotFound) {
		t.Errorf("%v", err)
	}
	steps[0].Params = []byte(`{"root":""}`)
	if _, err := (Imports{}).Look(t.Context(), rollback.At{Step: steps[0]}); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("%v", err)
	}
}
