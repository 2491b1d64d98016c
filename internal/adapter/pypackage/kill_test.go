package pypackage

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
	"lockstep/internal/rollback/targettest"
)

var errKilled = errors.New("killed")

// dying is a journal whose process dies at the n-th entry, before or after it is stored.
type dying struct {
	targettest.Keeper
	left  int
	after bool
}

func (d *dying) Keep(ctx context.Context, kept json.RawMessage) error {
	d.left--
	if d.left == 0 && !d.after {
		return errKilled
	}
	if err := d.Keeper.Keep(ctx, kept); err != nil {
		return err
	}
	if d.left == 0 {
		return errKilled
	}
	return nil
}

// TestKilledAtAnyEntryItGoesOn kills a Do at every entry of its journal, and its undo too.
func TestKilledAtAnyEntryItGoesOn(t *testing.T) {
	for _, after := range []bool{false, true} {
		for n := 1; ; n++ {
			w := newBareWorld(t)
			before := w.digest()
			step := w.plan()
			d := &dying{left: n, after: after}
			err := w.target().Do(t.Context(), rollback.At{Step: step}, d)
			if err == nil {
				if n < 5 {
					t.Errorf("only %d entries", n-1)
				}
				break
			}
			if !errors.Is(err, errKilled) {
				t.Fatal(err)
			}
			k := &d.Keeper
			if err := w.do(step, k); err != nil {
				t.Fatalf("entry %d: %v", n, err)
			}
			if s := w.look(step, k.Kept); s.State != Removed {
				t.Fatalf("entry %d: it finds %q (%s)", n, s.State, s.Detail)
			}
			u := w.undo(step, k)
			du := &dying{left: 1, after: after}
			if err := w.target().Do(t.Context(), rollback.At{Step: u}, du); !errors.Is(err, errKilled) {
				t.Fatalf("entry %d of the undo: %v", n, err)
			}
			if err := w.do(u, &du.Keeper); err != nil {
				t.Fatalf("entry %d: %v", n, err)
			}
			if w.digest() != before {
				t.Fatalf("entry %d: the tree is not as it was", n)
			}
			if left, err := os.ReadDir(filepath.Join(w.aside, "dev-7")); err != nil || len(left) > 0 {
				t.Fatalf("entry %d: %v lies aside, %v", n, left, err)
			}
		}
	}
}

// newBareWorld is a world in which nobody asks for versions or imports: only files count.
func newBareWorld(t *testing.T) *world {
	w := newUninstalledWorld(t)
	w.settings.MustImport, w.settings.MustFail, w.settings.VersionModule = nil, nil, ""
	w.settings.Reinstall = []string{"true"}
	return w
}

func TestBetweenFileSystemsACopyIsMadeFirst(t *testing.T) {
	from, to := filepath.Join(t.TempDir(), "compaction"), filepath.Join(t.TempDir(), "1-compaction")
	write(t, filepath.Join(from, "a/b.py"), "x = 1\n")
	write(t, filepath.Join(from, "__pycache__/a.pyc"), "x")
	if err := os.Symlink("a/b.py", filepath.Join(from, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(from, "a"), 0o750); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(to+".half", "rest"), "of a copy that was killed")
	all := func(string) bool { return false }
	before, err := digestOf(from, all)
	if err != nil {
		t.Fatal(err)
	}
	if err := copyAcross(from, to); err != nil {
		t.Fatal(err)
	}
	if got, err := digestOf(to, all); err != nil || got != before {
		t.Errorf("the copy is another, %v", err)
	}
	for _, gone := range []string{from, to + ".half", discarded(from)} {
		if there, err := exists(gone); there || err != nil {
			t.Errorf("%s is there: %t, %v", gone, there, err)
		}
	}
	if err := copyAcross(from, to); err == nil {
		t.Error("nothing was copied")
	}
	write(t, filepath.Join(from, "x.py"), "")
	if err := transfer(from, to); !errors.Is(err, os.ErrExist) {
		t.Errorf("a taken name: %v", err)
	}
}

// TestACopyThatWasKilledBeforeItsSourceWentIsNotMadeTwice is the one place in which both
// are there.
func TestACopyThatWasKilledBeforeItsSourceWentIsNotMadeTwice(t *testing.T) {
	w := newBareWorld(t)
	before := w.digest()
	step := w.plan()
	// As if the copy of one directory was complete, and nothing had been removed.
	k := &dying{left: 1, after: true}
	if err := w.target().Do(t.Context(), rollback.At{Step: step}, k); !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(w.aside, "dev-7"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := copyTree(filepath.Join(w.root, "receipt_chroma/compaction"), filepath.Join(w.aside, "dev-7", "1-compaction")); err != nil {
		t.Fatal(err)
	}
	w.put("receipt_chroma/.lockstep-gone-stream/x.py", "of another one that was being removed")
	if err := w.do(step, &k.Keeper); err != nil {
		t.Fatal(err)
	}
	if s := w.look(step, k.Kept); s.State != Removed || w.there("receipt_chroma/.lockstep-gone-stream") {
		t.Fatalf("%+v", s)
	}
	var memory kept
	if err := decode(k.Kept, &memory); err != nil || len(memory.Moves) != 2 {
		t.Errorf("%d moves, %v", len(memory.Moves), err)
	}
	w.done(w.undo(step, &k.Keeper))
	if w.digest() != before {
		t.Error("the tree is not as it was")
	}
}

func TestWhatWentByItselfIsNotPutBack(t *testing.T) {
	w := newBareWorld(t)
	step := w.plan()
	k := &dying{left: 1, after: true}
	if err := w.target().Do(t.Context(), rollback.At{Step: step}, k); !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	w.remove("receipt_chroma/compaction") // git was here
	if err := w.do(step, &k.Keeper); err != nil {
		t.Fatal(err)
	}
	w.done(w.undo(step, &k.Keeper))
	if w.there("receipt_chroma/compaction") || !w.there("receipt_chroma/stream") {
		t.Error("the wrong things are there")
	}
}

func TestStepsThatMakeNoSenseAreRefused(t *testing.T) {
	w := newBareWorld(t)
	good := w.plan()
	for name, change := range map[string]func(*params){
		"no root":             func(p *params) { p.Root = "project" },
		"aside in the root":   func(p *params) { p.Aside = filepath.Join(p.Root, "aside") },
		"the root in aside":   func(p *params) { p.Aside = filepath.Dir(p.Root) },
		"a key that is a way": func(p *params) { p.Key = ".." },
		"a directory outside": func(p *params) { p.Directories = []string{"../x"} },
		"the root itself":     func(p *params) { p.Directories = []string{"."} },
		"another content":     func(p *params) { p.InitBody = []byte("x") },
		"a move from outside": func(p *params) { p.Moves = []move{{Path: "x", Slot: "/etc/passwd"}} },
		"a move to outside":   func(p *params) { p.Moves = []move{{Path: "../x", Slot: p.slot(1, "x")}} },
	} {
		var p params
		if err := decode(good.Params, &p); err != nil {
			t.Fatal(err)
		}
		change(&p)
		step := good
		var err error
		if step.Params, err = encode(p); err != nil {
			t.Fatal(err)
		}
		if err := w.do(step, &targettest.Keeper{}); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	bad := rollback.At{Step: good, Kept: json.RawMessage(`{"moves":1}`)}
	if _, err := w.target().Look(t.Context(), bad); !errors.Is(err, lockstep.ErrCorrupt) {
		t.Errorf("a journal that is broken: %v", err)
	}
}
