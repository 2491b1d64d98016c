package suite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
	"lockstep/internal/testreport"
)

// Name is the name under which steps know this target.
const Name = "tests"

// The states of a step, beside rollback.Partial.
const (
	NotRun   = "not-run"  // no result that counts
	Failed   = "failed"   // the last run blocks
	Accepted = "accepted" // it passed, or failed only where that is minor, or stops nothing
)

// Options are what a target is made of.
type Options struct {
	// Lookup answers for the variables that suites name.
	Lookup func(name string) (string, bool)
	Now    func() time.Time
	// Tree names what is in a directory now, such as the hash of its tree. A result counts
	// for that tree only. nil: nobody can say, and the step's own tree alone counts.
	Tree func(ctx context.Context, dir string) (string, error)
}

// Target runs suites.
type Target struct{ opts Options }

var _ rollback.Target = (*Target)(nil)

// New returns the target. It runs nothing.
func New(opts Options) *Target { return &Target{opts} }

// memory is what a Do keeps.
type memory struct {
	For    string    `json:"for"`            // which command
	Tree   string    `json:"tree,omitempty"` // on what
	Begun  time.Time `json:"begun"`
	Result *result   `json:"result,omitempty"` // nil: the run was ended
}

// result is a finished run.
type result struct {
	Ended   time.Time          `json:"ended"`
	End     testreport.End     `json:"end"`
	Report  *testreport.Report `json:"report"`
	Verdict verdict            `json:"verdict"`
	Tail    string             `json:"tail,omitempty"` // the end of the output, of a run that did not pass
}

// verdict is the judgement without the failures, which the report has.
type verdict struct {
	Outcome testreport.Outcome `json:"outcome"`
	Why     string             `json:"why"`
}

// read opens a step. The memory is empty when it is of another command or another tree.
func (t *Target) read(ctx context.Context, at rollback.At) (params, memory, error) {
	var p params
	var m memory
	d := json.NewDecoder(bytes.NewReader(at.Step.Params))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return p, m, fmt.Errorf("step %s: %w parameters: %w", at.Step.ID, lockstep.ErrInvalid, err)
	}
	if err := (Settings{[]Suite{p.Suite}}).Check(); err != nil {
		return p, m, fmt.Errorf("step %s: %w", at.Step.ID, err)
	}
	if len(at.Kept) > 0 {
		if err := json.Unmarshal(at.Kept, &m); err != nil {
			return p, m, fmt.Errorf("step %s: what was kept: %w: %w", at.Step.ID, lockstep.ErrCorrupt, err)
		}
	}
	tree, err := t.tree(ctx, p)
	if err != nil {
		return p, m, fmt.Errorf("step %s: %w", at.Step.ID, err)
	}
	if id := p.Suite.identity(); m.For != id || m.Tree != tree {
		m = memory{For: id, Tree: tree}
	}
	return p, m, nil
}

// tree is what is tested: what is there if somebody can say, else what the step says.
func (t *Target) tree(ctx context.Context, p params) (string, error) {
	if t.opts.Tree == nil {
		return p.Tree, nil
	}
	tree, err := t.opts.Tree(ctx, p.Suite.Dir)
	if err != nil {
		return "", fmt.Errorf("what is in %q: %w", p.Suite.Dir, err)
	}
	return tree, nil
}

// identity changes when anything of the suite does: other rules may judge otherwise.
func (s Suite) identity() string {
	body, err := json.Marshal(s)
	if err != nil { // strings, numbers and lists; it cannot fail
		return "unknown"
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:16])
}

// Look answers from what was kept. It runs nothing.
func (t *Target) Look(ctx context.Context, at rollback.At) (rollback.Sight, error) {
	if err := ctx.Err(); err != nil {
		return rollback.Sight{}, err
	}
	p, m, err := t.read(ctx, at)
	if err != nil {
		return rollback.Sight{}, err
	}
	return m.sight(p.Suite), nil
}

func (m memory) sight(s Suite) rollback.Sight {
	switch {
	case m.Begun.IsZero():
		return rollback.Sight{State: NotRun, Detail: "no result for this command on this tree"}
	case m.Result == nil:
		return rollback.Sight{State: rollback.Partial, Detail: "a run began at " + m.Begun.UTC().Format(time.RFC3339) + " and did not end; it runs again"}
	}
	r := m.Result
	sight := rollback.Sight{State: Accepted, Detail: s.Name + ": " + r.Verdict.Why}
	if r.Verdict.Outcome == testreport.Blocking {
		if s.blocks() {
			sight.State = Failed
		} else {
			sight.Detail += "; it stops nothing, fix forward"
		}
	}
	if s.Item != "" {
		text := sight.Detail
		if names := named(r.Report.Failures); names != "" {
			text += ": " + names
		}
		sight.Evidence = []rollback.Evidence{{Item: s.Item, OK: r.Verdict.Outcome != testreport.Blocking, Text: text}}
	}
	return sight
}

const maxNamed = 10

