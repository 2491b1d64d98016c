package rollback

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"lockstep/internal/lockstep"
)

// Scenario is the situation that a rollback finds, of the three of the document.
type Scenario string

// The scenarios.
const (
	PreDeploy Scenario = "pre-deploy" // found before anything was deployed
	Dev       Scenario = "dev"        // found in an environment that nobody depends on
	Prod      Scenario = "prod"       // found in production
)

// Impact is what the document says of the scenario.
func (s Scenario) Impact() string {
	switch s {
	case PreDeploy:
		return "none: the code is not deployed"
	case Dev:
		return "low: only this environment is affected"
	case Prod:
		return "high: production is affected"
	}
	return ""
}

// Procedure is one of the two of the document.
type Procedure string

// The procedures.
const (
	Quick Procedure = "quick" // what stops the harm: flag, data, and nothing that needs git or a deployment
	Full  Procedure = "full"  // code, package, tests and deployment as well
)

// Budget is the time that the document gives to a rollback.
func Budget(s Scenario, p Procedure) time.Duration {
	switch {
	case p == Quick || s == PreDeploy:
		return 10 * time.Minute
	case s == Dev:
		return 15 * time.Minute
	}
	return 60 * time.Minute
}

// Pair is a known good: a revision and a version of the index.
type Pair struct {
	Revision string `json:"revision,omitempty"`
	Version  uint64 `json:"version"`
}

// Plan is a rollback as it was decided: what is to be done, in which order, and why. It is
// stored before its first step and never changes.
type Plan struct {
	ID          string    `json:"id"`
	Environment string    `json:"environment"`
	Scenario    Scenario  `json:"scenario"`
	Procedure   Procedure `json:"procedure"`
	Bad         string    `json:"bad,omitempty"` // the revision that is taken back
	To          Pair      `json:"to"`            // what is returned to
	Release     string    `json:"release,omitempty"`
	Incident    string    `json:"incident,omitempty"`
	Undoes      string    `json:"undoes,omitempty"` // the plan that this one takes back
	By          string    `json:"by"`
	Reason      string    `json:"reason"`
	At          time.Time `json:"at"`
	Steps       []Step    `json:"steps"`
	// Notes say in words why the plan is as it is: what was chosen, and what was left out.
	Notes []string `json:"notes,omitempty"`
	// Escalation is who is called when a step is stuck.
	Escalation []string `json:"escalation,omitempty"`
}

// Bounds of a plan.
const (
	MaxSteps  = 64
	maxParams = 64 << 10 // of one step
	maxPlan   = 2 << 20  // of all of it, encoded
)

var planID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// stepID keeps the names of steps in one word: people type them.
var stepID = regexp.MustCompile(`^[!-~]{1,128}$`)

// Check returns lockstep.ErrInvalid, naming what is wrong, unless the plan can be carried
// out as it is: it says who wants what and when, and its steps are named once, know their
// target and their ends, are in the order of their phases, and need only steps before them.
// A plan that takes another one back has the phases in the order that this asks for.
func (p *Plan) Check() error {
	if !planID.MatchString(p.ID) {
		return fmt.Errorf("%w plan id %.80q: want 1 to 63 of a-z 0-9 -", lockstep.ErrInvalid, p.ID)
	}
	if err := p.check(); err != nil {
		return fmt.Errorf("plan %s: %w: %w", p.ID, lockstep.ErrInvalid, err)
	}
	seen := map[string]bool{}
	phase := 0
	for i := range p.Steps {
		s := &p.Steps[i]
		if err := s.check(seen); err != nil {
			return fmt.Errorf("plan %s, step %d, %.80q: %w: %w", p.ID, i+1, s.ID, lockstep.ErrInvalid, err)
		}
		at := slices.Index(Phases(), s.Phase)
		if p.Undoes == "" && at < phase {
			return fmt.Errorf("plan %s, step %d, %s: %w: its phase, %s, comes before that of the step before", p.ID, i+1, s.ID, lockstep.ErrInvalid, s.Phase)
		}
		seen[s.ID], phase = true, max(phase, at)
	}
	body, err := json.Marshal(p)
	if err == nil && len(body) > maxPlan {
		err = fmt.Errorf("it has %d bytes, at most %d", len(body), maxPlan)
	}
	if err != nil {
		return fmt.Errorf("plan %s: %w: %w", p.ID, lockstep.ErrInvalid, err)
	}
	return nil
}

// check looks at everything but the steps.
func (p *Plan) check() error {
	switch {
	case p.By == "" || len(p.By) > maxLine || p.At.IsZero():
		return errors.New("want somebody who asks, and when")
	case len(p.Steps) == 0 || len(p.Steps) > MaxSteps:
		return fmt.Errorf("want 1 to %d steps, it has %d", MaxSteps, len(p.Steps))
	case p.Scenario.Impact() == "":
		return fmt.Errorf("scenario %.80q: want %s, %s or %s", p.Scenario, PreDeploy, Dev, Prod)
	case p.Procedure != Quick && p.Procedure != Full:
		return fmt.Errorf("procedure %.80q: want %s or %s", p.Procedure, Quick, Full)
	case p.Undoes != "" && (!planID.MatchString(p.Undoes) || p.Undoes == p.ID):
		return fmt.Errorf("it cannot take %.80q back", p.Undoes)
	}
	return nil
}

// check looks at a step, given the ids of those before it.
func (s *Step) check(before map[string]bool) error {
	switch {
	case !stepID.MatchString(s.ID):
		return errors.New("want an id of one word")
	case before[s.ID]:
		return errors.New("another one has that id")
	case s.Target == "" || s.Title == "":
		return errors.New("want a target and a title")
	case s.To == "" || s.From == s.To || s.To == Partial || s.From == Partial:
		return fmt.Errorf("want two ends that differ, and are not %q", Partial)
	case len(s.From) > maxLine || len(s.To) > maxLine || len(s.Target) > maxLine || len(s.Title) > maxText || len(s.Params) > maxParams:
		return errors.New("it is too long")
	case len(s.Params) > 0 && !json.Valid(s.Params):
		return errors.New("its parameters are no JSON")
	case slices.Index(Phases(), s.Phase) < 0:
		return fmt.Errorf("unknown phase %.80q", s.Phase)
	case s.Deadline < 0 || s.Predicted < 0:
		return errors.New("its time is negative")
	}
	for _, n := range s.Needs {
		if !before[n] {
			return fmt.Errorf("it needs %.80q, which is no step before it", n)
		}
	}
	return nil
}

// Predicted is how long the plan will probably take: its steps are walked one by one.
func (p *Plan) Predicted() time.Duration {
	var d time.Duration
	for i := range p.Steps {
		d += p.Steps[i].Predicted
	}
	return d
}

// Loss is what is lost for good, step by step; empty: nothing.
func (p *Plan) Loss() []string {
	var out []string
	for i := range p.Steps {
		out = append(out, p.Steps[i].Loss...)
	}
	return out
}

// Takes says whether a target takes part.
func (p *Plan) Takes(target string) bool {
	return slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Target == target })
}
