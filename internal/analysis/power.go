package analysis

import (
	"fmt"
	"math"
	"slices"
	"time"

	"lockstep/internal/lockstep"
)

// Traffic is what a bake can expect to see.
type Traffic struct {
	Units   float64 `json:"units"`   // per window, both arms together; may be below 1
	Share   float64 `json:"share"`   // of the candidate, between 0 and 1
	Base    float64 `json:"base"`    // share of stable's units that are bad
	Windows int     `json:"windows"` // length of the bake
}

// Check returns ErrInvalid unless the traffic can be simulated.
func (t Traffic) Check() error {
	switch {
	case !(t.Units > 0 && t.Units <= MaxUnits):
		return fmt.Errorf("%w traffic: %g units per window, want more than 0", lockstep.ErrInvalid, t.Units)
	case !(t.Share > 0 && t.Share < 1):
		return fmt.Errorf("%w traffic: share %g of the candidate, want it between 0 and 1", lockstep.ErrInvalid, t.Share)
	case !(t.Base >= 0 && t.Base < 1):
		return fmt.Errorf("%w traffic: base rate %g, want 0 to 1", lockstep.ErrInvalid, t.Base)
	case t.Windows < 1:
		return fmt.Errorf("%w traffic: %d windows, want at least 1", lockstep.ErrInvalid, t.Windows)
	}
	return nil
}

// Outlook is what a bake at some traffic can promise before it starts.
type Outlook struct {
	Guard   string    `json:"guard"`
	Traffic Traffic   `json:"traffic"`
	Effects []Outcome `json:"effects"`
	// Relative and Absolute are how healthy bakes pass, by comparison and by the guard's
	// limit, and Pass by either.
	Relative Outcome `json:"relative"`
	Absolute Outcome `json:"absolute"`
	Pass     Outcome `json:"pass"`
	// MinUnits is the least number of the candidate's units that can pass.
	MinUnits int64    `json:"min_units"`
	Warnings []string `json:"warnings,omitempty"`
}

// Outcome is how often something happens within the bake, and when.
type Outcome struct {
	Name  string  `json:"name"`
	Rate  float64 `json:"rate"`  // share of the candidate's units that are bad
	Power float64 `json:"power"` // share of the bakes in which it happens
	// Median is when it has happened in half of all bakes; 0 when it does not.
	Median time.Duration `json:"median_ns"`
}

const (
	maxRuns, minRuns = 400, 50
	// powerWork is how many windows are simulated per row of the table: long bakes are
	// simulated less often, so that the table is there at once.
	powerWork = 600_000
	// powerWindows is how many windows of one bake are simulated; in a longer bake
	// neighbours are looked at together, which makes times coarser.
	powerWindows = powerWork / minRuns
	powerSeed    = 20
	// wantPower is how often the effect that must be detected has to be.
	wantPower = 0.8
	// thinWindow is how many units of the smaller arm a window should have. Far below,
	// one arm is mostly empty, and a table with an empty arm is no evidence.
	thinWindow, wantWindow = 0.2, 0.5
)

// effects are the multiples of the base rate in the table, beside must_detect.
var effects = [...]float64{3, 10, 40}

