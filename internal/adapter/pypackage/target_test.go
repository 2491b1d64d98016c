package pypackage

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
	"lockstep/internal/rollback/targettest"
)

func TestAPackageGoesBackAndComesAgainWithItsVersions(t *testing.T) {
	w := newWorld(t)
	w.settings.MustImport = []string{"receipt_chroma", "receipt_chroma.client:connect"}
	w.settings.MustFail = []string{"receipt_chroma.compaction", "receipt_chroma.stream", "receipt_chroma.compaction:update_receipt_metadata"}
	before := w.digest()
	step := w.plan()
	if s := w.look(step, nil); s.State != Present || items(s) != "-package.removed -package.init-reverted" {
		t.Fatalf("before: %+v", s)
	}
	k := w.done(step)
	s := w.look(step, k.Kept)
	if items(s) != "+package.removed +package.init-reverted +package.reinstalled +package.imports" {
		t.Errorf("evidence: %+v", s.Evidence)
	}
	installed := s.Evidence[2].Text
	if want := "receipt_chroma was 2.0.0 (__version__) and is 1.4.0 (__version__)"; !strings.Contains(installed, want) {
		t.Errorf("%q does not say %q", installed, want)
	}
	if w.there("receipt_chroma/compaction") || w.there("receipt_chroma/stream") || !w.there("receipt_chroma/client.py") {
		t.Error("the wrong things are gone")
	}
	u := w.undo(step, k)
	if s := w.look(u, nil); s.State != Removed {
		t.Errorf("before the undo: %+v", s)
	}
	ku := w.done(u)
	if got := w.digest(); got != before {
		t.Error("the tree is not as it was")
	}
	if s := w.look(u, ku.Kept); !strings.Contains(s.Detail, "receipt_chroma was 2.0.0 (__version__) and is 2.0.0 (__version__)") || items(s) != "-package.removed" {
		t.Errorf("after the undo: %+v", s)
	}
	redo := w.undo(u, ku)
	if redo.ID != step.ID || redo.To != step.To || redo.Title != step.Title {
		t.Errorf("undone twice it is %+v", redo)
	}
	w.done(redo)
	if w.there("receipt_chroma/compaction") {
		t.Error("it is not gone again")
	}
}

// TestARealPipReinstallsThePackage runs pip install -e with --no-build-isolation, offline,
// with a build backend in the tree.
func TestARealPipReinstallsThePackage(t *testing.T) {
	w := newWorld(t)
	// pip is that of the system: to install it takes longer than all of this.
	cfg := filepath.Join(filepath.Dir(filepath.Dir(w.python)), "pyvenv.cfg")
	text, err := os.ReadFile(cfg)
	if err != nil {
		t.Fatal(err)
	}
	write(t, cfg, strings.ReplaceAll(string(text), "include-system-site-packages = false", "include-system-site-packages = true"))
	if out := w.run("import pip; print('pip')"); out != "pip" {
		if os.Getenv("CI") != "" {
			t.Fatalf("pip is missing: %s", out)
		}
		t.Skipf("SKIPPED, nothing was checked: pip is missing: %s", out)
	}
	backend, err := os.ReadFile("testdata/backend.py")
	if err != nil {
		t.Fatal(err)
	}
	w.put("build/backend.py", string(backend))
	w.put("pyproject.toml", "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\"build\"]\n")
	w.settings.Reinstall = nil // the default
	step := w.plan()
	k := w.done(step)
	var memory kept
	if err := decode(k.Kept, &memory); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(memory.Said, "Successfully installed receipt-chroma-1.4.0") {
		t.Errorf("pip says %q", memory.Said)
	}
	if got := w.run("from importlib.metadata import version; print(version('receipt-chroma'))"); got != "1.4.0" {
		t.Errorf("installed is %q", got)
	}
	if got := w.run("from receipt_chroma.compaction import update_receipt_metadata"); !strings.Contains(got, "No module named 'receipt_chroma.compaction'") {
		t.Errorf("the import of the document says %q", got)
	}
}

