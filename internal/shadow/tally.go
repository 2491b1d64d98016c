package shadow

import (
	"maps"
	"slices"
	"strings"
)

// Bounds of a tally. What is beyond them is counted together.
const (
	MaxClasses    = 256
	MaxSets       = 128
	maxSetClasses = 32
)

// Tally is what many pairs showed. The zero value is ready. It is not safe for concurrent
// use; two that were filled apart are put together by Merge.
type Tally struct {
	units      int64 // compared: not both failed
	bothFailed int64
	dropped    int64
	ignored    int64
	timed      int64
	slower     int64
	sets       map[string]*Set
	rest       Rest
	classes    map[Class]*ClassCount
	other      Other
	samples    []Sample
}

// Set is how many units differed in exactly these classes. It is kept this way, and not
// as sums, so that accepting a class later tells which units are clean without it.
type Set struct {
	Candidate []Class `json:"candidate,omitempty"` // in which the candidate differs from stable
	Again     []Class `json:"again,omitempty"`     // in which stable's second run does
	Once      bool    `json:"once,omitempty"`      // stable ran only once
	More      bool    `json:"more,omitempty"`      // the candidate differs in further classes, which nothing can accept
	Units     int64   `json:"units"`
}

// Rest sums the units whose sets a tally has no room for, judged without acceptances.
type Rest struct {
	Units   int64 `json:"units"`
	Equal   int64 `json:"equal"`
	Noise   int64 `json:"noise"`
	Twice   int64 `json:"twice"`
	Worse   int64 `json:"worse"`
	Noisier int64 `json:"noisier"`
	Hard    int64 `json:"hard"`
}

func (r *Rest) add(q Rest) {
	r.Units += q.Units
	r.Equal += q.Equal
	r.Noise += q.Noise
	r.Twice += q.Twice
	r.Worse += q.Worse
	r.Noisier += q.Noisier
	r.Hard += q.Hard
}

// ClassCount is how often one class was seen.
type ClassCount struct {
	Class   Class `json:"class"`
	Units   int64 `json:"units"`   // in which the candidate differs so
	Records int64 `json:"records"` // fields of records, or failures
	Again   int64 `json:"again"`   // units in which stable's second run differs so
	Drift   int64 `json:"drift"`   // fields in which both differ so from the table
	// Of Records: with whom the re-derived record agrees; the others were not re-derived.
	StableRight    int64 `json:"stable_right"`
	CandidateRight int64 `json:"candidate_right"`
	NeitherRight   int64 `json:"neither_right"`
}

func (c *ClassCount) add(d ClassCount) {
	c.Units += d.Units
	c.Records += d.Records
	c.Again += d.Again
	c.Drift += d.Drift
	c.StableRight += d.StableRight
	c.CandidateRight += d.CandidateRight
	c.NeitherRight += d.NeitherRight
}

// Other sums what was seen of classes that a tally has no room for.
type Other struct {
	Records int64 `json:"records"`
	Drift   int64 `json:"drift"`
}

// Add counts one pair. Values pass through redact before anything is kept of them; with
// nil only their kind and size are kept.
func (t *Tally) Add(p Pair, redact Redact) {
	t.ignored += int64(p.Ignored)
	for i := range p.Differences {
		t.sample(p.Unit, &p.Differences[i], redact)
	}
	if len(p.Differences) > 0 {
		t.samples = capSamples(t.samples)
	}
	if p.Failure == FailedBoth {
		t.bothFailed++
		return
	}
	t.units++
	if p.Timed {
		t.timed++
	}
	if p.Slower {
		t.slower++
	}
	t.count(p)
	set := Set{Candidate: classesOf(p.Differences), Again: classesOf(p.Noise), Once: !p.Twice, Units: 1}
	if len(set.Candidate) > maxSetClasses {
		set.Candidate, set.More = set.Candidate[:maxSetClasses], true
	}
	set.Again = set.Again[:min(len(set.Again), maxSetClasses)]
	t.addSet(set)
	t.trim()
}

