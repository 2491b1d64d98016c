package program

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The environment of a helper: this test binary, run as a handler.
const (
	envMode = "PROGRAM_TEST_MODE" // one of the modes of helper
	envPids = "PROGRAM_TEST_PIDS" // directory in which every process leaves its id
	envOnce = "PROGRAM_TEST_ONCE" // file; what it is for depends on the mode
)

func TestMain(m *testing.M) {
	if mode := os.Getenv(envMode); mode != "" {
		if dir := os.Getenv(envPids); dir != "" {
			leavePid(dir, os.Getpid())
		}
		os.Exit(helper(mode))
	}
	// Every check of the suites goes through processes: fewer of them.
	if err := flag.Set("rapid.checks", "8"); err != nil {
		panic(err)
	}
	code := m.Run()
	if left := childrenOf(os.Getpid()); len(left) > 0 {
		fmt.Fprintf(os.Stderr, "processes were left behind: %v\n", left)
		code = 1
	}
	os.Exit(code)
}

func leavePid(dir string, pid int) {
	if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(pid)), nil, 0o600); err != nil {
		panic(err)
	}
}

// childrenOf lists the processes that pid has started, as far as /proc says.
func childrenOf(pid int) []string {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	var out []string
	for _, s := range stats {
		b, err := os.ReadFile(s)
		if err != nil {
			continue
		}
		fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		if len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			out = append(out, string(b[:min(len(b), 60)]))
		}
	}
	return out
}

// helperSpec runs this binary in mode.
func helperSpec(t testing.TB, mode string) Spec {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Spec{
		Command: []string{exe},
		Name:    mode,
		Env:     map[string]string{envMode: mode, envPids: t.TempDir(), envOnce: filepath.Join(t.TempDir(), "once")},
	}
}

// open makes a Program, and checks at the end of the test that no process that left
// its id is alive.
func open(t testing.TB, spec Spec, opts Options) *Program {
	t.Helper()
	p, err := New(spec, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		for _, pid := range pids(t, spec) {
			if alive(pid) {
				t.Errorf("process %d outlived Close", pid)
			}
		}
	})
	return p
}

// alive says whether pid runs. One that has ended and whose parent, which is not us,
// has not noticed does not.
func alive(pid int) bool {
	for range 20 { // a signal to a grandchild takes its time
		if unix.Kill(pid, 0) != nil {
			return false
		}
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err == nil && strings.Contains(string(stat), ") Z ") {
			return false
		}
		time.Sleep(10 * time.Millisecond)
	}
	return true
}

func pids(t testing.TB, spec Spec) []int {
	t.Helper()
	dir := spec.Env[envPids]
	if dir == "" {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, pid)
	}
	return out
}

// eventually waits for what another process does.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for range 500 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("still not: %s", what)
}
