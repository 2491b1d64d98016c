package app

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"lockstep/internal/config"
	"lockstep/internal/guard"
	"lockstep/internal/release"
)

// AssessOptions say what an assessment asks besides the guards' sources.
type AssessOptions struct {
	Tests  bool      // run the configured test commands first
	Server *Remote   // the running server, which knows what waits in it; nil: none runs
	Output io.Writer // what the test commands print; nil: nobody hears it
}

// Assess asks every guard that can be asked, now and once. A guard that fails only after
// several looks is inconclusive at the first one that fails, and so are those that nobody
// has samples for; both hold.
func (a *App) Assess(ctx context.Context, opts AssessOptions) (Answer, error) {
	if opts.Tests {
		for _, t := range a.Config.Checks.Tests {
			run, err := runTest(ctx, t, opts.Output)
			if err != nil {
				return Answer{}, err
			}
			run.At = a.opts.Now()
			a.guards.tested(run)
		}
	}
	if opts.Server != nil {
		var err error
		if a.guards.remote, err = opts.Server.vitals(ctx, a.opts.Now()); err != nil {
			return Answer{}, err
		}
	}
	head, err := a.Releases.Head(ctx)
	if err != nil {
		return Answer{}, err
	}
	o := a.observer()
	s := head.State()
	var seen release.Observation
	if s.Live() != nil || s.WatchedAt(a.opts.Now()) != nil {
		// With the evidence of the release, as its controller has it.
		if seen, err = o.Observe(ctx, s); err != nil {
			return Answer{}, err
		}
		if last := a.guards.latest(); s.Live() != nil && !last.At.IsZero() {
			return last, nil
		}
	}
	index, err := a.Log.Head(ctx)
	if err != nil {
		return Answer{}, err
	}
	sit, err := o.situation(ctx, s, index)
	if err != nil {
		return Answer{}, err
	}
	sit.late = lateOf(s, seen.Alarm, sit.now)
	return a.guards.look(ctx, sit)
}

// runTest runs one test command. That it fails, or takes too long, is its result; the
// error is ctx's.
func runTest(ctx context.Context, t config.Test, output io.Writer) (guard.TestRun, error) {
	call, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	cmd := exec.CommandContext(call, t.Command[0], t.Command[1:]...)
	cmd.Dir, cmd.Env = t.Dir, []string{}
	for _, k := range slices.Sorted(maps.Keys(t.Env)) {
		cmd.Env = append(cmd.Env, k+"="+t.Env[k])
	}
	cmd.Stdout, cmd.Stderr = output, output
	// Its own process group, so that what a shell has started dies with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if ctx.Err() != nil {
		return guard.TestRun{}, fmt.Errorf("test %s: %w", t.Name, ctx.Err())
	}
	return guard.TestRun{Name: t.Name, Blocking: t.Blocking, Passed: err == nil}, nil
}
