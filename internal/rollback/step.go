package rollback

import (
	"encoding/json"
	"time"
)

// Step is one action of a plan. It names both of its ends, so that whoever looks can
// tell whether it is still to be done, done already, or whether something is there that
// nobody expected. It is stored before anything is done and is complete: a step that is
// resumed in another process, on another day, needs nothing but itself and what its
// target kept.
type Step struct {
	ID     string `json:"id"`     // unique in its plan: "index", "git-branch"
	Target string `json:"target"` // the name under which its Target is known
	Phase  Phase  `json:"phase"`
	Title  string `json:"title"` // one line, as an order: "Revert what receipts@2 wrote"
	// From is the state that Look finds before, To the one that it finds when the step is
	// done. An empty From is any state but To.
	From string `json:"from,omitempty"`
	To   string `json:"to"`
	// Params are the target's own, as its planner made them.
	Params json.RawMessage `json:"params,omitempty"`
	// Needs are ids of steps that must be done before this one. A step that fails holds up
	// those that need it, and no others: a rollback does what it can.
	Needs []string `json:"needs,omitempty"`
	// Deadline bounds one Do; a step gets a context of its own. 0: DefaultDeadline.
	Deadline  time.Duration `json:"deadline_ns,omitempty"`
	Predicted time.Duration `json:"predicted_ns,omitempty"` // how long it will probably take
	Changes   string        `json:"changes,omitempty"`      // what will be different, for people
	Risk      string        `json:"risk,omitempty"`         // what may go wrong, for people
	Loss      []string      `json:"loss,omitempty"`         // what is lost for good; normally nothing
	Manual    string        `json:"manual,omitempty"`       // what a person does when it is stuck: a command, if there is one
	UndoBy    string        `json:"undo_by,omitempty"`      // how it is taken back, for people
	// UndoLast has its undo come behind those of the other steps of its phase, instead of
	// before those of the steps that it came after: a deployment deploys what they leave.
	UndoLast bool `json:"undo_last,omitempty"`
}

// DefaultDeadline bounds the Do of a step that names no other.
const DefaultDeadline = 10 * time.Minute

// Phase is the part of a rollback that a step belongs to. Phases are walked in order:
// what stops the harm first comes first.
type Phase string

// The phases in their order.
const (
	PhaseFlag    Phase = "flag"    // nothing new is decided by what is bad
	PhaseTraffic Phase = "traffic" // requests go to the good one
	PhaseCode    Phase = "code"    // git, package, tests, deployment
	PhaseData    Phase = "data"    // what the bad one wrote is taken back
	PhaseTell    Phase = "tell"    // people know, and watch too
	PhaseWatch   Phase = "watch"   // is it well again?
)

// Phases lists the phases in their order.
func Phases() []Phase {
	return []Phase{PhaseFlag, PhaseTraffic, PhaseCode, PhaseData, PhaseTell, PhaseWatch}
}
