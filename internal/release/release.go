package release

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"lockstep/internal/lockstep"
)

// Phase is where a release is.
type Phase string

// The phases. The first five are those of the step that is under way.
const (
	PhasePreflight Phase = "preflight" // it must show that it works, and that stable works on what it wrote
	PhaseShadow    Phase = "shadow"    // it sees the input, and its output is compared and thrown away
	PhaseCanary    Phase = "canary"    // it decides for a share of the keys
	PhaseBake      Phase = "bake"      // it keeps its share for a time, and until every kind of change was seen
	PhasePromote   Phase = "promote"   // it has earned everything and waits for the last word
	PhasePromoted  Phase = "promoted"  // it is stable
	PhaseAborted   Phase = "aborted"   // it decides nothing any more
)

// Final says whether the release is over.
func (p Phase) Final() bool { return p == PhasePromoted || p == PhaseAborted }

// Serves says whether the candidate may decide for keys in this phase.
func (p Phase) Serves() bool {
	return p == PhaseCanary || p == PhaseBake || p == PhasePromote || p == PhasePromoted
}

// Outcome says how a release ended.
type Outcome string

// The outcomes.
const (
	Promoted   Outcome = "promoted"    // the candidate is stable
	RolledBack Outcome = "rolled-back" // a guard found the candidate bad; it was quarantined
	Unfit      Outcome = "unfit"       // it did not pass preflight, and decided for no key
	Forbidden  Outcome = "forbidden"   // the candidate was quarantined meanwhile
	Called     Outcome = "called-off"  // a person aborted it
	TakenBack  Outcome = "taken-back"  // its fence was there without an abort: one that died, or that a promotion overtook
)

// Release is one attempt to make a candidate stable.
type Release struct {
	ID        string    `json:"id"`     // environment and number: "prod-7"
	Number    uint64    `json:"number"` // from 1, per environment
	Candidate string    `json:"candidate"`
	By        string    `json:"by"`
	Reason    string    `json:"reason"`
	StartedAt time.Time `json:"started_at"` // of this attempt
	// Attempt counts from 1. A retry keeps the ID and with it every key's bucket.
	Attempt int `json:"attempt"`
	// Supersedes is the aborted release that this one takes the place of, if any.
	Supersedes string `json:"supersedes,omitempty"`
	// InverseOf is the release that this one undoes, if any.
	InverseOf string `json:"inverse_of,omitempty"`

	Plan     Plan   `json:"plan"`
	PlanHash string `json:"plan_hash"`
	// KnownGood is what a rollback of this release returns to. It is pinned.
	KnownGood Pair `json:"known_good"`

	Phase     Phase     `json:"phase"`
	Step      int       `json:"step"`       // index in Plan.Steps; the last one reached when it is over
	Weight    Weight    `json:"weight"`     // share of the keys the candidate decides for now
	StepSince time.Time `json:"step_since"` // when the step was entered
	Clock     Clock     `json:"clock"`      // of the step
	Full      Clock     `json:"full"`       // time with all of the keys, without a break
	AskedAt   time.Time `json:"asked_at"`   // when the approval was last asked for; the step's start otherwise
	Halt      *Halt     `json:"halt,omitempty"`
	Seen      Seen      `json:"seen"` // in this step, as of the entry
	Passed    []Passed  `json:"passed,omitempty"`

	Approvals []Approval `json:"approvals,omitempty"`
	Risks     []Risk     `json:"risks,omitempty"`
	Glass     []Glass    `json:"glass,omitempty"`
	Ending    *Ending    `json:"ending,omitempty"` // set when it is over
	// Alarm is the first fault that was found after the promotion, if any.
	Alarm *Alarm `json:"alarm,omitempty"`

	// Evidence belongs to whoever analyses; nothing here reads it. It lives as long as
	// the candidate's content does, across retries.
	Evidence   json.RawMessage `json:"evidence,omitempty"`
	EvidenceAt time.Time       `json:"evidence_at,omitzero"`
}

// HaltKind says what stopped a release.
type HaltKind string

// The kinds of halt.
const (
	Paused  HaltKind = "paused"  // by a person, until resumed
	Held    HaltKind = "held"    // by a guard, until it lets go
	Expired HaltKind = "expired" // nobody approved in time; until resumed
)

