package analysis

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"lockstep/internal/lockstep"
)

// Alternative is one effect size that a process looks for.
type Alternative struct {
	Psi    float64 `json:"psi"`    // odds ratio, candidate to stable
	Weight float64 `json:"weight"` // its share in the mixture
}

// DefaultAlternatives returns the effect sizes looked for when none are given: from twice
// the odds to fifty times, the smaller ones weighted more, since the larger ones show
// themselves anyway.
func DefaultAlternatives() []Alternative {
	return []Alternative{{2, 0.25}, {3, 0.25}, {5, 0.20}, {10, 0.15}, {20, 0.10}, {50, 0.05}}
}

const (
	maxAlternatives = 64
	maxPsi          = 1e6
	// sumTolerance is how far weights may be from 1 in sum: what rounding to a few
	// decimals in a file cannot exceed, and what matters to no verdict.
	sumTolerance = 1e-9
)

func checkAlternatives(margin float64, as []Alternative) error {
	if !(margin >= 1 && margin <= maxPsi) {
		return fmt.Errorf("%w margin %g: want an odds ratio of at least 1", lockstep.ErrInvalid, margin)
	}
	if len(as) == 0 || len(as) > maxAlternatives {
		return fmt.Errorf("%w alternatives: %d, want 1 to %d", lockstep.ErrInvalid, len(as), maxAlternatives)
	}
	sum := 0.0
	for _, a := range as {
		if !(a.Psi > margin && a.Psi <= maxPsi) {
			return fmt.Errorf("%w alternative %g: want an odds ratio above the margin %g", lockstep.ErrInvalid, a.Psi, margin)
		}
		if !(a.Weight > 0 && a.Weight <= 1) {
			return fmt.Errorf("%w weight %g of alternative %g: want it above 0 and at most 1", lockstep.ErrInvalid, a.Weight, a.Psi)
		}
		sum += a.Weight
	}
	if math.Abs(sum-1) > sumTolerance {
		return fmt.Errorf("%w alternatives: weights sum to %.10g, want 1", lockstep.ErrInvalid, sum)
	}
	return nil
}

// Process collects the evidence that the candidate's odds of a bad unit exceed stable's
// by more than a margin: a mixture of likelihood-ratio martingales, one per alternative,
// in the manner of Robbins and of Johari et al. (Always valid inference). While the true
// odds ratio is at most the margin in every window, whatever the base rate does, the
// chance that the process ever reaches 1/alpha is at most alpha (Ville's inequality).
type Process struct {
	margin       float64
	alternatives []Alternative
	log          []float64 // per alternative: sum of ln e over all tables
	tables       int64
}

// NewProcess returns a process without evidence. Errors: ErrInvalid when the margin is
// below 1 or an alternative is not above it, or when their weights do not sum to 1.
func NewProcess(margin float64, alternatives []Alternative) (*Process, error) {
	if err := checkAlternatives(margin, alternatives); err != nil {
		return nil, err
	}
	return &Process{margin, slices.Clone(alternatives), make([]float64, len(alternatives)), 0}, nil
}

// Observe multiplies in the tables of one window: its size classes, say. Empty tables
// cost nothing. Errors: ErrInvalid when a table does not pass Check; nothing has changed
// then.
func (p *Process) Observe(tables ...Table) error {
	steps, err := logSteps(p.margin, p.alternatives, tables)
	if err != nil {
		return err
	}
	p.step(steps, len(tables))
	return nil
}

func (p *Process) step(steps []float64, tables int) {
	for j, s := range steps {
		p.log[j] += s
	}
	p.tables = plus(p.tables, int64(tables))
}

// logSteps returns ln e of the tables together, per alternative.
func logSteps(margin float64, as []Alternative, tables []Table) ([]float64, error) {
	steps := make([]float64, len(as))
	for _, t := range tables {
		if err := t.Check(); err != nil {
			return nil, err
		}
	}
	for _, t := range tables {
		if t.silent() {
			continue
		}
		m := t.XC + t.XB
		none := logNorm(t.NC, t.NB, m, margin)
		for j, a := range as {
			steps[j] += float64(t.XC)*(math.Log(a.Psi)-math.Log(margin)) + none - logNorm(t.NC, t.NB, m, a.Psi)
		}
	}
	return steps, nil
}

// LogE returns the logarithm of the evidence: 0 without any, positive when the
// candidate looks worse than the margin.
func (p *Process) LogE() float64 { return mixture(p.alternatives, p.log) }

func mixture(as []Alternative, logs []float64) float64 {
	terms := make([]float64, len(logs))
	quiet := true
	for j, l := range logs {
		terms[j] = math.Log(as[j].Weight) + l
		quiet = quiet && l == 0
	}
	if quiet {
		return 0
	}
	return logSumExp(terms)
}

// Crossed says whether the evidence is at least 1/alpha now. What was crossed once stays
// valid when the evidence falls again; who cares keeps the highest value.
func (p *Process) Crossed(alpha float64) bool { return p.LogE() >= -math.Log(alpha) }

// Tables returns how many tables were observed, empty ones included.
func (p *Process) Tables() int64 { return p.tables }

// Margin returns the odds ratio that is tolerated.
func (p *Process) Margin() float64 { return p.margin }

// MoreBad returns how many bad units of the candidate in a row, with none of stable's,
// would bring the evidence to logThreshold, when share of the units are the candidate's;
// false when no number up to a million would.
func (p *Process) MoreBad(share, logThreshold float64) (int, bool) {
	if !(share > 0 && share < 1) {
		return 0, false
	}
	mean := func(psi float64) float64 { return math.Log1p(share * (psi - 1)) }
	steps := make([]float64, len(p.log))
	for j, a := range p.alternatives {
		steps[j] = math.Log(a.Psi/p.margin) + mean(p.margin) - mean(a.Psi)
	}
	reaches := func(n int) bool {
		logs := slices.Clone(p.log)
		for j := range logs {
			logs[j] += float64(n) * steps[j]
		}
		return mixture(p.alternatives, logs) >= logThreshold
	}
	const most = 1_000_000
	return firstThat(most, reaches) // each bad unit adds, and never takes away
}

// processState is the stored form; the shortest decimal that reads back as the same
// float64 is what encoding/json writes, so nothing is lost.
type processState struct {
	Margin       float64       `json:"margin"`
	Alternatives []Alternative `json:"alternatives"`
	LogE         []float64     `json:"log_e"`
	Tables       int64         `json:"tables"`
}

// MarshalJSON writes the state such that UnmarshalJSON restores every bit of it.
func (p *Process) MarshalJSON() ([]byte, error) {
	return json.Marshal(processState{p.margin, p.alternatives, p.log, p.tables})
}

// UnmarshalJSON reads what MarshalJSON wrote, strictly. Errors: ErrCorrupt; the process
// is as before then.
func (p *Process) UnmarshalJSON(body []byte) error {
	var s processState
	if err := decodeStrict(body, &s); err != nil {
		return fmt.Errorf("read process: %w", err)
	}
	if err := checkAlternatives(s.Margin, s.Alternatives); err != nil {
		return fmt.Errorf("read process: %w: %w", lockstep.ErrCorrupt, err)
	}
	if len(s.LogE) != len(s.Alternatives) || s.Tables < 0 {
		return fmt.Errorf("read process: %w: %d values for %d alternatives, %d tables", lockstep.ErrCorrupt, len(s.LogE), len(s.Alternatives), s.Tables)
	}
	*p = Process{s.Margin, s.Alternatives, s.LogE, s.Tables}
	return nil
}
