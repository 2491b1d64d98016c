package analysis

import (
	"encoding/json"
	"fmt"
	"slices"

	"lockstep/internal/lockstep"
)

const evidenceFormat = 1

// evidenceState is the stored form of Evidence.
type evidenceState struct {
	Format       int              `json:"format"`
	Margin       float64          `json:"margin"`
	MustDetect   float64          `json:"must_detect"`
	Alternatives []Alternative    `json:"alternatives"`
	Last         uint64           `json:"last"`
	Windows      int64            `json:"windows"`
	Guards       []*guardEvidence `json:"guards"`
	Ratio        *Ratio           `json:"ratio"`
	Peak         Peak             `json:"peak"`
	Bake         *bakeEvidence    `json:"bake,omitempty"`
}

// MarshalJSON writes the state such that UnmarshalJSON restores every bit of it.
func (e *Evidence) MarshalJSON() ([]byte, error) {
	return json.Marshal(evidenceState{
		Format: evidenceFormat, Margin: e.margin, MustDetect: e.mustDetect, Alternatives: e.alternatives,
		Last: e.last, Windows: e.windows, Guards: e.guards, Ratio: &e.ratio, Peak: e.peak, Bake: e.bake,
	})
}

// UnmarshalJSON reads what MarshalJSON wrote, strictly. Errors: ErrCorrupt, and ErrRefused
// for a format this binary does not know; the evidence is as before then.
func (e *Evidence) UnmarshalJSON(body []byte) error {
	if err := e.read(body); err != nil {
		return fmt.Errorf("read evidence: %w", err)
	}
	return nil
}

func (e *Evidence) read(body []byte) error {
	var head struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(body, &head); err != nil {
		return fmt.Errorf("%w: %w", lockstep.ErrCorrupt, err)
	}
	if head.Format > evidenceFormat {
		return fmt.Errorf("%w: format %d, this binary knows %d", lockstep.ErrRefused, head.Format, evidenceFormat)
	}
	var s evidenceState
	if err := decodeStrict(body, &s); err != nil {
		return err
	}
	if err := s.check(); err != nil {
		return fmt.Errorf("%w: %w", lockstep.ErrCorrupt, err)
	}
	*e = Evidence{
		margin: s.Margin, mustDetect: s.MustDetect, alternatives: s.Alternatives, guards: s.Guards,
		ratio: *s.Ratio, last: s.Last, windows: s.Windows, peak: s.Peak, bake: s.Bake,
	}
	return nil
}

func (s evidenceState) check() error {
	if s.Format != evidenceFormat || s.Ratio == nil || s.Windows < 0 || s.Peak.LogE < 0 || s.Peak.Window > s.Last {
		return fmt.Errorf("format %d, %d windows, peak %g at %d of %d", s.Format, s.Windows, s.Peak.LogE, s.Peak.Window, s.Last)
	}
	if s.Bake != nil && (s.Bake.From > s.Last || s.Bake.Window > s.Last || s.Bake.LogD < 0) {
		return fmt.Errorf("bake %+v at window %d", *s.Bake, s.Last)
	}
	if !(s.MustDetect > s.Margin && s.MustDetect <= maxPsi) {
		return fmt.Errorf("must_detect %g, margin %g", s.MustDetect, s.Margin)
	}
	if err := checkAlternatives(s.Margin, s.Alternatives); err != nil {
		return err
	}
	guards := make([]GuardPolicy, len(s.Guards))
	for i, g := range s.Guards {
		if g == nil {
			return fmt.Errorf("guard %d is null", i)
		}
		if err := g.check(s); err != nil {
			return fmt.Errorf("guard %q: %w", g.Name, err)
		}
		guards[i] = GuardPolicy{Name: g.Name, Test: g.Test, Weight: g.Weight}
	}
	return checkGuards(guards)
}

func (g *guardEvidence) check(s evidenceState) error {
	if (g.Process != nil) != (g.Test == Arms) || (g.Detector != nil) != (g.Test == Arms && s.Bake != nil) {
		return fmt.Errorf("test %q: process or detector is missing, or one too many", g.Test)
	}
	if g.Process != nil && !g.Process.like(s) || g.Detector != nil && !g.Detector.p.like(s) {
		return fmt.Errorf("margin or alternatives are not those of the evidence")
	}
	t := g.Table
	if t.NC < t.XC || t.NB < t.XB || t.XC < 0 || t.XB < 0 || max(t.NC, t.NB) > maxTotal {
		return fmt.Errorf("totals %s", t)
	}
	if p := g.Pairs; p.Worse < 0 || p.Decided < p.Worse || p.Compared < p.Decided || p.Compared > maxTotal {
		return fmt.Errorf("totals %+v", p)
	}
	return nil
}

func (p *Process) like(s evidenceState) bool {
	return p.margin == s.Margin && slices.Equal(p.alternatives, s.Alternatives)
}
