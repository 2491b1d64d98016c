package suite

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
)

// params are a step's own.
type params struct {
	Suite Suite  `json:"suite"`
	Tree  string `json:"tree,omitempty"`
}

// Plan returns one step for every suite. tree names what is tested, such as the hash of
// the tree that the rollback leads to: a result that was kept for another one does not
// count. "": it is not known beforehand. needs are the steps that must be done before.
// ErrInvalid names every mistake in the settings.
func Plan(s Settings, tree string, needs []string) ([]rollback.Step, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	var steps []rollback.Step
	for _, one := range s.Suites {
		body, err := json.Marshal(params{one, tree})
		if err != nil {
			return nil, fmt.Errorf("%w suite %s: %w", lockstep.ErrInvalid, one.Name, err)
		}
		risk := "None: tests change nothing that counts."
		if !one.blocks() {
			risk += " Its failure stops nothing."
		}
		manual := strings.Join(one.Command, " ")
		if one.Dir != "" {
			manual = "cd " + one.Dir + " && " + manual
		}
		steps = append(steps, rollback.Step{
			ID: "tests-" + one.Name, Target: Name, Phase: rollback.PhaseCode, Title: "Run the tests " + one.Name, To: Accepted, Params: body, Needs: needs,
			Deadline: one.timeout() + time.Minute, Predicted: min(one.timeout()/4, 2*time.Minute),
			Changes: "Nothing; it is known whether they pass.", Risk: risk, Manual: manual, UndoBy: "There is nothing to take back.",
		})
	}
	return steps, nil
}
