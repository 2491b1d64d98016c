package git

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
	"lockstep/internal/rollback/targettest"
)

var errKilled = errors.New("killed")

// cutter is a keeper that ends the context after so many calls: a kill at each moment
// at which a step tells of itself. It keeps, or is killed before it has.
type cutter struct {
	targettest.Keeper
	left   int
	forget bool
	atKeep bool // the end came at a Keep
	cancel func()
}

func (c *cutter) cut() bool {
	c.left--
	if c.left == 0 {
		c.cancel()
	}
	return c.left == 0
}

func (c *cutter) Say(string, int64, int64) { c.cut() }

func (c *cutter) Keep(ctx context.Context, kept json.RawMessage) error {
	if c.atKeep = c.cut(); c.atKeep && c.forget {
		return errKilled
	}
	return c.Keeper.Keep(ctx, kept)
}

func TestRevertKilledAtAnyMomentGoesOn(t *testing.T) {
	t.Parallel()
	m := newMigrated(t)
	r := m.repo(nil)
	s := stepOf(t, pristine(t, Revert), stepRevert)
	began := m.print()
	want := ""
	for moment := 1; ; moment++ {
		for _, forget := range []bool{false, true} {
			ctx, cancel := context.WithCancel(t.Context())
			c := &cutter{left: moment, forget: forget, cancel: cancel}
			err := Targets(r)[s.Target].Do(ctx, rollback.At{Step: s}, c)
			cancel()
			if c.left > 0 {
				if err != nil || moment < 5 {
					t.Fatalf("it ended after %d moments: %v", moment, err)
				}
				return
			}
			if err == nil {
				t.Fatalf("moment %d: the context ended and nobody minded", moment)
			}
			if err := m.same(began); err != nil {
				t.Fatalf("moment %d: %v", moment, err)
			}
			k := &targettest.Keeper{Kept: c.Kept}
			if err := doStep(t, r, s, k); err != nil {
				t.Fatalf("moment %d: %v", moment, err)
			}
			if want == "" {
				want = m.head()
			}
			if got := m.head(); got != want {
				t.Errorf("moment %d: the head is %s, not the same commit %s", moment, got, want)
			}
			m.git("switch", "--quiet", "main")
			m.git("branch", "--quiet", "-D", "rollback-20260105")
			if !c.atKeep {
				break // it makes no difference what would have been kept
			}
		}
	}
}

// halfway puts a tree where a killed checkout leaves it: the branch is made, some files
// are written, one is begun, one that was to go is gone, and the index is as it was.
func halfway(t *testing.T, m migrated, r *Repo, s rollback.Step) *targettest.Keeper {
	t.Helper()
	k := &targettest.Keeper{}
	if err := doStep(t, r, s, k); err != nil {
		t.Fatal(err)
	}
	m.git("switch", "--quiet", "main")
	m.write("lambdas/handler.py", "from local")
	m.write("receipt_chroma/__init__.py", "VERSION = 1\n")
	if err := os.Remove(filepath.Join(m.dir, "receipt_chroma/stream/processor.py")); err != nil {
		t.Fatal(err)
	}
	return k
}

