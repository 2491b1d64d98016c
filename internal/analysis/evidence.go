package analysis

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"lockstep/internal/lockstep"
)

// Evidence is everything that is known about one candidate, over all steps and retries of
// its releases: per guard a process and the totals, the sample ratio, and the number of
// the last window. It starts anew for a candidate with another content hash and for
// nothing else; whoever resets it on a retry, a restart or a new weight retries until
// chance says yes.
//
// It is a value of one goroutine, and its JSON is its complete state.
type Evidence struct {
	margin       float64
	mustDetect   float64
	alternatives []Alternative
	guards       []*guardEvidence
	ratio        Ratio
	last         uint64
	windows      int64
	peak         Peak
	bake         *bakeEvidence
}

// Peak is the highest value that the joint rule has reached. It is what counts: a
// crossing stays valid when the evidence falls again.
type Peak struct {
	Window uint64     `json:"window"` // 0 while it never exceeded its start
	LogE   float64    `json:"log_e"`
	Guards []Weighted `json:"guards,omitempty"` // each guard's evidence at that window
}

type guardEvidence struct {
	Name     string    `json:"name"`
	Test     Test      `json:"test"`
	Weight   float64   `json:"weight"`
	Process  *Process  `json:"process,omitempty"` // Arms only, as are the next two
	Relative float64   `json:"relative"`          // ln of the evidence for the relative pass
	Detector *Detector `json:"detector,omitempty"`
	Table    Table     `json:"table"` // totals
	Pairs    Pairs     `json:"pairs"`
}

type bakeEvidence struct {
	From   uint64  `json:"from"`   // the detectors have seen the windows after it
	Window uint64  `json:"window"` // of the highest value
	LogD   float64 `json:"log_d"`
}

// Sample is what one window showed. Window numbers come from the sequence of events, not
// from a clock that differs between machines.
type Sample struct {
	Tables map[string][]Table `json:"tables,omitempty"` // by guard; one table per size class
	Pairs  map[string]Pairs   `json:"pairs,omitempty"`  // by guard
	Split  Split              `json:"split"`            // distinct keys first seen in the window
}

// NewEvidence returns the evidence of a candidate nobody has seen at work. Errors:
// ErrInvalid when the policy does not pass Check.
func NewEvidence(p Policy) (*Evidence, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	e := &Evidence{margin: p.Margin, mustDetect: p.MustDetect, alternatives: slices.Clone(p.Alternatives)}
	for _, g := range p.Guards {
		state := &guardEvidence{Name: g.Name, Test: g.Test, Weight: g.Weight}
		if g.Test == Arms {
			process, err := NewProcess(p.Margin, p.Alternatives)
			if err != nil {
				return nil, err
			}
			state.Process = process
		}
		e.guards = append(e.guards, state)
	}
	return e, nil
}

// Observe takes in window n, which must be at least 1, and reports whether it did: a
// window that is not later than the last one seen was counted before and is ignored.
// Errors: ErrInvalid for a guard that is not the policy's, tables where pairs belong or
// the reverse, and counts that are not possible; nothing has changed then.
func (e *Evidence) Observe(n uint64, s Sample) (bool, error) {
	if n == 0 {
		return false, fmt.Errorf("%w window 0: windows count from 1", lockstep.ErrInvalid)
	}
	if n <= e.last {
		return false, nil
	}
	steps, err := e.check(s)
	if err != nil {
		return false, fmt.Errorf("observe window %d: %w", n, err)
	}
	if err := e.ratio.Observe(s.Split); err != nil {
		return false, fmt.Errorf("observe window %d: %w", n, err)
	}
	for i, g := range e.guards {
		switch g.Test {
		case Arms:
			g.observe(s.Tables[g.Name], steps[i], e.mustDetect)
		case Paired:
			g.Pairs = g.Pairs.plus(s.Pairs[g.Name])
		}
	}
	e.last, e.windows = n, plus(e.windows, 1)
	e.remember()
	return true, nil
}

// check returns the steps of the guards' processes, or why the sample is refused.
func (e *Evidence) check(s Sample) ([][]float64, error) {
	if err := e.checkNames(s); err != nil {
		return nil, err
	}
	steps := make([][]float64, len(e.guards))
	for i, g := range e.guards {
		var err error
		switch g.Test {
		case Arms:
			steps[i], err = logSteps(e.margin, e.alternatives, s.Tables[g.Name])
		case Paired:
			err = s.Pairs[g.Name].Check()
		}
		if err != nil {
			return nil, fmt.Errorf("guard %s: %w", g.Name, err)
		}
	}
	return steps, nil
}

