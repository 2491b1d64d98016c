package release

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"lockstep/internal/lockstep"
)

// Health is an answer about the running system. The zero Health is NoData, so that
// a question nobody answered is never good news.
type Health string

// The answers.
const (
	NoData  Health = ""        // too little is known; the clock runs, nothing advances
	Healthy Health = "healthy" // all that was asked is fulfilled
	Hold    Health = "hold"    // something is doubtful; the clock stands
	Bad     Health = "bad"     // the release has to be aborted
)

// OpenRisk is something preflight could not exclude. It has to be accepted by name.
type OpenRisk struct {
	Name   string
	Reason string
}

// Window is a time in which nothing advances. The zero Window is none.
type Window struct {
	Reason string
	Until  time.Time
}

// Observation is what was seen of the release that a state is about. The zero
// Observation knows nothing, and never makes anything advance.
type Observation struct {
	Preflight Health     // of this attempt; counts in its first step
	Risks     []OpenRisk // what preflight leaves open; those accepted do no harm
	Verdict   Health     // of all guards together
	Reasons   []string   // behind Verdict and Preflight, in words
	Culprit   *Culprit   // what says so when one of them is Bad or Hold; nil: not known. Step is set by Next
	Stable    Health     // whether stable can run
	Seen      Seen       // since Release.StepSince, in this attempt
	// Quarantined is why the candidate is quarantined in another environment; "" when
	// it is not. The quarantine of this one is in its state.
	Quarantined string
	// Fenced says that the ledger of versions holds the fence of this attempt of this
	// release (Effect.Name). Whoever wrote it meant to abort.
	Fenced bool
	// FencedWhy is what the fence says of who wrote it and why; "" when it is not known.
	FencedWhy string
	Head      uint64          // newest version of the index
	Frozen    Window          // by the calendar, at the time of the observation
	Evidence  json.RawMessage // of the analysis, to be kept; nil keeps what there is
	// Alarm says how a candidate that was promoted has got worse since; nil: it has not.
	// Guard and Reason count.
	Alarm *Alarm
}

func (o Observation) fencedWhy() []string {
	if o.FencedWhy == "" {
		return nil
	}
	return []string{o.FencedWhy}
}

// unmet is a condition of a step that is not fulfilled.
type unmet struct {
	gate  Gate // "": nobody can open it
	words string
	until time.Time // when it will be fulfilled by itself; zero: not by time
}

// conditions lists what keeps r from leaving its step, opened gates included.
func conditions(s State, r *Release, seen Observation, now time.Time) []unmet {
	list := freezeConditions(s, seen.Frozen, now)
	if r.Phase == PhasePreflight {
		list = append(list, preflightConditions(r, seen)...)
	}
	if c, ok := verdictCondition(r, seen); ok {
		list = append(list, c)
	}
	return append(list, stepConditions(r, seen, now)...)
}

func freezeConditions(s State, frozen Window, now time.Time) []unmet {
	var list []unmet
	if stop := s.Stopped(now); stop != nil {
		list = append(list, unmet{GateFreeze, fmt.Sprintf("the line was stopped by %s: %s", stop.By, stop.Reason), stop.Until})
	}
	if frozen != (Window{}) {
		list = append(list, unmet{GateFreeze, "frozen: " + frozen.Reason, frozen.Until})
	}
	return list
}

func preflightConditions(r *Release, seen Observation) []unmet {
	var list []unmet
	if seen.Preflight != Healthy {
		list = append(list, unmet{words: because("preflight is not passed", seen.Reasons)})
	}
	for _, risk := range seen.Risks {
		if !r.Accepted(risk.Name) {
			list = append(list, unmet{words: fmt.Sprintf("the risk %s is open: %s", risk.Name, risk.Reason)})
		}
	}
	return list
}

// verdictCondition asks for a healthy verdict wherever the candidate runs on real
// input. Where it does not, guards may have nothing to say, but they may still hold.
func verdictCondition(r *Release, seen Observation) (unmet, bool) {
	runs := r.Weight > 0 || r.Phase == PhaseShadow
	switch seen.Verdict {
	case Healthy:
		return unmet{}, false
	case NoData:
		return unmet{gate: GateVerdict, words: because("the guards have too little data", seen.Reasons)}, runs
	case Hold:
		return unmet{gate: GateVerdict, words: because("a guard holds it", seen.Reasons)}, true
	case Bad:
		return unmet{words: because("a guard says it is bad", seen.Reasons)}, true
	}
	return unmet{words: fmt.Sprintf("the verdict %q is not known", seen.Verdict)}, true
}

func stepConditions(r *Release, seen Observation, now time.Time) []unmet {
	var list []unmet
	step := r.Current()
	if left := step.For - r.Clock.Elapsed(now); left > 0 {
		list = append(list, unmet{GateTime, fmt.Sprintf("%s of %s are left", span(left), span(step.For)), now.Add(left)})
	}
	if got := seen.Seen.Candidate; got < step.MinUnits {
		list = append(list, unmet{gate: GateUnits, words: fmt.Sprintf("it saw %d of %d units", got, step.MinUnits)})
	}
	var missing []lockstep.Event
	for _, e := range step.Mix {
		if !slices.Contains(seen.Seen.Mix, e) {
			missing = append(missing, e)
		}
	}
	if len(missing) > 0 {
		list = append(list, unmet{gate: GateMix, words: "it saw no " + mixNames(missing)})
	}
	if missing := step.Approvals - len(r.Approvals); missing > 0 {
		list = append(list, unmet{gate: GateApproval, words: fmt.Sprintf("it waits for the approval of %s until %s", people(missing), clockTime(r.AskedAt.Add(step.expires())))})
	}
	return list
}

// split parts conditions into those that count and the gates that were opened.
func split(r *Release, list []unmet) (count []unmet, skipped []Gate) {
	for _, c := range list {
		if c.gate == "" || !r.Opened(c.gate) {
			count = append(count, c)
		} else if !slices.Contains(skipped, c.gate) {
			skipped = append(skipped, c.gate)
		}
	}
	return count, skipped
}