// TestADirectoryWithoutSourcesIsStillAPackage is what git leaves behind: it removes what
// it knows, and __pycache__ it does not know.
func TestADirectoryWithoutSourcesIsStillAPackage(t *testing.T) {
	w := newWorld(t)
	for _, gone := range []string{"receipt_chroma/compaction/__init__.py", "receipt_chroma/compaction/update.py", "receipt_chroma/stream"} {
		w.remove(gone)
	}
	w.put("receipt_chroma/__init__.py", initBefore)
	w.put("receipt_chroma/compaction/__pycache__/update.cpython-311.pyc", "x")
	w.put("receipt_chroma/__pycache__/stream.cpython-311.opt-1.pyc", "x")
	w.put("receipt_chroma/__pycache__/streams.cpython-311.pyc", "x")
	w.put("receipt_chroma/stream.pyc", "x")
	if got := w.run("import receipt_chroma.compaction as c; print(c.__file__)"); got != "None" {
		t.Fatalf("python does not take it for a package: %s", got)
	}
	step := w.plan()
	if s := w.look(step, nil); s.State != Present || !strings.Contains(s.Detail, "compaction") || !strings.Contains(s.Detail, "stream.pyc") {
		t.Fatalf("it finds %+v", s)
	}
	k := w.done(step)
	for name, want := range map[string]bool{
		"receipt_chroma/compaction": false, "receipt_chroma/stream.pyc": false,
		"receipt_chroma/__pycache__/stream.cpython-311.opt-1.pyc": false,
		"receipt_chroma/__pycache__/streams.cpython-311.pyc":      true,
	} {
		if got := w.there(name); got != want {
			t.Errorf("%s is there: %t", name, got)
		}
	}
	w.done(w.undo(step, k))
	if !w.there("receipt_chroma/compaction/__pycache__/update.cpython-311.pyc") || !w.there("receipt_chroma/stream.pyc") {
		t.Error("not all was put back")
	}
}

func TestAModuleOfTheRollbackPointKeepsItsCache(t *testing.T) {
	w := newWorld(t)
	w.put("receipt_chroma/stream.py", "x = 1\n")
	w.put("receipt_chroma/__pycache__/stream.cpython-311.pyc", "x")
	w.settings.MustFail = []string{"receipt_chroma.compaction"}
	w.done(w.plan())
	if !w.there("receipt_chroma/__pycache__/stream.cpython-311.pyc") || w.there("receipt_chroma/stream") {
		t.Error("a module that stays lost its cache, or the directory stayed")
	}
}

func TestAnImportMustFailForWantOfTheModule(t *testing.T) {
	for name, tt := range map[string]struct {
		prepare func(w *world, site string)
		want    string
	}{
		"a copy is found elsewhere": {func(w *world, site string) {
			w.elsewhere(site, "")
		}, "works: it is loaded from "},
		"it is broken": {func(w *world, site string) {
			w.elsewhere(site, "import boto3_of_another_world")
		}, "fails for want of boto3_of_another_world"},
		"it raises": {func(w *world, site string) {
			w.elsewhere(site, "1/0")
		}, "fails for another reason: ZeroDivisionError"},
		"the package itself is not there": {func(w *world, _ string) {
			w.settings.Reinstall = []string{"{python}", "-c", "import os, sysconfig; os.remove(os.path.join(sysconfig.get_path('purelib'), 'receipt_chroma.pth'))"}
			w.settings.MustImport = nil
		}, "fails for want of receipt_chroma:"},
		"what must work does not": {func(w *world, _ string) {
			w.settings.MustImport = []string{"receipt_chroma.nothing"}
		}, `"import receipt_chroma.nothing" must work and fails: ModuleNotFoundError`},
		"it ends the process": {func(w *world, _ string) {
			w.put("receipt_chroma/client.py", "import os; os._exit(3)\n")
			w.settings.MustImport = []string{"receipt_chroma.client"}
		}, "ended with status 3 and no answer"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			tt.prepare(w, filepath.Join(t.TempDir(), "site"))
			step, k := w.plan(), &targettest.Keeper{}
			err := w.do(step, k)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("%v, want %s", err, tt.want)
			}
			if name == "it ends the process" {
				return
			}
			if !errors.Is(err, lockstep.ErrRefused) || lockstep.HintOf(err) == "" {
				t.Errorf("class or hint: %v, %q", err, lockstep.HintOf(err))
			}
			if s := w.look(step, k.Kept); s.State != rollback.Partial {
				t.Errorf("it finds %q (%s)", s.State, s.Detail)
			}
		})
	}
}

// elsewhere lets the package find a module of the migration outside of itself.
func (w *world) elsewhere(dir, body string) {
	w.t.Helper()
	write(w.t, filepath.Join(dir, "compaction/__init__.py"), body)
	w.wish.InitBody = []byte(initBefore + "__path__.append('" + dir + "')\n")
}

