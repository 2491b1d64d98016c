package guard

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// MaxSkew is how far ahead of ours a source's clock may be. Samples beyond it are not
// believed: a source whose clock is wrong could keep an old value fresh for ever.
const MaxSkew = time.Minute

// view is what of a series counts for one window.
type view struct {
	kept    []Sample // usable, inside the window, oldest first
	newest  time.Time
	late    int // older than the window
	oldest  time.Time
	ahead   int // dated further ahead than MaxSkew
	gaps    int // without a number or a date
	errs    int // that the source could not take
	lastErr Sample
	lastGap Sample
}

// look sorts samples into those that count for (now-window, now] and the others.
func look(samples []Sample, window time.Duration, now time.Time) view {
	var v view
	from := now.Add(-window)
	for _, s := range samples {
		switch {
		case s.At.IsZero():
			v.gaps++
		case s.At.After(now.Add(MaxSkew)):
			v.ahead++
		case !s.At.After(from):
			v.late++
			if s.At.After(v.oldest) {
				v.oldest = s.At
			}
		case s.Err != "":
			v.errs++
			if !s.At.Before(v.lastErr.At) {
				v.lastErr = s
			}
		case !finite(s.Value):
			v.gaps++
			if !s.At.Before(v.lastGap.At) {
				v.lastGap = s
			}
		default:
			v.kept = append(v.kept, s)
		}
	}
	// The order in which a source hands samples over says nothing; a late one takes its
	// place, and of two at one time the larger value comes last, so that all agree.
	slices.SortStableFunc(v.kept, func(a, b Sample) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Value, b.Value))
	})
	if n := len(v.kept); n > 0 {
		v.newest = v.kept[n-1].At
	}
	return v
}

// group is the samples of one label set.
type group struct {
	key     string
	samples []Sample
}

// groups parts the kept samples by their labels, in the order of these.
func (v view) groups() []group {
	at := map[string]int{}
	var out []group
	for _, s := range v.kept {
		key := labelKey(s.Labels)
		i, ok := at[key]
		if !ok {
			i = len(out)
			at[key] = i
			out = append(out, group{key: key})
		}
		out[i].samples = append(out[i].samples, s)
	}
	slices.SortFunc(out, func(a, b group) int { return cmp.Compare(a.key, b.key) })
	return out
}

// doubt says why the samples may not be judged, although there may be some: the verdict
// is then not Pass.
func (v view) doubt(fresh time.Duration, now time.Time) (Verdict, string) {
	switch {
	case len(v.kept) == 0 && v.errs > 0:
		return Broken, "no sample could be taken: " + v.lastErr.Err
	case v.errs > 0 && v.lastErr.At.After(v.newest) && !v.lastGap.At.After(v.lastErr.At):
		return Broken, "the newest sample could not be taken: " + v.lastErr.Err
	case v.gaps > 0 && v.lastGap.At.After(v.newest):
		return Inconclusive, "the newest sample is no number" + noted(v.lastGap)
	case len(v.kept) > 0 && fresh > 0 && now.Sub(v.newest) > fresh:
		return Inconclusive, fmt.Sprintf("stale: the newest sample is %s old, at most %s", span(now.Sub(v.newest)), span(fresh))
	}
	return Pass, ""
}

// nothing says why no sample is left, in the order in which the reasons matter. pure is
// true when the source simply had none.
func (v view) nothing(now time.Time) (reason string, pure bool) {
	switch {
	case v.ahead > 0:
		return fmt.Sprintf("%d samples are dated more than %s ahead: the clocks differ", v.ahead, span(MaxSkew)), false
	case v.gaps > 0:
		return fmt.Sprintf("no sample is a number (%d are not)", v.gaps) + noted(v.lastGap), false
	case v.late > 0:
		return fmt.Sprintf("stale: the newest sample is %s old", span(now.Sub(v.oldest))), false
	}
	return "no samples", true
}

func noted(s Sample) string {
	if s.Note == "" {
		return ""
	}
	return " (" + s.Note + ")"
}

func span(d time.Duration) string { return d.Round(roundTo(d)).String() }
