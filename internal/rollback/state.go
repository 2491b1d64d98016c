package rollback

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

// Progress is how far one step is.
type Progress string

// The states of a step.
const (
	Waiting Progress = "waiting" // not begun
	Doing   Progress = "doing"   // begun; by whom, is in the state
	Done    Progress = "done"    // its end is true
	Failed  Progress = "failed"  // it could not be done
	Third   Progress = "third"   // something is there that the plan does not know; nothing more is done
	Skipped Progress = "skipped" // a person decided to leave it out
	Blocked Progress = "blocked" // a step that it needs is not done
)

// StepState is how it stands about one step.
type StepState struct {
	Progress Progress        `json:"progress"`
	By       string          `json:"by,omitempty"` // who does or did it
	Began    time.Time       `json:"began,omitzero"`
	Ended    time.Time       `json:"ended,omitzero"`
	Tries    int             `json:"tries,omitempty"`
	Already  bool            `json:"already,omitempty"` // it was so before anything was done
	Sight    Sight           `json:"sight,omitzero"`    // as seen last
	Kept     json.RawMessage `json:"kept,omitempty"`    // by the target
	Error    string          `json:"error,omitempty"`
	Hint     string          `json:"hint,omitempty"`
}

// Signature is an item of the checklist that a person answers for.
type Signature struct {
	Item   string    `json:"item"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// State is a plan with all that is known of its execution. Every entry of the plan's ledger
// holds it whole. A State is a value: no function changes one that it was given.
type State struct {
	Plan       Plan        `json:"plan"`
	Steps      []StepState `json:"steps"` // parallel to Plan.Steps
	Signatures []Signature `json:"signatures,omitempty"`
	// Began and Ended are when the first step began, and when none was left that could be
	// done.
	Began time.Time `json:"began,omitzero"`
	Ended time.Time `json:"ended,omitzero"`
	// UndoneBy is the plan that takes this one back.
	UndoneBy string `json:"undone_by,omitempty"`
}

// Outcome is how a plan stands as a whole.
type Outcome string

// The outcomes.
const (
	Planned    Outcome = "planned"
	Running    Outcome = "running"
	Complete   Outcome = "complete"
	Incomplete Outcome = "incomplete" // what could be done is done, and something is left for a person: stuck
	Undone     Outcome = "undone"
)

// NewState returns a plan of which nothing is done.
func NewState(p Plan) State {
	s := State{Plan: p, Steps: make([]StepState, len(p.Steps))}
	for i := range s.Steps {
		s.Steps[i].Progress = Waiting
	}
	return s
}

// Outcome says how it stands.
func (s *State) Outcome() Outcome {
	switch {
	case s.UndoneBy != "":
		return Undone
	case s.Began.IsZero():
		return Planned
	case s.Ended.IsZero():
		return Running
	case len(s.Stuck()) > 0:
		return Incomplete
	}
	return Complete
}

// Stuck returns the places of the steps that are left for a person.
func (s *State) Stuck() []int {
	var out []int
	for i := range s.Steps {
		switch s.Steps[i].Progress {
		case Failed, Third, Blocked:
			out = append(out, i)
		case Waiting, Doing, Done, Skipped:
		}
	}
	return out
}

// Step returns the place of a step, ErrNotFound when the plan has none of that name.
func (s *State) Step(id string) (int, error) {
	if i := slices.IndexFunc(s.Plan.Steps, func(x Step) bool { return x.ID == id }); i >= 0 {
		return i, nil
	}
	var known []string
	for i := range s.Plan.Steps {
		known = append(known, s.Plan.Steps[i].ID)
	}
	return 0, lockstep.Hint(fmt.Errorf("step %q of plan %s: %w", id, s.Plan.ID, lockstep.ErrNotFound), fmt.Sprintf("its steps are %v", known))
}

// Next returns the place of the step that is to be done now, -1 when none can be: all are
// done, or what is left needs a person. Steps that need one which cannot be done are
// blocked in the state that is returned; the others go on. A step that somebody was killed
// at comes before all others: at most one is ever half done.
func Next(s State) (State, int) {
	s = s.clone()
	if at := s.doing(-1); at >= 0 {
		return s, at
	}
	for i := range s.Steps {
		switch s.Steps[i].Progress {
		case Waiting, Blocked:
			if s.ready(i) {
				return s, i
			}
			s.Steps[i].Progress = Blocked
		case Doing, Done, Failed, Third, Skipped:
		}
	}
	return s, -1
}

// doing returns the place of a step other than but that somebody is at, -1 when there is none.
func (s *State) doing(but int) int {
	for i := range s.Steps {
		if i != but && s.Steps[i].Progress == Doing {
			return i
		}
	}
	return -1
}

// ready says whether everything that a step needs is done, or left out on purpose.
func (s *State) ready(i int) bool {
	return !slices.ContainsFunc(s.Plan.Steps[i].Needs, func(id string) bool {
		j, err := s.Step(id)
		return err != nil || s.Steps[j].Progress != Done && s.Steps[j].Progress != Skipped
	})
}

func (s *State) clone() State {
	c := *s
	c.Steps = slices.Clone(s.Steps)
	c.Signatures = slices.Clone(s.Signatures)
	return c
}

// Event is one line of a timeline.
type Event struct {
	At   time.Time `json:"at"`
	Who  string    `json:"who"`
	What string    `json:"what"`
	Link string    `json:"link,omitempty"`
}

// Timeline returns what happened, oldest first. Of a step that was tried again it has the
// last try; the others are in the journal.
func (s *State) Timeline() []Event {
	link := "plan " + s.Plan.ID
	planned, began := "planned a rollback: "+s.Plan.Reason, "began the rollback"
	if s.Plan.Undoes != "" {
		planned, began = "planned to take plan "+s.Plan.Undoes+" back: "+s.Plan.Reason, "began to take plan "+s.Plan.Undoes+" back"
	}
	out := []Event{{s.Plan.At, s.Plan.By, planned, link}}
	add := func(at time.Time, who, what string) { out = append(out, Event{at, who, what, link}) }
	if !s.Began.IsZero() {
		add(s.Began, s.Plan.By, began)
	}
	for i := range s.Steps {
		x, title := &s.Steps[i], s.Plan.Steps[i].Title
		switch x.Progress {
		case Done:
			add(x.Ended, x.By, title+": "+x.line(&s.Plan.Steps[i]))
		case Failed:
			add(x.Ended, x.By, title+" failed: "+x.Error)
		case Third:
			add(x.Ended, x.By, title+" was stopped: "+x.Error)
		case Skipped:
			add(x.Ended, x.By, title+" was left out: "+x.Error)
		case Waiting, Doing, Blocked:
		}
	}
	if !s.Ended.IsZero() {
		add(s.Ended, "", s.ending())
	}
	for _, g := range s.Signatures {
		add(g.At, g.By, "signed "+g.Item+": "+g.Reason)
	}
	slices.SortStableFunc(out, func(a, b Event) int { return a.At.Compare(b.At) })
	return out
}

// ending says how a plan has come to its end.
func (s *State) ending() string {
	stuck := s.Stuck()
	if len(stuck) == 0 {
		return "everything of the plan is done"
	}
	var left []string
	for _, i := range stuck {
		left = append(left, s.Plan.Steps[i].ID)
	}
	return "what could be done is done; left for a person: " + strings.Join(left, ", ")
}