// Power simulates bakes with the guard's weight and limits at the given traffic, always
// with the same random numbers, and returns how large a regression they find, how fast,
// and how long a healthy candidate takes to pass. The standard error of a share is at most
// 0.025, or 0.07 for bakes of many thousand windows. The other guards are taken to see
// nothing, so that the joint rule can only be faster.
// Errors: ErrInvalid when traffic or policy do not pass Check, or when the guard is not
// one that has a weight and compares arms.
func Power(t Traffic, p Policy, guard string) (Outlook, error) {
	if err := t.Check(); err != nil {
		return Outlook{}, err
	}
	if err := p.Check(); err != nil {
		return Outlook{}, err
	}
	at := slices.IndexFunc(p.Guards, func(g GuardPolicy) bool { return g.Name == guard })
	if at < 0 || p.Guards[at].Test != Arms || p.Guards[at].Weight == 0 {
		return Outlook{}, fmt.Errorf("power of guard %.80q: %w: want one that has a weight and compares arms", guard, lockstep.ErrInvalid)
	}
	b := newBakes(t, p, p.Guards[at])
	o := Outlook{Guard: guard, Traffic: t, MinUnits: p.Exposures(p.Guards[at])}
	for _, x := range multiples(p.MustDetect) {
		if rate := x * t.Base; t.Base > 0 && rate < 1 {
			o.Effects = append(o.Effects, b.effect(fmt.Sprintf("%gx", x), rate))
		}
	}
	o.Effects = append(o.Effects, b.effect("total break", 1))
	if limit := p.Guards[at].stableLimit(); limit > 0 && t.Base > limit {
		o.Warnings = append(o.Warnings, fmt.Sprintf("stable itself fails in %.3g %% of its units, more than its service level of %.3g %%: nothing will pass", 100*t.Base, 100*limit))
	} else {
		b.healthy(&o)
	}
	o.warn(p)
	return o, nil
}

func multiples(mustDetect float64) []float64 {
	all := append([]float64{mustDetect}, effects[:]...)
	slices.Sort(all)
	return slices.Compact(all)
}

func (o *Outlook) warn(p Policy) {
	if first := o.Effects[0]; o.Traffic.Base > 0 && first.Rate == p.MustDetect*o.Traffic.Base && first.Power < wantPower {
		o.Warnings = append(o.Warnings, fmt.Sprintf("a %s failure rate is found in %.0f %% of such bakes only, less than %.0f %%: bake longer, give the candidate more traffic, or ask for less",
			first.Name, 100*first.Power, 100*wantPower))
	}
	bake := time.Duration(o.Traffic.Windows) * p.Window
	if arm := o.Traffic.Units * min(o.Traffic.Share, 1-o.Traffic.Share); arm < thinWindow {
		o.Warnings = append(o.Warnings, fmt.Sprintf("a window of %s has %.2g units in its smaller arm, too few to compare: use windows of about %s",
			p.Window, arm, time.Duration(math.Ceil(wantWindow/arm)*float64(p.Window))))
	}
	if o.Pass.Median == 0 {
		o.Warnings = append(o.Warnings, fmt.Sprintf("a healthy candidate passes within the bake of %s in %.0f %% of the cases only: expect an inconclusive end", bake, 100*o.Pass.Power))
	}
}

// bakes simulates the bakes of one table.
type bakes struct {
	units     float64 // per simulated window
	windows   int
	runs      int
	span      time.Duration // of a simulated window
	traffic   Traffic
	policy    Policy
	absolute  Absolute
	limited   bool
	exposures int64
	threshold float64 // of this guard alone
	pass      float64
	slopes    []float64 // per alternative: ln(psi/margin)
	norms     map[[3]int64][]float64
}

// maxNorms bounds the memory of the simulation; what does not fit is computed again.
const maxNorms = 1 << 16

func newBakes(t Traffic, p Policy, g GuardPolicy) *bakes {
	stride := (t.Windows + powerWindows - 1) / powerWindows
	b := &bakes{
		units: t.Units * float64(stride), windows: (t.Windows + stride - 1) / stride, span: time.Duration(stride) * p.Window,
		traffic: t, policy: p, exposures: p.Exposures(g),
		threshold: -math.Log(p.Alpha * g.Weight), pass: -math.Log(p.Beta),
		norms: map[[3]int64][]float64{},
	}
	b.runs = max(minRuns, min(maxRuns, powerWork/b.windows))
	b.absolute, b.limited = g.Absolute()
	for _, a := range p.Alternatives {
		b.slopes = append(b.slopes, math.Log(a.Psi/p.Margin))
	}
	return b
}

// window draws one window in which the candidate's rate is rate.
func (b *bakes) window(s source, rate float64) Table {
	n := int64(b.units)
	if s.rand.Float64() < b.units-math.Floor(b.units) {
		n++
	}
	nc := s.binomial(n, b.traffic.Share)
	return Table{NC: nc, XC: s.binomial(nc, rate), NB: n - nc, XB: s.binomial(n-nc, b.traffic.Base)}
}

