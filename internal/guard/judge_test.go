package guard

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// at returns a sample of so many seconds before noon.
func at(ago int, v float64) Sample {
	return Sample{At: noon.Add(-time.Duration(ago) * time.Second), Value: v}
}

func of(s Sample, collection string) Sample {
	s.Labels = map[string]string{"c": collection}
	return s
}

func broken(ago int, why string) Sample {
	return Sample{At: noon.Add(-time.Duration(ago) * time.Second), Err: why}
}

func valueGuard(op Op, limit float64) Guard {
	return Guard{Name: "g", Criterion: Performance, Action: Hold, Source: LedgerSource, Question: "memory_bytes", Window: time.Minute, Test: Test{Kind: Value, Op: op, Limit: limit, Unit: Count}}
}

func (g Guard) with(change func(*Guard)) Guard {
	change(&g)
	return g
}

func TestJudge(t *testing.T) {
	most := valueGuard(AtMost, 10)
	ratio := most.with(func(g *Guard) {
		g.Test.Kind, g.Test.Limit, g.Test.Floor, g.Against = Ratio, 2, 5, "memory_bytes_before"
	})
	grows := most.with(func(g *Guard) { g.Test = Test{Kind: Increase, Op: AtLeast, Limit: 5, Unit: Count} })
	falls := most.with(func(g *Guard) { g.Test = Test{Kind: Decrease, Op: AtMost, Limit: 5, Unit: Count} })
	present := most.with(func(g *Guard) { g.Test = Test{Kind: Present, Unit: Count} })
	absent := most.with(func(g *Guard) { g.Test, g.OnNoData = Test{Kind: Absent, Unit: Count}, NoDataPass })
	reduced := func(r Reduce) Guard { return most.with(func(g *Guard) { g.Test.Reduce = r }) }
	silent := func(n NoData) Guard { return most.with(func(g *Guard) { g.OnNoData = n }) }
	fresh := most.with(func(g *Guard) { g.Fresh = 20 * time.Second })
	nan, inf := math.NaN(), math.Inf(1)
	series := func(samples ...Sample) Series { return Series{Samples: samples} }

	for _, c := range []struct {
		name   string
		g      Guard
		s      Series
		want   Verdict
		reason string
		value  float64
	}{
		{"good", most, series(at(5, 10)), Pass, "10, must be at most 10", 10},
		{"bad", most, series(at(5, 10.5)), Fail, "10.5, must be at most 10", 10.5},
		{"the last one counts, in whatever order", most, series(at(5, 3), at(30, 99)), Pass, "", 3},
		{"a late sample takes its place", most, series(at(5, 99), at(50, 3)), Fail, "", 99},
		{"below", valueGuard(Below, 10), series(at(5, 10)), Fail, "must be below 10", 10},
		{"above", valueGuard(Above, 10), series(at(5, 10)), Fail, "must be above 10", 10},
		{"at least", valueGuard(AtLeast, 10), series(at(5, 10)), Pass, "", 10},
		{"exactly", valueGuard(Equal, 200), series(at(5, 200)), Pass, "must be exactly 200", 200},
		{"unknown comparison", valueGuard("about", 10), series(at(5, 10)), Fail, "", 10},
		{"unknown test", most.with(func(g *Guard) { g.Test.Kind = "feel" }), series(at(5, 10)), Inconclusive, "not known", 0},
		{"unknown reduction", reduced("mode"), series(at(5, 10)), Inconclusive, "", 0},

		{"maximum", reduced(Max), series(at(40, 11), at(5, 3)), Fail, "max 11", 11},
		{"minimum", reduced(Min), series(at(40, 11), at(5, 3)), Pass, "min 3", 3},
		{"mean", reduced(Mean), series(at(40, 11), at(5, 3)), Pass, "mean 7", 7},
		{"sum", reduced(Sum), series(at(40, 11), at(5, 3)), Fail, "sum 14", 14},
		{"a sum beyond all numbers", reduced(Sum), series(at(40, math.MaxFloat64), at(5, math.MaxFloat64)), Inconclusive, "no number", 0},

		{"no samples", most, series(), Inconclusive, "no samples", 0},
		{"no samples hold", silent(NoDataHold), series(), Inconclusive, "no samples", 0},
		{"no samples fail", silent(NoDataFail), series(), Fail, "no samples", 0},
		{"no samples pass", silent(NoDataPass), series(), Pass, "no samples", 0},
		{"stale is inconclusive", most, series(at(61, 3), at(90, 3)), Inconclusive, "newest sample is 1m1s old", 0},
		{"stale fails where silence does", silent(NoDataFail), series(at(61, 3)), Fail, "stale", 0},
		{"stale never passes", silent(NoDataPass), series(at(61, 3)), Inconclusive, "stale", 0},
		{"the window is open at its beginning", most, series(at(60, 3)), Inconclusive, "stale", 0},
		{"not fresh", fresh, series(at(21, 3)), Inconclusive, "stale: the newest sample is 21s old, at most 20s", 0},
		{"not fresh, though bad", fresh, series(at(21, 99)), Inconclusive, "stale", 0},
		{"fresh", fresh, series(at(20, 3)), Pass, "", 3},

		{"a clock a little ahead", most, series(at(-59, 3)), Pass, "", 3},
		{"a clock far ahead", most, series(at(-61, 3)), Inconclusive, "clocks differ", 0},
		{"a clock far ahead is no silence", silent(NoDataFail), series(at(-61, 3)), Inconclusive, "clocks differ", 0},
		{"a clock far ahead never passes", silent(NoDataPass), series(at(-61, 3)), Inconclusive, "clocks differ", 0},
		{"one far ahead among good ones", most, series(at(-61, 99), at(5, 3)), Pass, "", 3},
		{"undated", most, series(Sample{Value: 3}), Inconclusive, "no sample is a number", 0},

		{"NaN", most, series(at(5, nan)), Inconclusive, "no number", 0},
		{"infinite", valueGuard(AtLeast, 10), series(at(5, inf)), Inconclusive, "no number", 0},
		{"NaN never passes", silent(NoDataPass), series(at(5, nan)), Inconclusive, "no number", 0},
		{"NaN fails where silence does", silent(NoDataFail), series(at(5, nan)), Fail, "no number", 0},
		{"NaN newest", most, series(at(30, 3), at(5, nan)), Inconclusive, "newest sample is no number", 0},
		{"NaN before", most, series(at(5, 3), at(30, nan)), Pass, "", 3},
		{"NaN with a note", most, series(Sample{At: noon, Value: nan, Note: "too few units"}), Inconclusive, "(too few units)", 0},

		{"the source failed", most, Series{Err: "connection refused"}, Broken, "connection refused", 0},
		{"the source failed and there are samples", most, Series{Err: "x", Samples: []Sample{at(5, 3)}}, Broken, "x", 0},
		{"every sample failed", most, series(broken(5, "throttled")), Broken, "no sample could be taken: throttled", 0},
		{"every sample failed, silence fails", silent(NoDataFail), series(broken(5, "throttled")), Broken, "", 0},
		{"the newest failed", most, series(at(30, 3), broken(5, "throttled")), Broken, "newest sample could not", 0},
		{"an older one failed", most, series(at(5, 3), broken(30, "throttled")), Pass, "", 3},

		{"a partial answer does not pass", most, Series{Samples: []Sample{at(5, 3)}, Warnings: []string{"one store is down"}}, Inconclusive, "partial (one store is down)", 3},
		{"a partial answer fails", most, Series{Samples: []Sample{at(5, 99)}, Warnings: []string{"one store is down"}}, Fail, "", 99},

		{"the worst series counts", most, series(of(at(5, 3), "lines"), of(at(5, 99), "words")), Fail, `99 for {c="words"}`, 99},
		{"all series are good", most, series(of(at(5, 3), "lines"), of(at(5, 9), "words")), Pass, "", 3},

		{"ratio", ratio, Series{Samples: []Sample{at(5, 20)}, Stable: []Sample{at(5, 10)}}, Pass, "20, stable 10, must be at most 2 times stable's, or at most 5", 20},
		{"ratio too high", ratio, Series{Samples: []Sample{at(5, 21)}, Stable: []Sample{at(5, 10)}}, Fail, "", 21},
		{"ratio below the floor", ratio, Series{Samples: []Sample{at(5, 5)}, Stable: []Sample{at(5, 1)}}, Pass, "", 5},
		{"ratio to nothing", ratio, Series{Samples: []Sample{at(5, 6)}, Stable: []Sample{at(5, 0)}}, Fail, "", 6},
		{"ratio without stable", ratio, series(at(5, 6)), Inconclusive, "stable has no samples", 6},
		{"ratio with old stable", ratio, Series{Samples: []Sample{at(5, 6)}, Stable: []Sample{at(65, 6)}}, Inconclusive, "stable has no samples", 6},
		{"ratio with broken stable", ratio, Series{Samples: []Sample{at(5, 6)}, Stable: []Sample{broken(5, "x")}}, Broken, "stable: ", 0},
		{"ratio with NaN stable", ratio, Series{Samples: []Sample{at(5, 6)}, Stable: []Sample{at(5, nan)}}, Inconclusive, "stable: ", 0},
		{"ratio beyond all numbers", ratio, Series{Samples: []Sample{at(5, 6)}, Stable: []Sample{at(5, math.MaxFloat64)}}, Inconclusive, "no number", 6},
		{"ratio by labels", ratio, Series{
			Samples: []Sample{of(at(5, 20), "a"), of(at(5, 200), "b")},
			Stable:  []Sample{of(at(5, 10), "a"), of(at(5, 100), "b")},
		}, Pass, "", 20},
		{"ratio by labels, one without stable", ratio, Series{
			Samples: []Sample{of(at(5, 20), "a"), of(at(5, 20), "b")},
			Stable:  []Sample{of(at(5, 10), "a")},
		}, Inconclusive, "stable has no samples", 20},
		{"ratio with one stable for all", ratio, Series{
			Samples: []Sample{of(at(5, 20), "a"), of(at(5, 21), "b")},
			Stable:  []Sample{at(5, 10)},
		}, Fail, `21 for {c="b"}`, 21},

		{"it grew", grows, series(at(50, 100), at(5, 105)), Pass, "increase 5, must grow by at least 5", 5},
		{"it did not grow enough", grows, series(at(50, 100), at(5, 104)), Fail, "", 4},
		{"a restart at zero", grows, series(at(50, 100), at(30, 2), at(5, 5)), Pass, "", 5},
		{"one sample shows no growth", grows, series(at(5, 100)), Inconclusive, "too few samples", 0},
		{"it fell", falls, series(at(50, 100), at(5, 94)), Fail, "decrease 6, must fall by at most 5", 6},
		{"it rose", falls, series(at(50, 100), at(5, 120)), Pass, "", -20},

		{"present", present, series(at(5, 0)), Pass, "it is there", 0},
		{"not present", present, series(), Fail, "no samples", 0},
		{"present long ago", present, series(at(90, 1)), Fail, "stale", 0},
		{"present as NaN", present, series(at(5, nan)), Inconclusive, "no number", 0},
		{"present, source failed", present, Series{Err: "x"}, Broken, "x", 0},
		{"absent", absent, series(), Pass, "no samples", 0},
		{"absent by now", absent, series(at(90, 1)), Pass, "", 0},
		{"not absent", absent, series(at(5, 1)), Fail, "it is there", 0},
		{"absent, source failed", absent, Series{Err: "x"}, Broken, "x", 0},
		{"absent as NaN", absent, series(at(5, nan)), Inconclusive, "no number", 0},
	} {
		r, next := Judge(c.g, c.s, DebounceState{}, noon)
		if r.Verdict != c.want || !strings.Contains(r.Reason, c.reason) || r.Value != c.value {
			t.Errorf("%s: %s, %g (%s), want %s, %g (%s)", c.name, r.Verdict, r.Value, r.Reason, c.want, c.value, c.reason)
		}
		if r.Guard != "g" || r.Criterion != Performance || r.Action != Hold || !r.At.Equal(noon) || next.Verdict != r.Verdict || next.Since != r.Since {
			t.Errorf("%s: %+v, %+v", c.name, r, next)
		}
	}
}

