package analysis

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"lockstep/internal/lockstep"
)

// Watch looks for a fault that begins after a candidate was promoted, when no other arm is
// left to compare it with: per guard, the share of bad units is held against the one that
// the candidate was promoted with. Its e-values are likelihood ratios of two Bernoulli
// rates, at most 1 on average while the share is not above the limit, and it forgets good
// news as a Detector does: when it raises an alarm at A, the mean time to a false one is at
// least A windows. An outage that would have hit the revision before as well raises it too,
// so that an alarm is for a person to look at and takes nothing back by itself.
type Watch struct{ state watchState }

const watchFormat = 1

// watchState is the stored form of Watch.
type watchState struct {
	Format       int           `json:"format"`
	Alternatives []Alternative `json:"alternatives"`
	Guards       []*watched    `json:"guards"`
	Last         uint64        `json:"last"` // window
	Peak         WatchPeak     `json:"peak"`
}

type watched struct {
	Name   string    `json:"name"`
	Weight float64   `json:"weight"`
	Limit  float64   `json:"limit"` // share of bad units that was earned
	LogD   []float64 `json:"log_d"` // per alternative
	Units  int64     `json:"units"`
	Bad    int64     `json:"bad"`
}

// WatchPeak is the highest value that a Watch has reached.
type WatchPeak struct {
	Window uint64  `json:"window"` // 0 while it never exceeded its start
	LogD   float64 `json:"log_d"`
	Guard  string  `json:"guard,omitempty"` // which contributed most
	Units  int64   `json:"units,omitempty"` // of the guard, up to then
	Bad    int64   `json:"bad,omitempty"`
	Limit  float64 `json:"limit,omitempty"`
}

// maxEarned keeps a limit that rests on next to no units below certainty.
const maxEarned = 0.5

// NewWatch returns a watch over the candidate of e by some of its guards, which has seen
// nothing yet. Name those whose share of bad units is the candidate's own doing: what
// depends on the machine as well needs another arm to be judged. The limit of a guard is the share of bad units that the candidate had, with one more for caution, at
// the margin of the policy, and at least what the policy plans for. Errors: ErrInvalid when
// the policy does not pass Check or is not the one that e was collected under, or when it has
// none of the guards with a weight.
func NewWatch(e *Evidence, p Policy, guards ...string) (*Watch, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	if err := e.matches(p); err != nil {
		return nil, err
	}
	s := watchState{Format: watchFormat, Alternatives: slices.Clone(p.Alternatives)}
	sum := 0.0
	for i, g := range p.Guards {
		if g.Test != Arms || g.Weight == 0 || !slices.Contains(guards, g.Name) {
			continue
		}
		t, plan := e.guards[i].Table, 0.0
		if a, ok := g.Absolute(); ok {
			plan = a.Plan
		}
		had := float64(t.XC+1) / float64(t.NC+2)
		odds := p.Margin * had / (1 - had)
		s.Guards = append(s.Guards, &watched{
			Name: g.Name, Weight: g.Weight, Limit: min(max(odds/(1+odds), plan), maxEarned), LogD: make([]float64, len(p.Alternatives)),
		})
		sum += g.Weight
	}
	if len(s.Guards) == 0 {
		return nil, fmt.Errorf("watch a promoted candidate: %w: the policy has none of the guards %q", lockstep.ErrInvalid, guards)
	}
	for _, g := range s.Guards {
		g.Weight /= sum
	}
	return &Watch{s}, nil
}

// Rate is how many units there were, and how many of them were bad.
type Rate struct{ Units, Bad int64 }

// Observe takes in window n, which must be at least 1, and reports whether it did: one that
// is not later than the last is ignored. A guard that is not in rates has seen nothing.
// Errors: ErrInvalid for a guard that is not watched and for counts that are not possible;
// nothing has changed then.
func (w *Watch) Observe(n uint64, rates map[string]Rate) (bool, error) {
	if n == 0 {
		return false, fmt.Errorf("%w window 0: windows count from 1", lockstep.ErrInvalid)
	}
	if n <= w.state.Last {
		return false, nil
	}
	for name, r := range rates {
		if !slices.ContainsFunc(w.state.Guards, func(g *watched) bool { return g.Name == name }) {
			return false, fmt.Errorf("%w guard %.80q: it is not watched", lockstep.ErrInvalid, name)
		}
		if r.Bad < 0 || r.Bad > r.Units || r.Units > MaxUnits {
			return false, fmt.Errorf("%w guard %s: %d of %d units bad", lockstep.ErrInvalid, name, r.Bad, r.Units)
		}
	}
	for _, g := range w.state.Guards {
		g.observe(rates[g.Name], w.state.Alternatives)
	}
	w.state.Last = n
	if d := w.LogD(); d > w.state.Peak.LogD {
		w.state.Peak = w.peak(d)
	}
	return true, nil
}