// norm returns, per alternative, ln M(margin) - ln M(psi), and at the end ln M(must_detect).
func (b *bakes) norm(t Table) []float64 {
	m := t.XC + t.XB
	key := [3]int64{t.NC, t.NB, m}
	if v, ok := b.norms[key]; ok {
		return v
	}
	v := make([]float64, 0, len(b.slopes)+1)
	none := logNorm(t.NC, t.NB, m, b.policy.Margin)
	for _, a := range b.policy.Alternatives {
		v = append(v, none-logNorm(t.NC, t.NB, m, a.Psi))
	}
	v = append(v, logNorm(t.NC, t.NB, m, b.policy.MustDetect))
	if len(b.norms) < maxNorms {
		b.norms[key] = v
	}
	return v
}

// observe adds a table to the logs of a process.
func (b *bakes) observe(logs []float64, t Table) {
	v := b.norm(t)
	for j, slope := range b.slopes {
		logs[j] += float64(t.XC)*slope + v[j]
	}
}

// effect returns how often and when a candidate with the given rate is rolled back.
func (b *bakes) effect(name string, rate float64) Outcome {
	s := newSource(powerSeed)
	at := make([]int, b.runs)
	for run := range at {
		at[run] = b.rollback(s, rate)
	}
	return b.outcome(name, rate, at)
}

// rollback returns the window in which one bake is rolled back, 0 for none.
func (b *bakes) rollback(s source, rate float64) int {
	logs := make([]float64, len(b.slopes))
	for w := 1; w <= b.windows; w++ {
		t := b.window(s, rate)
		if t.silent() {
			continue
		}
		b.observe(logs, t)
		if mixture(b.policy.Alternatives, logs) >= b.threshold {
			return w
		}
	}
	return 0
}

// healthy fills in when a candidate that is as good as stable passes.
func (b *bakes) healthy(o *Outlook) {
	s := newSource(powerSeed)
	relative, absolute, either := make([]int, b.runs), make([]int, b.runs), make([]int, b.runs)
	for run := range b.runs {
		relative[run], absolute[run] = b.passes(s)
		either[run] = max(relative[run], absolute[run])
		if relative[run] > 0 && absolute[run] > 0 {
			either[run] = min(relative[run], absolute[run])
		}
	}
	o.Relative = b.outcome("relative pass", b.traffic.Base, relative)
	o.Absolute = b.outcome("absolute pass", b.traffic.Base, absolute)
	o.Pass = b.outcome("pass", b.traffic.Base, either)
}

// passes returns in which windows one healthy bake passes by comparison and by the limit,
// 0 for never.
func (b *bakes) passes(s source) (relative, absolute int) {
	var total Table
	compared := 0.0
	for w := 1; w <= b.windows && (relative == 0 || b.limited && absolute == 0); w++ {
		t := b.window(s, b.traffic.Base)
		total = total.plus(t)
		if !t.silent() {
			compared += b.norm(t)[len(b.slopes)] - float64(t.XC)*math.Log(b.policy.MustDetect)
		}
		if total.NC < b.exposures {
			continue
		}
		if relative == 0 && compared >= b.pass {
			relative = w
		}
		if absolute == 0 && b.limited && b.absolute.LogE(total.NC, total.XC) >= b.pass {
			absolute = w
		}
	}
	return relative, absolute
}

// outcome sums up in which windows something happened, 0 standing for never.
func (b *bakes) outcome(name string, rate float64, at []int) Outcome {
	const never = math.MaxInt
	happened := 0
	sorted := slices.Clone(at)
	for i, w := range sorted {
		if w == 0 {
			sorted[i] = never
			continue
		}
		happened++
	}
	slices.Sort(sorted)
	o := Outcome{Name: name, Rate: rate, Power: float64(happened) / float64(len(at))}
	if median := sorted[(len(sorted)-1)/2]; median != never {
		o.Median = time.Duration(median) * b.span
	}
	return o
}
