package load

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/lockstep"
)

func TestParseConditions(t *testing.T) {
	got, err := ParseConditions(" p99<150ms, errors<0.1% ,parked<=0%,rate>=450/s,held>1000,max<1m")
	want := Conditions{
		{"p99", "<", float64(150 * time.Millisecond)}, {"errors", "<", 0.1}, {"parked", "<=", 0}, {"rate", ">=", 450}, {"held", ">", 1000}, {"max", "<", float64(time.Minute)},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if s := got.String(); s != "p99<150ms,errors<0.1%,parked<=0%,rate>=450,held>1000,max<1m0s" {
		t.Errorf("written as %s", s)
	}
	if none, err := ParseConditions(""); none != nil || err != nil {
		t.Errorf("no conditions are %v, %v", none, err)
	}
	for s, why := range map[string]string{
		"p99":               "want such as",
		"p98<1s":            "one of p50, p90",
		"p99<150":           "a duration",
		"p99<-1s":           "a duration",
		"errors<1":          "a share",
		"errors<101%":       "a share",
		"errors<NaN%":       "a share",
		"rate>fast":         "changes per second",
		"held>=-1":          "changes per second",
		"p99<1s,,errors<1%": "want such as",
	} {
		if _, err := ParseConditions(s); !errors.Is(err, lockstep.ErrInvalid) || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %v, want %q", s, err, why)
		}
	}
	if _, err := ParseConditions("p98<1s,errors<7"); !strings.Contains(err.Error(), "p98") || !strings.Contains(err.Error(), "share") {
		t.Errorf("not every mistake is named: %v", err)
	}
}

func FuzzParseConditions(f *testing.F) {
	for _, s := range []string{"p99<150ms,errors<0.1%", "held>=1000", "rate>5/s,parked<=0%", "max>1h2m3.4s", "<", "p99<<1s", ",", "errors<1e-7%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseConditions(s)
		if err != nil {
			if !errors.Is(err, lockstep.ErrInvalid) {
				t.Errorf("%v has no class", err)
			}
			return
		}
		again, err := ParseConditions(got.String())
		if err != nil || cmp.Diff(got, again) != "" {
			t.Errorf("%q is %v, which is written %q and read as %v, %v", s, got, got.String(), again, err)
		}
	})
}

func conditions(t *testing.T, s string) Conditions {
	t.Helper()
	cs, err := ParseConditions(s)
	if err != nil {
		t.Fatal(err)
	}
	return cs
}

// good is a step in which nothing went wrong.
func good() StepResult {
	return StepResult{
		Rate: 100, For: 10 * time.Second, Achieved: 99.5, Due: 1000, Answered: 1000, Sent: Done{Inserts: 150, Edits: 800, Deletes: 50},
		Latency: Spread{P50: 5 * time.Millisecond, P90: 8 * time.Millisecond, P99: 20 * time.Millisecond, P999: 30 * time.Millisecond, Max: 40 * time.Millisecond, Samples: 1000},
		Changed: 9000, Versions: 700, Backlog: 2, Behind: 12 * time.Millisecond,
		Outcomes: map[lockstep.Outcome]int{lockstep.Applied: 990, lockstep.Unchanged: 10}, Errors: map[string]int{},
	}
}

func TestAStepIsHeldOrSaysWhyNot(t *testing.T) {
	for _, c := range []struct {
		name      string
		change    func(*StepResult)
		objective string
		stopped   string
		why       string // "": held
	}{
		{"all is well", func(*StepResult) {}, "p99<25ms,errors<0.1%,rate>=99", "", ""},
		{"slow", func(*StepResult) {}, "p99<20ms", "", "p99<20ms: it is 20ms"},
		{"at the limit", func(*StepResult) {}, "p99<=20ms", "", ""},
		{"parked", func(s *StepResult) { s.Parked = 3 }, "parked<0.2%", "", "parked<0.2%: it is 0.3%"},
		{"few errors are allowed", func(s *StepResult) { s.Failed = 10 }, "p99<1s", "", ""},
		{"many are not", func(s *StepResult) { s.Failed = 11 }, "", "", "1.1% errors"},
		{"unless the objective says so", func(s *StepResult) { s.Failed = 11 }, "errors<2%", "", ""},
		{"unsent ones are errors", func(s *StepResult) { s.Unsent = 30 }, "errors<2%", "", "30 changes were never sent, because no request was free; errors<2%: it is 3%"},
		{"it did not keep up", func(s *StepResult) { s.Behind = 501 * time.Millisecond }, "", "", "it did not keep up: the last answer came 501ms after the last change was due"},
		{"a twentieth of a long step", func(s *StepResult) { s.For, s.Behind = time.Minute, 3*time.Second }, "", "", ""},
		{"stopped", func(*StepResult) {}, "", "errors>50%: it is 70%", "stopped by errors>50%: it is 70%"},
		{"held is of the run", func(*StepResult) {}, "held>=500", "", ""},
		{"nothing was due", func(s *StepResult) { *s = StepResult{} }, "p99<1s", "", "no change was due: the step is too short for its rate; p99<1s: nothing was measured"},
	} {
		s := good()
		c.change(&s)
		s.judge(c.stopped, conditions(t, c.objective))
		if s.Held != (c.why == "") || s.Why != c.why || s.Stopped != c.stopped {
			t.Errorf("%s: held %t, %q, want %q", c.name, s.Held, s.Why, c.why)
		}
	}
}

func TestTheVerdictOfARunIsTheHighestRateHeldInARow(t *testing.T) {
	step := func(rate float64, held bool) StepResult {
		s := good()
		s.Rate, s.Held = rate, held
		if !held {
			s.Why, s.Missed = "slow", "slow"
		}
		return s
	}
	behind, stopped := step(100, true), StepResult{Stopped: "errors>50%: it is 70%"}
	behind.Behind = time.Minute
	behind.judge("", conditions(t, "p99<1s"))
	for _, c := range []struct {
		name      string
		steps     []StepResult
		objective string
		held      float64
		why       string
	}{
		{"all", []StepResult{step(100, true), step(200, true)}, "p99<1s", 200, ""},
		{"some, which is what a ramp is for", []StepResult{step(100, true), step(200, false)}, "p99<1s", 100, ""},
		{"what lies above a gap does not count", []StepResult{step(100, true), step(200, false), step(300, true)}, "held>=200", 100, "held>=200: it is 100.0/s"},
		{"none", []StepResult{step(100, false)}, "p99<1s,held>1", 0, "at 100/s: slow; held>1: it is 0.0/s"},
		{"none, and nobody asked", []StepResult{step(100, false)}, "", 0, ""},
		{"it did not keep up, and nobody asked for that", []StepResult{behind}, "p99<1s", 0, ""},
		{"stopped", []StepResult{stopped}, "p99<1s", 0, "at 0/s: stopped by errors>50%: it is 70%"},
		{"nothing ran", nil, "p99<1s", 0, "no step has ended"},
	} {
		r := Result{Steps: c.steps}
		r.judge(Options{Objective: conditions(t, c.objective)})
		if r.Held != c.held || r.Why != c.why || r.Passed != (c.why == "") {
			t.Errorf("%s: held %g, passed %t, %q, want %g, %q", c.name, r.Held, r.Passed, r.Why, c.held, c.why)
		}
	}
}
