package guard

import (
	"encoding/json"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"lockstep/internal/lockstep"
)

var anyVerdict = rapid.SampledFrom([]Verdict{Pass, Inconclusive, Broken, Fail, "", "PASS", "ok"})

// level is the order of the document, written down once more.
func level(v Verdict) int {
	for i, known := range []Verdict{Pass, Inconclusive, Broken, Fail} {
		if v == known {
			return i
		}
	}
	return 4
}

func TestWorstIsTheHighestInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := anyVerdict.Draw(t, "a"), anyVerdict.Draw(t, "b"), anyVerdict.Draw(t, "c")
		if Worst(a, b) != Worst(b, a) {
			t.Fatalf("%s, %s: not commutative", a, b)
		}
		if x, y := Worst(Worst(a, b), c), Worst(a, Worst(b, c)); x != y || x != Worst(a, b, c) {
			t.Fatalf("%s, %s, %s: not associative: %s, %s", a, b, c, x, y)
		}
		if got, want := level(Worst(a, b, c)), max(level(a), level(b), level(c)); got != want {
			t.Fatalf("%s, %s, %s: level %d, want %d", a, b, c, got, want)
		}
	})
}

func TestWorstOfNothingIsNoPass(t *testing.T) {
	if got := Worst(); got != Inconclusive {
		t.Errorf("%s", got)
	}
}

func TestVerdictsAreStoredAsTheirWords(t *testing.T) {
	for _, v := range Verdicts() {
		b, err := json.Marshal(v)
		var back Verdict
		if err != nil || json.Unmarshal(b, &back) != nil || back != v || v.String() != string(v) {
			t.Errorf("%s: %s, %v", v, b, err)
		}
	}
	for _, v := range []Verdict{"", "PASS", "passed"} {
		back := Fail
		if _, err := v.MarshalText(); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%q was stored", string(v))
		}
		if err := back.UnmarshalText([]byte(v)); !errors.Is(err, lockstep.ErrInvalid) || back != Fail {
			t.Errorf("%q was read as %s: %v", string(v), back, err)
		}
		if v.String() != "unknown" {
			t.Errorf("%q is shown as %s", string(v), v)
		}
	}
	var d Decision
	if err := d.UnmarshalText([]byte("great")); !errors.Is(err, lockstep.ErrInvalid) || d != "" {
		t.Errorf("decision %q: %v", d, err)
	}
}

func TestEveryWordHasASentence(t *testing.T) {
	seen := map[string]bool{}
	add := func(what, sentence string) {
		if sentence == "" || seen[sentence] {
			t.Errorf("%s: %q", what, sentence)
		}
		seen[sentence] = true
	}
	for _, v := range append(Verdicts(), "?") {
		add(v.String(), v.Sentence())
	}
	for _, c := range Criteria() {
		add(string(c), c.Title())
		add(string(c), c.Sentence())
	}
	for _, d := range append(Decisions(), "?") {
		add(string(d), d.Sentence())
	}
	for _, n := range Needs() {
		add(string(n), n.Sentence())
	}
	if Criterion("x").Title()+Criterion("x").Sentence()+Need("x").Sentence() != "" || !Criterion("x").Trigger() {
		t.Error("an unknown word is known, or does not count")
	}
}
