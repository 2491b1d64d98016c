package pypackage

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
)

var update = flag.Bool("update", false, "rewrite golden files")

// document is the package of the rollback document.
var document = Settings{
	Root: "/srv/portfolio/receipt_chroma", Python: ".venv/bin/python",
	Directories: []string{"receipt_chroma/compaction", "receipt_chroma/stream/"}, Init: "receipt_chroma/__init__.py", VersionModule: "receipt_chroma",
	MustImport: []string{"receipt_chroma"}, MustFail: []string{"receipt_chroma.compaction:update_receipt_metadata", "receipt_chroma.stream"},
}

func golden(t *testing.T, name string, got any) {
	t.Helper()
	body, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	body = append(body, '\n')
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(name, body, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(body)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestThePlanSaysWhatAPersonWouldType(t *testing.T) {
	steps, err := Plan(document, Wish{Key: "prod-3", Aside: "/var/lib/lockstep/aside", InitBody: []byte{}, Needs: []string{"git-tree"}})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "plan.json", steps)
	k, err := encode(kept{Reinstalled: true, Moves: []move{{Path: "receipt_chroma/compaction", Slot: "/var/lib/lockstep/aside/prod-3/1-compaction", Digest: "sha256:00"}}, Init: &content{Body: []byte("x")}})
	if err != nil {
		t.Fatal(err)
	}
	undo, err := New(Options{}).Undo(t.Context(), rollback.At{Step: steps[0], Kept: k})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "undo.json", undo)
}

func TestEveryMistakeInTheSettingsIsToldAtOnce(t *testing.T) {
	s := Settings{
		Directories: []string{"a", "a/b", "/abs", "..", "."}, Init: "a/__init__.py", VersionModule: "a-b", Reinstall: []string{""},
		MustImport: []string{"x", "import os"}, MustFail: []string{"x", "a:b:c"}, Env: []string{"A=1"}, Timeout: -1,
	}
	err := s.Check()
	if !errors.Is(err, lockstep.ErrInvalid) {
		t.Fatal(err)
	}
	golden(t, "mistakes.json", strings.Split(err.Error(), "\n"))
	err = ImportsSettings{Forbidden: []string{"a b"}, Paths: []string{"/x"}, Patterns: []string{"("}, SourceRoots: []string{".."}, Package: "a:b"}.Check()
	if !errors.Is(err, lockstep.ErrInvalid) {
		t.Fatal(err)
	}
	golden(t, "mistakes_imports.json", strings.Split(err.Error(), "\n"))
	if err := (Settings{Root: "x"}).Check(); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("nothing would be gone: %v", err)
	}
	if err := (ImportsSettings{Root: "x"}).Check(); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("nothing is forbidden: %v", err)
	}
}

func TestWishesThatCannotBeKeptAreRefused(t *testing.T) {
	for name, w := range map[string]Wish{
		"no key":             {Aside: "/x"},
		"no aside":           {Key: "k"},
		"aside in the root":  {Key: "k", Aside: document.Root + "/x"},
		"a hash of another":  {Key: "k", Aside: "/x", InitBody: []byte("x"), InitHash: hash([]byte("y"))},
		"a content too long": {Key: "k", Aside: "/x", InitBody: make([]byte, maxInit+1)},
		"a hash that is not": {Key: "k", Aside: "/x", InitHash: "abc"},
	} {
		if _, err := Plan(document, w); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	bare := document
	bare.Init = ""
	if _, err := Plan(bare, Wish{Key: "k", Aside: "/x", InitBody: []byte("x")}); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("a content for no file: %v", err)
	}
}

// FuzzStep reads what a journal may hold. Whatever it is, nothing outside of its root and
// its own directory may be named by it.
func FuzzStep(f *testing.F) {
	steps, err := Plan(document, Wish{Key: "k", Aside: "/x"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(steps[0].Params), []byte(`{"moves":[{"path":"a","slot":"/x/k/1-a","digest":"d"}]}`))
	f.Add([]byte(`{"root":"/a","aside":"/b","key":"k","directories":["x"],"moves":[{"path":"y","slot":"/b/k/1-y"}]}`), []byte(`null`))
	f.Add([]byte(`{}`), []byte(``))
	f.Fuzz(func(t *testing.T, body, memory []byte) {
		p, _, err := read(rollback.At{Step: rollback.Step{ID: "s", Params: body}, Kept: memory})
		if err != nil {
			if !errors.Is(err, lockstep.ErrInvalid) && !errors.Is(err, lockstep.ErrCorrupt) {
				t.Fatalf("no class: %v", err)
			}
			return
		}
		for _, d := range p.Directories {
			if full := filepath.Join(p.Root, d); full == filepath.Clean(p.Root) || !within(full, filepath.Clean(p.Root)) {
				t.Fatalf("%q leads out of %q", d, p.Root)
			}
		}
		for _, m := range p.Moves {
			if !within(filepath.Clean(m.Slot), filepath.Clean(p.aside())) || !within(filepath.Join(p.Root, m.Path), filepath.Clean(p.Root)) {
				t.Fatalf("%+v leads out", m)
			}
		}
	})
}
