package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
)

// Name is the name under which steps know this target.
const Name = "deploy"

// Target brings a version back into operation.
type Target struct {
	lookup func(string) (string, bool)
}

var _ rollback.Target = (*Target)(nil)

// New returns the target. lookup answers for the variables that settings name.
func New(lookup func(string) (string, bool)) *Target { return &Target{lookup: lookup} }

// tool makes the tool of checked settings.
func (t *Target) tool(s Settings) (Tool, error) {
	around := surround(s.Env, t.lookup)
	if s.Tool == ToolPulumi {
		return &pulumi{settings: s, around: around}, nil
	}
	return newCommand(s, around)
}

// memory is what a Do keeps.
type memory struct {
	Version string   `json:"version"`           // of the step; a memory of another one does not count
	Before  string   `json:"before,omitempty"`  // what ran when the first Do began
	Preview *Preview `json:"preview,omitempty"` // what was to change
	Begun   bool     `json:"begun,omitempty"`   // the deployment itself
	Up      *Outcome `json:"up,omitempty"`
	Probe   *probed  `json:"probe,omitempty"`
	Done    bool     `json:"done,omitempty"`
}

// probed is what the probe said.
type probed struct {
	OK   bool   `json:"ok"`
	Text string `json:"text"`
}

// read opens a step.
func (t *Target) read(at rollback.At) (params, memory, Tool, error) {
	var p params
	var m memory
	d := json.NewDecoder(bytes.NewReader(at.Step.Params))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return p, m, nil, fmt.Errorf("step %s: %w parameters: %w", at.Step.ID, lockstep.ErrInvalid, err)
	}
	if len(at.Kept) > 0 {
		if err := json.Unmarshal(at.Kept, &m); err != nil {
			return p, m, nil, fmt.Errorf("step %s: what was kept: %w: %w", at.Step.ID, lockstep.ErrCorrupt, err)
		}
	}
	if m.Version != p.Version {
		m = memory{Version: p.Version}
	}
	if err := p.Settings.Check(); err != nil {
		return p, m, nil, err
	}
	tool, err := t.tool(p.Settings)
	return p, m, tool, err
}

// unknown is the state of a deployment that says no version, such as one that was never made.
const unknown = "unknown"

// Look reads back what runs; "unknown" when there is nothing to read. An error is that of
// the tool, which did not answer.
func (t *Target) Look(ctx context.Context, at rollback.At) (rollback.Sight, error) {
	p, m, tool, err := t.read(at)
	if err != nil {
		return rollback.Sight{}, err
	}
	running, err := tool.Current(ctx)
	if errors.Is(err, lockstep.ErrNotFound) {
		text := clean(err.Error())
		return rollback.Sight{State: unknown, Detail: text, Evidence: []rollback.Evidence{{Item: rollback.ItemDeployed, Text: text}}}, nil
	}
	if err != nil {
		return rollback.Sight{}, fmt.Errorf("look at the deployment of %s: %w", p.Settings.Name, err)
	}
	return sight(at.Step, p, m, running), nil
}

// sight judges what was read back.
func sight(step rollback.Step, p params, m memory, running Running) rollback.Sight {
	s := rollback.Sight{State: running.Version, Detail: fmt.Sprintf("%s runs, %s", short(running.Version), running.How)}
	// A commit may be read back in full and be named in short.
	switch {
	case same(running.Version, step.To):
		s.State = step.To
	case same(running.Version, step.From):
		s.State = step.From
	}
	there := s.State == step.To
	s.Evidence = append(s.Evidence, rollback.Evidence{Item: rollback.ItemDeployed, OK: there, Text: s.Detail})
	if m.Up != nil {
		e := rollback.Evidence{Item: rollback.ItemDeployClean, OK: m.Done && len(m.Up.Errors) == 0, Text: m.Up.Text}
		if n := len(m.Up.Errors); n > 0 {
			e.Text = fmt.Sprintf("%d errors: %s", n, strings.Join(m.Up.Errors, "; "))
		} else if m.Up.Warned > 0 {
			e.Text += fmt.Sprintf("; %d warnings", m.Up.Warned)
		}
		if m.Preview != nil {
			e.Text += "; foreseen: " + m.Preview.Text
		}
		s.Evidence = append(s.Evidence, e)
	}
	switch {
	case m.Probe != nil:
		s.Evidence = append(s.Evidence, rollback.Evidence{Item: rollback.ItemExecuting, OK: there && m.Probe.OK, Text: m.Probe.Text})
	case there && !m.Done && len(p.Settings.Probe) > 0:
		s.Evidence = append(s.Evidence, rollback.Evidence{Item: rollback.ItemExecuting, Text: "the probe was not run"})
	}
	return s
}

