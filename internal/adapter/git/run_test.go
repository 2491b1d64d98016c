package git

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
	"lockstep/internal/rollback/targettest"
)

func TestWhereThereIsNothingToWorkOn(t *testing.T) {
	t.Parallel()
	m := newMigrated(t)
	bare := filepath.Join(t.TempDir(), "bare.git")
	m.git("clone", "--quiet", "--bare", m.dir, bare)
	for _, c := range []struct {
		title  string
		change func(*Settings)
		class  error
		words  string
	}{
		{"no git", func(s *Settings) { s.Git = "no-such-git-here" }, lockstep.ErrNotFound, `no program "no-such-git-here"`},
		{"a git that may not be run", func(s *Settings) { s.Git = filepath.Join(m.dir, "README.md") }, lockstep.ErrRefused, "may not be run"},
		{"no directory", func(s *Settings) { s.Path = filepath.Join(m.dir, "nowhere") }, lockstep.ErrNotFound, "is no directory"},
		{"a file", func(s *Settings) { s.Path = filepath.Join(m.dir, "README.md") }, lockstep.ErrNotFound, "is no directory"},
		{"no repository", func(s *Settings) { s.Path = m.home }, lockstep.ErrNotFound, "in no git repository"},
		{"a bare one", func(s *Settings) { s.Path = bare }, lockstep.ErrRefused, "no working tree"},
		{"inside of git itself", func(s *Settings) { s.Path = filepath.Join(m.dir, ".git") }, lockstep.ErrRefused, "no working tree"},
	} {
		if _, err := m.repo(c.change).State(t.Context()); !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v", c.title, err)
		}
	}
	// The targets say it too, instead of taking it for a state.
	s := steps(t, m.repo(nil), Revert)[1]
	r := m.repo(func(s *Settings) { s.Path = m.home })
	for name, target := range Targets(r) {
		if _, err := target.Look(t.Context(), rollback.At{Step: s}); !errors.Is(err, lockstep.ErrNotFound) {
			t.Errorf("look %s: %v", name, err)
		}
		if err := target.Do(t.Context(), rollback.At{Step: s}, &targettest.Keeper{}); !errors.Is(err, lockstep.ErrNotFound) {
			t.Errorf("do %s: %v", name, err)
		}
	}
}

func TestNamesWithBlanksAndSigns(t *testing.T) {
	t.Parallel()
	b := &box{t: t, dir: filepath.Join(t.TempDir(), "a répo 'x'"), home: t.TempDir()}
	b.in(b.home, "init", "--quiet", "--template=", "-b", "maïn/x", b.dir)
	b.git("config", "user.name", "Ada")
	b.git("config", "user.email", "ada@example.org")
	odd := []string{"a dir/ü \"q\".py", "*.py", "-x", "tab\tnew\nline", ":(glob)y"}
	content := func(v string) []string {
		var files []string
		for _, f := range odd {
			files = append(files, f, v)
		}
		return files
	}
	b.commit("first", append(content("1\n"), "keep.py", "1\n")...)
	b.commit("compaction migration: \"x\" 'y' ü\n\nbody", append(content("2\n"), "ne w/ä", "new\n")...)
	b.commit("later", "keep.py", "2\n")
	b.write("unfollowed ü.py", "mine\n")
	sub := filepath.Join(b.dir, "a dir")
	for _, option := range []Option{Revert, Reset, Restore} {
		r := b.repo(func(s *Settings) { s.Path, s.Paths = sub, append(slices.Clone(odd), "ne w/") })
		list := steps(t, r, option)
		before := b.print()
		kept := doAll(t, r, list)
		for _, f := range odd {
			if b.read(f) != "1\n" {
				t.Errorf("%s: %q is %q", option, f, b.read(f))
			}
		}
		if b.has("ne w") || (option != Reset) != (b.read("keep.py") == "2\n") || b.read("unfollowed ü.py") != "mine\n" {
			t.Errorf("%s: %s", option, b.print())
		}
		if option == Revert && b.git("log", "-1", "--format=%s") != `Revert "compaction migration: "x" 'y' ü"` {
			t.Error(b.git("log", "-1", "--format=%s"))
		}
		last := list[len(list)-1]
		undo, err := Targets(r)[last.Target].Undo(t.Context(), rollback.At{Step: last, Kept: kept[last.ID].Kept})
		if err != nil {
			t.Fatal(err)
		}
		if err := doStep(t, r, *undo, &targettest.Keeper{}); err != nil {
			t.Fatal(err)
		}
		if now := b.print(); now != before {
			t.Errorf("%s: %s", option, cmp.Diff(before, now))
		}
	}
}

