package git

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
	"lockstep/internal/rollback/targettest"
)

// doStep looks, does and looks, as the engine does.
func doStep(t *testing.T, r *Repo, s rollback.Step, k *targettest.Keeper) error {
	t.Helper()
	target := Targets(r)[s.Target]
	sight, err := target.Look(t.Context(), rollback.At{Step: s, Kept: k.Kept})
	if err != nil {
		return err
	}
	if sight.State == s.To {
		return nil
	}
	if sight.State != s.From && sight.State != rollback.Partial {
		t.Fatalf("%s: a third state: %q (%s), want %q", s.ID, sight.State, sight.Detail, s.From)
	}
	if err := target.Do(t.Context(), rollback.At{Step: s, Kept: k.Kept}, k); err != nil {
		return err
	}
	if sight, err = target.Look(t.Context(), rollback.At{Step: s, Kept: k.Kept}); err != nil || sight.State != s.To {
		t.Fatalf("%s: done, and %q (%s), %v; want %q", s.ID, sight.State, sight.Detail, err, s.To)
	}
	return nil
}

func doAll(t *testing.T, r *Repo, list []rollback.Step) map[string]*targettest.Keeper {
	t.Helper()
	kept := map[string]*targettest.Keeper{}
	for _, s := range list {
		kept[s.ID] = &targettest.Keeper{}
		if err := doStep(t, r, s, kept[s.ID]); err != nil {
			t.Fatalf("%s: %v (%s)", s.ID, err, lockstep.HintOf(err))
		}
	}
	return kept
}

func look(t *testing.T, r *Repo, s rollback.Step, k *targettest.Keeper) rollback.Sight {
	t.Helper()
	sight, err := Targets(r)[s.Target].Look(t.Context(), rollback.At{Step: s, Kept: k.Kept})
	if err != nil {
		t.Fatal(err)
	}
	return sight
}

func TestRevertTakesBackTheMigrationAndNothingElse(t *testing.T) {
	t.Parallel()
	m := newMigrated(t)
	r := m.repo(nil)
	list := pristine(t, Revert)
	kept := doAll(t, r, list)
	for _, p := range paths {
		if was, is := m.git("ls-tree", m.point, "--", p), m.git("ls-tree", "HEAD", "--", p); was != is {
			t.Errorf("%s was %q and is %q", p, was, is)
		}
	}
	if m.has("receipt_chroma/compaction") || m.has("receipt_chroma/stream") {
		t.Error("migrated directories are still there")
	}
	if m.read("README.md") != "Receipts\n" || m.read("other.txt") != "other\n" || m.read("docs/guide.md") != "how\n" {
		t.Error("other work is gone")
	}
	want := "Revert \"compaction migration: imports\"\nRevert \"Merge pull request #517 from ada/stream\"\nRevert \"compaction migration: create modules\""
	if log := m.git("log", "--reverse", "--format=%s", "main.."); log != want {
		t.Errorf("the commits are\n%s", log)
	}
	if body := m.git("log", "-1", "--format=%b", "HEAD~1"); !strings.Contains(body, "This reverts commit "+m.merge+", reversing\nchanges made to ") {
		t.Errorf("the revert of the merge says %q", body)
	}
	if s := m.git("status", "--porcelain"); s != "" {
		t.Errorf("not clean: %s", s)
	}
	if m.git("rev-parse", "main") != m.typo || m.git("rev-parse", "migration-rollback-20260105") != m.typo {
		t.Error("the old head is not where it was")
	}
	seen := map[string]rollback.Sight{}
	for _, s := range list {
		seen[s.ID] = look(t, r, s, kept[s.ID])
	}
	golden(t, "sights-revert.json", pretty(t, seen))
}

