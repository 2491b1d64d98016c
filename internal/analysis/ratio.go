package analysis

import (
	"encoding/json"
	"fmt"
	"math"

	"lockstep/internal/lockstep"
)

// RatioThreshold is the evidence at which routing counts as broken: one in a thousand,
// however often one looks. It is stricter than alpha because a healthy release asks this
// question as well.
const RatioThreshold = 1000

// ratioConcentration is how close to the configured weight the alternatives of the
// sample-ratio check lie: as close as a sample of 100 keys would put them.
const ratioConcentration = 100

// SampleRatio returns the logarithm of the evidence that keys do not reach the candidate
// with the configured chance weight, after nc reached it and nb did not: a beta-binomial
// Bayes factor against the point null, which is an e-process (the sequential test of
// sample-ratio mismatch of Lindon and Malek). At ln RatioThreshold routing is broken.
//
// Count what the hash assigns, each key once, and leave out what an allow or deny list
// decided. Errors: ErrInvalid for a negative or huge count or a weight outside (0, 1).
func SampleRatio(nc, nb int64, weight float64) (float64, error) {
	if nc < 0 || nb < 0 || nc > maxTotal || nb > maxTotal {
		return 0, fmt.Errorf("%w sample ratio: %d and %d keys", lockstep.ErrInvalid, nc, nb)
	}
	if !(weight > 0 && weight < 1) {
		return 0, fmt.Errorf("%w sample ratio: weight %g, want it between 0 and 1", lockstep.ErrInvalid, weight)
	}
	if nc == 0 && nb == 0 {
		return 0, nil
	}
	a, b := ratioConcentration*weight, ratioConcentration*(1-weight)
	return logBeta(a+float64(nc), b+float64(nb)) - logBeta(a, b) -
		float64(nc)*math.Log(weight) - float64(nb)*math.Log1p(-weight), nil
}

func logBeta(a, b float64) float64 {
	la, _ := math.Lgamma(a)
	lb, _ := math.Lgamma(b)
	lab, _ := math.Lgamma(a + b)
	return la + lb - lab
}

// Split is how many distinct keys were first seen in a window, and where they went, while
// the candidate's weight was Weight.
type Split struct {
	Weight    float64 `json:"weight"` // 0 to 1
	Candidate int64   `json:"candidate"`
	Stable    int64   `json:"stable"`
}

// Check returns ErrInvalid unless the weight is a share and the counts are plausible.
func (s Split) Check() error {
	if !(s.Weight >= 0 && s.Weight <= 1) || s.Candidate < 0 || s.Stable < 0 || s.Candidate > MaxUnits || s.Stable > MaxUnits {
		return fmt.Errorf("%w split: %d to the candidate, %d to stable at weight %g", lockstep.ErrInvalid, s.Candidate, s.Stable, s.Weight)
	}
	return nil
}

// Ratio collects the evidence that routing is broken over a release whose weight grows:
// what each weight gave is multiplied.
type Ratio struct{ state ratioState }

type ratioState struct {
	Before    float64 `json:"before"` // ln E of the weights that are over
	Now       Split   `json:"now"`    // keys under the present weight
	Misplaced int64   `json:"misplaced"`
}

// Observe adds the keys of a window. Errors: ErrInvalid when the split does not pass
// Check; nothing has changed then.
func (r *Ratio) Observe(s Split) error {
	if err := s.Check(); err != nil {
		return err
	}
	if s.Candidate == 0 && s.Stable == 0 {
		return nil
	}
	// Nothing may reach an arm that has no weight; there is no chance to weigh it by.
	switch s.Weight {
	case 0:
		r.state.Misplaced = plus(r.state.Misplaced, s.Candidate)
		return nil
	case 1:
		r.state.Misplaced = plus(r.state.Misplaced, s.Stable)
		return nil
	}
	if s.Weight != r.state.Now.Weight {
		r.state.Before = r.LogE()
		r.state.Now = Split{Weight: s.Weight}
	}
	r.state.Now.Candidate = plus(r.state.Now.Candidate, s.Candidate)
	r.state.Now.Stable = plus(r.state.Now.Stable, s.Stable)
	return nil
}

// LogE returns the logarithm of the evidence that keys are not split as configured.
func (r *Ratio) LogE() float64 {
	now, err := SampleRatio(r.state.Now.Candidate, r.state.Now.Stable, r.state.Now.Weight)
	if err != nil {
		return r.state.Before // no key under a weight between 0 and 1 yet
	}
	return r.state.Before + now
}

// Misplaced returns how many keys reached an arm of weight 0.
func (r *Ratio) Misplaced() int64 { return r.state.Misplaced }

// Now returns the keys counted under the present weight.
func (r *Ratio) Now() Split { return r.state.Now }

// Broken says whether the split is shown not to be the configured one.
func (r *Ratio) Broken() bool {
	return r.state.Misplaced > 0 || r.LogE() >= math.Log(RatioThreshold)
}

// MarshalJSON writes the state such that UnmarshalJSON restores every bit of it.
func (r *Ratio) MarshalJSON() ([]byte, error) { return json.Marshal(r.state) }

// UnmarshalJSON reads what MarshalJSON wrote, strictly. Errors: ErrCorrupt; the state is
// as before then.
func (r *Ratio) UnmarshalJSON(body []byte) error {
	var s ratioState
	if err := decodeStrict(body, &s); err != nil {
		return fmt.Errorf("read sample ratio: %w", err)
	}
	n := s.Now
	if s.Misplaced < 0 || n.Candidate < 0 || n.Stable < 0 || n.Candidate > maxTotal || n.Stable > maxTotal || !(n.Weight >= 0 && n.Weight < 1) ||
		(n.Weight == 0 && n != Split{}) {
		return fmt.Errorf("read sample ratio: %w: %+v", lockstep.ErrCorrupt, s)
	}
	r.state = s
	return nil
}
