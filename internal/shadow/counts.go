package shadow

import (
	"slices"
	"time"
)

// Counts is what a tally says at one moment under the acceptances of that moment. Units
// is the sum of Equal, Expected, Noise and Unexpected.
type Counts struct {
	Units      int64 `json:"units"`      // compared
	Equal      int64 `json:"equal"`      // the candidate did what stable did
	Expected   int64 `json:"expected"`   // it differs in accepted classes only
	Noise      int64 `json:"noise"`      // it differs otherwise only as stable does from itself
	Unexpected int64 `json:"unexpected"` // it differs in a way that nobody accepted

	// For the sign test, over the units that stable ran twice: Worse is b, the units in
	// which only the candidate differs, Noisier is c, those in which only stable's second
	// run does. Accepted classes count for neither.
	Twice   int64 `json:"twice"`
	Worse   int64 `json:"worse"`
	Noisier int64 `json:"noisier"`
	// Hard units were run twice, and the candidate alone breaks an invariant.
	Hard int64 `json:"hard"`

	BothFailed int64 `json:"both_failed"` // not compared: the input is bad
	Dropped    int64 `json:"dropped"`     // not compared: the queue was full
	Timed      int64 `json:"timed"`       // pairs with two times
	Slower     int64 `json:"slower"`      // of those, where the candidate exceeded the tolerance
	Ignored    int64 `json:"ignored"`     // differing metadata values taken out by rule
}

// Counts judges every unit under the acceptances that hold at now.
func (t *Tally) Counts(accepted Acceptances, now time.Time) Counts {
	c := Counts{
		Units: t.units, BothFailed: t.bothFailed, Dropped: t.dropped,
		Timed: t.timed, Slower: t.slower, Ignored: t.ignored,
		Equal: t.rest.Equal, Noise: t.rest.Noise, Unexpected: t.rest.Units - t.rest.Equal - t.rest.Noise,
		Twice: t.rest.Twice, Worse: t.rest.Worse, Noisier: t.rest.Noisier, Hard: t.rest.Hard,
	}
	for _, s := range t.sets {
		v := s.judge(accepted, now)
		n := s.Units
		if !s.Once {
			c.Twice += n
		}
		switch {
		case len(s.Candidate) == 0 && !s.More:
			c.Equal += n
		case v.alone:
			c.Unexpected += n
		case v.shared:
			c.Noise += n
		default:
			c.Expected += n
		}
		if v.worse {
			c.Worse += n
		}
		if v.noisier {
			c.Noisier += n
		}
		if v.hard {
			c.Hard += n
		}
	}
	return c
}

// judgement is what one set says under some acceptances.
type judgement struct {
	alone   bool // the candidate differs where stable's second run, if any, does not
	shared  bool // both differ in the same class
	worse   bool // b
	noisier bool // c
	hard    bool
}

func (s *Set) judge(accepted Acceptances, now time.Time) judgement {
	mine, theirs := accepted.unexpected(s.Candidate, now), accepted.unexpected(s.Again, now)
	only := without(mine, theirs)
	noise := without(theirs, mine)
	v := judgement{alone: len(only) > 0 || s.More, shared: len(mine) > len(only)}
	if s.Once {
		return v
	}
	// A unit in which each has something that the other has not decides nothing. Candidate
	// and second run are treated alike, as the test demands.
	v.worse = v.alone && len(noise) == 0
	v.noisier = !v.alone && len(noise) > 0
	v.hard = slices.ContainsFunc(only, Class.Hard)
	return v
}

// rest judges the set for good, under no acceptance.
func (s *Set) rest() Rest {
	v := s.judge(nil, time.Time{})
	r := Rest{Units: s.Units}
	count := func(yes bool, n *int64) {
		if yes {
			*n = s.Units
		}
	}
	equal := len(s.Candidate) == 0 && !s.More
	count(equal, &r.Equal)
	count(!equal && !v.alone, &r.Noise)
	count(!s.Once, &r.Twice)
	count(v.worse, &r.Worse)
	count(v.noisier, &r.Noisier)
	count(v.hard, &r.Hard)
	return r
}

func without(list, drop []Class) []Class {
	var out []Class
	for _, c := range list {
		if !slices.Contains(drop, c) {
			out = append(out, c)
		}
	}
	return out
}