func (e *Evidence) checkNames(s Sample) error {
	tests := map[string]Test{}
	var known []string
	for _, g := range e.guards {
		tests[g.Name] = g.Test
		known = append(known, g.Name)
	}
	unknown := func(name string, t Test) error {
		if tests[name] == "" {
			return fmt.Errorf("%w guard %.80q: known are %s", lockstep.ErrInvalid, name, strings.Join(known, ", "))
		}
		return fmt.Errorf("%w guard %s: given %s, its test takes %s", lockstep.ErrInvalid, name, t, tests[name])
	}
	for name := range s.Tables {
		if tests[name] != Arms {
			return unknown(name, Arms)
		}
	}
	for name := range s.Pairs {
		if tests[name] != Paired {
			return unknown(name, Paired)
		}
	}
	return nil
}

func (g *guardEvidence) observe(tables []Table, steps []float64, mustDetect float64) {
	g.Process.step(steps, len(tables))
	if g.Detector != nil {
		g.Detector.step(steps, len(tables))
	}
	for _, t := range tables {
		g.Relative += LogRelativePass(t, mustDetect)
		g.Table = g.Table.plus(t)
	}
}

// logE returns the guard's evidence against the candidate.
func (g *guardEvidence) logE() float64 {
	if g.Test == Paired {
		return SignLogE(g.Pairs.Worse, g.Pairs.Decided)
	}
	return g.Process.LogE()
}

// remember keeps the highest values of the joint rule and of the detectors.
func (e *Evidence) remember() {
	now := e.Guards()
	if l := joint(now); l > e.peak.LogE {
		e.peak = Peak{Window: e.last, LogE: l, Guards: now}
	}
	if e.bake == nil {
		return
	}
	if d := joint(e.detectors()); d > e.bake.LogD {
		e.bake.Window, e.bake.LogD = e.last, d
	}
}

// joint cannot fail: the weights were checked when the evidence was made or read.
func joint(guards []Weighted) float64 {
	l, err := Joint(guards)
	if err != nil {
		return math.NaN()
	}
	return l
}

// Guards returns the present evidence of each guard that has a weight.
func (e *Evidence) Guards() []Weighted {
	var all []Weighted
	for _, g := range e.guards {
		if g.Weight > 0 {
			all = append(all, Weighted{g.Name, g.Weight, g.logE()})
		}
	}
	return all
}

// detectors returns the detectors' values; a guard that has none counts as one that has
// seen nothing, which is an e-detector as well.
func (e *Evidence) detectors() []Weighted {
	all := e.Guards()
	for i := range all {
		all[i].LogE = 0
		for _, g := range e.guards {
			if g.Name == all[i].Guard && g.Detector != nil {
				all[i].LogE = g.Detector.LogD()
			}
		}
	}
	return all
}

// StartBake sets the detectors up: from the next window on they look for a fault that
// begins late. Called again it does nothing.
func (e *Evidence) StartBake() {
	if e.bake != nil {
		return
	}
	e.bake = &bakeEvidence{From: e.last}
	for _, g := range e.guards {
		if g.Test == Arms {
			g.Detector = &Detector{Process{e.margin, e.alternatives, make([]float64, len(e.alternatives)), 0}}
		}
	}
}

// Baking says whether StartBake was called.
func (e *Evidence) Baking() bool { return e.bake != nil }

// Last returns the number of the last window seen, 0 before the first.
func (e *Evidence) Last() uint64 { return e.last }

// Windows returns how many windows were taken in.
func (e *Evidence) Windows() int64 { return e.windows }

// Peak returns the highest value that the joint rule has reached.
func (e *Evidence) Peak() Peak {
	p := e.peak
	p.Guards = slices.Clone(p.Guards)
	return p
}

// LogRatio returns the logarithm of the evidence that routing does not split as configured.
func (e *Evidence) LogRatio() float64 { return e.ratio.LogE() }

// Totals returns what the guard has counted; false when there is no such guard.
func (e *Evidence) Totals(guard string) (Table, Pairs, bool) {
	for _, g := range e.guards {
		if g.Name == guard {
			return g.Table, g.Pairs, true
		}
	}
	return Table{}, Pairs{}, false
}
