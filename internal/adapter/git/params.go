package git

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
)

// params are what a step of this package carries: all that is needed to do it in another
// process, on another day.
type params struct {
	Head   string `json:"head"`             // the commit it begins at
	Branch string `json:"branch,omitempty"` // and the branch; "": none is checked out
	Point  string `json:"point,omitempty"`
	// Reference is the branch that keeps the old head, Rollback the one that is made.
	Reference string   `json:"reference,omitempty"`
	Rollback  string   `json:"rollback,omitempty"`
	Move      bool     `json:"move,omitempty"` // the branch itself is moved, none is made
	Paths     []string `json:"paths,omitempty"`
	Picks     []Pick   `json:"picks,omitempty"`
	// Kept are files below the paths that may differ from the point in the end, and
	// by which later commit.
	Kept   map[string]string `json:"kept,omitempty"`
	Author string            `json:"author,omitempty"`
	At     time.Time         `json:"at,omitzero"` // the date of new commits
	// Undo takes the step back; Undone is then the name that the rollback branch gets.
	Undo   bool   `json:"undo,omitempty"`
	Undone string `json:"undone,omitempty"`
}

// kept is what a step keeps of itself.
type kept struct {
	Made    bool     `json:"made,omitempty"`    // the branch is this step's: it was not there before
	Record  *Record  `json:"record,omitempty"`  // what there was before
	Tip     string   `json:"tip,omitempty"`     // where the working tree is being brought
	Skipped []string `json:"skipped,omitempty"` // picks that changed nothing
}

// read decodes a step strictly: one that is not understood is not carried out.
func read(at rollback.At) (params, kept, error) {
	var p params
	var k kept
	if err := strict(at.Step.Params, &p); err != nil {
		return p, k, fmt.Errorf("params of step %s: %w", at.Step.ID, err)
	}
	if !objectID.MatchString(p.Head) {
		return p, k, fmt.Errorf("%w params of step %s: no commit to begin at", lockstep.ErrCorrupt, at.Step.ID)
	}
	if len(at.Kept) > 0 {
		if err := strict(at.Kept, &k); err != nil {
			return p, k, fmt.Errorf("kept of step %s: %w", at.Step.ID, err)
		}
	}
	return p, k, nil
}

func strict(raw json.RawMessage, into any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%w: %w", lockstep.ErrCorrupt, err)
	}
	if d.More() {
		return fmt.Errorf("%w: more than one value", lockstep.ErrCorrupt)
	}
	return nil
}

// encode cannot fail: both kinds are plain data.
func encode(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// begin is the state that the step of a tree begins with.
func (p params) begin() string { return place(p.Head, p.Branch) }

// end is the state that it ends with.
func (p params) end() string { return "on " + p.endBranch() + " as at " + short(p.Point) }

func (p params) endBranch() string {
	if p.Move {
		return p.Branch
	}
	return p.Rollback
}
