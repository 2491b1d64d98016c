package meter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"lockstep/internal/guard"
	"lockstep/internal/lockstep"
)

// Command says which command to run.
type Command struct {
	Args []string          // the program and its arguments; the question is appended
	Dir  string            // "": where this process is
	Env  map[string]string // its whole environment; values are struck out of every error
	// Timeout bounds one run; then the command and all it started are killed. 0: 30 seconds.
	Timeout time.Duration
	// MaxBytes bounds its output; a longer one ends the run. 0: 8 MiB.
	MaxBytes int64
}

// Exec asks a command. It prints nothing (no data), one number (true at the end of the
// window) or samples as JSON, one a line, as docs/guards.md says.
type Exec struct {
	command Command
	secrets secrets
	env     []string
}

var _ guard.Meter = (*Exec)(nil)

// NewExec returns the source that runs c. It runs nothing; ErrInvalid without a program.
func NewExec(c Command) (*Exec, error) {
	if len(c.Args) == 0 || c.Args[0] == "" {
		return nil, fmt.Errorf("%w source command: no program", lockstep.ErrInvalid)
	}
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.MaxBytes <= 0 {
		c.MaxBytes = defaultBytes
	}
	e := &Exec{command: c, env: []string{}, secrets: secretsOf(slices.Collect(maps.Values(c.Env)))}
	for _, k := range slices.Sorted(maps.Keys(c.Env)) {
		e.env = append(e.env, k+"="+c.Env[k])
	}
	return e, nil
}

const (
	stderrKept = 4096
	killGrace  = time.Second // for pipes that a grandchild still holds
)

// Read runs the command once. ErrUnavailable when it takes too long or ends with
// another status than 0, with the end of what it said; ErrNotFound when there is no such
// program; ErrInvalid when its output is too long or not what was agreed. Whatever it
// started is killed before Read returns.
func (e *Exec) Read(ctx context.Context, q guard.Query) (guard.Series, error) {
	if err := ctx.Err(); err != nil {
		return guard.Series{}, err
	}
	if len(q.Question) > guard.MaxQuestion || bytes.ContainsRune([]byte(q.Question), 0) {
		return guard.Series{}, fmt.Errorf("%w question to %s: want at most %d bytes and no zero byte", lockstep.ErrInvalid, e.name(), guard.MaxQuestion)
	}
	out, err := e.run(ctx, q)
	if err != nil {
		return guard.Series{}, fmt.Errorf("run %s: %w", e.name(), err)
	}
	var samples []guard.Sample
	err = e.secrets.explain(out, func(out []byte) error {
		var err error
		samples, err = printed(out, q)
		return err
	})
	if err != nil {
		err = fmt.Errorf("run %s: %w", e.name(), err)
		return guard.Series{}, lockstep.Hint(err, "print a number, or samples as JSON, one a line")
	}
	return guard.Series{Samples: samples}, nil
}

// printed reads the output of a command.
func printed(out []byte, q guard.Query) ([]guard.Sample, error) {
	text := bytes.TrimSpace(out)
	if len(text) == 0 {
		return nil, nil
	}
	if text[0] == '{' {
		return guard.ParseSamples(out)
	}
	v, err := parseNumber(string(text))
	if err != nil {
		return nil, err
	}
	return one(q, v).Samples, nil
}

func (e *Exec) name() string { return e.secrets.quote(e.command.Args[0]) }

func (e *Exec) run(ctx context.Context, q guard.Query) ([]byte, error) {
	running, cancel := context.WithTimeout(ctx, e.command.Timeout)
	defer cancel()
	args := e.command.Args[1:]
	if q.Question != "" {
		args = append(slices.Clone(args), q.Question)
	}
	ask, err := json.Marshal(struct {
		Question string    `json:"question"`
		From     time.Time `json:"from"`
		To       time.Time `json:"to"`
	}{q.Question, q.From.UTC(), q.To.UTC()})
	if err != nil {
		return nil, fmt.Errorf("%w question: %s", lockstep.ErrInvalid, e.secrets.quote(err.Error()))
	}
	cmd := exec.CommandContext(running, e.command.Args[0], args...)
	cmd.Dir, cmd.Env = e.command.Dir, e.env
	cmd.Stdin = bytes.NewReader(append(ask, '\n'))
	out := &bounded{left: e.command.MaxBytes, over: cancel}
	said := &tail{}
	cmd.Stdout, cmd.Stderr = out, said
	// Its own process group, so that a shell's children die with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); !errors.Is(err, syscall.ESRCH) {
			return err
		}
		return os.ErrProcessDone
	}
	cmd.WaitDelay = killGrace
	err = cmd.Run()
	if cmd.Process != nil {
		// What the command left behind in its group; that there is nothing is the usual case.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	return out.body.Bytes(), e.outcome(ctx, running, err, out, said)
}

// outcome classes how a run ended.
func (e *Exec) outcome(ctx, running context.Context, err error, out *bounded, said *tail) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case out.exceeded:
		return fmt.Errorf("%w: it printed more than %d bytes", lockstep.ErrInvalid, e.command.MaxBytes)
	case running.Err() != nil:
		return fmt.Errorf("%w: not done within %s", lockstep.ErrUnavailable, e.command.Timeout)
	case err == nil:
		return nil
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%w: there is no such program", lockstep.ErrNotFound)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%w: it may not be run", lockstep.ErrRefused)
	}
	return fmt.Errorf("%w: %s: %s", lockstep.ErrUnavailable, e.secrets.quote(err.Error()), e.secrets.quoteEnd(said.String()))
}
