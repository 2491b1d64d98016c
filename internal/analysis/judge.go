package analysis

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"lockstep/internal/lockstep"
)

// MaxTopKeyShare is the share of the units that one key may have. Above it the number of
// units says little: what looks like many is nearly one.
const MaxTopKeyShare = 0.30

// Situation is what a verdict needs to know beyond the evidence.
type Situation struct {
	// TopKeyShare is the share of the most frequent key among the units, 0 to 1.
	TopKeyShare float64
	// StableOutside says why stable is outside its service level, when something other
	// than the guards' own counts shows it; "" otherwise.
	StableOutside string
}

// Judgement is a verdict and how it came about.
type Judgement struct {
	Verdict Verdict `json:"verdict"`
	// Reasons say in words and numbers why; the one that decided is first.
	Reasons []string `json:"reasons"`
	// Changes say what would lead to another verdict.
	Changes []string `json:"changes,omitempty"`
	// LogE is the highest value of the joint rule and LogThreshold where it acts.
	LogE         float64 `json:"log_e"`
	LogThreshold float64 `json:"log_threshold"`
	// Culprit is the guard that failed, or CulpritJoint; "" unless the verdict is Fail.
	Culprit string `json:"culprit,omitempty"`
	// LogD is the highest value of the joint detector during the bake.
	LogD float64 `json:"log_d"`
	// LogRatio is the evidence that routing is broken.
	LogRatio float64   `json:"log_ratio"`
	Window   uint64    `json:"window"` // the last one seen
	Guards   []Finding `json:"guards"`
}

// Finding is what one guard contributes to a judgement.
type Finding struct {
	Guard   string  `json:"guard"`
	Verdict Verdict `json:"verdict"`
	Weight  float64 `json:"weight"` // 0: reported only
	Table   Table   `json:"table"`  // totals of a guard that compares arms
	Pairs   Pairs   `json:"pairs"`  // totals of a guard that compares runs
	// LogE is the evidence against the candidate now, LogPeak what it was when the joint
	// rule was highest, LogThreshold where it would act alone.
	LogE         float64 `json:"log_e"`
	LogPeak      float64 `json:"log_peak"`
	LogThreshold float64 `json:"log_threshold"`
	// LogRelative and LogAbsolute are the evidence for the candidate, LogPass where
	// either passes. LogAbsolute is 0 when the guard has no absolute limit.
	LogRelative float64 `json:"log_relative"`
	LogAbsolute float64 `json:"log_absolute"`
	LogPass     float64 `json:"log_pass"`
	// Reason says what was counted and what follows, Change what would change it.
	Reason string `json:"reason"`
	Change string `json:"change,omitempty"`
}

// Judge gives the verdict on a candidate. In this order: routing that does not split as
// configured is Broken; one key with most of the traffic is Inconclusive; a joint rule
// that has ever reached 1/alpha, or a detector that has raised its alarm during the bake,
// is Fail; Pass takes every guard that has a weight to have passed, each by comparison or
// by its absolute limit, while stable was inside its service level; everything else is
// Inconclusive, no units first of all.
//
// Errors: ErrInvalid when the policy does not pass Check, when its margin, alternatives,
// must_detect or guards are not those the evidence was collected under, or when the share
// of the top key is no share. Alpha, beta and the limits may differ: that is how a
// recorded release is asked what another policy would have said.
func Judge(e *Evidence, p Policy, s Situation) (Judgement, error) {
	if err := p.Check(); err != nil {
		return Judgement{}, err
	}
	if err := e.matches(p); err != nil {
		return Judgement{}, err
	}
	if !(s.TopKeyShare >= 0 && s.TopKeyShare <= 1) {
		return Judgement{}, fmt.Errorf("judge: %w share of the top key %g: want 0 to 1", lockstep.ErrInvalid, s.TopKeyShare)
	}
	j := Judgement{LogE: e.peak.LogE, LogThreshold: -math.Log(p.Alpha), LogRatio: e.ratio.LogE(), Window: e.last}
	if e.bake != nil {
		j.LogD = e.bake.LogD
	}
	for i, g := range p.Guards {
		j.Guards = append(j.Guards, e.find(e.guards[i], g, p, s))
	}
	j.Culprit = Culprit(e.peak.Guards, p.Alpha)
	j.decide(e, p, s)
	return j, nil
}

