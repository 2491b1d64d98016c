package pypackage

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lockstep/internal/rollback"
	"lockstep/internal/rollback/targettest"
)

var madeFor string // where environment is, once it is made

// environment is an empty virtual environment, made once by python's own venv and copied
// for every world.
var environment = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "lockstep-venv-")
	if err != nil {
		return "", err
	}
	madeFor = dir
	out, err := exec.Command("python3", "-m", "venv", "--without-pip", filepath.Join(dir, "venv")).CombinedOutput()
	if err != nil {
		return strings.TrimSpace(string(out)), err
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if madeFor != "" {
		_ = os.RemoveAll(madeFor)
	}
	os.Exit(code)
}

// world is a migrated package, installed in a virtual environment of its own.
type world struct {
	t                   *testing.T
	root, aside, python string
	settings            Settings
	wish                Wish
	vars                map[string]string
}

const (
	initAfter  = "__version__ = \"2.0.0\"\nfrom .compaction import update_receipt_metadata\n"
	initBefore = "__version__ = \"1.4.0\"\n"
)

// migrated is the package of the document, after its migration.
var migrated = map[string]string{
	"receipt_chroma/__init__.py":            initAfter,
	"receipt_chroma/client.py":              "def connect(): pass\n",
	"receipt_chroma/compaction/__init__.py": "from .update import update_receipt_metadata\n",
	"receipt_chroma/compaction/update.py":   "from ..stream import parse\ndef update_receipt_metadata(): return parse()\n",
	"receipt_chroma/stream/__init__.py":     "def parse(): return 1\n",
	"receipt_chroma/stream/data.json":       "{}\n",
}

func newWorld(t *testing.T) *world {
	t.Helper()
	t.Parallel() // most of the time is that of interpreters
	w := newUninstalledWorld(t)
	w.install()
	return w
}

func newUninstalledWorld(t *testing.T) *world {
	t.Helper()
	shared, err := environment()
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("python3 with venv is missing: %v: %s", err, shared)
		}
		t.Skipf("SKIPPED, nothing was checked: python3 with venv is missing: %v: %s", err, shared)
	}
	dir := t.TempDir()
	w := &world{t: t, root: filepath.Join(dir, "project"), aside: filepath.Join(dir, "aside")}
	if err := os.CopyFS(filepath.Join(dir, "venv"), os.DirFS(filepath.Join(shared, "venv"))); err != nil {
		t.Fatal(err)
	}
	w.python = filepath.Join(dir, "venv", "bin", "python")
	for name, body := range migrated {
		w.put(name, body)
	}
	script, err := filepath.Abs("testdata/reinstall.py")
	if err != nil {
		t.Fatal(err)
	}
	w.vars = map[string]string{"PATH": os.Getenv("PATH"), "HOME": dir, "OTHER": "must not be seen"}
	w.settings = Settings{
		Root: w.root, Python: w.python, Directories: []string{"receipt_chroma/compaction", "receipt_chroma/stream"},
		Init: "receipt_chroma/__init__.py", VersionModule: "receipt_chroma", Reinstall: []string{"{python}", script},
		MustImport: []string{"receipt_chroma"}, MustFail: []string{"receipt_chroma.compaction"},
	}
	w.wish = Wish{Key: "dev-7", Aside: w.aside, InitBody: []byte(initBefore)}
	return w
}

// install installs the project as it is now.
func (w *world) install() {
	w.t.Helper()
	cmd := exec.Command(w.python, w.settings.Reinstall[1])
	cmd.Dir = w.root
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("%v: %s", err, out)
	}
}

func (w *world) put(name, body string) {
	w.t.Helper()
	name = filepath.Join(w.root, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(body), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) remove(name string) {
	w.t.Helper()
	if err := os.RemoveAll(filepath.Join(w.root, name)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) there(name string) bool {
	w.t.Helper()
	ok, err := exists(filepath.Join(w.root, name))
	if err != nil {
		w.t.Fatal(err)
	}
	return ok
}

// python runs a line of Python outside of the project.
func (w *world) run(line string) string {
	w.t.Helper()
	cmd := exec.Command(w.python, "-B", "-c", line)
	cmd.Dir = w.t.TempDir()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return strings.TrimSpace(string(out)) + " (" + err.Error() + ")"
	}
	return strings.TrimSpace(string(out))
}

func (w *world) installs() int {
	w.t.Helper()
	body, err := os.ReadFile(filepath.Join(w.root, "installs.log"))
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.Count(string(body), "\n")
}

// digest is that of the package; the log of installs is not of it.
func (w *world) digest() string {
	w.t.Helper()
	sum, err := digest(filepath.Join(w.root, "receipt_chroma"))
	if err != nil {
		w.t.Fatal(err)
	}
	return sum
}

func (w *world) target() *Target {
	return New(Options{Lookup: func(name string) (string, bool) { v, ok := w.vars[name]; return v, ok }})
}

func (w *world) plan() rollback.Step {
	w.t.Helper()
	steps, err := Plan(w.settings, w.wish)
	if err != nil || len(steps) != 1 {
		w.t.Fatalf("%d steps, %v", len(steps), err)
	}
	return steps[0]
}

func (w *world) look(s rollback.Step, kept json.RawMessage) rollback.Sight {
	w.t.Helper()
	got, err := w.target().Look(w.t.Context(), rollback.At{Step: s, Kept: kept})
	if err != nil {
		w.t.Fatal(err)
	}
	return got
}

func (w *world) do(s rollback.Step, k *targettest.Keeper) error {
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	return w.target().Do(ctx, rollback.At{Step: s, Kept: k.Kept}, k)
}

// done does a step that must succeed.
func (w *world) done(s rollback.Step) *targettest.Keeper {
	w.t.Helper()
	k := &targettest.Keeper{}
	if err := w.do(s, k); err != nil {
		w.t.Fatal(err)
	}
	if got := w.look(s, k.Kept); got.State != s.To {
		w.t.Fatalf("it finds %q (%s), not %q", got.State, got.Detail, s.To)
	}
	return k
}

func (w *world) undo(s rollback.Step, k *targettest.Keeper) rollback.Step {
	w.t.Helper()
	u, err := w.target().Undo(w.t.Context(), rollback.At{Step: s, Kept: k.Kept})
	if err != nil || u == nil {
		w.t.Fatalf("no undo: %v", err)
	}
	return *u
}

// items are the items of the checklist that evidence speaks for, with a sign.
func items(s rollback.Sight) string {
	var out []string
	for _, e := range s.Evidence {
		sign := "-"
		if e.OK {
			sign = "+"
		}
		out = append(out, sign+e.Item)
	}
	return strings.Join(out, " ")
}
