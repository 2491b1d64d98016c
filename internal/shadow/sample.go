package shadow

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"unicode/utf8"

	"lockstep/internal/lockstep"
)

// Bounds of what a tally keeps of examples. Ids and classes are kept whole up to their own
// limits, values are cut.
const (
	MaxSamples         = 96
	MaxSamplesPerClass = 3
	maxSampleValue     = 80                    // bytes of one value, after redaction
	maxRendered        = 4*maxSampleValue + 16 // quoted, a byte may become four
	maxSampleUnit      = 200                   // bytes of a unit's name
)

// MaxSampleBytes bounds all samples of a tally together, before JSON escapes them.
const MaxSampleBytes = MaxSamples * (maxClassBytes + lockstep.MaxIDBytes + maxKeyBytes + maxSampleUnit + 3*maxRendered + 200)

// Redact returns what may be kept of a value. The field is that of the class: document,
// metadata.<key>, error. It sees whole values, before they are cut.
type Redact func(c lockstep.Collection, field, value string) string

// Sample is one example of a class. The values are for people; "" is "there is none".
type Sample struct {
	Class      Class               `json:"class"`
	Unit       string              `json:"unit"`
	Collection lockstep.Collection `json:"collection,omitempty"`
	ID         string              `json:"id,omitempty"`
	Stable     string              `json:"stable,omitempty"`
	Candidate  string              `json:"candidate,omitempty"`
	Derived    string              `json:"derived,omitempty"`
	Right      Right               `json:"right,omitempty"`
}

func sampleOf(unit string, d *Difference, redact Redact) Sample {
	show := func(v lockstep.Value) string { return render(v, d, redact) }
	return Sample{
		Class: d.Class, Unit: shorten(unit, maxSampleUnit),
		Collection: lockstep.Collection(shorten(string(d.Collection), maxKeyBytes)), ID: shorten(d.ID, lockstep.MaxIDBytes),
		Stable: show(d.Stable), Candidate: show(d.Candidate), Derived: show(d.Derived), Right: d.Right,
	}
}

// render writes a value for people. Without a Redact only its kind and size are told:
// nobody said that it may be shown.
func render(v lockstep.Value, d *Difference, redact Redact) string {
	if v.Kind() == 0 {
		return ""
	}
	switch d.Field {
	case fieldRecord, fieldOp, fieldVector:
		return shorten(v.Str(), maxSampleValue) // our own words
	}
	text := fmt.Sprint(v.Any())
	if redact == nil {
		return fmt.Sprintf("%s of %d bytes", v.Kind(), len(text))
	}
	text = shorten(redact(d.Collection, d.Field, text), maxSampleValue)
	if v.Kind() == lockstep.KindString {
		return fmt.Sprintf("%q", text)
	}
	return v.Kind().String() + " " + text
}

// shorten cuts s to at most limit bytes, and says how much is gone.
func shorten(s string, limit int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= limit {
		return s
	}
	gone := fmt.Sprintf("… %d bytes", len(s))
	n := max(limit-len(gone), 0)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + gone
}

// rank orders samples as if at random, and the same everywhere: keeping those of lowest
// rank is an even sample of all that there were, however tallies were merged.
func (s *Sample) rank() uint64 {
	h := fnv.New64a()
	for _, part := range []string{string(s.Class), s.Unit, string(s.Collection), s.ID} {
		_, _ = h.Write([]byte(part)) // a hash does not fail
		_, _ = h.Write([]byte{0})
	}
	return mix(h.Sum64())
}

// mix spreads every bit of x over all bits (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func compareSamples(a, b Sample) int {
	return cmp.Or(
		cmp.Compare(a.rank(), b.rank()),
		strings.Compare(string(a.Class), string(b.Class)), strings.Compare(a.Unit, b.Unit),
		strings.Compare(string(a.Collection), string(b.Collection)), strings.Compare(a.ID, b.ID),
		strings.Compare(a.Stable, b.Stable), strings.Compare(a.Candidate, b.Candidate),
		strings.Compare(a.Derived, b.Derived), strings.Compare(string(a.Right), string(b.Right)),
	)
}

// capSamples sorts samples and keeps, of each class and of all, those of lowest rank. What
// one call drops has so many before it that no later call could have kept it.
func capSamples(samples []Sample) []Sample {
	slices.SortFunc(samples, compareSamples)
	perClass := map[Class]int{}
	samples = slices.DeleteFunc(samples, func(s Sample) bool {
		perClass[s.Class]++
		return perClass[s.Class] > MaxSamplesPerClass
	})
	if len(samples) > MaxSamples {
		samples = slices.Delete(samples, MaxSamples, len(samples))
	}
	return samples
}