func write(t *testing.T, name, body string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(body), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestAModuleInAPackageThatMustBeGoneMayFailByTheNameOfThat(t *testing.T) {
	missing := attempt{Import: true, Name: "a.b"}
	for entry, all := range map[string][]string{"a.b.c": {"a.b.c", "a.b"}, "a.b": {"a.b"}, "a.b.c:x": {"a.b", "a.b.c:x"}} {
		if why := stillThere(entry, missing, all); why != "" {
			t.Errorf("%s: %s", entry, why)
		}
	}
	for entry, all := range map[string][]string{"a.b.c": {"a.b.c"}, "a.bc": {"a.bc", "a.b"}, "a": {"a"}} {
		if why := stillThere(entry, missing, all); why == "" {
			t.Errorf("%s with %v is taken for gone", entry, all)
		}
	}
}

func TestOnlyPlainDirectoriesInThePackageAreMoved(t *testing.T) {
	outside := t.TempDir()
	write(t, filepath.Join(outside, "x.py"), "")
	for name, prepare := range map[string]func(w *world) error{
		"a link": func(w *world) error {
			w.remove("receipt_chroma/compaction")
			return os.Symlink(outside, filepath.Join(w.root, "receipt_chroma/compaction"))
		},
		"a link on the way": func(w *world) error {
			w.settings.Directories = []string{"linked/x.py"}
			return os.Symlink(outside, filepath.Join(w.root, "linked"))
		},
		"a file on the way": func(w *world) error {
			w.settings.Directories = []string{"receipt_chroma/client.py/x"}
			return nil
		},
		"a linked __init__.py": func(w *world) error {
			w.remove("receipt_chroma/__init__.py")
			return os.Symlink(filepath.Join(outside, "x.py"), filepath.Join(w.root, "receipt_chroma/__init__.py"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if err := prepare(w); err != nil {
				t.Fatal(err)
			}
			err := w.do(w.plan(), &targettest.Keeper{})
			if !errors.Is(err, lockstep.ErrRefused) {
				t.Errorf("%v", err)
			}
			if _, err := os.Stat(filepath.Join(outside, "x.py")); err != nil {
				t.Error(err)
			}
			if ok, err := exists(w.aside); ok || err != nil {
				t.Errorf("something was moved aside, %v", err)
			}
		})
	}
}

func TestAnUnknownContentIsCheckedAndNotGuessed(t *testing.T) {
	w := newWorld(t)
	w.wish.InitBody, w.wish.InitHash = nil, hash([]byte(initBefore))
	step, k := w.plan(), &targettest.Keeper{}
	err := w.do(step, k)
	if !errors.Is(err, lockstep.ErrRefused) || !strings.Contains(lockstep.HintOf(err), "git checkout") {
		t.Fatalf("%v, %q", err, lockstep.HintOf(err))
	}
	w.put("receipt_chroma/__init__.py", initBefore)
	if err := w.do(step, k); err != nil {
		t.Fatal(err)
	}
	if s := w.look(step, k.Kept); s.State != Removed {
		t.Errorf("%+v", s)
	}
	// The undo must not write what it never changed.
	w.done(w.undo(step, k))
	if body, err := os.ReadFile(filepath.Join(w.root, "receipt_chroma/__init__.py")); err != nil || string(body) != initBefore {
		t.Errorf("%q, %v", body, err)
	}
}

func TestAWrittenFileKeepsItsRights(t *testing.T) {
	w := newWorld(t)
	name := filepath.Join(w.root, "receipt_chroma/__init__.py")
	if err := os.Chmod(name, 0o600); err != nil {
		t.Fatal(err)
	}
	step := w.plan()
	k := w.done(step)
	for _, when := range []string{"done", "undone"} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("%s: %v, %v", when, info.Mode(), err)
		}
		if when == "done" {
			w.done(w.undo(step, k))
		}
	}
}

