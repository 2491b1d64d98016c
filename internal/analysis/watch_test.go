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

// promoted is the evidence of a candidate that had 4 of 1,000 units bad.
func promoted(t testing.TB) (*Evidence, Policy) {
	t.Helper()
	p := DefaultPolicy()
	e := newEvidence(t, p)
	observe(t, e, 1, Sample{Tables: map[string][]Table{"batch-failure": {{NC: 1000, XC: 4, NB: 1000, XB: 4}}, "batch-slow": {{NC: 1000, XC: 100, NB: 1000, XB: 100}}}})
	return e, p
}

func newWatch(t testing.TB) (*Watch, Policy) {
	t.Helper()
	e, p := promoted(t)
	w, err := NewWatch(e, p, "batch-failure", "batch-slow")
	if err != nil {
		t.Fatal(err)
	}
	return w, p
}

func TestALimitIsWhatTheCandidateHadEarned(t *testing.T) {
	w, _ := newWatch(t)
	for i, want := range []float64{0.006228, 0.1229} { // 1.25 times the odds of 5/1002 and of 101/1002
		if got := w.state.Guards[i].Limit; !near(got, want, 1e-4) {
			t.Errorf("%s: %g, want %g", w.state.Guards[i].Name, got, want)
		}
	}
	p := DefaultPolicy()
	unseen, err := NewWatch(newEvidence(t, p), p, "batch-failure")
	if err != nil || unseen.state.Guards[0].Limit != maxEarned {
		t.Errorf("of a candidate that nobody saw at work: %+v, %v", unseen, err)
	}
	other := p
	other.Margin = 2
	if _, err := NewWatch(newEvidence(t, p), other, "batch-failure"); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("under another policy: %v", err)
	}
	if _, err := NewWatch(newEvidence(t, p), p, "shadow-mismatch"); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("by a guard that compares no arms: %v", err)
	}
}

// TestTheExpectationOfAWatchIsAtMostOne enumerates every outcome of a window.
func TestTheExpectationOfAWatchIsAtMostOne(t *testing.T) {
	w, _ := newWatch(t)
	g := w.state.Guards[0]
	const n = 20
	for _, share := range []float64{0.5, 0.9, 1, 1.2} {
		p := share * g.Limit
		sum := 0.0
		for x := range int64(n + 1) {
			one := *g
			one.LogD = make([]float64, len(g.LogD))
			one.observe(Rate{n, x}, w.state.Alternatives)
			lc, _ := math.Lgamma(n + 1)
			la, _ := math.Lgamma(float64(x + 1))
			lb, _ := math.Lgamma(float64(n - x + 1))
			sum += math.Exp(lc - la - lb + float64(x)*math.Log(p) + float64(n-x)*math.Log1p(-p) + mixture(w.state.Alternatives, one.LogD))
		}
		if over := sum > 1+1e-9; over != (share > 1) {
			t.Errorf("at %g of the limit the e-value is %.9f on average", share, sum)
		}
	}
}

func TestAFaultThatBeginsAfterThePromotionRaisesTheAlarmAndHealthRaisesNone(t *testing.T) {
	draw := newSource(7)
	w, p := newWatch(t)
	n := uint64(0)
	week := func(windows int, bad float64) (after int) {
		for i := range windows {
			n++
			if _, err := w.Observe(n, map[string]Rate{"batch-failure": {20, draw.binomial(20, bad)}, "batch-slow": {20, draw.binomial(20, 0.1)}}); err != nil {
				t.Fatal(err)
			}
			if _, raised := w.Alarm(p); raised {
				return i + 1
			}
		}
		return 0
	}
	if after := week(5000, 0.005); after != 0 {
		t.Fatalf("a false alarm after %d windows: %+v", after, w.Peak())
	}
	after := week(200, 0.1)
	reason, raised := w.Alarm(p)
	if after == 0 || after > 40 || !raised || !strings.HasPrefix(reason, "batch-failure: ") {
		t.Errorf("a fault in one unit of ten after %d windows: %q", after, reason)
	}
	if week(1, 0) != 1 {
		t.Error("an alarm goes away again")
	}
}

func TestAWatchThatWasStoredGoesOnToTheLastBit(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		straight, _ := newWatch(t)
		bumpy, _ := newWatch(t)
		for n := range uint64(rapid.IntRange(1, 12).Draw(rt, "windows")) {
			units := rapid.Int64Range(0, 30).Draw(rt, "units")
			rates := map[string]Rate{"batch-failure": {units, rapid.Int64Range(0, units).Draw(rt, "bad")}}
			for _, w := range []*Watch{straight, bumpy} {
				if taken, err := w.Observe(n+1, rates); !taken || err != nil {
					rt.Fatal(taken, err)
				}
			}
			body, err := json.Marshal(bumpy)
			if err != nil {
				rt.Fatal(err)
			}
			bumpy = &Watch{}
			if err := json.Unmarshal(body, bumpy); err != nil {
				rt.Fatal(err)
			}
			if taken, err := bumpy.Observe(n+1, rates); taken || err != nil {
				rt.Fatal("a window counts twice", err)
			}
		}
		a, errA := json.Marshal(straight)
		b, errB := json.Marshal(bumpy)
		if errA != nil || errB != nil || string(a) != string(b) {
			rt.Fatalf("%s, stored between the windows %s", a, b)
		}
	})
}

func TestAWatchRefusesWhatCannotBe(t *testing.T) {
	w, _ := newWatch(t)
	for _, rates := range []map[string]Rate{{"x": {1, 0}}, {"batch-slow": {1, 2}}, {"batch-slow": {-1, -1}}} {
		if taken, err := w.Observe(1, rates); taken || !errors.Is(err, lockstep.ErrInvalid) || w.Last() != 0 {
			t.Errorf("%+v: %t, %v", rates, taken, err)
		}
	}
	if _, err := w.Observe(0, nil); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("window 0: %v", err)
	}
	good, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	for old, bad := range map[string]string{
		`"format":1`: `"format":2`, `"last":0`: `"first":0`, `"limit":0.`: `"limit":1.`, `"weight":0.`: `"weight":0.1`, `"units":0`: `"units":-1`, `"log_d":[0,`: `"log_d":[`,
	} {
		body := strings.Replace(string(good), old, bad, 1)
		if body == string(good) {
			t.Errorf("%s is not in %s", old, good)
		}
		if err := json.Unmarshal([]byte(body), &Watch{}); !errors.Is(err, lockstep.ErrCorrupt) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
