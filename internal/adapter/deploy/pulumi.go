package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

const (
	readTimeout = 2 * time.Minute  // of a question
	gentleEnd   = 30 * time.Second // for an update to stop where it can, and give its lock back
)

// pulumi is the tool over the CLI. It holds nothing: the CLI and its backend do.
type pulumi struct {
	settings Settings
	around   surroundings
}

var _ Tool = (*pulumi)(nil)

// run runs the CLI without anybody to ask. It never runs "pulumi cancel", and never asks
// for secrets to be shown.
func (p *pulumi) run(ctx context.Context, timeout time.Duration, args ...string) (answer, error) {
	program := p.settings.Pulumi.Program
	if program == "" {
		program = "pulumi"
	}
	all := append([]string{program}, args...)
	all = append(all, "--non-interactive", "--color", "never")
	if p.settings.Pulumi.Stack != "" {
		all = append(all, "--stack", p.settings.Pulumi.Stack)
	}
	a, err := run(ctx, call{
		args: all, dir: p.settings.Dir, timeout: timeout, gentle: gentleEnd,
		env: append(slices.Clip(p.around.env), "PULUMI_SKIP_UPDATE_CHECK=true"),
	})
	if err != nil {
		return a, fmt.Errorf("pulumi %s: %w", args[0], err)
	}
	if a.status != 0 {
		err := explain(a.status, p.around.strike(string(a.out)+"\n"+string(a.said)))
		if errors.Is(err, ErrLocked) {
			err = lockstep.Hint(err, p.lockHint())
		}
		return a, fmt.Errorf("pulumi %s: %w", args[0], err)
	}
	return a, nil
}

// lockHint is what a person does about a lock. Lockstep does not: an update that is
// cancelled while it still runs can leave a state that matches nothing.
func (p *pulumi) lockHint() string {
	stack := ""
	if p.settings.Pulumi.Stack != "" {
		stack = " --stack " + p.settings.Pulumi.Stack
	}
	return fmt.Sprintf(`wait for the other update; only when you have made sure that nobody runs it any more, run "pulumi cancel%s" and "pulumi refresh%s" in %s, then go on`,
		stack, stack, dirName(p.settings.Dir))
}

func dirName(dir string) string {
	if dir == "" {
		return "the directory of the stack"
	}
	return dir
}

// Current asks the configured command, or else takes the stack's output.
func (p *pulumi) Current(ctx context.Context) (Running, error) {
	s := p.settings.Pulumi
	if len(s.Current) > 0 {
		return current(ctx, p.settings, p.around, s.Current, s.Field)
	}
	a, err := p.run(ctx, readTimeout, "stack", "output", "--json")
	if err != nil {
		return Running{}, err
	}
	v, err := parseOutput(a.out, s.Output)
	if err != nil {
		return Running{}, fmt.Errorf("stack output: %w", err)
	}
	return Running{Version: v, How: fmt.Sprintf("output %q of the stack %s", s.Output, s.Stack)}, nil
}

// historyPage is how far back is looked.
const historyPage = "200"

// History reads the last 200 entries.
func (p *pulumi) History(ctx context.Context) ([]Update, error) {
	a, err := p.run(ctx, readTimeout, "stack", "history", "--json", "--page-size", historyPage)
	if err != nil {
		return nil, err
	}
	return parseHistory(a.out, p.settings.Pulumi.Config)
}

// Preview takes no lock and changes nothing in the stack. It does not tell Pulumi the
// version with --config, since that would be saved in the stack's file: it is a preview
// of what the tree and that file say now.
func (p *pulumi) Preview(ctx context.Context, _ Order) (Preview, error) {
	a, err := p.run(ctx, p.settings.timeout(), "preview", "--json", "--suppress-progress")
	if err != nil && (len(a.out) == 0 || !json.Valid(a.out)) {
		return Preview{}, err
	}
	v, parsed := parsePreview(a.out)
	if parsed == nil {
		parsed = err
	}
	v.Text = p.around.quote(v.Text)
	return v, parsed
}

// Up deploys what is in the tree, with the version in the configuration if it is kept there.
func (p *pulumi) Up(ctx context.Context, o Order) (Outcome, error) {
	args := []string{"up", "--yes", "--skip-preview", "--suppress-outputs", "--suppress-progress"}
	if o.Note != "" {
		args = append(args, "--message", o.Note)
	}
	if key := p.settings.Pulumi.Config; key != "" {
		args = append(args, "--config", key+"="+o.Version)
	}
	a, err := p.run(ctx, p.settings.timeout(), args...)
	out := parseUp(p.around.strike(string(a.out)), p.around.strike(string(a.said)))
	if err != nil && len(out.Errors) > 0 && !errors.Is(err, ErrLocked) {
		err = lockstep.Hint(err, fmt.Sprintf("read the diagnostics (%s), mend the cause, and run it again", strings.Join(out.Errors, "; ")))
	}
	return out, err
}

// Refresh makes the stack's state match what is there.
func (p *pulumi) Refresh(ctx context.Context) error {
	_, err := p.run(ctx, p.settings.timeout(), "refresh", "--yes", "--skip-preview", "--suppress-outputs", "--suppress-progress")
	return err
}
