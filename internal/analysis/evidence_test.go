package analysis

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"lockstep/internal/lockstep"
)

func newEvidence(t testing.TB, p Policy) *Evidence {
	t.Helper()
	e, err := NewEvidence(p)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func observe(t testing.TB, e *Evidence, n uint64, s Sample) {
	t.Helper()
	if taken, err := e.Observe(n, s); err != nil || !taken {
		t.Fatalf("window %d: taken %t, %v", n, taken, err)
	}
}

func stored(t testing.TB, e *Evidence) string {
	t.Helper()
	body, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func failures(t Table) Sample { return Sample{Tables: map[string][]Table{"batch-failure": {t}}} }

func drawSample(t *rapid.T) Sample {
	s := Sample{Tables: map[string][]Table{}, Pairs: map[string]Pairs{}}
	for _, g := range []string{"batch-failure", "batch-slow"} {
		for range rapid.IntRange(0, 3).Draw(t, "classes") {
			s.Tables[g] = append(s.Tables[g], drawTable(t, 12))
		}
	}
	n := rapid.Int64Range(0, 10).Draw(t, "compared")
	d := rapid.Int64Range(0, n).Draw(t, "decided")
	s.Pairs["shadow-mismatch"] = Pairs{n, d, rapid.Int64Range(0, d).Draw(t, "worse")}
	s.Split = Split{rapid.SampledFrom([]float64{0, 0.1, 0.25}).Draw(t, "weight"), 0, rapid.Int64Range(0, 50).Draw(t, "stable")}
	return s
}

// Windows arrive twice and in bunches, and the process dies between any two of them: the
// evidence is the same to the last bit.
func TestReplayedWindowsAndRestartsChangeNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		straight, bumpy := newEvidence(t, DefaultPolicy()), newEvidence(t, DefaultPolicy())
		samples := rapid.SliceOfN(rapid.Custom(drawSample), 1, 12).Draw(rt, "samples")
		bake := rapid.IntRange(0, len(samples)).Draw(rt, "bake")
		for i, s := range samples {
			n := uint64(3*i + 1) // numbers may have gaps
			if i == bake {
				straight.StartBake()
				bumpy.StartBake()
			}
			observe(t, straight, n, s)
			observe(t, bumpy, n, s)
			if rapid.Bool().Draw(rt, "restart") {
				next := new(Evidence)
				if err := json.Unmarshal([]byte(stored(t, bumpy)), next); err != nil {
					rt.Fatal(err)
				}
				bumpy = next
			}
			for _, k := range rapid.SliceOfN(rapid.IntRange(0, i), 0, 3).Draw(rt, "replayed") {
				if taken, err := bumpy.Observe(uint64(3*k+1), samples[k]); taken || err != nil {
					rt.Fatalf("window %d again: taken %t, %v", 3*k+1, taken, err)
				}
				if i >= bake {
					bumpy.StartBake() // as a loop that goes on after a crash does
				}
			}
		}
		if a, b := stored(t, straight), stored(t, bumpy); a != b {
			rt.Fatalf("straight\n%s\nwith replays and restarts\n%s", a, b)
		}
	})
}

func TestARefusedSampleLeavesTheEvidenceAsItWas(t *testing.T) {
	e := newEvidence(t, DefaultPolicy())
	observe(t, e, 1, failures(Table{NC: 10, XC: 1, NB: 90}))
	before := stored(t, e)
	for name, s := range map[string]Sample{
		"unknown guard": {Tables: map[string][]Table{"batch-falure": {{NC: 1}}}},
		"wrong test":    {Tables: map[string][]Table{"shadow-mismatch": {{NC: 1}}}},
		"wrong pairs":   {Pairs: map[string]Pairs{"batch-slow": {Compared: 1}}},
		"unknown pairs": {Pairs: map[string]Pairs{"x": {Compared: 1}}},
		"bad table":     {Tables: map[string][]Table{"batch-failure": {{NC: 5, XC: 2, NB: 5}}, "batch-slow": {{NC: 1, XC: 2}}}},
		"bad pairs":     {Tables: map[string][]Table{"batch-failure": {{NC: 5, XC: 2, NB: 5}}}, Pairs: map[string]Pairs{"shadow-mismatch": {Worse: 1}}},
		"bad split":     {Tables: map[string][]Table{"batch-failure": {{NC: 5, XC: 2, NB: 5}}}, Split: Split{Candidate: -1}},
	} {
		if taken, err := e.Observe(2, s); taken || !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s: taken %t, %v; want ErrInvalid", name, taken, err)
		}
		if now := stored(t, e); now != before {
			t.Fatalf("%s: evidence changed to\n%s", name, now)
		}
	}
	_, err := e.Observe(2, Sample{Tables: map[string][]Table{"batch-falure": nil}})
	if err == nil || !strings.Contains(err.Error(), "batch-failure, batch-slow, shadow-mismatch") {
		t.Errorf("an unknown guard is not answered with the known ones: %v", err)
	}
	if _, err := e.Observe(0, Sample{}); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("window 0: %v, want ErrInvalid", err)
	}
}