func TestDebounce(t *testing.T) {
	g := valueGuard(AtMost, 10).of(2, 3)
	const good, bad = 1.0, 99.0
	nan := math.NaN()
	for _, c := range []struct {
		name   string
		values []float64 // one look every 10 seconds
		want   []Verdict
	}{
		{"the first failure waits", []float64{good, bad, good}, []Verdict{Pass, Inconclusive, Pass}},
		{"two of three fail", []float64{bad, good, bad}, []Verdict{Inconclusive, Pass, Fail}},
		{"one good look does not clear it", []float64{bad, bad, good, good, good}, []Verdict{Inconclusive, Fail, Fail, Pass, Pass}},
		{"a gap neither adds nor clears", []float64{bad, nan, bad, good}, []Verdict{Inconclusive, Inconclusive, Fail, Fail}},
		{"a gap hides a failure no longer than it lasts", []float64{bad, bad, nan, bad}, []Verdict{Inconclusive, Fail, Inconclusive, Fail}},
	} {
		var state DebounceState
		for i, v := range c.values {
			now := noon.Add(time.Duration(i) * 10 * time.Second)
			var r Result
			r, state = Judge(g, Series{Samples: []Sample{{At: now, Value: v}}}, state, now)
			if r.Verdict != c.want[i] {
				t.Errorf("%s: look %d: %s (%s), want %s", c.name, i, r.Verdict, r.Reason, c.want[i])
			}
			b, err := json.Marshal(state)
			var back DebounceState
			if err != nil || json.Unmarshal(b, &back) != nil || cmp.Diff(state, back) != "" {
				t.Errorf("%s: the state does not survive being stored: %s, %v", c.name, b, err)
			}
			state = back
		}
	}
}

