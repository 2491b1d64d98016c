package suite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"lockstep/internal/lockstep"
	"lockstep/internal/testreport"
)

const (
	maxOutput = 32 << 20
	pipeGrace = time.Second // for pipes that a grandchild still holds
)

// output keeps the beginning and the end of what a command prints: a runner says at the
// end what came of it, and go test says at the beginning what does not build. heard gets
// every line, shortened.
type output struct {
	heard func(line string)

	mu   sync.Mutex // guards everything below
	head []byte
	tail []byte
	cut  bool
	line []byte
}

const maxHeard = 4096

// Write never fails, so that a loud command still ends by itself.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	rest := p
	if room := maxOutput/2 - len(o.head); room > 0 {
		o.head = append(o.head, rest[:min(room, len(rest))]...)
		rest = rest[min(room, len(rest)):]
	}
	o.tail = append(o.tail, rest...)
	if over := len(o.tail) - maxOutput/2; over > maxOutput/8 { // not for every write
		o.cut = true
		o.tail = append(o.tail[:0], o.tail[over:]...)
	}
	for _, b := range p {
		if b == '\n' {
			o.heard(strings.ToValidUTF8(string(o.line), "?"))
			o.line = o.line[:0]
		} else if len(o.line) < maxHeard {
			o.line = append(o.line, b)
		}
	}
	return len(p), nil
}

// text is what was kept, in whole lines: half a line could hold half a secret.
func (o *output) text() ([]byte, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.cut {
		return append(slices.Clone(o.head), o.tail...), false
	}
	head := o.head[:bytes.LastIndexByte(o.head, '\n')+1]
	_, tail, _ := bytes.Cut(o.tail, []byte("\n"))
	return slices.Concat(head, tail), true
}

// run runs the command of a suite in a process group of its own. That it fails or takes
// too long is its end. ErrNotFound: there is no such program or directory. ErrRefused: it
// may not be run. ErrUnavailable: it could not be started. ctx's error when ctx ended it.
func run(ctx context.Context, s Suite, env []string, out *output) (testreport.End, error) {
	running, cancel := context.WithTimeout(ctx, s.timeout())
	defer cancel()
	cmd := exec.CommandContext(running, s.Command[0], s.Command[1:]...)
	cmd.Dir, cmd.Env = s.Dir, env
	cmd.Stdout, cmd.Stderr = out, out // the same writer: one pipe, lines in their order
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return kill(cmd.Process.Pid) }
	cmd.WaitDelay = pipeGrace
	err := cmd.Run()
	if cmd.Process != nil {
		// What it left behind in its group; that there is nothing is the usual case.
		_ = kill(cmd.Process.Pid)
	}
	exit, _ := errors.AsType[*exec.ExitError](err)
	switch {
	case ctx.Err() != nil:
		return testreport.End{}, ctx.Err()
	case running.Err() != nil:
		return testreport.End{Status: -1, TimeOut: s.timeout().String()}, nil
	case exit != nil:
		return testreport.End{Status: exit.ExitCode()}, nil
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // it ended well; a process that it left held the pipe
		return testreport.End{Status: cmd.ProcessState.ExitCode()}, nil
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, os.ErrNotExist):
		return testreport.End{}, fmt.Errorf("%w: no program %.80q, or no directory %.80q", lockstep.ErrNotFound, s.Command[0], s.Dir)
	case errors.Is(err, os.ErrPermission):
		return testreport.End{}, fmt.Errorf("%w: %.80q may not be run", lockstep.ErrRefused, s.Command[0])
	}
	return testreport.End{}, fmt.Errorf("%w: %w", lockstep.ErrUnavailable, err)
}

func kill(group int) error {
	if err := syscall.Kill(-group, syscall.SIGKILL); !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return os.ErrProcessDone
}

// always are the variables that every program needs to find itself.
var always = []string{"PATH", "HOME", "USER", "LANG", "TMPDIR"}

const (
	struck    = "[secret]"
	minSecret = 6 // shorter ones would strike out ordinary words
)

// surround takes the named variables, and what a strike must find: values that were
// named. One that is not set is left out, and the tests say what they miss.
func surround(names []string, lookup func(string) (string, bool)) (env []string, strike func([]byte) []byte) {
	var pairs []string
	for _, name := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(always, names)))) {
		value, ok := lookup(name)
		if !ok {
			continue
		}
		env = append(env, name+"="+value)
		if len(value) >= minSecret && !slices.Contains(always, name) {
			pairs = append(pairs, value)
		}
	}
	// The longest first, so that no rest of a longer one stays.
	slices.SortFunc(pairs, func(a, b string) int { return len(b) - len(a) })
	var replacements []string
	for _, p := range pairs {
		replacements = append(replacements, p, struck)
	}
	replacer := strings.NewReplacer(replacements...)
	return env, func(text []byte) []byte { return []byte(replacer.Replace(string(text))) }
}
