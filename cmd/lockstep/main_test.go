package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asMain makes the test binary be the program.
const asMain = "LOCKSTEP_TEST_AS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), asMain+"=1")
	return cmd
}

func TestTheExitStatusIsThatOfTheCommand(t *testing.T) {
	for _, c := range []struct {
		args   []string
		want   int
		stdout string
		stderr string
	}{
		{[]string{"version"}, 0, "lockstep ", ""},
		{[]string{"frobnicate"}, 2, "", `lockstep: unknown command "frobnicate"`},
		{[]string{"log"}, 6, "", "lockstep: open store: not found\nhint: "},
		{[]string{"reset", "--to", "1", "--yes"}, 6, "", "hint: "},
	} {
		cmd := program(t, c.args...)
		var stdout, stderr strings.Builder
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err := cmd.Run()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		if got := cmd.ProcessState.ExitCode(); got != c.want {
			t.Errorf("%v: status %d, want %d", c.args, got, c.want)
		}
		if !strings.HasPrefix(stdout.String(), c.stdout) || (c.stdout == "") != (stdout.Len() == 0) || !strings.Contains(stderr.String(), c.stderr) {
			t.Errorf("%v: stdout %q, stderr %q", c.args, &stdout, &stderr)
		}
	}
}

func TestStandardInputIsRead(t *testing.T) {
	cmd := program(t, "ingest", "-")
	cmd.Stdin = strings.NewReader("nonsense\n")
	if out, err := cmd.Output(); err != nil || !strings.HasPrefix(string(out), "1 records in version 1: 1 malformed") {
		t.Errorf("%s: %v", out, err)
	}
}

// up starts a server and returns its address.
func up(t *testing.T) (cmd *exec.Cmd, address string) {
	t.Helper()
	cmd = program(t, "up", "--listen", "127.0.0.1:0")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var a struct{ URL string }
		b, err := os.ReadFile(announcement(cmd))
		if err == nil && json.Unmarshal(b, &a) == nil {
			return cmd, strings.TrimPrefix(a.URL, "http://")
		}
	}
	t.Fatal("the server does not say where it listens")
	return nil, ""
}

func announcement(cmd *exec.Cmd) string {
	return filepath.Join(cmd.Dir, "lockstep-data", "server.json")
}

func signalled(t *testing.T, cmd *exec.Cmd, s os.Signal) {
	t.Helper()
	if err := cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

func TestASignalEndsAServerWell(t *testing.T) {
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		cmd, _ := up(t)
		signalled(t, cmd, s)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %v", s, err)
		}
		if _, err := os.Stat(announcement(cmd)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%v: it leaves its address: %v", s, err)
		}
	}
}

// TestASecondSignalEndsTheProcessAtOnce lets a request hang that the first signal
// would wait for.
func TestASecondSignalEndsTheProcessAtOnce(t *testing.T) {
	cmd, address := up(t)
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// The answer to Expect says that the request is being read.
	if _, err := fmt.Fprint(conn, "POST /v1/changes HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "100") {
		t.Fatalf("%q: %v", line, err)
	}
	signalled(t, cmd, os.Interrupt)
	for end := time.Now().Add(3 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		other, err := net.Dial("tcp", address)
		if err != nil {
			break // it has begun to end
		}
		_ = other.Close()
		if time.Now().After(end) {
			t.Fatal("the first signal has no effect")
		}
	}
	begun := time.Now()
	signalled(t, cmd, os.Interrupt)
	err = cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("%v", err)
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); !ok || !status.Signaled() || status.Signal() != syscall.SIGINT {
		t.Errorf("it ended with %v", exit) // a shell reports 130
	}
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("it took %s", took)
	}
}