func lock(t *testing.T, m migrated, age time.Duration) string {
	t.Helper()
	path := filepath.Join(m.dir, ".git/index.lock")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	then := time.Now().Add(-age)
	if err := os.Chtimes(path, then, then); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestATreeThatIsHalfwayGoesOn(t *testing.T) {
	t.Parallel()
	for _, option := range []Option{Revert, Reset} {
		m := newMigrated(t)
		r := m.repo(nil)
		s := stepOf(t, pristine(t, option), "git-"+string(option))
		k := halfway(t, m, r, s)
		lock(t, m, time.Hour)
		if sight := look(t, r, s, k); sight.State != rollback.Partial {
			t.Errorf("%s: %+v", option, sight)
		}
		if err := doStep(t, r, s, k); err != nil {
			t.Errorf("%s: %v", option, err)
		}
		if out := m.git("status", "--porcelain"); out != "" {
			t.Errorf("%s: %s", option, out)
		}
	}
}

func TestWorkInAHalfwayTreeIsNotWrittenOver(t *testing.T) {
	t.Parallel()
	m := newMigrated(t)
	r := m.repo(nil)
	s := stepOf(t, pristine(t, Revert), stepRevert)
	k := halfway(t, m, r, s)
	m.write("receipt_chroma/compaction/ops.py", "mine\n")
	before := m.print()
	err := Targets(r)[s.Target].Do(t.Context(), rollback.At{Step: s, Kept: k.Kept}, k)
	if !errors.Is(err, lockstep.ErrRefused) || !strings.Contains(err.Error(), "receipt_chroma/compaction/ops.py") || strings.Contains(err.Error(), "handler.py") {
		t.Errorf("%v", err)
	}
	if err := m.same(before); err != nil {
		t.Error(err)
	}
}

func TestALockIsSomebodysUntilItIsOldAndOurs(t *testing.T) {
	t.Parallel()
	m := newMigrated(t)
	r := m.repo(nil)
	s := stepOf(t, pristine(t, Revert), stepRevert)
	held := func(k *targettest.Keeper) {
		t.Helper()
		if err := Targets(r)[s.Target].Do(t.Context(), rollback.At{Step: s, Kept: k.Kept}, k); !errors.Is(err, lockstep.ErrUnavailable) || !strings.Contains(lockstep.HintOf(err), "rm ") {
			t.Errorf("%v", err)
		}
	}
	path := lock(t, m, time.Hour)
	held(&targettest.Keeper{}) // nothing was begun: it is not ours
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	k := halfway(t, m, r, s)
	lock(t, m, time.Second)
	held(k) // it is young
	lock(t, m, 2*stale)
	if err := doStep(t, r, s, k); err != nil {
		t.Error(err)
	}
}

// slow makes git stop while it writes lambdas/handler.py, and returns the file in which
// the process id of git appears then, and the file that lets it stop.
func slow(t *testing.T, m migrated) (pid, stop string) {
	t.Helper()
	dir := t.TempDir()
	pid, stop = filepath.Join(dir, "pid"), filepath.Join(dir, "stop")
	script := fmt.Sprintf("#!/bin/sh\nexec 2>/dev/null\nif [ -e %[1]s ]; then rm %[1]s; echo $PPID >%[2]s.new; mv %[2]s.new %[2]s; sleep 60 <&- >&-; fi\ncat\n", stop, pid)
	if err := os.WriteFile(filepath.Join(dir, "smudge"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	m.git("config", "filter.slow.smudge", filepath.Join(dir, "smudge"))
	m.git("config", "filter.slow.clean", "cat")
	m.git("config", "filter.slow.required", "true")
	if err := os.MkdirAll(filepath.Join(m.dir, ".git/info"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(m.dir, ".git/info/attributes"), []byte("lambdas/handler.py filter=slow\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return pid, stop
}

// await returns the process id in a file, once it is there.
func await(t *testing.T, file string) int {
	t.Helper()
	for range 2000 {
		if b, err := os.ReadFile(file); err == nil {
			n, err := strconv.Atoi(strings.TrimSpace(string(b)))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("git has not stopped")
	return 0
}

func TestARealGitKilledInTheMiddleOfItsCheckout(t *testing.T) {
	t.Parallel()
	for _, option := range []Option{Revert, Reset, Restore, "undo", "move"} {
		t.Run(string(option), func(t *testing.T) {
			t.Parallel()
			for _, way := range []string{"killed", "cancelled"} {
				if way == "cancelled" && option != Revert && option != Restore {
					continue // it is the same but for the lock
				}
				m := newMigrated(t)
				r := m.repo(func(s *Settings) { s.MoveBranch = option == "move" })
				s, k := interruptible(t, r, option)
				pid, stop := slow(t, m)
				if err := os.WriteFile(stop, nil, 0o600); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- Targets(r)[s.Target].Do(ctx, rollback.At{Step: s, Kept: k.Kept}, k) }()
				git := await(t, pid)
				if way == "cancelled" {
					cancel()
				} else if err := syscall.Kill(git, syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
				if err := <-ended; err == nil || (way == "cancelled") != errors.Is(err, context.Canceled) {
					t.Errorf("%s: %v", way, err)
				}
				cancel()
				_, locked := os.Lstat(filepath.Join(m.dir, ".git/index.lock"))
				if (way == "killed") != (locked == nil) {
					t.Errorf("%s: the lock of the index: %v", way, locked)
				}
				if sight := look(t, r, s, k); sight.State != s.From && sight.State != rollback.Partial {
					t.Errorf("%s: it looks like %q (%s)", way, sight.State, sight.Detail)
				}
				r.now = func() time.Time { return time.Now().Add(2 * stale) }
				if err := doStep(t, r, s, k); err != nil {
					t.Errorf("%s: %v", way, err)
				}
				if out := m.git("status", "--porcelain"); out != "" && option != Restore {
					t.Errorf("%s: not clean: %s", way, out)
				}
			}
		})
	}
}

// interruptible returns a step that writes lambdas/handler.py when it is done.
func interruptible(t *testing.T, r *Repo, option Option) (rollback.Step, *targettest.Keeper) {
	t.Helper()
	k := &targettest.Keeper{}
	switch option {
	case "move":
		list := steps(t, r, Reset)
		if err := doStep(t, r, list[0], &targettest.Keeper{}); err != nil {
			t.Fatal(err)
		}
		return list[1], k
	case "undo":
		s := stepOf(t, pristine(t, Revert), stepRevert)
		if err := doStep(t, r, s, k); err != nil {
			t.Fatal(err)
		}
		undo, err := Targets(r)[s.Target].Undo(t.Context(), rollback.At{Step: s, Kept: k.Kept})
		if err != nil {
			t.Fatal(err)
		}
		return *undo, &targettest.Keeper{}
	case Revert, Reset, Restore:
	}
	return stepOf(t, pristine(t, option), "git-"+string(option)), k
}
