package analysis

import (
	"fmt"
	"math"
	"time"

	"lockstep/internal/lockstep"
)

// Test is the kind of evidence that a guard collects.
type Test string

// The two tests.
const (
	// Arms compares units of the candidate with units of stable at the same time.
	Arms Test = "arms"
	// Paired compares two runs on the same input.
	Paired Test = "pairs"
)

// Then is what happens to a release that gets no answer. Going on is not among the
// choices: no data is not good news.
type Then string

// The two answers to silence.
const (
	// ThenHold keeps the release where it is.
	ThenHold Then = "hold"
	// ThenRollback takes the release back.
	ThenRollback Then = "rollback"
)

// GuardPolicy is one guard as analysis sees it.
type GuardPolicy struct {
	Name string `json:"name"`
	Test Test   `json:"test"`
	// Weight is its share in the joint rule. The weights of a policy sum to 1; a guard of
	// weight 0 is reported and decides nothing.
	Weight float64 `json:"weight"`
	// PMax is the share of bad units that is not tolerated; 0 for none, and then the guard
	// can pass only by comparison.
	PMax float64 `json:"p_max,omitempty"`
	// PPlan is the share of bad units that is expected, best known from stable's last days;
	// 0 for a quarter of PMax. It decides how fast the absolute pass is, not whether it
	// is right.
	PPlan float64 `json:"p_plan,omitempty"`
	// StableMax is the share of bad units above which stable itself is outside its service
	// level, so that nothing passes; 0 for PMax.
	StableMax float64 `json:"stable_max,omitempty"`
}

// Absolute returns the guard's absolute limit; false when it has none.
func (g GuardPolicy) Absolute() (Absolute, bool) {
	a := Absolute{Max: g.PMax, Plan: g.PPlan}
	if a.Plan == 0 {
		a.Plan = a.Max / 4
	}
	return a, g.PMax > 0
}

// stableLimit returns the share of bad units above which stable is outside its service
// level; 0 when it has none.
func (g GuardPolicy) stableLimit() float64 {
	if g.StableMax > 0 {
		return g.StableMax
	}
	return g.PMax
}

// Policy says which errors are accepted, and of what a verdict is made. It is stored with
// the release, so that what was promised at its start is what is kept.
type Policy struct {
	Unit       string  `json:"unit"`        // what a unit is, for people: batch or key
	Alpha      float64 `json:"alpha"`       // chance that a fine candidate is ever rolled back
	Beta       float64 `json:"beta"`        // chance that a guard passes a bad one
	Margin     float64 `json:"margin"`      // odds ratio that is tolerated
	MustDetect float64 `json:"must_detect"` // odds ratio that must not pass
	// Alternatives are the effects that the processes look for.
	Alternatives []Alternative `json:"alternatives"`
	// Window is how long a window is.
	Window time.Duration `json:"window_ns"`
	// FalseAlarm is the least mean time between two false alarms of the detector.
	FalseAlarm time.Duration `json:"false_alarm_ns"`
	// MinExposures is how many units of the candidate a guard must have seen to pass; 0
	// for what its PMax needs at least (MinUnits).
	MinExposures   int64         `json:"min_exposures,omitempty"`
	OnNoData       Then          `json:"on_no_data"`
	OnInconclusive Inconclusion  `json:"on_inconclusive"`
	Guards         []GuardPolicy `json:"guards"`
}

// Inconclusion says what happens when a step ends without a verdict: it is extended by
// its own length so many times, and then held or rolled back.
type Inconclusion struct {
	Extend int  `json:"extend"`
	Then   Then `json:"then"`
}

const (
	maxGuards = 64
	maxExtend = 100
)

// DefaultPolicy returns the policy used when nothing is configured: one false rollback in
// a hundred releases, one false pass in twenty guards, and three guards.
func DefaultPolicy() Policy {
	return Policy{
		Unit:           "batch",
		Alpha:          0.01,
		Beta:           0.05,
		Margin:         1.25,
		MustDetect:     3,
		Alternatives:   DefaultAlternatives(),
		Window:         time.Minute,
		FalseAlarm:     10 * 24 * time.Hour,
		OnNoData:       ThenHold,
		OnInconclusive: Inconclusion{Extend: 2, Then: ThenHold},
		Guards: []GuardPolicy{
			{Name: "batch-failure", Test: Arms, Weight: 0.5, PMax: 0.02},
			// The limit is beyond nine in ten of stable's units, so one in five is a lot.
			{Name: "batch-slow", Test: Arms, Weight: 0.2, PMax: 0.2},
			{Name: "shadow-mismatch", Test: Paired, Weight: 0.3, PMax: 0.01},
		},
	}
}

