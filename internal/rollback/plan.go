package rollback

import (
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
	MaxSteps = 64
	maxText  = 4 << 10
)

var planID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// Check returns lockstep.ErrInvalid, naming what is wrong, unless the plan can be carried
// out as it is: steps that are named once, know their target and their end, are in the
// order of their phases, and need only steps before them.
func (p *Plan) Check() error {
	if !planID.MatchString(p.ID) {
		return fmt.Errorf("%w plan id %.80q: want 1 to 63 of a-z 0-9 -", lockstep.ErrInvalid, p.ID)
	}
	if p.By == "" || p.At.IsZero() || len(p.Steps) == 0 || len(p.Steps) > MaxSteps {
		return fmt.Errorf("plan %s: %w: want somebody who asks, a time, and 1 to %d steps; it has %d", p.ID, lockstep.ErrInvalid, MaxSteps, len(p.Steps))
	}
	seen := map[string]bool{}
	phase := 0
	for i := range p.Steps {
		s := &p.Steps[i]
		at := slices.Index(Phases(), s.Phase)
		switch {
		case s.ID == "" || seen[s.ID]:
			return fmt.Errorf("plan %s: %w: step %d is named %q, like another or not at all", p.ID, lockstep.ErrInvalid, i+1, s.ID)
		case s.Target == "" || s.To == "" || s.From == s.To || s.Title == "":
			return fmt.Errorf("plan %s: %w: step %s wants a target, a title, and two ends that differ", p.ID, lockstep.ErrInvalid, s.ID)
		case len(s.Title) > maxText || len(s.Params) > 64<<10:
			return fmt.Errorf("plan %s: %w: step %s is too long", p.ID, lockstep.ErrInvalid, s.ID)
		case at < 0:
			return fmt.Errorf("plan %s: %w: step %s is of an unknown phase %q", p.ID, lockstep.ErrInvalid, s.ID, s.Phase)
		case p.Undoes == "" && at < phase:
			return fmt.Errorf("plan %s: %w: step %s of phase %s comes too late", p.ID, lockstep.ErrInvalid, s.ID, s.Phase)
		}
		for _, n := range s.Needs {
			if !seen[n] {
				return fmt.Errorf("plan %s: %w: step %s needs %q, which is no step before it", p.ID, lockstep.ErrInvalid, s.ID, n)
			}
		}
		seen[s.ID], phase = true, max(phase, at)
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