func (e *Evidence) matches(p Policy) error {
	same := e.margin == p.Margin && e.mustDetect == p.MustDetect && slices.Equal(e.alternatives, p.Alternatives) &&
		slices.EqualFunc(e.guards, p.Guards, func(g *guardEvidence, q GuardPolicy) bool {
			return g.Name == q.Name && g.Test == q.Test && g.Weight == q.Weight
		})
	if !same {
		return fmt.Errorf("judge: %w: margin, must_detect, alternatives or guards are not those the evidence was collected under", lockstep.ErrInvalid)
	}
	return nil
}

// decide chooses the verdict and says why.
func (j *Judgement) decide(e *Evidence, p Policy, s Situation) {
	alarm := math.Log(p.AlarmWindows())
	failed := j.LogE >= j.LogThreshold
	switch {
	case e.ratio.Broken():
		j.Verdict = Broken
		j.say(ratioReason(&e.ratio))
		j.Changes = append(j.Changes, "repair the routing and start the release again: its counts cannot be trusted")
	case s.TopKeyShare > MaxTopKeyShare:
		j.Verdict = Inconclusive
		j.say(fmt.Sprintf("one key has %.0f %% of the units, more than %.0f %%: they count as little more than one", 100*s.TopKeyShare, 100*MaxTopKeyShare))
		j.Changes = append(j.Changes, "traffic from more keys, or a person's decision")
	case failed:
		j.Verdict = Fail
	case e.bake != nil && j.LogD >= alarm:
		j.Verdict, j.Culprit = Fail, e.latest()
		j.say(fmt.Sprintf("a fault began late: the detector reached %s in window %d, its alarm is at %s (one false alarm in so many windows)",
			factor(j.LogD), e.bake.Window, factor(alarm)))
	case j.allPass():
		j.Verdict = Pass
	default:
		j.Verdict = Inconclusive
	}
	if failed {
		j.say(fmt.Sprintf("%s: joint evidence %s in window %d, rolls back at %s", j.culpritWords(), factor(j.LogE), e.peak.Window, factor(j.LogThreshold)))
	}
	j.sayGuards()
	if j.Verdict == Fail {
		j.Changes = []string{"nothing: evidence that was reached once stays; a candidate with another content hash starts at 1"}
	}
}

// latest returns the guard whose detector is the highest.
func (e *Evidence) latest() string {
	most := slices.MaxFunc(e.detectors(), func(a, b Weighted) int {
		return cmp.Compare(math.Log(a.Weight)+a.LogE, math.Log(b.Weight)+b.LogE)
	})
	return most.Guard
}

func (j *Judgement) culpritWords() string {
	if j.Culprit == CulpritJoint {
		return "several guards together, none of them alone"
	}
	return j.Culprit
}

func (j *Judgement) say(reason string) { j.Reasons = append(j.Reasons, reason) }

// sayGuards adds the reasons of the guards, those that decided first.
func (j *Judgement) sayGuards() {
	for _, v := range []Verdict{Fail, Broken, Inconclusive, Pass} {
		for _, f := range j.Guards {
			if f.Verdict != v {
				continue
			}
			name := f.Guard
			if f.Weight == 0 {
				name += " (observed only)"
			}
			j.say(name + ": " + f.Reason)
			if f.Change != "" {
				j.Changes = append(j.Changes, name+": "+f.Change)
			}
		}
	}
}

func (j *Judgement) allPass() bool {
	for _, f := range j.Guards {
		if f.Weight > 0 && f.Verdict != Pass {
			return false
		}
	}
	return true
}

func ratioReason(r *Ratio) string {
	if r.Misplaced() > 0 {
		return fmt.Sprintf("routing is broken: %d keys reached an arm without weight", r.Misplaced())
	}
	n := r.Now()
	return fmt.Sprintf("routing is broken: %d of %d keys reached the candidate at weight %.2f %%; evidence %s, holds at %d",
		n.Candidate, n.Candidate+n.Stable, 100*n.Weight, factor(r.LogE()), RatioThreshold)
}
