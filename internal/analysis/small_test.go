package analysis

import (
	"encoding/json"
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"

	"lockstep/internal/lockstep"
)

func TestVerdictsAreOrderedFromPassToFail(t *testing.T) {
	order := Verdicts()
	for i, a := range order {
		for k, b := range order {
			if got := Worst(a, b); got != order[max(i, k)] {
				t.Errorf("worst of %s and %s is %s", a, b, got)
			}
		}
	}
	var unsaid Verdict
	if unsaid != Inconclusive || Worst(Pass, unsaid) == Pass {
		t.Error("a verdict nobody gave is good news")
	}
	if Worst(Pass, Verdict(9)) == Pass {
		t.Error("what is no verdict passes")
	}
}

func TestVerdictsAreWordsInText(t *testing.T) {
	for _, v := range Verdicts() {
		body, err := json.Marshal(v)
		var back Verdict
		if err != nil || string(body) != `"`+v.String()+`"` || json.Unmarshal(body, &back) != nil || back != v {
			t.Errorf("%s: written %s (%v), read %s", v, body, err, back)
		}
	}
	if _, err := Verdict(9).MarshalText(); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("writing verdict 9: %v, want ErrInvalid", err)
	}
	for _, text := range []string{"", "Pass", "ok", "passed"} {
		v := Fail
		if err := v.UnmarshalText([]byte(text)); !errors.Is(err, lockstep.ErrInvalid) || v != Fail {
			t.Errorf("reading %q: %v, now %s; want ErrInvalid and no change", text, err, v)
		}
	}
}

func TestALimitFiresWhenMOfTheLastNExceedIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "n")
		m := rapid.IntRange(1, n).Draw(t, "m")
		series := rapid.SliceOfN(rapid.Bool(), 0, 30).Draw(t, "series")
		d, err := NewDebounce(m, n)
		if err != nil {
			t.Fatal(err)
		}
		for i, exceeded := range series {
			before := d.Exceeded()
			next := d.Next(exceeded)
			if d.Exceeded() != before {
				t.Fatal("Next changed the value it was called on")
			}
			d = next
			count := 0
			for _, e := range series[max(0, i+1-n) : i+1] {
				if e {
					count++
				}
			}
			if d.Fires() != (count >= m) || d.Exceeded() != count {
				t.Fatalf("%s after %v: fires %t with %d", d, series[:i+1], d.Fires(), count)
			}
			body, err := json.Marshal(d)
			var back Debounce
			if err != nil || json.Unmarshal(body, &back) != nil || back.String() != d.String() || back.Exceeded() != count {
				t.Fatalf("stored as %s (%v), read as %+v", body, err, back)
			}
			d = back
		}
	})
}

func TestALimitThatCannotFireOrIsDamagedIsRefused(t *testing.T) {
	for _, c := range [][2]int{{0, 5}, {6, 5}, {-1, 5}, {1, maxDebounce + 1}} {
		if _, err := NewDebounce(c[0], c[1]); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%v: %v, want ErrInvalid", c, err)
		}
	}
	if (Debounce{}).Fires() {
		t.Error("a limit nobody set fires")
	}
	for _, body := range []string{`{}`, `{"m":3,"n":2}`, `{"m":1,"n":1,"recent":[true,true]}`, `{"m":1,"n":1,"x":1}`, `{"m":1,"n":1} 1`} {
		var d Debounce
		if err := d.UnmarshalJSON([]byte(body)); !errors.Is(err, lockstep.ErrCorrupt) {
			t.Errorf("%s: %v, want ErrCorrupt", body, err)
		}
	}
}

