package analysis

import (
	"fmt"
	"math"
	"strings"
)

// find weighs one guard: first whether it speaks against the candidate, then whether it
// speaks for it.
func (e *Evidence) find(g *guardEvidence, q GuardPolicy, p Policy, s Situation) Finding {
	f := Finding{
		Guard: g.Name, Weight: g.Weight, Table: g.Table, Pairs: g.Pairs, LogE: g.logE(),
		LogThreshold: -math.Log(p.Alpha), LogPass: -math.Log(p.Beta),
	}
	if g.Weight > 0 {
		f.LogThreshold -= math.Log(g.Weight)
	}
	f.LogPeak = f.LogE
	for _, w := range e.peak.Guards {
		if w.Guard == g.Name {
			f.LogPeak = max(f.LogPeak, w.LogE)
		}
	}
	units, bad := g.Table.NC, g.Table.XC
	if g.Test == Paired {
		units, bad = g.Pairs.Compared, g.Pairs.Worse
		f.LogRelative = SignLogPass(g.Pairs.Worse, g.Pairs.Decided, p.MustDetect)
	} else {
		f.LogRelative = g.Relative
	}
	absolute, limited := q.Absolute()
	if limited {
		f.LogAbsolute = absolute.LogE(units, bad)
	}
	f.judge(g, q, p, s)
	if f.Verdict == Inconclusive {
		f.Change = strings.Join(append(f.wouldPass(g, q, p, s), f.wouldFail(g)...), "; ")
	}
	return f
}

// judge sets the verdict and the reason.
func (f *Finding) judge(g *guardEvidence, q GuardPolicy, p Policy, s Situation) {
	units, counts := g.Table.NC, armCounts(g.Table)
	if g.Test == Paired {
		units, counts = g.Pairs.Compared, pairCounts(g.Pairs)
	}
	against := fmt.Sprintf("evidence against it %s, acts alone at %s", factor(f.LogPeak), factor(f.LogThreshold))
	relative, absolute := f.LogRelative >= f.LogPass, f.LogAbsolute >= f.LogPass
	f.Verdict = Inconclusive
	switch need, outside := p.Exposures(q), stableOutside(g, q, s); {
	case f.LogPeak >= f.LogThreshold:
		f.Verdict = Fail
		f.Reason = counts + "; " + against
	case units == 0:
		f.Reason = "the candidate was not seen at work, and no data is not good news"
	case outside != "":
		f.Reason = counts + "; " + outside + ", so that the comparison flatters the candidate; " + against
	case units < need:
		f.Reason = fmt.Sprintf("%s; at least %d units are needed; %s", counts, need, against)
	case relative:
		f.Verdict = Pass
		f.Reason = fmt.Sprintf("%s; shown to be below %g times stable's odds: evidence %s, passes at %s",
			counts, p.MustDetect, factor(f.LogRelative), factor(f.LogPass))
	case absolute:
		f.Verdict = Pass
		f.Reason = fmt.Sprintf("%s; shown to be below %.3g %%: evidence %s, passes at %s",
			counts, 100*q.PMax, factor(f.LogAbsolute), factor(f.LogPass))
	default:
		f.Reason = fmt.Sprintf("%s; %s; evidence for it %s by comparison%s, passes at %s",
			counts, against, factor(f.LogRelative), f.absoluteWords(q), factor(f.LogPass))
	}
}

func (f *Finding) absoluteWords(q GuardPolicy) string {
	if q.PMax == 0 {
		return ""
	}
	return fmt.Sprintf(" and %s against %.3g %%", factor(f.LogAbsolute), 100*q.PMax)
}

func armCounts(t Table) string {
	return fmt.Sprintf("candidate %d of %d units bad (%s), stable %d of %d (%s)",
		t.XC, t.NC, percent(t.XC, t.NC), t.XB, t.NB, percent(t.XB, t.NB))
}

func pairCounts(p Pairs) string {
	return fmt.Sprintf("%d inputs compared, %d of them decided, candidate worse in %d", p.Compared, p.Decided, p.Worse)
}

// stableOutside says why nothing may pass; "" when stable is inside its service level, or
// when the guard has none. A stable that has no units tells nothing either way, and the
// comparison then stays at 1 by itself.
func stableOutside(g *guardEvidence, q GuardPolicy, s Situation) string {
	if s.StableOutside != "" {
		return "stable is outside its service level: " + s.StableOutside
	}
	limit := q.stableLimit()
	if t := g.Table; limit > 0 && float64(t.XB) > limit*float64(t.NB) {
		return fmt.Sprintf("stable is outside its own service level of %.3g %%", 100*limit)
	}
	return ""
}

// wouldPass says what would make an inconclusive guard pass.
func (f *Finding) wouldPass(g *guardEvidence, q GuardPolicy, p Policy, s Situation) []string {
	if stableOutside(g, q, s) != "" {
		return []string{"nothing passes before stable is inside its service level again"}
	}
	units, bad, unit := g.Table.NC, g.Table.XC, "units of the candidate"
	if g.Test == Paired {
		units, bad, unit = g.Pairs.Compared, g.Pairs.Worse, "inputs"
	}
	need := p.Exposures(q) - units
	if a, ok := q.Absolute(); ok && f.LogRelative < f.LogPass {
		need = max(need, a.MoreGood(p.Beta, units, bad))
	}
	if need <= 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d more good %s and no bad one would pass it", need, unit)}
}

// wouldFail says what would make a guard act by itself.
func (f *Finding) wouldFail(g *guardEvidence) []string {
	if g.Weight == 0 {
		return nil
	}
	more, ok := 0, false
	if g.Test == Paired {
		more, ok = signMoreWorse(g.Pairs, f.LogThreshold)
	} else if all := g.Table.NC + g.Table.NB; all > 0 {
		more, ok = g.Process.MoreBad(float64(g.Table.NC)/float64(all), f.LogThreshold)
	}
	if !ok {
		return nil
	}
	return []string{fmt.Sprintf("%d more bad ones in a row, and none of stable's, would roll back", more)}
}
