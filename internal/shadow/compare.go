package shadow

import (
	"slices"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

// Right says with whom the re-derived record agrees where stable and candidate differ.
type Right string

// What re-derivation can say of one difference.
const (
	RightUnknown   Right = "" // not re-derived, or it failed
	RightStable    Right = "stable"
	RightCandidate Right = "candidate"
	RightNeither   Right = "neither"
)

// Difference is one field of one record, or one failure, in which two answers differ. The
// values are zero where there is nothing; a record's is the word present, absent or
// untouched, a vector's its dimension.
type Difference struct {
	Class      Class
	Collection lockstep.Collection // "" for a failure
	ID         string
	Field      string // as in Class
	Stable     lockstep.Value
	Candidate  lockstep.Value
	Derived    lockstep.Value
	Right      Right
}

// Failure says whose answer failed.
type Failure string

// Who can fail.
const (
	FailedNone      Failure = ""
	FailedStable    Failure = "stable"
	FailedCandidate Failure = "candidate"
	FailedBoth      Failure = "both"
)

// Pair is what comparing the answers to one unit showed.
type Pair struct {
	Unit        string
	Failure     Failure
	Differences []Difference // candidate against stable, by record and field
	Twice       bool         // stable ran twice
	Noise       []Difference // stable's second run, as candidate, against the first
	// Drift is where stable and candidate agree with each other and not with the table:
	// Stable is what both have, Derived what the table says.
	Drift   []Difference
	Ignored int  // differences that a rule took out
	Timed   bool // both took a measured time and neither failed
	Slower  bool // the candidate took longer than tolerated
}

// Equal says whether the candidate did what stable did; a unit on which both failed is not
// equal, since nothing was compared.
func (p Pair) Equal() bool { return len(p.Differences) == 0 && p.Failure == FailedNone }

// Compare compares the answers of t. It keeps nothing of t but values and ids.
func (r Rules) Compare(t Trial) Pair {
	b := newBefore(&t)
	stable, candidate := b.apply(t.Stable), b.apply(t.Candidate)
	c := comparison{rules: r.Ignore, now: t.Now}
	p := Pair{Unit: t.Unit, Failure: failure(stable, candidate), Differences: c.differences(stable, candidate), Ignored: c.ignored}
	if t.Again != nil {
		p.Twice = true
		again := b.apply(*t.Again)
		if failure(stable, again) != FailedBoth { // twice the same failure is no noise
			p.Noise = c.differences(stable, again)
		}
	}
	if t.Derived != nil && t.Derived.Err == nil {
		c.judge(&p, stable, candidate, b.apply(*t.Derived))
	}
	if p.Failure == FailedNone && t.Stable.Took > 0 && t.Candidate.Took > 0 {
		p.Timed = true
		p.Slower = t.Candidate.Took > r.Floor && float64(t.Candidate.Took) > (1+r.Delta)*float64(t.Stable.Took)
	}
	return p
}

func failure(stable, candidate effect) Failure {
	switch {
	case stable.err != nil && candidate.err != nil:
		return FailedBoth
	case stable.err != nil:
		return FailedStable
	case candidate.err != nil:
		return FailedCandidate
	}
	return FailedNone
}

type comparison struct {
	rules   []Ignore
	now     time.Time
	ignored int
}

func (c *comparison) differences(a, b effect) []Difference {
	class := map[Failure]Class{FailedStable: ErrorStable, FailedCandidate: ErrorCandidate, FailedBoth: ErrorBoth}
	if f := failure(a, b); f != FailedNone {
		return []Difference{{Class: class[f], Field: fieldError, Stable: message(a.err), Candidate: message(b.err)}}
	}
	var out []Difference
	for _, p := range places(a, b) {
		x, y := a.side(p), b.side(p)
		out = c.record(out, p, x, y, a.before.side(p).exists)
	}
	return out
}

func message(err error) lockstep.Value {
	if err == nil {
		return lockstep.Value{}
	}
	return lockstep.String(err.Error())
}

// record appends where y differs from x, both being what answers made of a record that was.
func (c *comparison) record(out []Difference, p place, x, y side, was existence) []Difference {
	add := func(field, kind string) {
		out = append(out, Difference{
			Class: classOf(p.collection, field, kind), Collection: p.collection, ID: p.id,
			Field: field, Stable: x.value(field), Candidate: y.value(field),
		})
	}
	if x.exists != y.exists {
		field, kind := existenceKind(x.exists, y.exists, was)
		add(field, kind)
		return out
	}
	if x.exists != present {
		return out
	}
	switch {
	case x.record.HasDocument && !y.record.HasDocument:
		add(fieldDocument, kindMissing)
	case !x.record.HasDocument && y.record.HasDocument:
		add(fieldDocument, kindExtra)
	case x.record.Document != y.record.Document:
		add(fieldDocument, kindValue)
	}
	c.metadata(x.record.Metadata, y.record.Metadata, p.collection, add)
	if kind := x.vector.difference(y.vector); kind != "" {
		add(fieldVector, kind)
	}
	return out
}

// existenceKind names how the existence of a record differs. Where nothing was known of
// it, deleting it and leaving it alone are different things.
func existenceKind(x, y, was existence) (field, kind string) {
	switch {
	case y == present && (x == untouched || was != present):
		return fieldRecord, kindExtra
	case x == present && (y == untouched || was != present):
		return fieldRecord, kindMissing
	case y == absent:
		return fieldOp, kindDeleted
	}
	return fieldOp, kindKept
}

func (c *comparison) metadata(x, y lockstep.Metadata, in lockstep.Collection, add func(field, kind string)) {
	differ := func(key, kind string) {
		escaped := escape(key)
		if slices.ContainsFunc(c.rules, func(g Ignore) bool { return g.covers(in, escaped, c.now) }) {
			c.ignored++
			return
		}
		add(metadataField+escaped, kind)
	}
	for len(x) > 0 || len(y) > 0 {
		switch {
		case len(y) == 0 || len(x) > 0 && x[0].Key < y[0].Key:
			differ(x[0].Key, kindMissing)
			x = x[1:]
		case len(x) == 0 || y[0].Key < x[0].Key:
			differ(y[0].Key, kindExtra)
			y = y[1:]
		default:
			if kind := valueKind(x[0].Value, y[0].Value); kind != "" {
				differ(x[0].Key, kind)
			}
			x, y = x[1:], y[1:]
		}
	}
}

// valueKind returns how w differs from v, "" when it does not.
func valueKind(v, w lockstep.Value) string {
	if v.Equal(w) {
		return ""
	}
	if v.Kind() != w.Kind() {
		return kindType
	}
	if v.Kind() != lockstep.KindList {
		return kindValue
	}
	a, b := v.Elems(), w.Elems()
	if len(a) > 0 && len(b) > 0 && a[0].Kind() != b[0].Kind() {
		return kindType
	}
	if sameElements(a, b) {
		return kindOrder
	}
	return kindValue
}

// sameElements says whether a and b hold the same elements, each as often.
func sameElements(a, b []lockstep.Value) bool {
	if len(a) != len(b) {
		return false
	}
	count := make(map[string]int, len(a))
	for i := range a {
		count[a[i].GoString()]++
		count[b[i].GoString()]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

// value returns what a record holds in a field, by its name in the class.
func (s side) value(field string) lockstep.Value {
	switch field {
	case fieldRecord, fieldOp:
		return lockstep.String(s.exists.String())
	}
	if s.exists != present {
		return lockstep.Value{}
	}
	switch field {
	case fieldDocument:
		if !s.record.HasDocument {
			return lockstep.Value{}
		}
		return lockstep.String(s.record.Document)
	case fieldVector:
		return lockstep.String(s.vector.String())
	}
	escaped := strings.TrimPrefix(field, metadataField)
	if v, ok := s.record.Metadata.Get(escaped); ok { // nearly every key is its own escape
		return v
	}
	for _, f := range s.record.Metadata {
		if escape(f.Key) == escaped {
			return f.Value
		}
	}
	return lockstep.Value{}
}
