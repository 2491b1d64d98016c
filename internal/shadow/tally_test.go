package shadow

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lockstep/internal/lockstep"
)

func differing(classes ...Class) []Difference {
	var out []Difference
	for i, c := range classes {
		out = append(out, Difference{Class: c, Collection: "lines", ID: fmt.Sprint("r", i), Field: fieldDocument, Stable: lockstep.String("s"), Candidate: lockstep.String("c")})
	}
	return out
}

const (
	text Class = "lines/document/value"
	shop Class = "lines/metadata.shop/value"
	gone Class = "lines/record/missing"
)

func pair(candidate, again []Class) Pair {
	return Pair{Unit: fmt.Sprint(candidate, again), Differences: differing(candidate...), Noise: differing(again...), Twice: true}
}

func tallyOf(pairs ...Pair) *Tally {
	var t Tally
	for _, p := range pairs {
		t.Add(p, nil)
	}
	return &t
}

func TestCountsTellTheCandidateFromNoise(t *testing.T) {
	type cs = []Class
	for name, tt := range map[string]struct {
		p    Pair
		want Counts
	}{
		"equal":                       {pair(nil, nil), Counts{Equal: 1, Twice: 1}},
		"only the candidate":          {pair(cs{text}, nil), Counts{Unexpected: 1, Twice: 1, Worse: 1}},
		"only the candidate, hard":    {pair(cs{gone}, nil), Counts{Unexpected: 1, Twice: 1, Worse: 1, Hard: 1}},
		"only stable":                 {pair(nil, cs{text}), Counts{Equal: 1, Twice: 1, Noisier: 1}},
		"both in one class":           {pair(cs{text}, cs{text}), Counts{Noise: 1, Twice: 1}},
		"both hard in one class":      {pair(cs{gone}, cs{gone}), Counts{Noise: 1, Twice: 1}},
		"the candidate in one more":   {pair(cs{text, shop}, cs{text}), Counts{Unexpected: 1, Twice: 1, Worse: 1}},
		"stable in one more":          {pair(cs{text}, cs{text, shop}), Counts{Noise: 1, Twice: 1, Noisier: 1}},
		"each in another":             {pair(cs{text}, cs{shop}), Counts{Unexpected: 1, Twice: 1}},
		"each in another, hard":       {pair(cs{gone}, cs{shop}), Counts{Unexpected: 1, Twice: 1, Hard: 1}},
		"not run twice":               {Pair{Differences: differing(text)}, Counts{Unexpected: 1}},
		"not run twice, hard":         {Pair{Differences: differing(gone)}, Counts{Unexpected: 1}},
		"the candidate fails":         {pair(cs{ErrorCandidate}, nil), Counts{Unexpected: 1, Twice: 1, Worse: 1}},
		"slower":                      {Pair{Timed: true, Slower: true, Ignored: 2}, Counts{Equal: 1, Timed: 1, Slower: 1, Ignored: 2}},
		"more classes than have room": {pair(manyClasses(40), nil), Counts{Unexpected: 1, Twice: 1, Worse: 1}},
	} {
		tt.want.Units = 1
		if diff := cmp.Diff(tt.want, tallyOf(tt.p).Counts(nil, noon)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	both := tallyOf(Pair{Failure: FailedBoth, Differences: []Difference{{Class: ErrorBoth}}})
	both.Drop(3)
	if diff := cmp.Diff(Counts{BothFailed: 1, Dropped: 3}, both.Counts(nil, noon)); diff != "" {
		t.Errorf("both fail (-want +got):\n%s", diff)
	}
}

func manyClasses(n int) []Class {
	var out []Class
	for i := range n {
		out = append(out, Class(fmt.Sprintf("lines/metadata.k%03d/value", i)))
	}
	return out
}

func TestAcceptingClearsWhatWasCountedUntilItEnds(t *testing.T) {
	tally := tallyOf(pair([]Class{shop}, nil), pair([]Class{shop, text}, nil), pair([]Class{shop}, []Class{text}), pair(manyClasses(40), nil))
	accepted := Acceptances{{Class: "lines/metadata.*/value", Until: noon}}
	for _, tt := range []struct {
		at   time.Time
		want Counts
	}{
		{noon.Add(-1), Counts{Units: 4, Expected: 2, Unexpected: 2, Twice: 4, Worse: 2, Noisier: 1}},
		{noon, Counts{Units: 4, Unexpected: 4, Twice: 4, Worse: 3}},
	} {
		if diff := cmp.Diff(tt.want, tally.Counts(accepted, tt.at)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.at, diff)
		}
	}
}

// genTally fills a tally with few or with very many classes, so that the bounds are met.
func genTally(r *rapid.T, label string) *Tally {
	var t Tally
	keys := rapid.SampledFrom([]int{3, 500}).Draw(r, label+" keys")
	for i := range rapid.SampledFrom([]int{0, 1, 5, 150}).Draw(r, label+" pairs") {
		p := Rules{}.Compare(genTrialOnce(r, i == 0))
		p.Unit += fmt.Sprint(label, i)
		seed := rapid.IntRange(0, 1<<20).Draw(r, "seed")
		for range seed % 4 {
			seed = int(mix(uint64(seed)) >> 40)
			c := Class(fmt.Sprintf("lines/metadata.k%d/%s", seed%keys, kinds[metadataField][seed%5]))
			p.Differences = append(p.Differences, Difference{Class: c, Field: fieldDocument, Collection: "lines", ID: fmt.Sprint(seed), Stable: lockstep.Int(int64(seed))})
			p.Drift = append(p.Drift, Difference{Class: c})
			if p.Failure == FailedBoth {
				p.Differences, p.Drift = p.Differences[:1], nil
			}
		}
		t.Add(p, func(_ lockstep.Collection, _, value string) string { return strings.ToUpper(value) })
	}
	t.Drop(rapid.Int64Range(0, 9).Draw(r, "dropped"))
	return &t
}

// genTrialOnce draws a trial, or an empty one: drawing hundreds takes rapid too long.
func genTrialOnce(r *rapid.T, full bool) Trial { //nolint:revive // it chooses the size of the input, in a test
	if full {
		return genTrial(r)
	}
	return Trial{Again: &Answer{}}
}

func merged(tallies ...*Tally) *Tally {
	var t Tally
	for _, u := range tallies {
		t.Merge(u)
	}
	return &t
}

func TestMergeIsAssociativeAndCommutative(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		a, b, c := genTally(r, "a"), genTally(r, "b"), genTally(r, "c")
		left := merged(merged(a, b), c)
		for name, other := range map[string]*Tally{"right": merged(a, merged(b, c)), "swapped": merged(c, b, a), "once": merged(a, b, c)} {
			if diff := cmp.Diff(left.stored(), other.stored()); diff != "" {
				r.Fatalf("%s:\n%s", name, diff)
			}
		}
		if diff := cmp.Diff(a.stored(), merged(a).stored()); diff != "" {
			r.Fatalf("merging with nothing:\n%s", diff)
		}
		if n := left.Counts(nil, noon); n.Units != n.Equal+n.Expected+n.Noise+n.Unexpected {
			r.Fatalf("%+v does not add up", n)
		}
	})
}