func TestResetGoesToThePointAndKeepsTheHead(t *testing.T) {
	t.Parallel()
	m := newMigrated(t)
	r := m.repo(nil)
	list := pristine(t, Reset)
	if loss := strings.Join(stepOf(t, list, stepReset).Loss, "\n"); !strings.Contains(loss, `"fix a typo" by Ada`) || !strings.Contains(loss, `"docs"`) || strings.Contains(loss, "migration:") {
		t.Errorf("the loss is\n%s", loss)
	}
	doAll(t, r, list)
	if m.head() != m.point || m.git("branch", "--show-current") != "rollback-20260105" || m.git("rev-parse", "main") != m.typo {
		t.Error(m.print())
	}
	m.git("switch", "--quiet", "main")
	r = m.repo(func(s *Settings) { s.MoveBranch, s.Rollback = true, "other" })
	doAll(t, r, steps(t, r, Reset))
	if m.head() != m.point || m.git("branch", "--show-current") != "main" || m.git("rev-parse", "migration-rollback-20260105") != m.typo {
		t.Error(m.print())
	}
}

func TestABranchIsNotMovedWhenNothingKeepsItsHead(t *testing.T) {
	t.Parallel()
	m := newMigrated(t)
	r := m.repo(func(s *Settings) { s.MoveBranch = true })
	s := stepOf(t, steps(t, r, Reset), stepReset)
	before := m.print()
	if err := doStep(t, r, s, &targettest.Keeper{}); !errors.Is(err, lockstep.ErrRefused) || !strings.Contains(lockstep.HintOf(err), "git branch migration-rollback-20260105 ") {
		t.Errorf("%v", err)
	}
	if err := m.same(before); err != nil {
		t.Error(err)
	}
}