// Resolved returns p with the defaults in place of what is zero; the guards are taken as
// they are, and the default ones when there are none. Errors: as Check.
func (p Policy) Resolved() (Policy, error) {
	d := DefaultPolicy()
	fill(&p.Unit, d.Unit)
	fill(&p.Alpha, d.Alpha)
	fill(&p.Beta, d.Beta)
	fill(&p.Margin, d.Margin)
	fill(&p.MustDetect, d.MustDetect)
	fill(&p.Window, d.Window)
	fill(&p.FalseAlarm, d.FalseAlarm)
	fill(&p.OnNoData, d.OnNoData)
	fill(&p.OnInconclusive, d.OnInconclusive)
	if p.Alternatives == nil {
		p.Alternatives = d.Alternatives
	}
	if p.Guards == nil {
		p.Guards = d.Guards
	}
	return p, p.Check()
}

func fill[T comparable](field *T, value T) {
	if *field == *new(T) {
		*field = value
	}
}

// Check returns ErrInvalid, naming the field, unless the policy can be kept: errors and
// shares are probabilities, 1 <= margin < must_detect, every guard has a name of its own,
// and the weights sum to 1.
func (p Policy) Check() error {
	if err := p.check(); err != nil {
		return fmt.Errorf("analysis policy: %w", err)
	}
	return nil
}

func (p Policy) check() error {
	switch {
	case !(p.Alpha > 0 && p.Alpha <= 0.5):
		return fmt.Errorf("%w alpha %g: want it above 0 and at most 0.5", lockstep.ErrInvalid, p.Alpha)
	case !(p.Beta > 0 && p.Beta <= 0.5):
		return fmt.Errorf("%w beta %g: want it above 0 and at most 0.5", lockstep.ErrInvalid, p.Beta)
	case !(p.MustDetect > p.Margin && p.MustDetect <= maxPsi):
		return fmt.Errorf("%w must_detect %g: want an odds ratio above the margin %g", lockstep.ErrInvalid, p.MustDetect, p.Margin)
	case p.Window <= 0:
		return fmt.Errorf("%w window %s: want it above 0", lockstep.ErrInvalid, p.Window)
	case p.FalseAlarm < p.Window:
		return fmt.Errorf("%w false_alarm %s: want at least the window %s", lockstep.ErrInvalid, p.FalseAlarm, p.Window)
	case p.MinExposures < 0 || p.MinExposures > MaxUnits:
		return fmt.Errorf("%w min_exposures %d", lockstep.ErrInvalid, p.MinExposures)
	case p.OnInconclusive.Extend < 0 || p.OnInconclusive.Extend > maxExtend:
		return fmt.Errorf("%w on_inconclusive: extend %d, want 0 to %d", lockstep.ErrInvalid, p.OnInconclusive.Extend, maxExtend)
	}
	for field, then := range map[string]Then{"on_no_data": p.OnNoData, "on_inconclusive": p.OnInconclusive.Then} {
		if then != ThenHold && then != ThenRollback {
			return fmt.Errorf("%w %s %q: want hold or rollback", lockstep.ErrInvalid, field, then)
		}
	}
	if err := checkAlternatives(p.Margin, p.Alternatives); err != nil {
		return err
	}
	return checkGuards(p.Guards)
}

func checkGuards(guards []GuardPolicy) error {
	if len(guards) == 0 || len(guards) > maxGuards {
		return fmt.Errorf("%w guards: %d, want 1 to %d", lockstep.ErrInvalid, len(guards), maxGuards)
	}
	names := map[string]bool{}
	sum := 0.0
	for _, g := range guards {
		if err := g.check(); err != nil {
			return fmt.Errorf("guard %q: %w", g.Name, err)
		}
		if names[g.Name] {
			return fmt.Errorf("%w guard %q: named twice", lockstep.ErrInvalid, g.Name)
		}
		names[g.Name] = true
		sum += g.Weight
	}
	if math.Abs(sum-1) > sumTolerance {
		return fmt.Errorf("%w guards: weights sum to %.10g, want 1", lockstep.ErrInvalid, sum)
	}
	return nil
}

func (g GuardPolicy) check() error {
	switch {
	case g.Name == "" || g.Name == CulpritJoint:
		return fmt.Errorf("%w name: want one, and not %q", lockstep.ErrInvalid, CulpritJoint)
	case g.Test != Arms && g.Test != Paired:
		return fmt.Errorf("%w test %q: want %s or %s", lockstep.ErrInvalid, g.Test, Arms, Paired)
	case !(g.Weight >= 0 && g.Weight <= 1):
		return fmt.Errorf("%w weight %g: want 0 to 1", lockstep.ErrInvalid, g.Weight)
	case !(g.StableMax >= 0 && g.StableMax < 1):
		return fmt.Errorf("%w stable_max %g: want a share below 1", lockstep.ErrInvalid, g.StableMax)
	case g.PMax == 0 && g.PPlan == 0:
		return nil
	}
	a, _ := g.Absolute()
	return a.Check()
}

// Exposures returns how many units of the candidate the guard must have seen to pass.
func (p Policy) Exposures(g GuardPolicy) int64 {
	if p.MinExposures > 0 {
		return p.MinExposures
	}
	return MinUnits(p.Beta, g.PMax)
}

// AlarmWindows returns at which value the detector raises an alarm: the mean number of
// windows between two false ones.
func (p Policy) AlarmWindows() float64 { return float64(p.FalseAlarm) / float64(p.Window) }
