package guard

import (
	"fmt"
	"math"
	"time"
)

// Judge says what guard g makes of the series at time now, given what it remembers,
// and what it will remember. It is pure; the order of the samples does not matter.
//
//   - A source that failed, or whose newest sample could not be taken, is Broken.
//   - Samples in (now-Window, now+MaxSkew] count. No number among them, a newest one
//     that is older than Fresh or is no number, a comparison without stable's samples,
//     and a pass on a partial answer (Series.Warnings) are Inconclusive.
//   - Without samples OnNoData decides; by default that is Inconclusive. Fail also
//     takes stale samples and gaps for silence, pass takes nothing but silence.
//   - Several series (samples with different labels) must all hold; the worst counts.
//   - What does not hold fails when Debounce has seen enough failed looks, and is
//     Inconclusive until then: a first failure rolls nothing back and passes nothing.
//     While enough of the last looks failed, one good look does not clear it.
//
// A guard that does not check gives verdicts without meaning, but never a pass that
// its samples do not show.
func Judge(g Guard, s Series, history DebounceState, now time.Time) (Result, DebounceState) {
	r := Result{Guard: g.Name, Criterion: g.Criterion, Action: g.Action, At: now, Unit: g.Test.Unit}
	found := g.examine(s, now)
	r.Verdict, r.Reason, r.Value, r.Threshold, r.Samples = found.verdict, found.reason, found.value, found.threshold, found.samples
	since, looks := now, history.Looks
	if found.verdict == Pass || found.verdict == Fail {
		d := g.Debounce.resolved()
		looks = history.looked(Look{At: found.at, Failed: found.verdict == Fail}, d, g.Window, now.Add(MaxSkew))
		n, first := failures(looks)
		switch {
		case n >= d.Fails:
			r.Verdict, since = Fail, first
		case found.verdict == Fail:
			r.Verdict = Inconclusive
		}
		if d.Of > 1 && n > 0 {
			r.Reason += fmt.Sprintf("; %d of the last %d looks failed, it fails at %d", n, len(looks), d.Fails)
		}
	}
	next := history.settle(r.Verdict, since, looks)
	r.Since = next.Since
	return r, next
}

// finding is what one window says before debouncing.
type finding struct {
	verdict          Verdict
	reason           string
	value, threshold float64
	samples          int
	at               time.Time // of the newest sample; of the look itself without one
}

func (g Guard) examine(s Series, now time.Time) finding {
	if s.Err != "" {
		return finding{verdict: Broken, reason: s.Err}
	}
	v := look(s.Samples, g.Window, now)
	f := finding{samples: len(v.kept), at: v.newest}
	if doubt, why := v.doubt(g.Fresh, now); doubt != Pass {
		f.verdict, f.reason = doubt, why
		if doubt == Inconclusive && g.OnNoData == NoDataFail {
			f.verdict = Fail // stale or no number is silence too
			f.at = now
		}
		return f
	}
	if len(v.kept) == 0 {
		f.at = now
		return g.silence(f, v, now)
	}
	switch g.Test.Kind {
	case Present:
		f.verdict, f.reason = Pass, "it is there"
	case Absent:
		f.verdict, f.reason = Fail, "it is there"+labelled(v.kept[len(v.kept)-1])
	case Value, Ratio, Increase, Decrease:
		f = g.measure(f, v, s.Stable, now)
	default:
		f.verdict, f.reason = Inconclusive, fmt.Sprintf("test %q is not known", g.Test.Kind)
	}
	if f.verdict == Pass && len(s.Warnings) > 0 {
		f.verdict, f.reason = Inconclusive, "the answer may be partial ("+s.Warnings[0]+"): "+f.reason
	}
	return f
}

// silence is the verdict on a window without a usable sample.
func (g Guard) silence(f finding, v view, now time.Time) finding {
	reason, pure := v.nothing(now)
	f.verdict, f.reason = Inconclusive, reason
	old := v.ahead == 0 && v.gaps == 0 // silence in the window, whatever was before
	switch {
	case v.ahead > 0:
	case g.OnNoData == NoDataFail, g.Test.Kind == Present && old:
		f.verdict = Fail
	case g.OnNoData == NoDataPass && (pure || g.Test.Kind == Absent && old):
		f.verdict = Pass
	}
	return f
}