// Do deploys To, reads back what runs, and runs the probe.
//
// ErrLocked (ErrUnavailable): somebody else deploys, nothing was begun; the hint says what
// a person does. ErrUnavailable: the deployment failed, either version or parts of both
// run, and doing it again goes on. ErrConflict: the tool says that it deployed, and
// another version runs.
func (t *Target) Do(ctx context.Context, at rollback.At, keep rollback.Keeper) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p, m, tool, err := t.read(at)
	if err != nil {
		return err
	}
	running, err := tool.Current(ctx)
	switch {
	case err == nil && same(running.Version, p.Version):
		if m.Done {
			return nil
		}
		return t.finish(ctx, p, m, keep)
	case err == nil && m.Before == "":
		m.Before = running.Version
	case err != nil && !errors.Is(err, lockstep.ErrNotFound) && !errors.Is(err, lockstep.ErrUnavailable):
		return fmt.Errorf("deploy %s of %s: %w", short(p.Version), p.Settings.Name, err)
	}
	// Not knowing what runs is no reason not to deploy; it must be known afterwards.
	if err := deploy(ctx, tool, p, &m, keep); err != nil {
		return fmt.Errorf("deploy %s of %s: %w", short(p.Version), p.Settings.Name, err)
	}
	running, err = tool.Current(ctx)
	if err != nil {
		return fmt.Errorf("deploy %s of %s: it was deployed; what runs: %w", short(p.Version), p.Settings.Name, err)
	}
	if !same(running.Version, p.Version) {
		err := fmt.Errorf("deploy %s of %s: %w: the tool says it is done (%s), and %s runs, %s", short(p.Version), p.Settings.Name, lockstep.ErrConflict, m.Up.Text, short(running.Version), running.How)
		return lockstep.Hint(err, whatToCheck(p.Settings))
	}
	return t.finish(ctx, p, m, keep)
}

// whatToCheck is the likely reason for a deployment that deployed something else.
func whatToCheck(s Settings) string {
	if s.Tool == ToolPulumi && s.Pulumi.Config == "" {
		return "the program deploys what is in the tree: look whether the tree in " + dirName(s.Dir) + " is at that version, then run it again"
	}
	return "look what the tool deployed and whether somebody else deployed after it, then run it again"
}

// deploy is everything up to the tool's own word that it is done.
func deploy(ctx context.Context, tool Tool, p params, m *memory, keep rollback.Keeper) error {
	if p.Settings.Refresh {
		keep.Say("refreshing the tool's state", 0, 0)
		if err := tool.Refresh(ctx); err != nil {
			return fmt.Errorf("refresh: %w", err)
		}
	}
	order := Order{Version: p.Version, Back: p.Back, Note: "lockstep: " + p.Settings.Name + " " + short(p.Version)}
	keep.Say("what will change", 0, 0)
	preview, err := tool.Preview(ctx, order)
	if err != nil {
		return fmt.Errorf("preview: %w", err)
	}
	m.Preview, m.Begun, m.Up = &preview, true, nil
	if err := store(ctx, keep, *m); err != nil {
		return err
	}
	keep.Say("deploying "+short(p.Version)+"; "+preview.Text, 0, 0)
	up, err := tool.Up(ctx, order)
	m.Up = &up
	if err != nil {
		// What it said is worth keeping; that it could not be kept is the lesser loss.
		return errors.Join(err, store(context.WithoutCancel(ctx), keep, *m))
	}
	return store(ctx, keep, *m)
}

// finish runs the probe and notes the end.
func (t *Target) finish(ctx context.Context, p params, m memory, keep rollback.Keeper) error {
	if m.Up == nil {
		m.Up = &Outcome{Text: "it ran already"}
		if m.Begun {
			m.Up.Text = "it was deployed by a run that was ended before it could say so"
		}
	}
	if len(p.Settings.Probe) > 0 {
		keep.Say("probing", 0, 0)
		probe, err := t.probe(ctx, p)
		if err != nil {
			return err
		}
		m.Probe = &probe
	}
	m.Done = true
	return store(ctx, keep, m)
}

// probe asks whether what was deployed does its work. That it does not is its answer, and
// no error: the version runs, and the watch decides.
func (t *Target) probe(ctx context.Context, p params) (probed, error) {
	around := surround(p.Settings.Env, t.lookup)
	env := append(slices.Clip(around.env), "LOCKSTEP_VERSION="+p.Version)
	a, err := run(ctx, call{args: fill(p.Settings.Probe, p.Version), dir: p.Settings.Dir, env: env, timeout: readTimeout})
	switch {
	case ctx.Err() != nil:
		return probed{}, ctx.Err()
	case err != nil:
		return probed{Text: around.quote(fmt.Sprintf("probe %s: %v", p.Settings.Probe[0], err))}, nil
	case a.status != 0:
		return probed{Text: around.quote(fmt.Sprintf("probe %s ended with status %d: %s %s", p.Settings.Probe[0], a.status, a.said, a.out))}, nil
	}
	return probed{OK: true, Text: around.quote(fmt.Sprintf("probe %s passed: %s", p.Settings.Probe[0], a.out))}, nil
}

func store(ctx context.Context, keep rollback.Keeper, m memory) error {
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("%w memory: %w", lockstep.ErrInvalid, err)
	}
	if err := keep.Keep(ctx, body); err != nil {
		return fmt.Errorf("keep how the deployment went: %w", err)
	}
	return nil
}

// Undo returns the step that deploys what ran before; nil when this one deployed nothing.
// ErrRefused: nobody knows what ran.
func (t *Target) Undo(_ context.Context, at rollback.At) (*rollback.Step, error) {
	p, m, _, err := t.read(at)
	if err != nil {
		return nil, err
	}
	if m.Done && !m.Begun {
		return nil, nil //nolint:nilnil // as rollback.Target says: nothing to take back
	}
	before := at.Step.From
	if before == "" {
		before = m.Before
	}
	if before == "" || same(before, p.Version) {
		err := fmt.Errorf("undo %s: %w: nobody knows what ran before", at.Step.ID, lockstep.ErrRefused)
		return nil, lockstep.Hint(err, "deploy the wished version by hand")
	}
	back := params{Settings: p.Settings, Version: before, Why: []string{"It ran before step " + at.Step.ID}}
	return back.step("undo-"+at.Step.ID, p.Version)
}