// Beyond every bound the grouping must not matter either, and nothing must go uncounted.
func TestMergeBeyondTheBounds(t *testing.T) {
	part := func(from, to int) *Tally {
		var tally Tally
		for _, c := range manyClasses(to)[from:] {
			p := pair([]Class{c}, nil)
			p.Drift = differing(c)
			tally.Add(p, nil)
		}
		return &tally
	}
	a, b, c := part(0, 300), part(200, 500), part(100, 450)
	left := merged(merged(a, b), c)
	for name, other := range map[string]*Tally{"right": merged(a, merged(b, c)), "swapped": merged(c, b, a)} {
		if diff := cmp.Diff(left.stored(), other.stored()); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
	var seen Other
	for _, n := range left.classes {
		seen.Records += n.Records
		seen.Drift += n.Drift
	}
	seen.Records += left.other.Records
	seen.Drift += left.other.Drift
	if want := (Other{Records: 950, Drift: 950}); seen != want || left.Counts(nil, noon).Worse != 950 || left.rest.Units == 0 {
		t.Errorf("counted %+v, want %+v; rest %+v", seen, want, left.rest)
	}
}

func TestAddingIsMergingOneByOne(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var all, parts Tally
		for range rapid.IntRange(0, 8).Draw(r, "pairs") {
			p := Rules{}.Compare(genTrial(r))
			all.Add(p, nil)
			parts.Merge(tallyOf(p))
		}
		if diff := cmp.Diff(all.stored(), parts.stored()); diff != "" {
			r.Fatal(diff)
		}
	})
}

