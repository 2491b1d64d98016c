package git

import (
	"errors"
	"strings"
	"testing"

	"lockstep/internal/lockstep"
)

func TestAFileIsReadAsItWasAtACommit(t *testing.T) {
	b := newBox(t)
	b.write("pkg/__init__.py", "old\n")
	b.git("add", ".")
	b.git("commit", "-m", "one")
	first := strings.TrimSpace(b.git("rev-parse", "HEAD"))
	b.write("pkg/__init__.py", "new\n")
	b.git("commit", "-am", "two")
	r, err := New(Settings{Path: b.dir}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.FileAt(t.Context(), first, "pkg/__init__.py"); err != nil || string(got) != "old\n" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := r.FileAt(t.Context(), first, "pkg/none.py"); !errors.Is(err, lockstep.ErrNotFound) {
		t.Errorf("a file that was not there: %v", err)
	}
	if _, err := r.FileAt(t.Context(), first, "../outside"); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("a file outside: %v", err)
	}
}