// Drop counts n units that were not compared because the queue was full.
func (t *Tally) Drop(n int64) { t.dropped += n }

// Merge adds what u holds and leaves u as it is. In whatever grouping tallies are merged,
// the result is the same.
func (t *Tally) Merge(u *Tally) {
	t.units += u.units
	t.bothFailed += u.bothFailed
	t.dropped += u.dropped
	t.ignored += u.ignored
	t.timed += u.timed
	t.slower += u.slower
	t.rest.add(u.rest)
	t.other.Records += u.other.Records
	t.other.Drift += u.other.Drift
	for _, s := range u.sets {
		t.addSet(*s)
	}
	for _, c := range u.classes {
		t.class(c.Class).add(*c)
	}
	t.samples = capSamples(slices.Concat(t.samples, u.samples))
	t.trim()
}

func (t *Tally) sample(unit string, d *Difference, redact Redact) {
	t.samples = append(t.samples, sampleOf(unit, d, redact))
	if len(t.samples) > 8*MaxSamples {
		t.samples = capSamples(t.samples)
	}
}

func (t *Tally) class(c Class) *ClassCount {
	if t.classes == nil {
		t.classes = map[Class]*ClassCount{}
	}
	count := t.classes[c]
	if count == nil {
		count = &ClassCount{Class: c}
		t.classes[c] = count
	}
	return count
}

func (t *Tally) count(p Pair) {
	for i := range p.Differences {
		c := t.class(p.Differences[i].Class)
		c.Records++
		switch p.Differences[i].Right {
		case RightStable:
			c.StableRight++
		case RightCandidate:
			c.CandidateRight++
		case RightNeither:
			c.NeitherRight++
		case RightUnknown:
		}
	}
	for _, c := range classesOf(p.Differences) {
		t.class(c).Units++
	}
	for _, c := range classesOf(p.Noise) {
		t.class(c).Again++
	}
	for i := range p.Drift {
		t.class(p.Drift[i].Class).Drift++
	}
}

// classesOf returns the classes of ds, each once, the hard ones first.
func classesOf(ds []Difference) []Class {
	var out []Class
	for i := range ds {
		out = append(out, ds[i].Class)
	}
	slices.SortFunc(out, compareClasses)
	return slices.Compact(out)
}

// key identifies a set among sets, and orders it: few classes before many, so that what
// has no room is what is strangest.
func (s *Set) key() string {
	var b strings.Builder
	b.WriteByte(byte(len(s.Candidate)))
	b.WriteByte(byte(len(s.Again)))
	for _, list := range [][]Class{s.Candidate, s.Again} {
		for _, c := range list {
			b.WriteString(string(c))
			b.WriteByte(0)
		}
	}
	for _, flag := range []bool{s.Once, s.More} {
		if flag {
			b.WriteByte(2)
		} else {
			b.WriteByte(1)
		}
	}
	return b.String()
}

func (t *Tally) addSet(s Set) {
	key := s.key()
	if have := t.sets[key]; have != nil {
		have.Units += s.Units
		return
	}
	if t.sets == nil {
		t.sets = map[string]*Set{}
	}
	t.sets[key] = &s
}

// trim moves what is beyond the bounds into the sums. What is kept is the first of an order
// that does not depend on counts; so what one trim moves, no other grouping would keep.
func (t *Tally) trim() {
	if len(t.sets) > MaxSets {
		for _, key := range slices.Sorted(maps.Keys(t.sets))[MaxSets:] {
			t.rest.add(t.sets[key].rest())
			delete(t.sets, key)
		}
	}
	if len(t.classes) > MaxClasses {
		for _, c := range slices.SortedFunc(maps.Keys(t.classes), compareClasses)[MaxClasses:] {
			t.other.Records += t.classes[c].Records
			t.other.Drift += t.classes[c].Drift
			delete(t.classes, c)
		}
	}
}
