package drill

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lockstep/internal/lockstep"
)

func TestADrillThatMayNotBeRecordedSaysWhy(t *testing.T) {
	for _, d := range []Drill{passed("a", t0(), 1), passed("a", t0(), 0), failed("a", t0()), incomplete("a", t0())} {
		if err := d.Check(); err != nil {
			t.Errorf("%s: %v", d.Outcome, err)
		}
	}
	for _, c := range []struct {
		why    string
		change func(*Drill)
	}{
		{"environment", func(d *Drill) { d.Environment = "Prod" }},
		{"id: it is empty", func(d *Drill) { d.ID = "" }},
		{"person: it is empty", func(d *Drill) { d.By = "" }},
		{"fault: it is empty", func(d *Drill) { d.Fault = "" }},
		{"revision: it is empty", func(d *Drill) { d.Revision = "" }},
		{"plan: it is empty", func(d *Drill) { d.Plan = "" }},
		{"at most 1024", func(d *Drill) { d.Fault = strings.Repeat("x", 1025) }},
		{"not UTF-8", func(d *Drill) { d.Scenario = "\xff" }},
		{"time: there is none", func(d *Drill) { d.At = time.Time{} }},
		{"took -1s", func(d *Drill) { d.Took = -time.Second }},
		{"at most 744h", func(d *Drill) { d.Took = 32 * day }},
		{"harmed -1", func(d *Drill) { d.Harmed = -1 }},
		{"restored -1", func(d *Drill) { d.Restored = -1 }},
		{"outcome", func(d *Drill) { d.Outcome = "well" }},
		{"there is a reason why it did not", func(d *Drill) { d.Why = "slow" }},
		{"counterfactual", func(d *Drill) { d.Same = false }},
		{"not known", func(d *Drill) { d.Marks.LastBad = time.Time{} }},
		{"order", func(d *Drill) { d.Marks.Detected = d.Marks.FirstBad.Add(-1) }},
		{"order", func(d *Drill) { d.Marks.Commanded = d.Marks.Detected.Add(-1) }},
		{"order", func(d *Drill) { d.Marks.Clean = d.Marks.LastBad.Add(-1) }},
		{"order", func(d *Drill) { d.Marks.LastBad = d.Marks.FirstBad.Add(-1) }},
		{"reason: it is empty", func(d *Drill) { d.Outcome = Failed }},
		{"reason: it is empty", func(d *Drill) { d.Outcome = Incomplete }},
	} {
		d := passed("a", t0(), 1)
		c.change(&d)
		if err := d.Check(); !errors.Is(err, lockstep.ErrInvalid) || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%v, want %q", err, c.why)
		}
	}
}

func TestADrillIsRecordedOnce(t *testing.T) {
	first := passed("prod-drill-1", t0(), 1)
	b := book(t, first)
	here := first
	here.At = first.At.In(time.FixedZone("", 3600))
	again, changed, err := b.With(here)
	if err != nil || changed || cmp.Diff(b, again) != "" {
		t.Errorf("recorded again: %t, %v", changed, err)
	}
	other := failed("prod-drill-1", t0())
	if _, _, err := b.With(other); !errors.Is(err, lockstep.ErrConflict) || !strings.Contains(lockstep.HintOf(err), "prod-drill-2") {
		t.Errorf("another result: %v (%s)", err, lockstep.HintOf(err))
	}
	dev := first
	dev.Environment = "dev"
	if _, _, err := b.With(dev); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("another environment: %v", err)
	}
	bad := first
	bad.By = ""
	if _, _, err := b.With(bad); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("not a drill: %v", err)
	}
}

func TestAnIncompleteDrillGivesWayToItsResult(t *testing.T) {
	b := book(t, incomplete("prod-drill-1", t0()), passed("prod-drill-2", t0().Add(time.Hour), 1), passed("prod-drill-1", t0(), 2))
	if b.Total != 2 || len(b.Drills) != 2 || b.Drills[1].ID != "prod-drill-1" || b.Drills[1].Outcome != Passed {
		t.Errorf("%+v", b)
	}
	if b.NextID() != "prod-drill-3" {
		t.Errorf("next %s", b.NextID())
	}
}

func TestABookKeepsTheNewestAndCountsAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := Book{Environment: "prod"}
		var all []Drill
		for range rapid.IntRange(1, 2*Keep).Draw(t, "drills") {
			d := anyDrill(t, b.NextID())
			before := slices.Clone(b.Drills)
			next, changed, err := b.With(d)
			if err != nil || !changed {
				t.Fatalf("%t, %v", changed, err)
			}
			if !slices.Equal(b.Drills, before) {
				t.Fatal("the book that was given has changed")
			}
			b, all = next, append(all, d)
		}
		if err := b.check(); err != nil {
			t.Fatalf("a book that cannot be read: %v", err)
		}
		if b.Total != len(all) || cmp.Diff(all[max(0, len(all)-Keep):], b.Drills) != "" {
			t.Fatalf("%d of %d are kept of %d", len(b.Drills), b.Total, len(all))
		}
		n := rapid.IntRange(-1, 2*Keep).Draw(t, "last")
		if got := b.Last(n); len(got) != min(max(n, 0), len(b.Drills)) {
			t.Fatalf("the last %d are %d", n, len(got))
		}
	})
}

func TestTheGateAsksForALateDrillThatPassed(t *testing.T) {
	at := func(days int) time.Time { return t0().Add(time.Duration(days) * day) }
	mine := func(d Drill) []Drill { return []Drill{d} }
	for _, c := range []struct {
		name   string
		drills []Drill
		now    time.Time
		limit  time.Duration
		want   string
	}{
		{"no limit", nil, at(0), 0, ""},
		{"a negative one", nil, at(0), -1, ""},
		{"none", nil, at(0), 30 * day, "no drill has passed in prod: run lockstep rollback drill"},
		{"fresh", mine(passed("d1", at(0), 1)), at(1), 30 * day, ""},
		{"as old as the limit", mine(passed("d1", at(0), 1)), at(30), 30 * day, ""},
		{"a little older", mine(passed("d1", at(0), 1)), at(30).Add(1), 30 * day, "the last passed drill in prod is more than 30 days old, the limit is 30: run lockstep rollback drill"},
		{"old", mine(passed("d1", at(0), 1)), at(41).Add(time.Hour), 30 * day, "the last passed drill in prod is 41 days old, the limit is 30: run lockstep rollback drill"},
		{"a limit in hours", mine(passed("d1", at(0), 1)), at(1), 12 * time.Hour, "the last passed drill in prod is 24 hours old, the limit is 12: run lockstep rollback drill"},
		{"an odd limit", mine(passed("d1", at(0), 1)), at(1), 90 * time.Minute, "the last passed drill in prod is 24h0m0s old, the limit is 1h30m0s: run lockstep rollback drill"},
		{
			"a failed one behind it",
			[]Drill{passed("d1", at(0), 1), failed("d2", at(1))},
			at(2), 30 * day,
			"the newest drill in prod, d2 of 2026-05-05, failed: 3 records differ from the counterfactual: find out why, then run lockstep rollback drill",
		},
		{"an incomplete one does not hide that", []Drill{failed("d2", at(1)), incomplete("d3", at(2))}, at(2), 30 * day, "the newest drill in prod, d2 of 2026-05-05, failed: 3 records differ from the counterfactual: find out why, then run lockstep rollback drill"},
		{"one that passed does", []Drill{failed("d1", at(0)), passed("d2", at(1), 1)}, at(2), 30 * day, ""},
		{"an incomplete one changes nothing", []Drill{passed("d1", at(0), 1), incomplete("d2", at(1))}, at(2), 30 * day, ""},
		{"nor does it count", mine(incomplete("d1", at(0))), at(1), 30 * day, "no drill has passed in prod: run lockstep rollback drill"},
		{"clocks that differ", mine(passed("d1", at(0).Add(time.Hour), 1)), at(0), 30 * day, ""},
		{
			"from the future", mine(passed("d1", at(400), 1)), at(0), 30 * day,
			"the last passed drill in prod, d1, is dated 2027-06-08T10:00:00Z, which is still to come: look at the clocks, then run lockstep rollback drill",
		},
		{"and a new one heals that", []Drill{passed("d1", at(400), 1), passed("d2", at(0), 1)}, at(1), 30 * day, ""},
	} {
		err := book(t, c.drills...).Gate(c.now, c.limit)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != c.want || err != nil && !errors.Is(err, lockstep.ErrRefused) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestTheGateNeverOpensWithoutADrillThatPassed states what the gate is for, whatever
// was recorded.
func TestTheGateNeverOpensWithoutADrillThatPassed(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := Book{Environment: "prod"}
		for range rapid.IntRange(0, 8).Draw(rt, "drills") {
			b, _, _ = b.With(anyDrill(rt, b.NextID()))
		}
		now := t0().Add(time.Duration(rapid.Int64Range(0, int64(1200*day)).Draw(rt, "now")))
		limit := time.Duration(rapid.Int64Range(1, int64(400*day)).Draw(rt, "limit"))
		var result *Drill
		for i := range b.Drills {
			if b.Drills[i].Outcome != Incomplete {
				result = &b.Drills[i]
			}
		}
		want := result != nil && result.Outcome == Passed && now.Sub(result.At) <= limit && result.At.Sub(now) <= ahead
		if got := b.Gate(now, limit) == nil; got != want {
			rt.Fatalf("the gate is open: %t, want %t: %v", got, want, b.Gate(now, limit))
		}
		last, known := b.LastPassed()
		if age, ok := b.Age(now); ok != known || ok && age != now.Sub(last.At) {
			rt.Fatalf("age %s, %t", age, ok)
		}
	})
}