func TestAConflictIsForeseenAndTouchesNothing(t *testing.T) {
	t.Parallel()
	m := newMigrated(t)
	patch := m.commit("speed up", "receipt_chroma/compaction/ops.py", "def update(): return 1\n", "lambdas/handler.py", "from receipt_chroma.compaction import fast_update\n\n\ndef handle():\n    pass\n")
	// By message alone nothing says that it belongs to the migration: only its path does,
	// so take that away.
	r := m.repo(func(s *Settings) { s.Paths = []string{"lambdas", "receipt_chroma/__init__.py"} })
	s := stepOf(t, steps(t, r, Revert), stepRevert)
	if !strings.Contains(s.Risk, "it will be refused: revert ") || !strings.Contains(s.Risk, "lambdas/handler.py") {
		t.Errorf("the risk is %q", s.Risk)
	}
	before := m.print()
	branches := m.git("branch", "--list")
	err := doStep(t, r, s, &targettest.Keeper{})
	if !errors.Is(err, lockstep.ErrRefused) {
		t.Fatal(err)
	}
	for _, want := range []string{short(m.handler), "conflicts in lambdas/handler.py", short(patch) + ` "speed up"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	if hint := lockstep.HintOf(err); !strings.Contains(hint, "revert --no-edit "+short(m.handler)+" && ") || !strings.Contains(hint, "-m 1 "+short(m.merge)) {
		t.Errorf("hint %q", hint)
	}
	if err := m.same(before); err != nil || m.git("branch", "--list") != branches {
		t.Errorf("something was touched: %v", err)
	}
	// Named, it is taken back as well.
	r = m.repo(func(s *Settings) { s.Also = []string{patch} })
	doAll(t, r, steps(t, r, Revert))
	// By its paths it is recognised without being named.
	m.git("switch", "--quiet", "main")
	if p := find(t, m.repo(nil)); !strings.HasPrefix(names(p.Migration), "speed up\n") || p.Migration[0].Why != "it changes what did not exist at the point" {
		t.Errorf("%s", names(p.Migration))
	}
}

func TestLaterWorkOnANamedPathStaysAndIsSaid(t *testing.T) {
	t.Parallel()
	m := newMigrated(t)
	m.commit("timeout", "lambdas/handler.py", "from receipt_chroma.compaction import update\n\n\ndef handle():\n    pass\n\n\nTIMEOUT = 900\n")
	r := m.repo(nil)
	list := steps(t, r, Revert)
	if s := stepOf(t, list, stepRevert); !strings.Contains(s.Risk, `lambdas/handler.py will differ from the point by `) {
		t.Errorf("risk %q", s.Risk)
	}
	kept := doAll(t, r, list)
	if got := m.read("lambdas/handler.py"); got != "from local import update\n\n\ndef handle():\n    pass\n\n\nTIMEOUT = 900\n" {
		t.Errorf("%q", got)
	}
	var said string
	for _, e := range look(t, r, stepOf(t, list, stepRevert), kept[stepRevert]).Evidence {
		if e.Item == rollback.ItemHandlers {
			said = e.Text
		}
	}
	if !strings.Contains(said, `but for what `) || !strings.Contains(said, `"timeout" changed`) {
		t.Errorf("%q", said)
	}
}

func TestACommitThatIsNotRecognisedIsMissed(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.commit("first", "a", "1\n", "b", "1\n")
	b.commit("compaction migration: a", "a", "2\n")
	b.git("switch", "--quiet", "-c", "side")
	b.commit("side", "c", "1\n")
	b.git("switch", "--quiet", "main")
	b.git("merge", "--quiet", "--no-ff", "--no-commit", "side")
	b.commit("merge with a change of its own", "b", "2\n")
	r := b.repo(func(s *Settings) { s.Paths = []string{"a", "b"} })
	s := stepOf(t, steps(t, r, Revert), stepRevert)
	before := b.print()
	if err := doStep(t, r, s, &targettest.Keeper{}); !errors.Is(err, lockstep.ErrRefused) || !strings.Contains(err.Error(), "unlike "+s.To[len(s.To)-shortID:]+": b") {
		t.Errorf("%v", err)
	}
	if err := b.same(before); err != nil || !strings.Contains(s.Risk, "unlike the point: b") {
		t.Errorf("%v, risk %q", err, s.Risk)
	}
}

func TestWhatChangesNothingIsSkippedAndNoted(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.commit("first", "a", "1\n")
	b.commit("compaction migration: nothing")
	b.commit("compaction migration: a", "a", "2\n")
	r := b.repo(func(s *Settings) { s.Paths = []string{"a"} })
	list := steps(t, r, Revert)
	kept := doAll(t, r, list)
	if log := b.git("log", "--format=%s", "main.."); log != `Revert "compaction migration: a"` {
		t.Error(log)
	}
	if d := look(t, r, list[1], kept[stepRevert]).Detail; !strings.Contains(d, `changed nothing when taken back`) || !strings.Contains(d, "migration: nothing") {
		t.Error(d)
	}
}

func TestMovedFilesComeBack(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	text := strings.Repeat("line of code\n", 30)
	point := b.commit("first", "lambdas/ops.py", text)
	b.git("switch", "--quiet", "-c", "x")
	if err := os.MkdirAll(filepath.Join(b.dir, "receipt_chroma/compaction"), 0o755); err != nil {
		t.Fatal(err)
	}
	b.git("mv", "lambdas/ops.py", "receipt_chroma/compaction/ops.py")
	b.commit("compaction migration: move")
	b.git("switch", "--quiet", "main")
	b.commit("other", "other", "1\n")
	b.merge("Merge branch 'x'", "x")
	r := b.repo(func(s *Settings) { s.Paths = []string{"lambdas", "receipt_chroma/compaction"} })
	doAll(t, r, steps(t, r, Revert))
	if b.read("lambdas/ops.py") != text || b.has("receipt_chroma") || b.git("rev-parse", "HEAD:lambdas") != b.git("rev-parse", point+":lambdas") {
		t.Error(b.print())
	}
}

func TestSomebodysWorkIsRefusedAndNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		title string
		make  func(*box)
		want  string // "": it is in nobody's way
	}{
		{"unstaged", func(b *box) { b.write("README.md", "mine\n") }, "README.md (unstaged)"},
		{"staged", func(b *box) { b.write("new.txt", "mine\n"); b.git("add", "new.txt") }, "new.txt (staged)"},
		{"both", func(b *box) { b.write("README.md", "1\n"); b.git("add", "."); b.write("README.md", "2\n") }, "README.md (staged and unstaged)"},
		{"untracked below a named path", func(b *box) { b.write("lambdas/new handler.py", "mine\n") }, "lambdas/new handler.py (untracked)"},
		{"untracked elsewhere", func(b *box) { b.write("notes/todo.txt", "mine\n") }, ""},
	} {
		m := newMigrated(t)
		c.make(m.box)
		r := m.repo(nil)
		for _, option := range []Option{Revert, Reset} {
			list := steps(t, r, option)
			s := list[len(list)-1]
			if (c.want != "") != strings.Contains(s.Risk, "refused unless this is put away") {
				t.Errorf("%s: the risk is %q", c.title, s.Risk)
			}
			before := m.print()
			err := doStep(t, r, s, &targettest.Keeper{})
			if c.want == "" {
				if err != nil || m.read("notes/todo.txt") != "mine\n" {
					t.Errorf("%s, %s: %v", c.title, option, err)
				}
				m.git("switch", "--quiet", "main")
				continue
			}
			if !errors.Is(err, lockstep.ErrRefused) || !strings.Contains(err.Error(), c.want) || !strings.Contains(lockstep.HintOf(err), "stash") {
				t.Errorf("%s, %s: %v", c.title, option, err)
			}
			if err := m.same(before); err != nil {
				t.Errorf("%s, %s: %v", c.title, option, err)
			}
		}
	}
}

func TestANamedPathInADirectoryThatGitDoesNotKnowIsSeen(t *testing.T) {
	t.Parallel()
	m := newMigrated(t)
	m.write("fresh/compaction/mine.py", "mine\n")
	m.write("fresh/other.py", "mine\n")
	r := m.repo(func(s *Settings) { s.Paths = append([]string{"fresh/compaction"}, paths...) })
	s := stepOf(t, steps(t, r, Revert), stepRevert)
	err := doStep(t, r, s, &targettest.Keeper{})
	if !errors.Is(err, lockstep.ErrRefused) || !strings.Contains(err.Error(), "fresh/compaction/mine.py (untracked)") || strings.Contains(err.Error(), "other.py") {
		t.Errorf("%v", err)
	}
}

func TestWorkAfterTheRollbackIsNoThirdState(t *testing.T) {
	t.Parallel()
	m := newMigrated(t)
	r := m.repo(nil)
	s := stepOf(t, pristine(t, Revert), stepRevert)
	k := &targettest.Keeper{}
	if err := doStep(t, r, s, k); err != nil {
		t.Fatal(err)
	}
	m.commit("more", "README.md", "more\n") // elsewhere than in the named paths
	m.write("README.md", "work\n")
	sight := look(t, r, s, k)
	clean := slices.IndexFunc(sight.Evidence, func(e rollback.Evidence) bool { return e.Item == rollback.ItemGitClean })
	if sight.State != s.To || clean < 0 || sight.Evidence[clean].OK || sight.Evidence[clean].Text != "not committed: README.md (unstaged)" {
		t.Errorf("%+v", sight)
	}
	m.write("lambdas/handler.py", "work\n")
	sight = look(t, r, s, k)
	if sight.State != "at "+short(m.head())+" on rollback-20260105, unlike "+short(m.point) || sight.Detail != "unlike the point: lambdas/handler.py" {
		t.Errorf("%+v", sight)
	}
	for _, e := range sight.Evidence {
		if e.OK && (e.Item == rollback.ItemHandlers || e.Item == rollback.ItemGitNoCode || e.Item == rollback.ItemGitReverted) {
			t.Errorf("%+v", e)
		}
	}
}

func TestIgnoredFilesAreNotWrittenOver(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.commit("first", "lambdas/x.data", "tracked\n", "lambdas/h.py", "1\n")
	b.commit("compaction migration: x", "lambdas/h.py", "2\n", ".gitignore", "*.data\n")
	b.git("rm", "--quiet", "lambdas/x.data")
	b.commit("compaction migration: y")
	b.write("lambdas/x.data", "mine\n")
	r := b.repo(func(s *Settings) { s.Paths = []string{"lambdas", ".gitignore"} })
	for _, o := range []Option{Revert, Reset, Restore} {
		list := steps(t, r, o)
		before := b.print()
		if err := doStep(t, r, list[len(list)-1], &targettest.Keeper{}); !errors.Is(err, lockstep.ErrRefused) || !strings.Contains(err.Error(), "lambdas/x.data") {
			t.Errorf("%s: %v", o, err)
		}
		if err := b.same(before); err != nil {
			t.Errorf("%s: %v", o, err)
		}
	}
}

func TestWhatSomebodyHasBegunIsNotTouched(t *testing.T) {
	t.Parallel()
	m := newMigrated(t)
	m.git("switch", "--quiet", "-c", "rival", m.handler)
	m.commit("rival", "README.md", "other\n")
	m.git("switch", "--quiet", "main")
	r := m.repo(nil)
	list := steps(t, r, Revert)
	if out, err := m.try(m.dir, "merge", "rival"); err == nil {
		t.Fatal("no conflict: ", out)
	}
	for _, s := range []rollback.Step{list[1], steps(t, r, Reset)[1], steps(t, r, Restore)[1]} {
		sight := look(t, r, s, &targettest.Keeper{})
		if sight.State != "merge under way at "+short(m.typo)+" on main" || !strings.Contains(sight.Detail, "--abort") {
			t.Errorf("%s: %+v", s.ID, sight)
		}
		before := m.print()
		err := Targets(r)[s.Target].Do(t.Context(), rollback.At{Step: s}, &targettest.Keeper{})
		if !errors.Is(err, lockstep.ErrRefused) || !strings.Contains(err.Error(), "merge") {
			t.Errorf("%s: %v", s.ID, err)
		}
		if err := m.same(before); err != nil {
			t.Errorf("%s: %v", s.ID, err)
		}
		if s.ID != stepRevert && !strings.Contains(s.Risk, "a merge is under way") {
			t.Errorf("%s: risk %q", s.ID, s.Risk)
		}
	}
	m.git("merge", "--abort")
	for _, args := range [][]string{{"revert", m.merge + "^1", "-n"}, {"cherry-pick", "rival"}, {"rebase", "rival"}, {"bisect", "start"}} {
		_, _ = m.try(m.dir, args...) // a conflict is an error, and what is wanted
		if s, err := r.State(t.Context()); err != nil || s.Operation != args[0] || s.busy() == nil {
			t.Errorf("%s: %+v, %v", args[0], s.Operation, err)
		}
		m.git("reset", "--quiet", "--hard")
		_, _ = m.try(m.dir, args[0], map[bool]string{true: "reset", false: "--abort"}[args[0] == "bisect"])
		_, _ = m.try(m.dir, args[0], "--quit")
		m.git("switch", "--quiet", "main")
	}
}

func TestATreeThatWentOnIsAThirdState(t *testing.T) {
	t.Parallel()
	m := newMigrated(t)
	r := m.repo(nil)
	s := stepOf(t, pristine(t, Revert), stepRevert)
	third := func(want string) {
		t.Helper()
		if sight := look(t, r, s, &targettest.Keeper{}); sight.State != want || sight.Detail == "" {
			t.Errorf("%q (%s), want %q", sight.State, sight.Detail, want)
		}
		if err := Targets(r)[s.Target].Do(t.Context(), rollback.At{Step: s}, &targettest.Keeper{}); !errors.Is(err, lockstep.ErrConflict) {
			t.Errorf("%v", err)
		}
	}
	m.git("branch", "rollback-20260105", m.docs)
	third("at " + short(m.typo) + " on main, with a branch rollback-20260105 at " + short(m.docs))
	m.git("switch", "--quiet", "rollback-20260105")
	third("at " + short(m.docs) + " on rollback-20260105, unlike " + short(m.point))
	m.git("switch", "--quiet", "-c", "elsewhere")
	third("at " + short(m.docs) + " on elsewhere")
	m.git("switch", "--quiet", "main")
	m.git("branch", "--quiet", "-D", "rollback-20260105")
	more := m.commit("more", "x", "1\n")
	third("at " + short(more) + " on main")
}

func TestAPersonWhoFollowsTheManualIsDone(t *testing.T) {
	t.Parallel()
	m := newMigrated(t)
	r := m.repo(nil)
	for _, o := range []Option{Revert, Reset, Restore} {
		list := steps(t, r, o)
		s := list[len(list)-1]
		for order := range strings.SplitSeq(s.Manual, " && ") {
			m.git(strings.Fields(order)[1:]...) // none of the words has a blank
		}
		if sight := look(t, r, s, &targettest.Keeper{}); sight.State != s.To {
			t.Errorf("%s: %q (%s)", s.Manual, sight.State, sight.Detail)
		}
		byHand := m.git("write-tree")
		m.git("switch", "--quiet", "--discard-changes", "main")
		_, _ = m.try(m.dir, "branch", "-D", "rollback-20260105")
		if err := doStep(t, r, s, &targettest.Keeper{}); o != Restore && (err != nil || m.git("write-tree") != byHand) {
			t.Errorf("%s: by hand it is tree %s, else %s, %v", o, byHand, m.git("write-tree"), err)
		}
		m.git("switch", "--quiet", "--discard-changes", "main")
		_, _ = m.try(m.dir, "branch", "-D", "rollback-20260105")
	}
}

func TestUndoKeepsTheCommitsUnderAnotherName(t *testing.T) {
	t.Parallel()
	m := newMigrated(t)
	r := m.repo(nil)
	s := stepOf(t, pristine(t, Revert), stepRevert)
	for range 2 {
		k := &targettest.Keeper{}
		if err := doStep(t, r, s, k); err != nil {
			t.Fatal(err)
		}
		tip := m.head()
		undo, err := Targets(r)[s.Target].Undo(t.Context(), rollback.At{Step: s, Kept: k.Kept})
		if err != nil {
			t.Fatal(err)
		}
		ku := &targettest.Keeper{}
		if err := doStep(t, r, *undo, ku); err != nil {
			t.Fatal(err)
		}
		if got := m.git("for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads"); got != "main "+m.typo+"\nrollback-20260105-undone "+tip {
			t.Errorf("branches\n%s", got)
		}
		redo, err := Targets(r)[s.Target].Undo(t.Context(), rollback.At{Step: *undo, Kept: ku.Kept})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{s.ID, s.From, s.To, string(s.Params[:40])}, []string{redo.ID, redo.From, redo.To, string(redo.Params[:40])}); diff != "" {
			t.Errorf("an undo of an undo is the step itself (-want +got):\n%s", diff)
		}
	}
	// The branch of a reset has nothing that is not elsewhere.
	s = stepOf(t, steps(t, r, Reset), stepReset)
	k := &targettest.Keeper{}
	if err := doStep(t, r, s, k); err != nil {
		t.Fatal(err)
	}
	undo, err := Targets(r)[s.Target].Undo(t.Context(), rollback.At{Step: s, Kept: k.Kept})
	if err != nil {
		t.Fatal(err)
	}
	m.write("lambdas/handler.py", "work\n")
	if err := Targets(r)[s.Target].Do(t.Context(), rollback.At{Step: *undo}, &targettest.Keeper{}); !errors.Is(err, lockstep.ErrRefused) || !strings.Contains(err.Error(), "lambdas/handler.py") {
		t.Errorf("work in the tree: %v", err)
	}
	m.git("restore", ".")
	if err := doStep(t, r, *undo, &targettest.Keeper{}); err != nil || strings.Contains(m.git("branch"), "rollback-20260105\n") {
		t.Errorf("%v\n%s", err, m.git("branch"))
	}
}

func TestAnUndoIsRefusedWhenTheBranchMovedOn(t *testing.T) {
	t.Parallel()
	m := newMigrated(t)
	r := m.repo(nil)
	s := stepOf(t, pristine(t, Revert), stepRevert)
	k := &targettest.Keeper{}
	if err := doStep(t, r, s, k); err != nil {
		t.Fatal(err)
	}
	m.git("branch", "-f", "main", m.docs)
	if _, err := Targets(r)[s.Target].Undo(t.Context(), rollback.At{Step: s, Kept: k.Kept}); !errors.Is(err, lockstep.ErrRefused) || !strings.Contains(err.Error(), "main was at "+short(m.typo)) {
		t.Errorf("%v", err)
	}
}

func TestACancelledContextIsHonouredEverywhere(t *testing.T) {
	t.Parallel()
	m := newMigrated(t)
	r := m.repo(nil)
	p := find(t, r)
	list := append(steps(t, r, Revert), steps(t, r, Restore)[1])
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	check := func(what string, err error) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := r.State(ctx)
	check("State", err)
	_, err = r.Record(ctx, "")
	check("Record", err)
	_, err = r.FindPoint(ctx, r.Query())
	check("FindPoint", err)
	_, err = r.Plan(ctx, p, Revert, planned)
	check("Plan", err)
	for _, s := range list {
		_, err = Targets(r)[s.Target].Look(ctx, rollback.At{Step: s})
		check("look "+s.ID, err)
		check("do "+s.ID, Targets(r)[s.Target].Do(ctx, rollback.At{Step: s}, &targettest.Keeper{}))
	}
}
