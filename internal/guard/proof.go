package guard

import (
	"fmt"

	"lockstep/internal/lockstep"
)

// Shown is what a guard made of its recordings.
type Shown struct {
	Guard   string `json:"guard"`
	Passing bool   `json:"passing"` // in one it passed at the end and never failed
	Failing bool   `json:"failing"` // in one it failed
	Runs    []Run  `json:"runs"`
}

// Run is one recording as the guard saw it.
type Run struct {
	Recording string `json:"recording"`
	Looks     int    `json:"looks"`
	Passes    int    `json:"passes"`
	Fails     int    `json:"fails"`
	// Decisive is the first failure, or else the last result.
	Decisive Result `json:"decisive"`
}

// Proof tries the guard on those of the recordings that are its own, one look after
// the other with debouncing, as a controller would have.
func Proof(g Guard, recordings []Recording) Shown {
	shown := Shown{Guard: g.Name, Runs: []Run{}}
	for _, r := range recordings {
		if r.Guard != g.Name {
			continue
		}
		run := Run{Recording: r.Name}
		results := Replay(g, r)
		for _, one := range results {
			run.Looks++
			switch one.Verdict {
			case Pass:
				run.Passes++
			case Fail:
				if run.Fails == 0 {
					run.Decisive = one
				}
				run.Fails++
			case Inconclusive, Broken:
			}
		}
		if n := len(results); n > 0 && run.Fails == 0 {
			run.Decisive = results[n-1]
			shown.Passing = shown.Passing || run.Decisive.Verdict == Pass
		}
		shown.Failing = shown.Failing || run.Fails > 0
		shown.Runs = append(shown.Runs, run)
	}
	return shown
}

// Replay returns what the guard says at every look of the recording, in order.
func Replay(g Guard, r Recording) []Result {
	var out []Result
	var history DebounceState
	for _, now := range r.times() {
		var one Result
		one, history = Judge(g, r.until(now), history, now)
		out = append(out, one)
	}
	return out
}

// Reliable returns nil when the guard was shown both passing and failing, and otherwise
// ErrRefused naming what is missing: a guard that cannot fail, or cannot pass, answers
// nothing, and a release must not rely on it.
func Reliable(g Guard, recordings []Recording) error {
	s := Proof(g, recordings)
	var missing string
	switch {
	case s.Passing && s.Failing:
		return nil
	case len(s.Runs) == 0:
		missing = "there is no recording for it"
	case !s.Passing && !s.Failing:
		missing = "no recording shows it passing or failing"
	case !s.Passing:
		missing = "no recording shows it passing"
	default:
		missing = "no recording shows it failing"
	}
	err := fmt.Errorf("rely on guard %s: %w: %s", g.Name, lockstep.ErrRefused, missing)
	return lockstep.Hint(err, `record samples of a good and of a bad time, and run "lockstep guard test `+g.Name+`"`)
}