func (g *watched) observe(r Rate, as []Alternative) {
	g.Units, g.Bad = plus(g.Units, r.Units), plus(g.Bad, r.Bad)
	for j, a := range as {
		worse := a.Psi * g.Limit / (1 - g.Limit + a.Psi*g.Limit)
		g.LogD[j] = max(g.LogD[j], 0) + float64(r.Bad)*math.Log(worse/g.Limit) + float64(r.Units-r.Bad)*(math.Log1p(-worse)-math.Log1p(-g.Limit))
	}
}

// LogD returns the logarithm of the present value.
func (w *Watch) LogD() float64 {
	terms := make([]float64, len(w.state.Guards))
	for i, g := range w.state.Guards {
		terms[i] = math.Log(g.Weight) + mixture(w.state.Alternatives, g.LogD)
	}
	return logSumExp(terms)
}

func (w *Watch) peak(d float64) WatchPeak {
	part := func(g *watched) float64 { return math.Log(g.Weight) + mixture(w.state.Alternatives, g.LogD) }
	most := slices.MaxFunc(w.state.Guards, func(a, b *watched) int { return cmp.Compare(part(a), part(b)) })
	return WatchPeak{Window: w.state.Last, LogD: d, Guard: most.Name, Units: most.Units, Bad: most.Bad, Limit: most.Limit}
}

// Last returns the number of the last window seen, 0 before the first.
func (w *Watch) Last() uint64 { return w.state.Last }

// Peak returns the highest value so far. It is what counts: an alarm stays one.
func (w *Watch) Peak() WatchPeak { return w.state.Peak }

// Alarm says whether the alarm of the policy was reached, and why, for people.
func (w *Watch) Alarm(p Policy) (reason string, raised bool) {
	at, alarm := w.state.Peak, math.Log(p.AlarmWindows())
	if at.LogD < alarm {
		return "", false
	}
	return fmt.Sprintf("%s: %d of %d units bad (%s) since the promotion, it had earned %.3g %%; the detector reached %s in window %d, its alarm is at %s (one false alarm in so many windows)",
		at.Guard, at.Bad, at.Units, percent(at.Bad, at.Units), 100*at.Limit, factor(at.LogD), at.Window, factor(alarm)), true
}

// MarshalJSON writes the state such that UnmarshalJSON restores every bit of it.
func (w *Watch) MarshalJSON() ([]byte, error) { return json.Marshal(w.state) }

// UnmarshalJSON reads what MarshalJSON wrote, strictly. Errors: ErrCorrupt; the watch is as
// before then.
func (w *Watch) UnmarshalJSON(body []byte) error {
	var s watchState
	if err := decodeStrict(body, &s); err != nil {
		return fmt.Errorf("read watch: %w", err)
	}
	if err := s.check(); err != nil {
		return fmt.Errorf("read watch: %w: %w", lockstep.ErrCorrupt, err)
	}
	w.state = s
	return nil
}

func (s watchState) check() error {
	if s.Format != watchFormat || len(s.Guards) == 0 || s.Peak.Window > s.Last || s.Peak.LogD < 0 {
		return fmt.Errorf("format %d, %d guards, peak %+v at window %d", s.Format, len(s.Guards), s.Peak, s.Last)
	}
	if err := checkAlternatives(1, s.Alternatives); err != nil {
		return err
	}
	sum := 0.0
	for i, g := range s.Guards {
		if g == nil {
			return fmt.Errorf("guard %d is null", i)
		}
		if g.Name == "" || !(g.Weight > 0 && g.Weight <= 1) || !(g.Limit > 0 && g.Limit <= maxEarned) || len(g.LogD) != len(s.Alternatives) ||
			g.Bad < 0 || g.Bad > g.Units || g.Units > maxTotal {
			return fmt.Errorf("guard %+v", *g)
		}
		sum += g.Weight
	}
	if math.Abs(sum-1) > sumTolerance {
		return fmt.Errorf("weights sum to %g", sum)
	}
	return nil
}
