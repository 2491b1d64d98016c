package git

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
	"lockstep/internal/rollback/targettest"
)

func TestRestorePutsOnlyTheNamedPathsBack(t *testing.T) {
	t.Parallel()
	m := newMigrated(t)
	m.write("README.md", "work in progress\n") // is in nobody's way
	r := m.repo(nil)
	list := pristine(t, Restore)
	kept := doAll(t, r, list)
	if m.has("receipt_chroma/compaction") || m.has("receipt_chroma/stream") || m.read("receipt_chroma/__init__.py") != "VERSION = 1\n" || !strings.HasPrefix(m.read("lambdas/handler.py"), "from local") {
		t.Error(m.print())
	}
	if m.head() != m.typo || m.read("README.md") != "work in progress\n" || !m.has("docs/guide.md") {
		t.Error("something else has changed")
	}
	golden(t, "sight-restore.json", pretty(t, look(t, r, list[1], kept[stepRestore])))
}

func TestAFullRollbackFollowsAQuickOneAndIsUndoneToIt(t *testing.T) {
	t.Parallel()
	m := newMigrated(t)
	r := m.repo(nil)
	doAll(t, r, steps(t, r, Restore))
	quick := m.print()
	list := steps(t, r, Revert)
	if list[0].ID != stepUnrestore || len(list) != 3 || len(list[2].Needs) != 2 {
		t.Fatalf("%+v", list)
	}
	kept := doAll(t, r, list)
	if out := m.git("status", "--porcelain"); out != "" || m.git("branch", "--show-current") != "rollback-20260105" {
		t.Error(out)
	}
	for _, l := range slices.Backward(list) {
		undo, err := Targets(r)[l.Target].Undo(t.Context(), rollback.At{Step: l, Kept: kept[l.ID].Kept})
		if err != nil {
			t.Fatal(err)
		}
		if undo == nil {
			continue // the reference was there already
		}
		if err := doStep(t, r, *undo, &targettest.Keeper{}); err != nil {
			t.Fatalf("%s: %v", undo.ID, err)
		}
	}
	if err := m.same(quick); err != nil {
		t.Error(err)
	}
}

func TestRestoreLeavesSomebodysWork(t *testing.T) {
	t.Parallel()
	for title, work := range map[string]func(m migrated){
		"changed":   func(m migrated) { m.write("lambdas/handler.py", "mine\n") },
		"staged":    func(m migrated) { m.write("lambdas/handler.py", "mine\n"); m.git("add", ".") },
		"untracked": func(m migrated) { m.write("receipt_chroma/stream/mine.py", "mine\n") },
		"deleted": func(m migrated) {
			if err := os.Remove(filepath.Join(m.dir, "lambdas/handler.py")); err != nil {
				m.t.Fatal(err)
			}
		},
		"staged only": func(m migrated) {
			had := m.read("lambdas/handler.py")
			m.write("lambdas/handler.py", "mine\n")
			m.git("add", ".")
			m.write("lambdas/handler.py", had)
		},
	} {
		m := newMigrated(t)
		work(m)
		r := m.repo(nil)
		s := stepOf(t, pristine(t, Restore), stepRestore)
		if sight := look(t, r, s, &targettest.Keeper{}); !strings.HasPrefix(sight.State, "changed: ") {
			t.Errorf("%s: %+v", title, sight)
		}
		before := m.print()
		if err := Targets(r)[s.Target].Do(t.Context(), rollback.At{Step: s}, &targettest.Keeper{}); !errors.Is(err, lockstep.ErrRefused) {
			t.Errorf("%s: %v", title, err)
		}
		if err := m.same(before); err != nil {
			t.Errorf("%s: %v", title, err)
		}
	}
}

func TestWhatPersonsHaveBegunToRestoreIsFinished(t *testing.T) {
	t.Parallel()
	for title, begun := range map[string]func(m migrated){
		"one path":       func(m migrated) { m.git("checkout", "--quiet", m.point, "--", "lambdas") },
		"the index only": func(m migrated) { m.git("restore", "--staged", "--source="+m.point, "--", "receipt_chroma/compaction") },
		"the disk only":  func(m migrated) { m.git("restore", "--worktree", "--source="+m.point, "--", "lambdas") },
	} {
		m := newMigrated(t)
		begun(m)
		r := m.repo(nil)
		s := stepOf(t, pristine(t, Restore), stepRestore)
		if err := doStep(t, r, s, &targettest.Keeper{}); err != nil {
			t.Errorf("%s: %v", title, err)
		}
		if m.has("receipt_chroma/compaction") {
			t.Errorf("%s: it is still there", title)
		}
	}
}

func TestCompiledFilesGoAndOthersAreSaid(t *testing.T) {
	t.Parallel()
	for _, option := range []Option{Revert, Reset, Restore} {
		m := newMigrated(t)
		m.write("receipt_chroma/compaction/__pycache__/ops.cpython-312.pyc", "\x00")
		m.write("receipt_chroma/stream/cache.data", "mine\n")
		r := m.repo(nil)
		list := pristine(t, option)
		kept := doAll(t, r, list)
		last := list[len(list)-1]
		if m.has("receipt_chroma/compaction") || m.read("receipt_chroma/stream/cache.data") != "mine\n" {
			t.Errorf("%s: %s", option, m.print())
		}
		found := false
		for _, e := range look(t, r, last, kept[last.ID]).Evidence {
			if e.Item == rollback.ItemGitNoCode {
				found = true
				if e.OK || !strings.Contains(e.Text, "receipt_chroma/stream") {
					t.Errorf("%s: %+v", option, e)
				}
			}
		}
		if !found {
			t.Errorf("%s: nothing is said", option)
		}
		// Killed before the compiled files were removed, it goes on.
		m.write("receipt_chroma/compaction/ops.pyc", "\x00")
		if sight := look(t, r, last, kept[last.ID]); sight.State != rollback.Partial {
			t.Errorf("%s: %+v", option, sight)
		}
		if err := doStep(t, r, last, kept[last.ID]); err != nil || m.has("receipt_chroma/compaction") {
			t.Errorf("%s: %v", option, err)
		}
	}
}