func TestLookingTwiceAtOneSampleIsOneLook(t *testing.T) {
	g := valueGuard(AtMost, 10).of(2, 2)
	s := Series{Samples: []Sample{at(5, 99)}}
	var r Result
	var state DebounceState
	for i := range 5 {
		if r, state = Judge(g, s, state, noon.Add(time.Duration(i)*time.Second)); r.Verdict != Inconclusive {
			t.Fatalf("look %d: %s", i, r.Verdict)
		}
	}
	s.Samples = append(s.Samples, at(-10, 99))
	if r, _ = Judge(g, s, state, noon.Add(10*time.Second)); r.Verdict != Fail || !r.Since.Equal(noon.Add(-5*time.Second)) {
		t.Errorf("%s since %s", r.Verdict, r.Since)
	}
}

func TestFailuresOfLongAgoAreForgotten(t *testing.T) {
	g := valueGuard(AtMost, 10).of(2, 2)
	_, state := Judge(g, Series{Samples: []Sample{at(0, 99)}}, DebounceState{}, noon)
	later := noon.Add(2 * time.Minute) // the windows of both looks
	r, _ := Judge(g, Series{Samples: []Sample{{At: later, Value: 99}}}, state, later)
	if r.Verdict != Inconclusive {
		t.Errorf("%s: %s", r.Verdict, r.Reason)
	}
}

