package drill

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lockstep/internal/lockstep"
)

func schedule(t testing.TB, r Rule) Schedule {
	t.Helper()
	return must[Schedule](t)(NewSchedule(r))
}

func TestEveryMistakeOfARuleIsNamed(t *testing.T) {
	_, err := NewSchedule(Rule{Every: 0, Days: []string{"tuesday", "wed"}, From: "9", To: "25:00", Zone: "Berlin", Jitter: -1})
	for _, want := range []string{"distance", `day "tuesday"`, "times", `zone "Berlin"`, "jitter"} {
		if !errors.Is(err, lockstep.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
	for _, r := range []Rule{{Every: 367}, {Every: 1, Jitter: 25 * time.Hour}, {Every: 1, Zone: "Local"}, {Every: 1, From: "09:00"}} {
		if _, err := NewSchedule(r); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%+v: %v", r, err)
		}
	}
	if s, err := NewSchedule(Rule{Every: 1, Days: []string{"bad"}}); err == nil || s.every != 0 {
		t.Error("half a schedule")
	}
}

func TestWhenADrillIsDue(t *testing.T) {
	office := Rule{Every: 7, Days: []string{"Tue", "thu"}, From: "09:00", To: "12:00", Zone: "Europe/Berlin"}
	night := Rule{Every: 1, Days: []string{"sat"}, From: "22:00", To: "02:00"}
	last := passed("d1", t0(), 1) // Monday 4 May 2026, 12:00 in Berlin
	at := func(s string) time.Time { return must[time.Time](t)(time.Parse("2006-01-02 15:04", s)) }
	for _, c := range []struct {
		name   string
		rule   Rule
		drills []Drill
		now    string
		busy   bool
		due    bool
		next   string
		why    string
	}{
		{"never run, at a good time", office, nil, "2026-05-05 08:00", false, true, "2026-05-05 08:00", "no drill has ever"},
		{"never run, on a Monday", office, nil, "2026-05-04 08:00", false, false, "2026-05-05 07:00", "not a time for drills"},
		{"never run, too late in the day", office, nil, "2026-05-05 10:00", false, false, "2026-05-07 07:00", "not a time for drills"},
		{"never run, and busy", office, nil, "2026-05-05 08:00", true, false, "2026-05-05 08:00", "under way"},
		{"run lately", office, []Drill{last}, "2026-05-07 08:00", false, false, "2026-05-12 07:00", "the last drill was d1 on 2026-05-04, and one is due every 7 days"},
		{"a week later, outside the window", office, []Drill{last}, "2026-05-11 10:00", false, false, "2026-05-12 07:00", "not a time for drills"},
		{"a week later, in the window", office, []Drill{last}, "2026-05-12 07:00", false, true, "2026-05-12 07:00", "every 7 days"},
		{"weeks later it is late, not skipped", office, []Drill{last}, "2026-06-18 09:59", false, true, "2026-06-18 09:59", "every 7 days"},
		{"late and busy", office, []Drill{last}, "2026-06-18 09:59", true, false, "2026-06-18 09:59", "under way"},
		{"a failed one has been run", office, []Drill{failed("d1", t0())}, "2026-05-07 08:00", false, false, "2026-05-12 07:00", "d1"},
		{"an incomplete one is left alone for an hour", office, []Drill{incomplete("d1", at("2026-05-05 07:00"))}, "2026-05-05 07:30", false, false, "2026-05-05 08:01", "d1 was incomplete and is tried again: the process was stopped"},
		{"and is tried again", office, []Drill{incomplete("d1", at("2026-05-05 07:00"))}, "2026-05-05 08:01", false, true, "2026-05-05 08:01", "tried again"},
		{"behind one that passed it brings nothing forward", office, []Drill{last, incomplete("d2", at("2026-05-05 07:00"))}, "2026-05-07 08:00", false, false, "2026-05-12 07:00", "d1"},
		{"one from the future does not count", office, []Drill{passed("d1", at("2036-05-05 07:00"), 1)}, "2026-05-05 08:00", false, true, "2026-05-05 08:00", "dated in the future"},
		{"a window over midnight, before", night, nil, "2026-05-09 21:59", false, false, "2026-05-09 22:00", "not a time"},
		{"a window over midnight, on the next day", night, nil, "2026-05-10 01:59", false, true, "2026-05-10 01:59", "no drill"},
		{"a window over midnight, behind", night, nil, "2026-05-10 02:00", false, false, "2026-05-16 22:00", "not a time"},
		{"any time", Rule{Every: 1}, []Drill{last}, "2026-05-05 10:00", false, true, "2026-05-05 10:00", "every 1 days"},
		// 7 days from 12:00 in Berlin are 7 days of the clock on the wall, also when it is put forward.
		{"the clock is put forward", Rule{Every: 7, Zone: "Europe/Berlin"}, []Drill{passed("d1", at("2026-03-23 11:00"), 1)}, "2026-03-30 09:59", false, false, "2026-03-30 10:00", "d1"},
	} {
		got := book(t, c.drills...).Due(at(c.now), schedule(t, c.rule), c.busy)
		if got.Due != c.due || !got.Next.Equal(at(c.next)) || !strings.Contains(got.Why, c.why) {
			t.Errorf("%s: due %t, next %s, %q, want %t, %s, %q", c.name, got.Due, got.Next.UTC(), got.Why, c.due, c.next, c.why)
		}
	}
	if got := book(t).Due(t0(), Schedule{}, false); got.Due || got.Why != "no drills are scheduled" {
		t.Errorf("without a schedule: %+v", got)
	}
}

func TestJitterIsTheSameForAllWhoAskAndDiffersByEnvironment(t *testing.T) {
	s := schedule(t, Rule{Every: 7, Jitter: 6 * time.Hour})
	seen := map[time.Time]bool{}
	for i := range 8 {
		d := passed("d1", t0(), 1)
		d.Environment = fmt.Sprint("env-", i)
		b, _, err := Book{Environment: d.Environment}.With(d)
		if err != nil {
			t.Fatal(err)
		}
		c := b.Due(t0(), s, false)
		if late := c.Next.Sub(t0().Add(7 * day)); late < 0 || late >= 6*time.Hour {
			t.Errorf("%s is put off by %s", d.Environment, late)
		}
		// Somebody else asks later, behind an incomplete drill of yesterday.
		again, _, err := b.With(func() Drill { d := incomplete("d2", t0().Add(day)); d.Environment = b.Environment; return d }())
		if err != nil || !again.Due(t0().Add(2*day), s, true).Next.Equal(c.Next) {
			t.Errorf("%s: asked again, the time is another: %v", d.Environment, err)
		}
		seen[c.Next] = true
	}
	if len(seen) < 7 {
		t.Errorf("eight environments drill at %d times", len(seen))
	}
}

// TestADueDrillIsInItsWindowAndNextIsTheFirstTimeItIs compares Due with its own answers
// at other times.
func TestADueDrillIsInItsWindowAndNextIsTheFirstTimeItIs(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		hour := rapid.IntRange(0, 23)
		r := Rule{
			Every: rapid.IntRange(1, 20).Draw(rt, "every"), Zone: rapid.SampledFrom([]string{"", "Europe/Berlin", "America/New_York", "Asia/Kolkata"}).Draw(rt, "zone"),
			Days:   rapid.SliceOfN(rapid.SampledFrom(weekdays()), 0, 3).Draw(rt, "days"),
			Jitter: time.Duration(rapid.Int64Range(0, int64(12*time.Hour)).Draw(rt, "jitter")),
		}
		if rapid.Bool().Draw(rt, "window") {
			r.From, r.To = fmt.Sprintf("%02d:00", hour.Draw(rt, "from")), fmt.Sprintf("%02d:30", hour.Draw(rt, "to"))
		}
		s, err := NewSchedule(r)
		if err != nil {
			rt.Fatal(err)
		}
		b := Book{Environment: "prod"}
		for range rapid.IntRange(0, 3).Draw(rt, "drills") {
			b, _, _ = b.With(anyDrill(rt, b.NextID()))
		}
		now := t0()
		for _, d := range b.Drills {
			now = maxTime(now, d.At) // a drill of the future counts only when the time has come
		}
		now = now.Add(time.Duration(rapid.Int64Range(0, int64(40*day)).Draw(rt, "now")))
		c := b.Due(now, s, false)
		if b.Due(now, s, true).Due {
			rt.Fatal("it is due while a release is under way")
		}
		if c.Due != !c.Next.After(now) || c.Why == "" {
			rt.Fatalf("at %s: %+v", now, c)
		}
		if c.Due {
			return
		}
		if then := b.Due(c.Next, s, false); !then.Due {
			rt.Fatalf("at %s it was to be due at %s, and then: %+v", now, c.Next, then)
		}
		if before := b.Due(c.Next.Add(-1), s, false); before.Due && c.Next.Add(-1).After(now) {
			rt.Fatalf("it is due before %s", c.Next)
		}
	})
}