func TestALinkedWorkingTreeIsRolledBackAlone(t *testing.T) {
	t.Parallel()
	m := newMigrated(t)
	linked := m.dir + "-linked"
	m.git("worktree", "add", "--quiet", "-b", "deploy", linked)
	before := m.print()
	r := m.repo(func(s *Settings) { s.Path = linked })
	list := steps(t, r, Revert)
	doAll(t, r, list)
	if out := m.in(linked, "branch", "--show-current"); out != "rollback-20260105" {
		t.Error(out)
	}
	if err := m.same(before); err != nil {
		t.Error(err)
	}
	// What is under way there is its own, too.
	other := m.repo(nil)
	if s, err := other.State(t.Context()); err != nil || s.Operation != "" || s.Top == linked {
		t.Errorf("%+v, %v", s, err)
	}
	// Its branch cannot be gone back to once it is checked out elsewhere.
	m.git("switch", "--quiet", "deploy")
	undo, err := Targets(r)[TargetRevert].Undo(t.Context(), rollback.At{Step: list[1]})
	if err != nil {
		t.Fatal(err)
	}
	if err := Targets(r)[TargetRevert].Do(t.Context(), rollback.At{Step: *undo}, &targettest.Keeper{}); !errors.Is(err, lockstep.ErrRefused) || !strings.Contains(lockstep.HintOf(err), "worktree list") {
		t.Errorf("%v", err)
	}
}