func FuzzDebounceState(f *testing.F) {
	f.Add([]byte(`{"m":3,"n":5,"recent":[true,false]}`))
	f.Add([]byte(`{"m":1,"n":1}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var d, again Debounce
		if d.UnmarshalJSON(body) != nil {
			return
		}
		out, err := json.Marshal(d)
		if err != nil || again.UnmarshalJSON(out) != nil || again.Fires() != d.Fires() {
			t.Fatalf("%s became %s (%v)", body, out, err)
		}
	})
}

func TestTheJointRuleIsTheWeightedMeanAndNamesTheCulprit(t *testing.T) {
	guards := func(a, b float64) []Weighted {
		return []Weighted{{"a", 0.75, math.Log(a)}, {"b", 0.25, math.Log(b)}}
	}
	joint, err := Joint(guards(40, 8))
	if err != nil || !near(math.Exp(joint), 32, 1e-9) {
		t.Errorf("joint evidence %g, %v, want 32", math.Exp(joint), err)
	}
	for _, c := range []struct {
		a, b float64
		want string
	}{
		{40, 8, ""},
		{134, 0.001, "a"},
		{0.001, 401, "b"},
		{100, 100.01, CulpritJoint},
		{200, 2000, "b"}, // both alone: .25 * 2000 is more
		{4000, 2000, "a"},
	} {
		if got := Culprit(guards(c.a, c.b), 0.01); got != c.want {
			t.Errorf("evidence %g and %g: culprit %q, want %q", c.a, c.b, got, c.want)
		}
	}
	if l, err := Joint([]Weighted{{"a", 0.3, 0}, {"b", 0.3, 0}, {"c", 0.4, 0}}); err != nil || l != 0 {
		t.Errorf("no evidence at all: %g, %v, want exactly 0", l, err)
	}
	if l, err := Joint([]Weighted{{"a", 0.5, 1e5}, {"b", 0.5, -1e5}}); err != nil || !near(l, 1e5-math.Ln2, 1e-6) {
		t.Errorf("evidence beyond a float64: %g, %v", l, err)
	}
}

func TestJointWeightsThatDoNotSumToOneAreRefused(t *testing.T) {
	for name, gs := range map[string][]Weighted{
		"none":     nil,
		"too much": {{"a", 0.6, 0}, {"b", 0.6, 0}},
		"too few":  {{"a", 0.6, 9}},
		"negative": {{"a", 1.5, 0}, {"b", -0.5, 0}},
		"NaN":      {{"a", math.NaN(), 0}},
	} {
		if _, err := Joint(gs); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
		if c := Culprit(gs, 0.01); c != "" {
			t.Errorf("%s: culprit %q", name, c)
		}
	}
}

func TestTheSampleRatioOfAReleaseMultipliesOverItsWeights(t *testing.T) {
	var r Ratio
	observe := func(w float64, c, s int64) {
		t.Helper()
		if err := r.Observe(Split{Weight: w, Candidate: c, Stable: s}); err != nil {
			t.Fatal(err)
		}
	}
	observe(0.1, 100, 900)
	if l := r.LogE(); !near(l, -1.206605, 1e-6) || r.Broken() {
		t.Fatalf("an even split: %g, broken %t", l, r.Broken())
	}
	observe(0.25, 0, 0) // no keys: still the old weight
	observe(0.25, 260, 740)
	later, err := SampleRatio(260, 740, 0.25)
	if err != nil || !near(r.LogE(), -1.206605+later, 1e-6) {
		t.Fatalf("two weights: %g, want %g (%v)", r.LogE(), -1.206605+later, err)
	}
	body, err := json.Marshal(&r)
	var back Ratio
	if err != nil || json.Unmarshal(body, &back) != nil || back != r {
		t.Fatalf("stored as %s (%v), read as %+v", body, err, back)
	}
	observe(0.5, 600, 400)
	if !r.Broken() || back.Broken() {
		t.Errorf("600 of 1000 at one half: broken %t with %g", r.Broken(), r.LogE())
	}
	observe(1, 10, 0)
	observe(0, 0, 10)
	if r.Misplaced() != 0 {
		t.Errorf("%d misplaced keys", r.Misplaced())
	}
	back = Ratio{}
	if err := back.Observe(Split{Weight: 0, Candidate: 1}); err != nil || !back.Broken() || back.LogE() != 0 {
		t.Errorf("a key at weight 0: %v, broken %t", err, back.Broken())
	}
}

func TestSplitsThatCannotBeAreRefused(t *testing.T) {
	for _, s := range []Split{{Weight: -0.1}, {Weight: 1.1}, {Weight: math.NaN()}, {Candidate: -1}, {Stable: MaxUnits + 1}} {
		r := Ratio{}
		if err := r.Observe(s); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%+v: %v, want ErrInvalid", s, err)
		}
	}
	for _, w := range []float64{0, 1, math.NaN()} {
		if _, err := SampleRatio(1, 1, w); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("weight %g: %v, want ErrInvalid", w, err)
		}
	}
	for _, body := range []string{`{}x`, `{"before":0,"now":{"weight":1,"candidate":0,"stable":0},"misplaced":0}`, `{"before":0,"misplaced":-1}`, `{"x":1}`, `{"now":{"weight":0,"candidate":1,"stable":0}}`} {
		var r Ratio
		if err := r.UnmarshalJSON([]byte(body)); !errors.Is(err, lockstep.ErrCorrupt) {
			t.Errorf("%s: %v, want ErrCorrupt", body, err)
		}
	}
}

func TestTheAbsolutePassNeedsTheUnitsItSays(t *testing.T) {
	a := Absolute{Max: 0.02, Plan: 0.005}
	for _, c := range [][2]int64{{0, 0}, {100, 0}, {150, 2}} {
		n := a.MoreGood(0.05, c[0], c[1])
		if l := a.LogE(c[0]+n, c[1]); l < -math.Log(0.05) {
			t.Errorf("%d more good units after %v: %g does not pass", n, c, l)
		}
		if l := a.LogE(c[0]+n-1, c[1]); l >= -math.Log(0.05) {
			t.Errorf("one less than %d more good units after %v passes", n, c)
		}
	}
	if n := a.MoreGood(0.05, 1000, 0); n != 0 {
		t.Errorf("%d more units after it has passed", n)
	}
	// With next to no planned rate it is the least number of units there is.
	if n := (Absolute{Max: 0.02, Plan: 1e-12}).MoreGood(0.05, 0, 0); n != MinUnits(0.05, 0.02) {
		t.Errorf("%d units, want %d", n, MinUnits(0.05, 0.02))
	}
	for _, bad := range []Absolute{{}, {Max: 0.1, Plan: 0.1}, {Max: 1, Plan: 0.5}, {Max: 0.1, Plan: -1}, {Max: math.NaN(), Plan: 0.1}} {
		if err := bad.Check(); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%+v: %v, want ErrInvalid", bad, err)
		}
	}
}

func TestPairsMustContainEachOther(t *testing.T) {
	if err := (Pairs{Compared: 5, Decided: 3, Worse: 3}).Check(); err != nil {
		t.Error(err)
	}
	for _, p := range []Pairs{{Worse: 1}, {Compared: 1, Decided: 2}, {Compared: 2, Decided: 1, Worse: 2}, {Compared: 1, Worse: -1}, {Compared: MaxUnits + 1}} {
		if err := p.Check(); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%+v: %v, want ErrInvalid", p, err)
		}
	}
}

func TestThePolicyIsCheckedFieldByField(t *testing.T) {
	if err := DefaultPolicy().Check(); err != nil {
		t.Fatal(err)
	}
	if p, err := (Policy{}).Resolved(); err != nil || p.Alpha != 0.01 || len(p.Guards) != 3 || p.OnInconclusive.Extend != 2 {
		t.Errorf("defaults: %+v, %v", p, err)
	}
	for name, spoil := range map[string]func(*Policy){
		"alpha":         func(p *Policy) { p.Alpha = 0.6 },
		"alpha NaN":     func(p *Policy) { p.Alpha = math.NaN() },
		"beta":          func(p *Policy) { p.Beta = 0 },
		"margin":        func(p *Policy) { p.Margin = 0.9 },
		"must_detect":   func(p *Policy) { p.MustDetect = 1.25 },
		"window":        func(p *Policy) { p.Window = 0 },
		"false alarm":   func(p *Policy) { p.FalseAlarm = p.Window - 1 },
		"exposures":     func(p *Policy) { p.MinExposures = -1 },
		"no data":       func(p *Policy) { p.OnNoData = "pass" },
		"inconclusive":  func(p *Policy) { p.OnInconclusive.Then = "promote" },
		"extend":        func(p *Policy) { p.OnInconclusive.Extend = -1 },
		"alternatives":  func(p *Policy) { p.Alternatives = p.Alternatives[1:] },
		"no guards":     func(p *Policy) { p.Guards = []GuardPolicy{} },
		"weights":       func(p *Policy) { p.Guards[0].Weight = 0.6 },
		"guard twice":   func(p *Policy) { p.Guards[1].Name = p.Guards[0].Name },
		"no name":       func(p *Policy) { p.Guards[1].Name = "" },
		"called joint":  func(p *Policy) { p.Guards[1].Name = CulpritJoint },
		"test":          func(p *Policy) { p.Guards[1].Test = "" },
		"p_max":         func(p *Policy) { p.Guards[1].PMax = 1 },
		"p_plan":        func(p *Policy) { p.Guards[1].PPlan = 0.3 },
		"p_plan alone":  func(p *Policy) { p.Guards[1].PMax, p.Guards[1].PPlan = 0, 0.3 },
		"stable_max":    func(p *Policy) { p.Guards[1].StableMax = -1 },
		"guard weights": func(p *Policy) { p.Guards[1].Weight, p.Guards[2].Weight = -0.2, 0.7 },
	} {
		p := DefaultPolicy()
		spoil(&p)
		if err := p.Check(); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
		if _, err := NewEvidence(p); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s: evidence was made: %v", name, err)
		}
	}
}