func TestAClockPutRightDoesNotStopTheLooks(t *testing.T) {
	g := valueGuard(AtMost, 10)
	ahead := noon.Add(time.Hour)
	_, state := Judge(g, Series{Samples: []Sample{{At: ahead, Value: 1}}}, DebounceState{}, ahead)
	if r, _ := Judge(g, Series{Samples: []Sample{at(0, 99)}}, state, noon); r.Verdict != Fail {
		t.Errorf("%s: %s", r.Verdict, r.Reason)
	}
}

func TestAVerdictKeepsItsBeginning(t *testing.T) {
	g := valueGuard(AtMost, 10)
	var state DebounceState
	var r Result
	for i, want := range []int{0, 0, 2, 2, 4} {
		now := noon.Add(time.Duration(i) * time.Second)
		v := []float64{1, 1, 99, 99, 1}[i]
		r, state = Judge(g, Series{Samples: []Sample{{At: now, Value: v}}}, state, now)
		if !r.Since.Equal(noon.Add(time.Duration(want) * time.Second)) {
			t.Errorf("look %d: %s since %s", i, r.Verdict, r.Since)
		}
	}
}

var anySample = rapid.Custom(func(t *rapid.T) Sample {
	s := at(rapid.IntRange(-200, 200).Draw(t, "ago"), rapid.SampledFrom([]float64{0, 1, 10, 11, -5, math.NaN(), math.Inf(1), math.Inf(-1), 1e308}).Draw(t, "value"))
	if rapid.IntRange(0, 9).Draw(t, "err") == 0 {
		s.Err = "x"
	}
	if rapid.IntRange(0, 3).Draw(t, "label") == 0 {
		s = of(s, rapid.SampledFrom([]string{"a", "b"}).Draw(t, "c"))
	}
	return s
})

