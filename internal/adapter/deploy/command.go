package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

// command is the tool over configured commands.
type command struct {
	settings Settings
	around   surroundings
	locked   *regexp.Regexp // nil: a lock cannot be told from another failure
}

var _ Tool = (*command)(nil)

// newCommand makes the tool of checked settings.
func newCommand(s Settings, around surroundings) (*command, error) {
	c := &command{settings: s, around: around}
	if s.Command.Locked != "" {
		var err error
		if c.locked, err = regexp.Compile(s.Command.Locked); err != nil {
			return nil, fmt.Errorf("%w command.locked: %w", lockstep.ErrInvalid, err)
		}
	}
	return c, nil
}

const versionPlace = "{version}"

// fill puts the version into the arguments.
func fill(args []string, version string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		out[i] = strings.ReplaceAll(a, versionPlace, version)
	}
	return out
}

func (c *command) run(ctx context.Context, timeout time.Duration, args []string, version string) (answer, error) {
	env := append(slices.Clip(c.around.env), "LOCKSTEP_VERSION="+version)
	a, err := run(ctx, call{args: fill(args, version), dir: c.settings.Dir, env: env, timeout: timeout, gentle: gentleEnd})
	if err != nil {
		return a, fmt.Errorf("run %s: %w", args[0], err)
	}
	if a.status == 0 {
		return a, nil
	}
	text := string(a.out) + "\n" + string(a.said)
	if c.locked != nil && c.locked.MatchString(text) {
		err := fmt.Errorf("run %s: %w: %s", args[0], ErrLocked, c.around.quote(text))
		return a, lockstep.Hint(err, "wait for the other deployment; when you have made sure that nobody runs it any more, remove its lock by hand, then go on")
	}
	return a, fmt.Errorf("run %s: %w: it ended with status %d: %s", args[0], lockstep.ErrUnavailable, a.status, c.around.quote(string(a.said)))
}

// Current runs the command that prints the version.
func (c *command) Current(ctx context.Context) (Running, error) {
	return current(ctx, c.settings, c.around, c.settings.Command.Current, c.settings.Command.Field)
}

// current runs a command and reads the version that it prints.
func current(ctx context.Context, s Settings, around surroundings, args []string, field string) (Running, error) {
	a, err := run(ctx, call{args: args, dir: s.Dir, env: around.env, timeout: readTimeout})
	if err != nil {
		return Running{}, fmt.Errorf("read back by %s: %w", args[0], err)
	}
	if a.status != 0 {
		return Running{}, fmt.Errorf("read back by %s: %w: it ended with status %d: %s", args[0], lockstep.ErrUnavailable, a.status, around.quote(string(a.said)))
	}
	v, err := parseCurrent(a.out, field)
	if err != nil {
		return Running{}, fmt.Errorf("read back by %s: %w", args[0], err)
	}
	return Running{Version: v, How: "read back by " + args[0]}, nil
}

// parseCurrent reads a version: all that was printed, or a field of JSON.
func parseCurrent(body []byte, field string) (string, error) {
	if field == "" {
		return version(string(body))
	}
	var at any
	if err := json.Unmarshal(body, &at); err != nil {
		return "", fmt.Errorf("%w answer: %s", lockstep.ErrInvalid, clean(err.Error()))
	}
	return dig(at, field)
}

// History runs the command that lists what was deployed. ErrRefused when there is none.
func (c *command) History(ctx context.Context) ([]Update, error) {
	args := c.settings.Command.History
	if len(args) == 0 {
		err := fmt.Errorf("history of %s: %w: no command lists it", c.settings.Name, lockstep.ErrRefused)
		return nil, lockstep.Hint(err, "name the version to go back to, or configure command.history")
	}
	a, err := c.run(ctx, readTimeout, args, "")
	if err != nil {
		return nil, err
	}
	return parseCommandHistory(a.out)
}

// parseCommandHistory reads the list that a command prints.
func parseCommandHistory(body []byte) ([]Update, error) {
	var list []struct {
		ID      string    `json:"id"`
		Kind    string    `json:"kind"` // "": update
		Result  string    `json:"result"`
		Start   time.Time `json:"start"`
		End     time.Time `json:"end"`
		Version string    `json:"version"`
		Commit  string    `json:"commit"`
		Message string    `json:"message"`
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&list); err != nil {
		return nil, fmt.Errorf("%w history: %s", lockstep.ErrInvalid, clean(err.Error()))
	}
	if len(list) > maxHistory {
		return nil, fmt.Errorf("%w history: %d entries, at most %d", lockstep.ErrInvalid, len(list), maxHistory)
	}
	out := make([]Update, 0, len(list))
	for _, e := range list {
		u := Update{ID: e.ID, Kind: e.Kind, Result: e.Result, Start: e.Start, End: e.End, Version: e.Version, Commit: e.Commit, Message: e.Message}
		if u.Kind == "" {
			u.Kind = "update"
		}
		out = append(out, u)
	}
	return out, nil
}

// Preview runs the command for it; without one nobody knows what will change.
func (c *command) Preview(ctx context.Context, o Order) (Preview, error) {
	args := c.settings.Command.Preview
	if len(args) == 0 {
		return Preview{Text: "no command says beforehand what will change"}, nil
	}
	a, err := c.run(ctx, c.settings.timeout(), args, o.Version)
	return Preview{Text: c.around.quote(string(a.out))}, err
}

// Up runs the command that deploys; back, the one that rolls back if there is one.
func (c *command) Up(ctx context.Context, o Order) (Outcome, error) {
	args := c.settings.Command.Up
	if o.Back && len(c.settings.Command.Rollback) > 0 {
		args = c.settings.Command.Rollback
	}
	a, err := c.run(ctx, c.settings.timeout(), args, o.Version)
	out := Outcome{Text: c.around.quote(string(a.out))}
	for line := range strings.Lines(string(a.said)) {
		if rest, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(line)), "error"); ok && len(out.Errors) < maxDiagnostics {
			out.Errors = append(out.Errors, c.around.quote(strings.TrimLeft(rest, ": ")))
		}
	}
	return out, err
}

// Refresh runs the command for it; without one there is no state to refresh.
func (c *command) Refresh(ctx context.Context) error {
	if len(c.settings.Command.Refresh) == 0 {
		return nil
	}
	_, err := c.run(ctx, c.settings.timeout(), c.settings.Command.Refresh, "")
	return err
}
