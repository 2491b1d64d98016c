package pypackage

import (
	"context"
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

func lookup(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
}

func sh(script string) call {
	return call{args: []string{"/bin/sh", "-c", script}, timeout: 10 * time.Second}
}

func TestProgramsSeeOnlyTheVariablesThatAreNamed(t *testing.T) {
	vars := map[string]string{"PATH": os.Getenv("PATH"), "HOME": "/home/x", "PIP_INDEX_URL": "https://user:hunter22@host", "SECRET": "never", "EMPTY": ""}
	s := surround([]string{"PIP_INDEX_URL", "EMPTY", "UNSET"}, lookup(vars))
	status, said, err := s.run(t.Context(), sh(`env; echo "at $PIP_INDEX_URL"`))
	if err != nil || status != 0 {
		t.Fatal(status, err)
	}
	for _, want := range []string{"HOME=/home/x\n", "EMPTY=\n", "PYTHONDONTWRITEBYTECODE=1\n", "PIP_INDEX_URL=" + struck, "at " + struck} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in %s", want, said)
		}
	}
	for _, bad := range []string{"SECRET", "UNSET", "hunter22"} {
		if strings.Contains(said, bad) {
			t.Errorf("%s in %s", bad, said)
		}
	}
}

func TestTheEndOfTheOutputIsKept(t *testing.T) {
	_, said, err := surround(nil, lookup(nil)).run(t.Context(), sh(`i=0; while [ $i -lt 3000 ]; do echo "line $i of an output that is too long to be kept"; i=$((i+1)); done; echo the end`))
	if err != nil {
		t.Fatal(err)
	}
	if len(said) > maxOutput || len(said) < maxOutput/2 || !strings.HasSuffix(said, "the end\n") || !strings.HasPrefix(said, "line ") {
		t.Errorf("%d bytes: %.40q ... %q", len(said), said, said[len(said)-20:])
	}
	if got := lastLines("a\n\n b  c \n", 5); got != "a; b c" {
		t.Errorf("%q", got)
	}
	if got := lastLines("1\n2\n3\n", 2); got != "2; 3" {
		t.Errorf("%q", got)
	}
}

// TestWhatAProgramStartsEndsWithIt has a grandchild that would live on.
func TestWhatAProgramStartsEndsWithIt(t *testing.T) {
	for name, tt := range map[string]struct {
		script string
		limit  time.Duration
		want   error
	}{
		"a program that takes too long": {"sleep 300 & echo $! >$0; wait", 40 * time.Millisecond, lockstep.ErrUnavailable},
		"one that ends":                 {"sleep 300 >/dev/null 2>&1 & echo $! >$0", time.Minute, nil},
		"one that is called off":        {"sleep 300 & echo $! >$0; wait", time.Minute, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "pid")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if errors.Is(tt.want, context.Canceled) {
				go func() {
					for pidIn(file) == 0 {
						time.Sleep(time.Millisecond)
					}
					cancel()
				}()
			}
			c := sh(tt.script)
			c.args, c.timeout = append(c.args, file), tt.limit
			began := time.Now()
			_, _, err := surround(nil, lookup(map[string]string{"PATH": os.Getenv("PATH")})).run(ctx, c)
			if !errors.Is(err, tt.want) || tt.want == nil && err != nil {
				t.Errorf("%v", err)
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("it took %s", took)
			}
			pid := pidIn(file)
			for i := 0; pid != 0 && alive(pid); i++ {
				if i > 500 {
					t.Fatalf("process %d lives on", pid)
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
}

func pidIn(file string) int {
	body, err := os.ReadFile(file)
	if err != nil || !strings.HasSuffix(string(body), "\n") {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(body)))
	if err != nil {
		return 0
	}
	return pid
}

// alive is false for a process that has ended and that nobody has waited for.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || !strings.Contains(string(stat), ") Z ")
}

func TestHowAProgramFailsHasAClass(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "script"), "")
	for name, tt := range map[string]struct {
		args []string
		dir  string
		want error
	}{
		"no program":     {[]string{"no-program-of-this-name"}, dir, lockstep.ErrNotFound},
		"no directory":   {[]string{"/bin/sh", "-c", ":"}, dir + "/gone", lockstep.ErrNotFound},
		"not executable": {[]string{dir + "/script"}, dir, lockstep.ErrRefused},
	} {
		if _, _, err := surround(nil, lookup(nil)).run(t.Context(), call{tt.args, tt.dir, time.Minute}); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	status, said, err := surround(nil, lookup(nil)).run(t.Context(), sh("echo why; exit 7"))
	if status != 7 || said != "why\n" || err != nil {
		t.Errorf("%d %q %v", status, said, err)
	}
}

func TestAReinstallThatFailsIsDoneAgain(t *testing.T) {
	w := newWorld(t)
	w.vars["TOKEN"] = "hunter22"
	w.settings.Env = []string{"TOKEN"}
	flag := filepath.Join(t.TempDir(), "mended")
	script := w.settings.Reinstall[1]
	w.settings.Reinstall = []string{"/bin/sh", "-c", `test -e "$0" && exec "$1" "$2"; echo "no access with $TOKEN"; exit 4`, flag, "{python}", script}
	step, k := w.plan(), &targettest.Keeper{}
	err := w.do(step, k)
	if !errors.Is(err, lockstep.ErrUnavailable) || !strings.Contains(err.Error(), "status 4: no access with "+struck) || lockstep.HintOf(err) == "" {
		t.Fatalf("%v, hint %q", err, lockstep.HintOf(err))
	}
	if s := w.look(step, k.Kept); s.State != rollback.Partial || items(s) != "+package.removed +package.init-reverted" {
		t.Errorf("%+v", s)
	}
	write(t, flag, "")
	if err := w.do(step, k); err != nil {
		t.Fatal(err)
	}
	if s := w.look(step, k.Kept); s.State != Removed {
		t.Errorf("%+v", s)
	}
	installs := w.installs()
	if err := w.do(step, k); err != nil || w.installs() != installs {
		t.Errorf("a step that is done installs again, %v", err)
	}
}
