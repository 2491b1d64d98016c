package deploy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"lockstep/internal/lockstep"
)

// call is one run of a program.
type call struct {
	args    []string
	dir     string
	env     []string
	timeout time.Duration
	// gentle is how long the program may take to end when it is asked to: one that is
	// killed in the middle of an update leaves its lock behind. 0: it is killed at once.
	gentle time.Duration
}

// answer is what a program said. A status other than 0 is no error here.
type answer struct {
	out, said []byte // standard output, standard error
	status    int
}

const (
	maxOut    = 16 << 20
	maxSaid   = 256 << 10
	pipeGrace = time.Second // for pipes that a grandchild still holds
)

var errTooLong = errors.New("output too long")

// bounded keeps the beginning of an output and notes that there was more.
type bounded struct {
	body bytes.Buffer
	most int
	over bool
}

// Write never fails: a program that cannot write any more might end in the middle of an
// update.
func (b *bounded) Write(p []byte) (int, error) {
	room := max(0, b.most-b.body.Len())
	b.over = b.over || len(p) > room
	b.body.Write(p[:min(len(p), room)])
	return len(p), nil
}

// run runs a program in a process group of its own and waits for the end of all of it.
// ErrNotFound: there is no such program. ErrRefused: it may not be run. ErrUnavailable: it
// took too long. ErrInvalid: it printed too much. ctx's error when ctx ended it.
func run(ctx context.Context, c call) (answer, error) {
	if err := ctx.Err(); err != nil {
		return answer{}, err
	}
	running, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	cmd := exec.CommandContext(running, c.args[0], c.args[1:]...)
	cmd.Dir, cmd.Env = c.dir, c.env
	out, said := &bounded{most: maxOut}, &bounded{most: maxSaid}
	cmd.Stdout, cmd.Stderr = out, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		if c.gentle > 0 {
			return cmd.Process.Signal(os.Interrupt)
		}
		return kill(cmd.Process.Pid)
	}
	cmd.WaitDelay = max(c.gentle, pipeGrace)
	err := cmd.Run()
	if cmd.Process != nil {
		// What it left behind in its group; that there is nothing is the usual case.
		_ = kill(cmd.Process.Pid)
	}
	a := answer{out: out.body.Bytes(), said: said.body.Bytes()}
	if cmd.ProcessState != nil {
		a.status = cmd.ProcessState.ExitCode()
	}
	exit, _ := errors.AsType[*exec.ExitError](err)
	switch {
	case ctx.Err() != nil:
		return a, ctx.Err()
	case running.Err() != nil:
		return a, fmt.Errorf("%w: not done within %s", lockstep.ErrUnavailable, c.timeout)
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, os.ErrNotExist):
		return a, fmt.Errorf("%w: no program %.80q, or no directory %.80q", lockstep.ErrNotFound, c.args[0], c.dir)
	case errors.Is(err, os.ErrPermission):
		return a, fmt.Errorf("%w: %.80q may not be run", lockstep.ErrRefused, c.args[0])
	case err != nil && exit == nil && !errors.Is(err, exec.ErrWaitDelay):
		return a, fmt.Errorf("%w: %w", lockstep.ErrUnavailable, err)
	case out.over:
		return a, fmt.Errorf("%w answer: %w", lockstep.ErrInvalid, errTooLong)
	}
	return a, nil
}

func kill(group int) error {
	if err := syscall.Kill(-group, syscall.SIGKILL); !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return os.ErrProcessDone
}