// Halt is why a release stands still. Its clock stands as well.
type Halt struct {
	Kind    HaltKind  `json:"kind"`
	By      string    `json:"by"`
	Reason  string    `json:"reason"`
	At      time.Time `json:"at"`
	Culprit *Culprit  `json:"culprit,omitempty"` // of a hold, when it is known
}

// Seen is what was observed since a step began.
type Seen struct {
	Stable    uint64           `json:"stable"`        // units decided by stable
	Candidate uint64           `json:"candidate"`     // units decided, or shadowed, by the candidate
	Mix       []lockstep.Event `json:"mix,omitempty"` // kinds of change the candidate met, sorted
}

// Passed is a step that lies behind.
type Passed struct {
	Step    int           `json:"step"`
	Began   time.Time     `json:"began"`
	Ended   time.Time     `json:"ended"`
	Ran     time.Duration `json:"ran_ns"`
	Seen    Seen          `json:"seen"`
	Skipped []Gate        `json:"skipped,omitempty"` // what was not fulfilled, and let pass by glass
}

// Approval is one person's word for the promotion.
type Approval struct {
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// Risk is a risk that preflight named and somebody accepted by that name.
type Risk struct {
	Name   string    `json:"name"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// Ending is how and why a release ended.
type Ending struct {
	Outcome Outcome   `json:"outcome"`
	By      string    `json:"by"`
	Reason  string    `json:"reason"`
	At      time.Time `json:"at"`
	Culprit *Culprit  `json:"culprit,omitempty"` // of one that was found bad, when it is known
}

// Alarm says that a candidate that was promoted has got worse than what it was promoted
// with. It takes nothing back: with no other arm left to compare with, a person decides.
type Alarm struct {
	Guard  string    `json:"guard"` // of the analysis
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

func releaseID(environment string, number uint64) string {
	return fmt.Sprintf("%s-%d", environment, number)
}

// Current returns the step the release is in, or was in when it ended.
func (r *Release) Current() Step { return r.Plan.Steps[r.Step] }

// Accepted says whether somebody accepted the risk of that name.
func (r *Release) Accepted(risk string) bool {
	return slices.ContainsFunc(r.Risks, func(a Risk) bool { return a.Name == risk })
}

// Opened says whether the gate was opened by breaking the glass.
func (r *Release) Opened(gate Gate) bool {
	return slices.ContainsFunc(r.Glass, func(g Glass) bool { return g.Gate == gate })
}

// enter makes step the current one at now.
func (r *Release) enter(step int, now time.Time) {
	r.Step, r.StepSince, r.AskedAt = step, now, now
	r.Phase = r.Plan.Steps[step].phase()
	r.Clock, r.Seen, r.Approvals = Clock{}.Run(now), Seen{}, nil
	if r.Halt != nil {
		r.Clock = Clock{}
	}
	if w, sets := r.Plan.Steps[step].weight(); sets {
		r.Weight = w
	}
	switch {
	case r.Weight < All:
		r.Full = Clock{}
	case r.Halt == nil:
		r.Full = r.Full.Run(now)
	}
}

// halt stops the clocks; go on starts them again.
func (r *Release) halt(h Halt) {
	r.Halt = &h
	r.Clock, r.Full = r.Clock.Stand(h.At), r.Full.Stand(h.At)
}

func (r *Release) goOn(now time.Time) {
	r.Halt, r.Clock, r.AskedAt = nil, r.Clock.Run(now), now
	if r.Weight == All {
		r.Full = r.Full.Run(now)
	}
}

// end closes the release. Its halt, if any, stays as a record of what it was.
func (r *Release) end(phase Phase, e Ending) {
	r.Phase, r.Ending = phase, &e
	r.Clock, r.Full = r.Clock.Stand(e.At), r.Full.Stand(e.At)
	if phase == PhaseAborted {
		r.Weight = 0
	}
}

func (r *Release) clone() Release {
	c := *r
	if r.Halt != nil {
		h := *r.Halt
		c.Halt = &h
	}
	if r.Ending != nil {
		e := *r.Ending
		c.Ending = &e
	}
	if r.Alarm != nil {
		a := *r.Alarm
		c.Alarm = &a
	}
	c.Passed = slices.Clone(r.Passed)
	c.Approvals = slices.Clone(r.Approvals)
	c.Risks = slices.Clone(r.Risks)
	c.Glass = slices.Clone(r.Glass)
	return c
}