func TestStatisticsAreNearestRank(t *testing.T) {
	var drills []Drill
	for i := range 20 {
		drills = append(drills, passed(fmt.Sprint("d", i+1), t0().Add(time.Duration(i)*day), i+1))
	}
	drills = append(drills, failed("f", t0().Add(30*day)), incomplete("i", t0().Add(31*day)))
	s := book(t, drills...).Statistics(22)
	second := time.Second
	want := Statistics{Drills: 22, Passed: 20, Failed: 1, Incomplete: 1, Intervals: []Interval{
		// The failed drill detected, commanded and stopped in the seconds of the first.
		{"time to detect", 20 * second, 38 * second, 21, false},
		{"time to command", 10 * second, 19 * second, 21, false},
		{"time to stop", 10 * second, 19 * second, 21, false},
		{"time to clean", 50 * second, 95 * second, 20, false},
		{"total", 80 * second, 152 * second, 20, false},
	}}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	few := book(t, drills...).Statistics(5)
	if few.Passed != 3 || !few.Intervals[3].Few || few.Intervals[3].Samples != 3 || few.Intervals[0].Samples != 4 || !few.Intervals[0].Few {
		t.Errorf("of five drills: %+v", few)
	}
	if none := (Book{Environment: "prod"}).Statistics(10); len(none.Intervals) != 5 || none.Intervals[4] != (Interval{Name: "total", Few: true}) {
		t.Errorf("of none: %+v", none)
	}
}

func TestAnIntervalThatIsNotKnownDoesNotCount(t *testing.T) {
	m := passed("a", t0(), 1).Marks
	early := m
	early.LastBad = early.Commanded.Add(-time.Second)
	backwards := m
	backwards.Detected = backwards.FirstBad.Add(-time.Second)
	for _, c := range []struct {
		name string
		m    Marks
		want [5]bool
	}{
		{"all", m, [5]bool{true, true, true, true, true}},
		{"none", Marks{}, [5]bool{}},
		{"never clean", Marks{m.FirstBad, m.Detected, m.Commanded, m.LastBad, time.Time{}}, [5]bool{true, true, true, false, false}},
		{"stopped by itself", early, [5]bool{true, true, true, true, true}},
		{"backwards", backwards, [5]bool{false, true, true, true, true}},
		{"last bad not known", Marks{m.FirstBad, m.Detected, m.Commanded, time.Time{}, m.Clean}, [5]bool{true, true, false, true, true}},
	} {
		took, known := c.m.Took()
		if known != c.want {
			t.Errorf("%s: known %v, want %v", c.name, known, c.want)
		}
		if c.name == "stopped by itself" && took[stopping] != 0 {
			t.Errorf("stopping took %s", took[stopping])
		}
	}
}

// TestQuantilesAreOfTheSamples checks nearest rank by its definition.
func TestQuantilesAreOfTheSamples(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 60).Draw(t, "n")
		sorted := make([]time.Duration, n)
		for i := range sorted {
			sorted[i] = time.Duration(i)
		}
		p := rapid.IntRange(1, 100).Draw(t, "percent")
		got := nearest(sorted, p)
		if atMost := int(got) + 1; 100*atMost < p*n || 100*(atMost-1) >= p*n {
			t.Fatalf("the %d per cent of %d are %d", p, n, got)
		}
	})
}