// measure compares every series of the window; the worst of them is the finding.
func (g Guard) measure(f finding, v view, stable []Sample, now time.Time) finding {
	var control map[string]group
	if g.Test.Kind == Ratio {
		w := look(stable, g.Window, now)
		if doubt, why := w.doubt(g.Fresh, now); doubt != Pass {
			f.verdict, f.reason = doubt, "stable: "+why
			return f
		}
		control = map[string]group{}
		for _, c := range w.groups() {
			control[c.key] = c
		}
	}
	worst := finding{verdict: Pass}
	for i, one := range v.groups() {
		got := g.compare(one, control)
		got.samples, got.at = f.samples, f.at
		if i == 0 || Worst(got.verdict, worst.verdict) != worst.verdict {
			worst = got
		}
	}
	return worst
}

// compare judges one series.
func (g Guard) compare(one group, control map[string]group) finding {
	t := g.Test
	last := one.samples[len(one.samples)-1]
	value, ok := t.reduce(one.samples)
	if !ok {
		return finding{verdict: Inconclusive, reason: "too few samples, or their sum is no number" + labelled(last)}
	}
	f := finding{value: value, threshold: t.Limit}
	subject := string(t.Kind) + " " + t.Unit.Format(value)
	if t.Kind == Value || t.Kind == Ratio {
		subject = t.reduced() + t.Unit.Format(value)
	}
	subject += labelled(last)
	if t.Kind == Ratio {
		base, ok := against(one.key, control)
		if !ok {
			return finding{verdict: Inconclusive, reason: "stable has no samples at the same time; " + subject, value: value}
		}
		with, ok := t.reduce(base.samples)
		f.threshold = t.Limit * with
		if !ok || !finite(f.threshold) {
			return finding{verdict: Inconclusive, reason: "stable's samples are no number together; " + subject, value: value}
		}
		subject += ", stable " + t.Unit.Format(with)
	}
	f.verdict = Fail
	if t.Op.holds(value, f.threshold) || t.Floor != 0 && t.Op.holds(value, t.Floor) {
		f.verdict = Pass
	}
	f.reason = subject + ", " + t.Sentence()
	return f
}

// against finds stable's series for one of the candidate's: the one with the same
// labels, or the only one without any.
func against(key string, control map[string]group) (group, bool) {
	if c, ok := control[key]; ok {
		return c, true
	}
	c, ok := control[""]
	return c, ok
}

// reduce makes one number of samples, which are not empty and in order. ok is false
// when they are too few or the number is not finite.
func (t Test) reduce(samples []Sample) (v float64, ok bool) {
	first, last := samples[0].Value, samples[len(samples)-1].Value
	if t.Kind == Increase || t.Kind == Decrease {
		v = first - last
		if t.Kind == Increase {
			v = growth(samples)
		}
		return v, len(samples) > 1 && finite(v)
	}
	v = last
	switch t.Reduce {
	case "", Last:
		return v, true
	case Min:
		for _, s := range samples {
			v = math.Min(v, s.Value)
		}
	case Max:
		for _, s := range samples {
			v = math.Max(v, s.Value)
		}
	case Sum, Mean:
		v = 0
		for _, s := range samples {
			v += s.Value
		}
		if t.Reduce == Mean {
			v /= float64(len(samples))
		}
	default:
		return 0, false
	}
	return v, finite(v)
}

// growth adds up what a counter grew; a fall is a restart from 0.
func growth(samples []Sample) float64 {
	total := 0.0
	for i, s := range samples[1:] {
		if before := samples[i].Value; s.Value >= before {
			total += s.Value - before
		} else {
			total += s.Value
		}
	}
	return total
}

func labelled(s Sample) string {
	text := ""
	if key := labelKey(s.Labels); key != "" {
		text = " for " + key
	}
	return text + noted(s)
}
