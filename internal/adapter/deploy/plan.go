package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
)

// Wish says what a plan is to bring back.
type Wish struct {
	ID string // of the step; "": "deploy"
	// To is the version to go back to, as it is read back. "": what Want finds in the history.
	To    string
	Want  Want
	Needs []string // steps that must be done before: what the tool deploys is what they leave
}

// params are a step's own.
type params struct {
	Settings Settings `json:"settings"`
	Version  string   `json:"version"`
	Back     bool     `json:"back,omitempty"`
	Why      []string `json:"why,omitempty"` // how the version was found
}

const maxWhy = 12

// Plan returns the step that deploys the wished version: From is what runs now, To the
// good one. nil without an error: it runs already.
//
// ErrInvalid: the settings are wrong, all mistakes named. ErrNotFound, ErrRefused: no good
// version was found, and the error says what was passed over. When the tool does not
// answer now, the step is planned with an open From, if To is known without asking.
func (t *Target) Plan(ctx context.Context, s Settings, w Wish) (*rollback.Step, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	tool, err := t.tool(s)
	if err != nil {
		return nil, err
	}
	p := params{Settings: s, Version: w.To, Back: true}
	if p.Version == "" {
		if p.Version, p.Why, err = find(ctx, tool, w.Want); err != nil {
			return nil, fmt.Errorf("plan the deployment of %s: %w", s.Name, err)
		}
	}
	if p.Version, err = version(p.Version); err != nil {
		return nil, fmt.Errorf("plan the deployment of %s: %w", s.Name, err)
	}
	from, risk := "", ""
	running, err := tool.Current(ctx)
	switch {
	case err == nil && same(running.Version, p.Version):
		return nil, nil //nolint:nilnil // documented: nothing is left to do
	case err == nil:
		from = running.Version
	case errors.Is(err, lockstep.ErrUnavailable), errors.Is(err, lockstep.ErrNotFound):
		risk = "What runs now could not be read: " + clean(err.Error()) + ". "
	default:
		return nil, fmt.Errorf("plan the deployment of %s: %w", s.Name, err)
	}
	step, err := p.step(w.ID, from)
	if err != nil {
		return nil, err
	}
	step.Needs, step.Risk = w.Needs, risk+step.Risk
	return step, nil
}

// find looks for the good version in the history.
func find(ctx context.Context, tool Tool, want Want) (string, []string, error) {
	history, err := tool.History(ctx)
	if err != nil {
		return "", nil, err
	}
	u, why, err := Good(history, want)
	if len(why) > maxWhy { // the newest and the choice say most
		why = append(why[:maxWhy-2:maxWhy-2], fmt.Sprintf("and %d more", len(why)-maxWhy+1), why[len(why)-1])
	}
	if err != nil {
		if len(why) > 0 {
			err = lockstep.Hint(fmt.Errorf("%w: %s", err, strings.Join(why, "; ")), lockstep.HintOf(err))
		}
		return "", nil, err
	}
	return u.Label(), why, nil
}

// step makes the step of checked parameters.
func (p params) step(id, from string) (*rollback.Step, error) {
	body, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("%w step: %w", lockstep.ErrInvalid, err)
	}
	if id == "" {
		id = Name
	}
	now := from
	if now == "" {
		now = "whatever runs"
	}
	changes := fmt.Sprintf("%s runs instead of %s.", short(p.Version), short(now))
	if len(p.Why) > 0 {
		changes += " " + p.Why[len(p.Why)-1] + "."
	}
	return &rollback.Step{
		ID: id, Target: Name, Phase: rollback.PhaseCode, Title: fmt.Sprintf("Deploy %s of %s", short(p.Version), p.Settings.Name),
		From: from, To: p.Version, Params: body,
		// Refresh, preview, deployment, probe and reading back have a limit each.
		Deadline: 4*p.Settings.timeout() + 4*readTimeout, Predicted: 3 * time.Minute,
		Changes: changes, Risk: "A deployment that fails half-way leaves parts of both versions; doing it again goes on.",
		Manual: p.manual(), UndoBy: "Deploys " + short(now) + " again.",
	}, nil
}

// manual is what a person types instead.
func (p params) manual() string {
	s := p.Settings
	where := ""
	if s.Dir != "" {
		where = "cd " + s.Dir + " && "
	}
	if s.Tool == ToolCommand {
		args := s.Command.Up
		if p.Back && len(s.Command.Rollback) > 0 {
			args = s.Command.Rollback
		}
		return where + strings.Join(fill(args, p.Version), " ")
	}
	text := where + "pulumi up --yes"
	if s.Pulumi.Stack != "" {
		text += " --stack " + s.Pulumi.Stack
	}
	if s.Pulumi.Config != "" {
		text += " --config " + s.Pulumi.Config + "=" + p.Version
	}
	return text
}