func TestHooksRunOnlyWhenAskedFor(t *testing.T) {
	t.Parallel()
	for _, asked := range []bool{false, true} {
		m := newMigrated(t)
		mark := filepath.Join(t.TempDir(), "ran")
		if err := os.MkdirAll(filepath.Join(m.dir, ".git/hooks"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(m.dir, ".git/hooks/post-checkout"), []byte("#!/bin/sh\n: >"+mark+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		r := m.repo(func(s *Settings) { s.Hooks = asked })
		doAll(t, r, pristine(t, Revert))
		if _, err := os.Stat(mark); (err == nil) != asked {
			t.Errorf("asked %v: %v", asked, err)
		}
	}
}

func TestWhoTheNewCommitsAreBy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		settings string
		unset    bool
		want     string
	}{
		{"", false, "Ada <ada@example.org>"},
		{"Robot <robot@example.org>", false, "Ada <ada@example.org>"},
		{"Robot <robot@example.org>", true, "Robot <robot@example.org>"},
		{"", true, defaultAuthor},
	} {
		m := newMigrated(t)
		if c.unset {
			m.git("config", "--unset", "user.name")
		}
		r := m.repo(func(s *Settings) { s.Author = c.settings })
		s := stepOf(t, steps(t, r, Revert), stepRevert)
		if p, _, err := read(rollback.At{Step: s}); err != nil || p.Author != c.want {
			t.Errorf("%+v: %q, %v", c, p.Author, err)
		}
		if c.settings == "" || !c.unset {
			continue
		}
		if err := doStep(t, r, s, &targettest.Keeper{}); err != nil {
			t.Fatal(err)
		}
		want := c.want + " 1767605400 " + c.want + " 1767605400"
		if got := m.git("log", "-1", "--format=%an <%ae> %at %cn <%ce> %ct"); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestWhatThereWasIsRecorded(t *testing.T) {
	t.Parallel()
	m := newMigrated(t)
	m.write("note", "x")
	rec, err := m.repo(nil).Record(t.Context(), m.point)
	if err != nil {
		t.Fatal(err)
	}
	rec.State.Top = "REPO"
	golden(t, "record.json", pretty(t, rec))
	for i := range 3000 {
		m.write(filepath.Join("many", strings.Repeat("x", i/100), string(rune('a'+i%26))+strings.Repeat("y", i%100)), "x")
	}
	m.commit("many files")
	if rec, err = m.repo(nil).Record(t.Context(), m.point); err != nil || rec.Omitted == 0 || len(encode(rec)) > 2*recordBytes {
		t.Errorf("%d omitted, %d bytes, %v", rec.Omitted, len(encode(rec)), err)
	}
}

func TestAReferenceAtAnotherCommitIsAThirdState(t *testing.T) {
	t.Parallel()
	m := newMigrated(t)
	r := m.repo(nil)
	s := pristine(t, Revert)[0]
	m.git("branch", "migration-rollback-20260105", m.docs)
	if sight := look(t, r, s, &targettest.Keeper{}); sight.State != "migration-rollback-20260105 at "+short(m.docs) || sight.Evidence[0].OK {
		t.Errorf("%+v", sight)
	}
	if err := Targets(r)[s.Target].Do(t.Context(), rollback.At{Step: s}, &targettest.Keeper{}); !errors.Is(err, lockstep.ErrConflict) || m.git("rev-parse", "migration-rollback-20260105") != m.docs {
		t.Errorf("%v", err)
	}
}

func TestTheLastNameOfACommitIsNotDeleted(t *testing.T) {
	t.Parallel()
	m := newMigrated(t)
	r := m.repo(nil)
	s := pristine(t, Revert)[0]
	k := &targettest.Keeper{}
	if err := doStep(t, r, s, k); err != nil {
		t.Fatal(err)
	}
	m.git("switch", "--quiet", "--detach", m.point)
	m.git("branch", "--quiet", "-D", "main")
	undo, err := Targets(r)[s.Target].Undo(t.Context(), rollback.At{Step: s, Kept: k.Kept})
	if err != nil {
		t.Fatal(err)
	}
	if err := doStep(t, r, *undo, &targettest.Keeper{}); !errors.Is(err, lockstep.ErrRefused) || !strings.Contains(err.Error(), "nothing else has the commit") {
		t.Errorf("%v", err)
	}
}

func TestTheEnvironmentIsItsOwn(t *testing.T) {
	env := environment(Settings{}, map[string]string{"HOME": "/h", "GIT_DIR": "/elsewhere", "PATH": "/p"})
	all := strings.Join(env, "\n")
	if !strings.Contains(all, "HOME=/h\n") || !strings.Contains(all, "PATH=/p\n") || strings.Contains(all, "GIT_DIR") || !strings.Contains(all, "core.hooksPath") {
		t.Error(all)
	}
	if strings.Contains(strings.Join(environment(Settings{Hooks: true}, nil), "\n"), "hooksPath") {
		t.Error("hooks were asked for")
	}
}

func timeout(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), d)
}

func TestAGitThatHangsIsEnded(t *testing.T) {
	t.Parallel()
	fake := filepath.Join(t.TempDir(), "git")
	if err := os.WriteFile(fake, []byte("#!/bin/sh\nsleep 60\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	r, err := New(Settings{Path: t.TempDir(), Git: fake}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := timeout(t, 30*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := r.State(ctx); !errors.Is(err, ctx.Err()) || time.Since(began) > killGrace+5*time.Second {
		t.Errorf("%v after %s", err, time.Since(began))
	}
}