func TestEvidenceCollectsPerGuard(t *testing.T) {
	e := newEvidence(t, DefaultPolicy())
	classes := []Table{{NC: 4, XC: 1, NB: 30}, {NC: 6, NB: 60, XB: 2}}
	for n := uint64(1); n <= 2; n++ {
		observe(t, e, n, Sample{
			Tables: map[string][]Table{"batch-failure": classes},
			Pairs:  map[string]Pairs{"shadow-mismatch": {Compared: 50, Decided: 6, Worse: 5}},
			Split:  Split{Weight: 0.1, Candidate: 10, Stable: 90},
		})
	}
	p := newProcess(t)
	if err := p.Observe(append(classes, classes...)...); err != nil {
		t.Fatal(err)
	}
	guards := e.Guards()
	if !near(guards[0].LogE, p.LogE(), 1e-12) || guards[1].LogE != 0 || guards[2].LogE != SignLogE(10, 12) {
		t.Errorf("evidence %+v, want %g, 0 and %g", guards, p.LogE(), SignLogE(10, 12))
	}
	table, _, ok := e.Totals("batch-failure")
	if want := (Table{NC: 20, XC: 2, NB: 180, XB: 4}); !ok || table != want {
		t.Errorf("totals %s, want %s", table, want)
	}
	if _, pairs, ok := e.Totals("shadow-mismatch"); !ok || pairs != (Pairs{100, 12, 10}) {
		t.Errorf("totals %+v", pairs)
	}
	if _, _, ok := e.Totals("x"); ok {
		t.Error("totals of a guard that is not there")
	}
	if e.Last() != 2 || e.Windows() != 2 || e.Baking() {
		t.Errorf("last %d, windows %d, baking %t", e.Last(), e.Windows(), e.Baking())
	}
	if l := e.ratio.LogE(); l == 0 {
		t.Error("the split was not counted")
	}
}

func TestThePeakStaysWhenTheEvidenceFalls(t *testing.T) {
	e := newEvidence(t, DefaultPolicy())
	observe(t, e, 1, failures(Table{NC: 10, XC: 5, NB: 90}))
	peak := e.Peak()
	if peak.Window != 1 || peak.LogE <= 0 || len(peak.Guards) != 3 {
		t.Fatalf("peak %+v", peak)
	}
	observe(t, e, 2, failures(Table{NC: 10, NB: 90, XB: 20}))
	if now := e.Peak(); now.LogE != peak.LogE || now.Window != 1 || e.Guards()[0].LogE >= peak.Guards[0].LogE {
		t.Errorf("peak %+v, then %+v with evidence %+v", peak, now, e.Guards())
	}
}

func TestDamagedEvidenceIsRefused(t *testing.T) {
	e := newEvidence(t, DefaultPolicy())
	observe(t, e, 1, failures(Table{NC: 10, XC: 5, NB: 90}))
	body := stored(t, e)
	if err := new(Evidence).UnmarshalJSON([]byte(body)); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"no format":          {`"format":1`, `"format":0`},
		"unknown field":      {`"format":1`, `"format":1,"more":1`},
		"unknown in guard":   {`"test":"arms"`, `"test":"arms","more":1`},
		"margin":             {`{"format":1,"margin":1.25`, `{"format":1,"margin":1.5`},
		"must_detect":        {`"must_detect":3`, `"must_detect":1`},
		"weight":             {`"weight":0.5,"process"`, `"weight":0.6,"process"`},
		"name twice":         {`"name":"batch-slow"`, `"name":"batch-failure"`},
		"no process":         {`"name":"shadow-mismatch","test":"pairs"`, `"name":"shadow-mismatch","test":"arms"`},
		"more bad than all":  {`"xc":5`, `"xc":11`},
		"pairs":              {`"worse":0`, `"worse":1`},
		"peak in the future": {`"window":1`, `"window":2`},
		"no ratio":           {`"ratio":{`, `"ratio":null,"x":{`},
		"windows":            {`"windows":1`, `"windows":-1`},
	} {
		damaged := strings.Replace(body, change[0], change[1], 1)
		if damaged == body {
			t.Fatalf("%s: %s is not in %s", name, change[0], body)
		}
		if err := new(Evidence).UnmarshalJSON([]byte(damaged)); !errors.Is(err, lockstep.ErrCorrupt) {
			t.Errorf("%s: %v, want ErrCorrupt", name, err)
		}
	}
	if err := new(Evidence).UnmarshalJSON([]byte(`{"format":2,"better":true}`)); !errors.Is(err, lockstep.ErrRefused) {
		t.Errorf("newer format: %v, want ErrRefused", err)
	}
}

func FuzzEvidenceState(f *testing.F) {
	e := newEvidence(f, DefaultPolicy())
	f.Add([]byte(stored(f, e)))
	observe(f, e, 4, failures(Table{NC: 10, XC: 5, NB: 90}))
	e.StartBake()
	observe(f, e, 5, failures(Table{NC: 10, XC: 5, NB: 90}))
	f.Add([]byte(stored(f, e)))
	f.Add([]byte(`{"format":1,"guards":[null]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		read, again := new(Evidence), new(Evidence)
		if read.UnmarshalJSON(body) != nil {
			return
		}
		out := stored(t, read)
		if err := again.UnmarshalJSON([]byte(out)); err != nil || stored(t, again) != out {
			t.Fatalf("%s: %v", out, err)
		}
		if _, err := read.Observe(read.Last()+1, Sample{}); err != nil && read.Last() < math.MaxUint64 {
			t.Fatal(err)
		}
	})
}
