package local

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"lockstep/internal/lockstep"
)

const lockVariable = "LOCKSTEP_TEST_LOCK"

// TestMain lets the test binary be the second process: with the variable set it
// takes the lock, says so, and holds it until its input ends or it is killed.
func TestMain(m *testing.M) {
	path := os.Getenv(lockVariable)
	if path == "" {
		os.Exit(m.Run())
	}
	if _, err := Lock(path); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("locked")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
}

func TestLockHeldByAnotherProcessIsRefusedWithItsID(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lockstep.lock")
	other := exec.CommandContext(t.Context(), os.Args[0])
	other.Env = append(os.Environ(), lockVariable+"="+path)
	in, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked\n" {
		t.Fatalf("the other process says %q, %v", line, err)
	}

	_, err = Lock(path)
	if !errors.Is(err, lockstep.ErrRefused) || !strings.Contains(err.Error(), "process "+strconv.Itoa(other.Process.Pid)) || lockstep.HintOf(err) == "" {
		t.Errorf("Lock = %v with hint %q; want ErrRefused naming process %d", err, lockstep.HintOf(err), other.Process.Pid)
	}

	// A killed process leaves its id in the file, but not its lock.
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = other.Wait()
	release, err := Lock(path)
	if err != nil {
		t.Fatalf("Lock after the holder was killed: %v", err)
	}
	if err := release(); err != nil {
		t.Error(err)
	}
}

func TestLockCanBeTakenAgainAfterRelease(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l")
	for range 2 {
		release, err := Lock(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Lock(path); !errors.Is(err, lockstep.ErrRefused) || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
			t.Errorf("second Lock of one process = %v, want ErrRefused naming it", err)
		}
		if err := release(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLockWhereNoFileCanBeIsAnError(t *testing.T) {
	if _, err := Lock(filepath.Join(t.TempDir(), "none", "l")); err == nil {
		t.Error("locked a file in a directory that does not exist")
	}
}
