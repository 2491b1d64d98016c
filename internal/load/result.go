package load

import (
	"fmt"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

// Result is what a run found.
type Result struct {
	Seed      uint64       `json:"seed"`
	Keys      int          `json:"keys"`
	Skew      float64      `json:"zipf"`
	Mix       string       `json:"mix"`
	Batch     int          `json:"batch"`
	InFlight  int          `json:"in_flight"`
	Arrivals  Arrivals     `json:"arrivals"`
	Objective string       `json:"objective,omitempty"`
	Stop      string       `json:"stop,omitempty"`
	Steps     []StepResult `json:"steps"`
	// Held is the highest rate that was held, with every rate below it; 0: none.
	Held   float64 `json:"held"`
	Passed bool    `json:"passed"` // the objective holds, or none was given
	// Why says what of the objective does not hold.
	Why string `json:"why,omitempty"`
}

// StepResult is what was measured at one rate. It counts changes.
type StepResult struct {
	Rate     float64                  `json:"rate"`
	For      time.Duration            `json:"for_ns"`
	Achieved float64                  `json:"achieved"` // answered per second, until the last answer
	Due      int                      `json:"due"`      // that should have been sent
	Answered int                      `json:"answered"` // in a published version
	Failed   int                      `json:"failed"`
	Unsent   int                      `json:"unsent"`  // for want of a free slot until the very end
	Changed  int                      `json:"changed"` // published records, in those versions
	Parked   int                      `json:"parked"`
	Latency  Spread                   `json:"latency"` // from when a change was due to its answer
	Errors   map[string]int           `json:"errors"`  // by class
	Example  string                   `json:"first_error,omitempty"`
	Outcomes map[lockstep.Outcome]int `json:"outcomes"`
	Sent     Done                     `json:"sent"`
	Versions int                      `json:"versions"`  // that answers name
	Backlog  int                      `json:"backlog"`   // due and not answered when the step ended
	Behind   time.Duration            `json:"behind_ns"` // how long after that the last answer came
	Held     bool                     `json:"held"`
	Stopped  string                   `json:"stopped,omitempty"` // the condition that ended the run here
	Missed   string                   `json:"missed,omitempty"`  // what of the objective does not hold
	Why      string                   `json:"why,omitempty"`     // it was not held
}

func resultOf(s Shape, o Options) Result {
	return Result{
		Seed: s.Seed, Keys: s.Keys, Skew: s.Skew, Mix: s.Mix.String(), Batch: o.Batch, InFlight: o.InFlight, Arrivals: o.Arrivals,
		Objective: o.Objective.String(), Stop: o.Stop.String(), Steps: []StepResult{},
	}
}

func (d Done) since(before Done) Done {
	return Done{Inserts: d.Inserts - before.Inserts, Edits: d.Edits - before.Edits, Deletes: d.Deletes - before.Deletes}
}

const (
	// A server that keeps up has answered everything shortly after the last change was
	// due: within this time, or this part of the step.
	allowedBehind = 500 * time.Millisecond
	allowedPart   = 20
	// allowedErrors is how many per cent of errors a held rate may have when the
	// objective does not speak of them.
	allowedErrors = 1.0
)

// judge says whether the rate was held.
func (s *StepResult) judge(stopped string, objective Conditions) {
	var why []string
	if stopped != "" {
		s.Stopped = stopped
		why = append(why, "stopped by "+stopped)
	}
	if s.Due == 0 {
		why = append(why, "no change was due: the step is too short for its rate")
	}
	if limit := max(allowedBehind, s.For/allowedPart); s.Behind > limit {
		why = append(why, fmt.Sprintf("it did not keep up: the last answer came %s after the last change was due", brief(s.Behind)))
	}
	if s.Unsent > 0 {
		why = append(why, fmt.Sprintf("%d changes were never sent, because no request was free", s.Unsent))
	}
	if !objective.speaksOf(figureErrors) {
		if e := share(s.Failed, s.Due); e > allowedErrors {
			why = append(why, fmt.Sprintf("%.3g%% errors", e))
		}
	}
	if s.Missed = objective.broken(s); s.Missed != "" {
		why = append(why, s.Missed)
	}
	s.Held, s.Why = len(why) == 0, strings.Join(why, "; ")
}

func (cs Conditions) speaksOf(figure string) bool {
	for _, c := range cs {
		if c.Figure == figure {
			return true
		}
	}
	return false
}

// judge says what the run has shown: an objective has to hold at the first rate, which
// nothing may have stopped, and what it says of the highest rate held has to be true.
func (r *Result) judge(o Options) {
	r.Held, r.Passed, r.Why = 0, true, ""
	for i := range r.Steps {
		if !r.Steps[i].Held {
			break
		}
		r.Held = r.Steps[i].Rate
	}
	if len(o.Objective) == 0 {
		return
	}
	var why []string
	switch {
	case len(r.Steps) == 0:
		why = append(why, "no step has ended")
	case r.Steps[0].Stopped != "":
		why = append(why, fmt.Sprintf("at %g/s: stopped by %s", r.Steps[0].Rate, r.Steps[0].Stopped))
	case r.Steps[0].Missed != "":
		why = append(why, fmt.Sprintf("at %g/s: %s", r.Steps[0].Rate, r.Steps[0].Missed))
	}
	for _, c := range o.Objective {
		if c.Figure == figureHeld && !c.met(r.Held) {
			why = append(why, fmt.Sprintf("%s: it is %s", c, c.round(r.Held)))
		}
	}
	r.Passed, r.Why = len(why) == 0, strings.Join(why, "; ")
}
