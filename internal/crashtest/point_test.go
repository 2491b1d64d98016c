package crashtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"lockstep/internal/handler/handlertest"
)

// points are the calls at which a child may die. Those of the store and of the
// acknowledgement have a before and an after; of the disk, what is after one operation is
// before the next (TRAPS 4.14, points 1 to 3, 10 to 12 and 14).
var points = []struct {
	name  string
	sides []bool // false: before it, true: after it
}{
	{"entry", both},
	{"delta", both},
	{"hint", both},
	{"get", both},
	{"part", both},
	{"manifest", both},
	{"ack", both},
	{"state create", before},
	{"state write", before},
	{"state sync", before},
	{"state rename", before},
	{"state remove", before},
}

var both, before = []bool{false, true}, []bool{false}

// perLife is how many messages a child has in hand, enough to reach every point twice.
const perLife = 36

func TestAProcessMayDieAtAnyCall(t *testing.T) {
	dir, from := t.TempDir(), 0
	for _, nth := range []int{1, 3} {
		for _, p := range points {
			for _, after := range p.sides {
				s := spec{Dir: dir, From: from, To: from + perLife, Point: p.name, After: after, Nth: nth}
				t.Run(fmt.Sprintf("%s after=%t call %d", p.name, after, nth), func(t *testing.T) { s.die(t) })
				if t.Failed() {
					return
				}
				litter(t, dir)
				// What was in its hands comes again, some of it to a store that has it.
				from += 9
			}
		}
	}
	last := from + perLife
	run(t, spec{Dir: dir, From: 0, To: last})
	x, err := examine(t.Context(), dir, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	model := handlertest.NewIndex(notes{}, nil)
	if _, err := model.Apply(t.Context(), messages(0, last)...); err != nil {
		t.Fatal(err)
	}
	if err := x.equals(model); err != nil {
		t.Errorf("version %d: %v", x.head.Number(), err)
	}
}

// die lets a child die at the point and looks at what it leaves.
func (s spec) die(t *testing.T) {
	err := s.command(t).Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("the child ended with %v, which was to be killed", err)
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGKILL {
		t.Fatalf("the child was to be killed at %q and %v (%d: it never came there)", s.Point, err, survived)
	}
	x, err := examine(t.Context(), s.Dir, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range acked(t, s) {
		if err := x.has(message(i)); err != nil {
			t.Fatalf("version %d: %v", x.head.Number(), err)
		}
	}
}

func run(t *testing.T, s spec) {
	t.Helper()
	if err := s.command(t).Run(); err != nil {
		t.Fatalf("a child that nobody kills: %v", err)
	}
}

func (s spec) command(t *testing.T) *exec.Cmd {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), childEnv+"="+string(b))
	cmd.Stderr = os.Stderr
	return cmd
}

// acked returns the numbers of the messages that children acknowledged so far. A last
// line without its end was never heard by anybody.
func acked(t *testing.T, s spec) []int {
	t.Helper()
	b, err := os.ReadFile(s.acks())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var out []int
	lines := strings.Split(string(b), "\n")
	for _, line := range lines[:len(lines)-1] {
		i, err := strconv.Atoi(strings.TrimPrefix(line, "m"))
		if err != nil {
			t.Fatalf("acknowledgement %q: %v", line, err)
		}
		out = append(out, i)
	}
	return out
}

// litter leaves half a file where the local store stages its writes, as a process does
// that dies between the write and the link (TRAPS 4.14, point 2).
func litter(t *testing.T, dir string) {
	t.Helper()
	f, err := os.CreateTemp(filepath.Join(dir, "store", "~staging"), "half-")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("LSL1 half of an entr"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
