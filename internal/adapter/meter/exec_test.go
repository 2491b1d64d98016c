package meter

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"lockstep/internal/guard"
	"lockstep/internal/guard/guardtest"
	"lockstep/internal/lockstep"
)

// shell returns a source that runs a script; $1 is the question.
func shell(t *testing.T, script string, timeout time.Duration) *Exec {
	t.Helper()
	e, err := NewExec(Command{
		Args: []string{"/bin/sh", "-c", script, "sh"}, Env: map[string]string{"TOKEN": guardtest.Secret},
		Timeout: timeout, MaxBytes: 1 << 16,
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestExecKeepsTheContract(t *testing.T) {
	scripts := map[guardtest.World]string{
		guardtest.Answers: fmt.Sprintf(`[ "$1" = depth ] && echo %g`, guardtest.Value),
		guardtest.Silent:  "true",
		guardtest.NoGood:  "echo NaN",
		guardtest.Fails:   `echo "cannot log in with $TOKEN" >&2; exit 3`,
		guardtest.Unknown: `echo "no $1 for $TOKEN" >&2; exit 1`,
		guardtest.Garbage: `echo "$TOKEN$TOKEN$TOKEN$TOKEN"`,
		guardtest.Huge:    `trap "" PIPE; while :; do echo 1111111111111111111111111111111111111111111111111111111111111; done 2>/dev/null`,
		guardtest.Hangs:   "/bin/sleep 60 & /bin/sleep 60",
	}
	guardtest.Run(t, guardtest.Fixture{UnknownIs: lockstep.ErrUnavailable, Open: func(t *testing.T, world guardtest.World) (guard.Meter, string) {
		timeout := 20 * time.Second
		if world == guardtest.Hangs {
			timeout = guardtest.Patience
		}
		return shell(t, scripts[world], timeout), "depth"
	}})
}

func TestSamplesArePrintedAsLines(t *testing.T) {
	now := time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)
	q := guard.Query{Question: "q", From: now.Add(-time.Minute), To: now}
	s, err := shell(t, `printf '%s\n\n%s\n' '{"at":"2026-01-05T11:59:30Z","value":1,"labels":{"queue":"a"}}' '{"at":"2026-01-05T11:59:40Z","err":"throttled"}'`, 0).Read(t.Context(), q)
	if err != nil || len(s.Samples) != 2 || s.Samples[0].Labels["queue"] != "a" || s.Samples[1].Err != "throttled" {
		t.Errorf("%+v, %v", s, err)
	}
	for _, bad := range []string{`{"at":"2026-01-05T11:59:30Z"}`, `{"at":"2026-01-05T11:59:30Z","value":1,"unit":"s"}`, `{"value":1}`, `1\n2`, `[1]`, "{"} {
		if s, err := shell(t, `printf '`+bad+`'`, 0).Read(t.Context(), q); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s: %+v, %v", bad, s, err)
		}
	}
}

func TestTheCommandSeesTheQuestionAndNothingElse(t *testing.T) {
	t.Setenv("LOCKSTEP_TEST_LEAK", "1")
	now := time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)
	out := filepath.Join(t.TempDir(), "seen")
	e, err := NewExec(Command{Args: []string{"/bin/sh", "-c", `{ /bin/cat; /usr/bin/env; echo "$#" "$1"; } > "$OUT"`, "sh"}, Env: map[string]string{"OUT": out}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Read(t.Context(), guard.Query{Question: `a "b"; $(x)`, From: now.Add(-time.Minute), To: now}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(out)
	seen := string(b)
	if err != nil || !strings.HasPrefix(seen, `{"question":"a \"b\"; $(x)","from":"2026-01-05T11:59:00Z","to":"2026-01-05T12:00:00Z"}`+"\n") ||
		!strings.HasSuffix(seen, "1 a \"b\"; $(x)\n") || strings.Contains(seen, "LEAK") || strings.Contains(seen, "HOME=") {
		t.Errorf("%v:\n%s", err, seen)
	}
}

func TestNothingOutlivesTheRun(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	e := shell(t, `/bin/sleep 60 >/dev/null 2>&1 & echo $! > `+file+`; echo 1`, 5*time.Second)
	if _, err := e.Read(t.Context(), guard.Query{Question: "q", To: time.Now()}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(state), ") Z ") || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("process %d still runs", pid)
}

func TestAProgramThatIsNotThere(t *testing.T) {
	for _, c := range []struct {
		program string
		want    error
	}{{"/nowhere/at-all", lockstep.ErrNotFound}, {"no-such-program-here", lockstep.ErrNotFound}, {t.TempDir(), lockstep.ErrRefused}} {
		e, err := NewExec(Command{Args: []string{c.program}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Read(t.Context(), guard.Query{To: time.Now()}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.program, err, c.want)
		}
	}
	for _, args := range [][]string{nil, {""}} {
		if _, err := NewExec(Command{Args: args}); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%q: %v", args, err)
		}
	}
}

func TestHalfASecretIsNotShown(t *testing.T) {
	// The tail begins in the middle of the secret, wherever that lies, and what follows
	// is blank, so that the beginning is near the end.
	for pad := range 20 {
		script := fmt.Sprintf(`printf '%%s' "$TOKEN" >&2; printf '%%%ds why' '' >&2; exit 1`, stderrKept-pad)
		_, err := shell(t, script, 0).Read(t.Context(), guard.Query{Question: "q", To: time.Now()})
		if err == nil || strings.Contains(err.Error(), guardtest.Secret[8:]) {
			t.Fatalf("%d: %v", pad, err)
		}
	}
}

func TestTheEndOfWhatACommandSaysIsKept(t *testing.T) {
	_, err := shell(t, `i=0; while [ $i -lt 2000 ]; do echo "line $i" >&2; i=$((i+1)); done; echo "No module named processor" >&2; exit 1`, 0).
		Read(t.Context(), guard.Query{Question: "q", To: time.Now()})
	if err == nil || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("%v", err)
	}
	if err != nil && !strings.Contains(err.Error(), "No module named processor") {
		t.Errorf("what was wrong is not in it: %v", err)
	}
}