func TestNothingIsWrittenOverWhenItIsPutBack(t *testing.T) {
	for name, tt := range map[string]struct {
		disturb func(w *world, slot string) error
		class   error
	}{
		"something else is there": {func(w *world, _ string) error { w.put("receipt_chroma/compaction/other.py", ""); return nil }, lockstep.ErrRefused},
		"it was changed":          {func(_ *world, slot string) error { return os.WriteFile(filepath.Join(slot, "new.py"), nil, 0o644) }, lockstep.ErrConflict},
		"it is lost":              {func(_ *world, slot string) error { return os.RemoveAll(slot) }, lockstep.ErrNotFound},
		"init is another":         {func(w *world, _ string) error { w.put("receipt_chroma/__init__.py", "x = 1\n"); return nil }, lockstep.ErrRefused},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			step := w.plan()
			u := w.undo(step, w.done(step))
			if err := tt.disturb(w, filepath.Join(w.aside, "dev-7", "1-compaction")); err != nil {
				t.Fatal(err)
			}
			if err := w.do(u, &targettest.Keeper{}); !errors.Is(err, tt.class) || lockstep.HintOf(err) == "" {
				t.Errorf("%v, hint %q", err, lockstep.HintOf(err))
			}
		})
	}
	t.Run("git was faster", func(t *testing.T) {
		w := newWorld(t)
		before := w.digest()
		step := w.plan()
		u := w.undo(step, w.done(step))
		for name, body := range migrated {
			w.put(name, body)
		}
		w.done(u)
		if w.digest() != before {
			t.Error("the tree is not as it was")
		}
	})
}

func TestWhatCameLaterIsMovedAsideAndNotPutBack(t *testing.T) {
	w := newWorld(t)
	before := w.digest()
	step := w.plan()
	k := w.done(step)
	w.put("receipt_chroma/compaction/later.py", "x = 1\n") // somebody goes on with the migration
	if err := w.do(step, k); err != nil {
		t.Fatal(err)
	}
	w.done(w.undo(step, k))
	if w.digest() != before {
		t.Error("the tree is not as it was")
	}
	if _, err := os.Stat(filepath.Join(w.aside, "dev-7", "2-compaction", "later.py")); err == nil {
		return
	}
	found, err := exec.Command("find", w.aside).Output()
	t.Errorf("what came later is lost: %s, %v", found, err)
}

func TestABrokenPackageHasAVersionFromItsMetadata(t *testing.T) {
	w := newWorld(t)
	w.put("receipt_chroma/__init__.py", "1/0 # __version__ = \"2.0.0\"\n")
	w.install()
	step := w.plan()
	k := w.done(step)
	if s := w.look(step, k.Kept); !strings.Contains(s.Evidence[2].Text, "was 2.0.0 (metadata) and is 1.4.0 (__version__)") {
		t.Errorf("%s", s.Evidence[2].Text)
	}
	v, err := w.target().python(params{Settings: w.settings}).version(t.Context(), "nothing_of_this_name")
	if err != nil || !strings.HasPrefix(v.String(), "unknown (ModuleNotFoundError") {
		t.Errorf("%s, %v", v, err)
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	w := newWorld(t)
	w.settings.Python = "/nowhere/python"
	if err := w.do(w.plan(), &targettest.Keeper{}); !errors.Is(err, lockstep.ErrNotFound) {
		t.Errorf("no interpreter: %v", err)
	}
	w.settings.Root = filepath.Join(w.root, "gone")
	step := w.plan()
	if err := w.do(step, &targettest.Keeper{}); !errors.Is(err, lockstep.ErrNotFound) || lockstep.HintOf(err) == "" {
		t.Errorf("no package: %v", err)
	}
	if _, err := w.target().Look(t.Context(), rollback.At{Step: step}); !errors.Is(err, lockstep.ErrNotFound) {
		t.Errorf("no package: %v", err)
	}
}

func TestACancelledContextStopsEverything(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	step := w.plan()
	before := w.digest()
	_, look := w.target().Look(ctx, rollback.At{Step: step})
	_, lookImports := Imports{}.Look(ctx, rollback.At{})
	_, plan := PlanImports(ctx, ImportsSettings{Root: w.root, Forbidden: []string{"a"}}, nil)
	for i, err := range []error{
		look, lookImports, plan, w.target().Do(ctx, rollback.At{Step: step}, &targettest.Keeper{}), Imports{}.Do(ctx, rollback.At{}, &targettest.Keeper{}),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%d: %v", i, err)
		}
	}
	if w.digest() != before {
		t.Error("something was changed")
	}
}

func TestThereIsNothingToTakeBackOfAStepThatDidNothing(t *testing.T) {
	w := newWorld(t)
	u, err := w.target().Undo(t.Context(), rollback.At{Step: w.plan()})
	if u != nil || err != nil {
		t.Errorf("%v, %v", u, err)
	}
}
