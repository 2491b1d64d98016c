package pypackage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"lockstep/internal/lockstep"
)

// call is one run of a program.
type call struct {
	args    []string
	dir     string
	timeout time.Duration
}

const (
	maxOutput = 64 << 10
	pipeGrace = time.Second // for pipes that a grandchild still holds
)

// tail keeps the end of what is written to it: a program says last why it stopped.
type tail struct {
	text []byte
	cut  bool
}

// Write never fails, so that a loud program still ends by itself.
func (t *tail) Write(p []byte) (int, error) {
	t.cut = t.cut || len(t.text)+len(p) > maxOutput
	t.text = append(t.text, p[max(0, len(p)-maxOutput):]...)
	if over := len(t.text) - maxOutput; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(p), nil
}

// String is what was kept, in whole lines where the beginning is gone: half a line could
// hold half a secret.
func (t *tail) String() string {
	text := strings.ToValidUTF8(string(t.text), "?")
	if !t.cut {
		return text
	}
	_, rest, _ := strings.Cut(text, "\n")
	return rest
}

// surroundings are what programs see: an environment, and what must not be shown of it.
type surroundings struct {
	env    []string
	secret *strings.Replacer
}

const (
	struck    = "[secret]"
	minSecret = 6 // shorter ones would strike out ordinary words
)

// fixed variables keep the tree as it is and the programs quiet: no compiled files, no
// question, no look for a newer pip.
var fixed = []string{"PYTHONDONTWRITEBYTECODE=1", "PIP_DISABLE_PIP_VERSION_CHECK=1", "PIP_NO_INPUT=1"}

// surround takes PATH, HOME and the named variables. One that is not set is left out.
func surround(names []string, lookup func(string) (string, bool)) surroundings {
	env := slices.Clone(fixed)
	var values []string
	always := []string{"HOME", "PATH"}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(always, names)))) {
		value, ok := lookup(name)
		if !ok {
			continue
		}
		env = append(env, name+"="+value)
		if len(value) >= minSecret && !slices.Contains(always, name) {
			values = append(values, value)
		}
	}
	// The longest first, so that no rest of a longer one stays.
	slices.SortFunc(values, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, v := range values {
		pairs = append(pairs, v, struck)
	}
	return surroundings{env, strings.NewReplacer(pairs...)}
}

// run runs a program in a process group of its own, waits for the end of all of it and
// returns its status and the end of what it said. ErrNotFound: there is no such program.
// ErrRefused: it may not be run. ErrUnavailable: it took too long. ctx's error when ctx
// ended it.
func (s surroundings) run(ctx context.Context, c call) (status int, said string, err error) {
	if err := ctx.Err(); err != nil {
		return 0, "", err
	}
	running, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	cmd := exec.CommandContext(running, c.args[0], c.args[1:]...)
	out := &tail{}
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = c.dir, s.env, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return kill(cmd.Process.Pid) }
	cmd.WaitDelay = pipeGrace
	err = cmd.Run()
	if cmd.Process != nil {
		// What it left behind in its group; that there is nothing is the usual case.
		_ = kill(cmd.Process.Pid)
	}
	said = s.secret.Replace(out.String())
	exit, _ := errors.AsType[*exec.ExitError](err)
	switch {
	case ctx.Err() != nil:
		return 0, said, ctx.Err()
	case running.Err() != nil:
		return 0, said, fmt.Errorf("%w: %s is not done within %s", lockstep.ErrUnavailable, shown(c.args), c.timeout)
	case exit != nil:
		return exit.ExitCode(), said, nil // -1: by a signal
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // it ended well; a process that it left held the pipe
		return 0, said, nil
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, os.ErrNotExist):
		return 0, said, fmt.Errorf("%w: no program %.80q, or no directory %.80q", lockstep.ErrNotFound, c.args[0], c.dir)
	case errors.Is(err, os.ErrPermission):
		return 0, said, fmt.Errorf("%w: %.80q may not be run", lockstep.ErrRefused, c.args[0])
	}
	return 0, said, fmt.Errorf("%w: run %s: %w", lockstep.ErrUnavailable, shown(c.args), err)
}

func kill(group int) error {
	if err := syscall.Kill(-group, syscall.SIGKILL); !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return os.ErrProcessDone
}

// lastLines are the last lines that say something, in one line.
func lastLines(said string, most int) string {
	var lines []string
	for line := range strings.Lines(said) {
		if line = strings.Join(strings.Fields(line), " "); line != "" {
			lines = append(lines, line)
		}
	}
	text := strings.Join(lines[max(0, len(lines)-most):], "; ")
	if len(text) > 1000 {
		text = "..." + strings.ToValidUTF8(text[len(text)-1000:], "")
	}
	return text
}