var anyGuard = rapid.Custom(func(t *rapid.T) Guard {
	g := valueGuard(rapid.SampledFrom(append(Ops(), "odd")).Draw(t, "op"), rapid.SampledFrom([]float64{-10, 0, 10}).Draw(t, "limit"))
	g.Test.Kind = rapid.SampledFrom(append(Kinds(), "odd")).Draw(t, "kind")
	g.Test.Reduce = rapid.SampledFrom(append(Reduces(), "", "odd")).Draw(t, "reduce")
	g.OnNoData = rapid.SampledFrom(append(NoDatas(), "")).Draw(t, "nodata")
	g.Fresh = time.Duration(rapid.IntRange(0, 60).Draw(t, "fresh")) * time.Second
	return g
})

// usable says whether a sample could show anything at noon.
func usable(s Sample) bool {
	return s.Err == "" && finite(s.Value) && s.At.After(noon.Add(-time.Minute)) && !s.At.After(noon.Add(MaxSkew))
}

func TestOnlyWhatWasSeenPasses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := anyGuard.Draw(t, "guard")
		s := Series{Samples: rapid.SliceOfN(anySample, 0, 6).Draw(t, "samples"), Stable: rapid.SliceOfN(anySample, 0, 3).Draw(t, "stable")}
		r, _ := Judge(g, s, DebounceState{}, noon)
		seen := slices.ContainsFunc(s.Samples, usable)
		if r.Verdict == Pass && !seen && g.OnNoData != NoDataPass {
			t.Fatalf("passed without a sample: %+v", r)
		}
		if r.Verdict == Pass && g.Test.Kind != Absent && g.Test.Kind != Present && seen && (r.Samples == 0 || !finite(r.Value) || !finite(r.Threshold)) {
			t.Fatalf("passed on nothing that can be shown: %+v", r)
		}
		if Worst(r.Verdict) != r.Verdict || r.Reason == "" || !finite(r.Value) || !finite(r.Threshold) {
			t.Fatalf("%+v", r)
		}
		if _, err := json.Marshal(r); err != nil {
			t.Fatal(err)
		}
		shuffled := Series{Samples: rapid.Permutation(s.Samples).Draw(t, "order"), Stable: s.Stable}
		if again, _ := Judge(g, shuffled, DebounceState{}, noon); again.Verdict != r.Verdict || again.Value != r.Value {
			t.Fatalf("the order decides: %+v and %+v", r, again)
		}
		if b, _ := Judge(g, Series{Err: "gone", Samples: s.Samples}, DebounceState{}, noon); b.Verdict != Broken {
			t.Fatalf("a failed source is %s", b.Verdict)
		}
	})
}