// named lists failing tests in one line.
func named(failures []testreport.Failure) string {
	var out []string
	for i, f := range failures {
		if i == maxNamed {
			out = append(out, fmt.Sprintf("and %d more", len(failures)-maxNamed))
			break
		}
		out = append(out, f.String())
	}
	return strings.Join(out, "; ")
}

// Do runs the suite and keeps its result, unless one that is accepted is there already.
// ErrRefused: it ran, and its failure blocks; the error names the failing tests.
// ErrConflict: the tree is not the one that the step is about. ErrNotFound, ErrUnavailable:
// it could not be run. After an error other than ErrRefused there is no result.
func (t *Target) Do(ctx context.Context, at rollback.At, keep rollback.Keeper) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p, m, err := t.read(ctx, at)
	if err != nil {
		return err
	}
	if p.Tree != "" && m.Tree != p.Tree {
		err := fmt.Errorf("tests %s: %w: the tree is %.64q, the step is about %.64q", p.Suite.Name, lockstep.ErrConflict, m.Tree, p.Tree)
		return lockstep.Hint(err, "bring the tree to where the plan wants it, or plan again")
	}
	if m.sight(p.Suite).State == Accepted {
		return nil
	}
	m.Begun, m.Result = t.opts.Now(), nil
	if err := store(ctx, keep, m); err != nil {
		return err
	}
	r, err := t.run(ctx, p.Suite, keep)
	if err != nil {
		return fmt.Errorf("tests %s: %w", p.Suite.Name, err)
	}
	m.Result = r
	if err := store(ctx, keep, m); err != nil {
		return err
	}
	if m.sight(p.Suite).State != Failed {
		return nil
	}
	return refusal(p.Suite, r)
}

func store(ctx context.Context, keep rollback.Keeper, m memory) error {
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("%w memory: %w", lockstep.ErrInvalid, err)
	}
	if err := keep.Keep(ctx, body); err != nil {
		return fmt.Errorf("keep the result of the tests: %w", err)
	}
	return nil
}

// refusal names what failed and blocks.
func refusal(s Suite, r *result) error {
	text := r.Verdict.Why
	rules, err := testreport.Compile(s.Rules)
	if err != nil {
		return err
	}
	if names := named(testreport.Judge(r.Report, r.End, rules).Blocking); names != "" {
		text += ": " + names
	} else if last := lastLine(r.Tail); last != "" {
		text += ": " + last
	}
	err = fmt.Errorf("tests %s: %w: %s", s.Name, lockstep.ErrRefused, text)
	return lockstep.Hint(err, "mend what fails, or name its tests in a minor rule, then go on")
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(strings.Fields(lines[len(lines)-1]), " ")
}

const (
	maxTail  = 4096
	sayEvery = 500 * time.Millisecond
)

// run runs the suite once and judges it.
func (t *Target) run(ctx context.Context, s Suite, keep rollback.Keeper) (*result, error) {
	env, strike := surround(s.Env, t.opts.Lookup)
	said := &progress{name: s.Name, keep: keep, now: t.opts.Now, strike: strike}
	out := &output{heard: said.line}
	keep.Say(s.Name+": "+strings.Join(s.Command, " "), 0, 0)
	before := stampOf(s)
	end, err := run(ctx, s, env, out)
	if err != nil {
		return nil, err
	}
	text, cut := out.text()
	text = strike(text)
	rules, err := testreport.Compile(s.Rules)
	if err != nil {
		return nil, err
	}
	report := read(s, text, cut, before, strike)
	v := testreport.Judge(report, end, rules)
	r := &result{Ended: t.opts.Now(), End: end, Report: report, Verdict: verdict{v.Outcome, v.Why}}
	if v.Outcome != testreport.Passed {
		r.Tail = strings.ToValidUTF8(string(text[max(0, len(text)-maxTail):]), "?")
	}
	keep.Say(s.Name+": "+v.Why, 0, 0)
	return r, nil
}

// read reads what the run left behind. What nobody can read is judged by its status when
// the format is open; a suite that is said to speak pytest, and does not, ran nothing.
func read(s Suite, text []byte, cut bool, before stamp, strike func([]byte) []byte) *testreport.Report {
	o := testreport.Output{Text: text, Cut: cut}
	if s.JUnit != "" {
		body, err := readReport(s, before)
		if err != nil {
			return &testreport.Report{Format: testreport.JUnit, Notes: []string{err.Error()}, Stopped: err.Error()}
		}
		o.JUnit = strike(body)
	}
	report, err := testreport.Parse(s.format(), o)
	switch {
	case err == nil:
		return report
	case s.format() == testreport.Auto && errors.Is(err, lockstep.ErrInvalid):
		return testreport.Unread("judged by its exit status alone: " + err.Error())
	}
	return &testreport.Report{Format: s.format(), Stopped: err.Error()}
}

// Undo says that there is nothing to take back.
func (*Target) Undo(context.Context, rollback.At) (*rollback.Step, error) {
	return nil, nil //nolint:nilnil // as rollback.Target says: a check has nothing to take back
}