func TestTallyHasABoundedSize(t *testing.T) {
	var tally Tally
	long := strings.Repeat("\x01", 5000)
	const pairs = 2000
	for i := range pairs {
		var ds []Difference
		for j := range 1 + i%3 {
			c := classOf("lines", keyField(fmt.Sprint(i+j, long)), kindValue)
			ds = append(ds, Difference{Class: c, Collection: "lines", ID: long, Field: "metadata.x", Stable: lockstep.String(long), Candidate: lockstep.String(long)})
		}
		tally.Add(Pair{Unit: fmt.Sprint(i, long), Differences: ds, Noise: ds[:i%2], Twice: true}, func(_ lockstep.Collection, _, v string) string { return v })
	}
	if len(tally.sets) != MaxSets || len(tally.classes) != MaxClasses || len(tally.samples) != MaxSamples {
		t.Errorf("%d sets, %d classes, %d samples", len(tally.sets), len(tally.classes), len(tally.samples))
	}
	c := tally.Counts(nil, noon)
	if c.Units != pairs || c.Worse+c.Noise != pairs || c.Twice != pairs {
		t.Errorf("what has no room is not counted: %+v", c)
	}
	records := tally.other.Records
	for _, n := range tally.classes {
		records += n.Records
	}
	if records != 3999 {
		t.Errorf("%d records counted", records)
	}
	bytes := 0
	for _, s := range tally.samples {
		bytes += len(s.Class) + len(s.Unit) + len(s.Collection) + len(s.ID) + len(s.Stable) + len(s.Candidate) + len(s.Derived) + len(s.Right)
	}
	if bytes > MaxSampleBytes {
		t.Errorf("samples of %d bytes", bytes)
	}
	body, err := tally.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var back Tally
	if err := back.UnmarshalJSON(body); err != nil {
		t.Error(err)
	}
}

func TestSamplesAreRedactedBeforeTheyAreCut(t *testing.T) {
	secret := strings.Repeat("x", 64) + "SECRET" + strings.Repeat("x", 41) // a cut would leave SEC
	p := Pair{Unit: "u", Differences: []Difference{
		{Class: shop, Collection: "lines", ID: "a", Field: "metadata.shop", Stable: lockstep.String(secret), Candidate: lockstep.Int(7)},
		{Class: ErrorCandidate, Field: fieldError, Candidate: lockstep.String(errors.New("bad SECRET").Error())},
		{Class: gone, Collection: "lines", ID: "a", Field: fieldRecord, Stable: lockstep.String("present"), Candidate: lockstep.String("absent")},
	}}
	asked := map[string]bool{}
	var tally Tally
	tally.Add(p, func(c lockstep.Collection, field, value string) string {
		asked[string(c)+" "+field] = true
		return strings.ReplaceAll(value, "SECRET", "[gone]")
	})
	body, err := tally.MarshalJSON()
	if err != nil || strings.Contains(string(body), "SEC") || !strings.Contains(string(body), "[gone]") || !strings.Contains(string(body), `"candidate":"int 7"`) {
		t.Errorf("%v: %s", err, body)
	}
	if diff := cmp.Diff(map[string]bool{"lines metadata.shop": true, " error": true}, asked); diff != "" {
		t.Error(diff)
	}
	body, err = tallyOf(p).MarshalJSON()
	if err != nil || strings.Contains(string(body), "xxx") || !strings.Contains(string(body), `"string of 111 bytes"`) || !strings.Contains(string(body), `"present"`) {
		t.Errorf("without a Redact: %v: %s", err, body)
	}
}
