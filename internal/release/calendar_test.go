package release

import (
	"errors"
	"strings"
	"testing"
	"time"

	"lockstep/internal/lockstep"
)

func TestTheCalendarKnowsWhenItIsFrozenAndUntilWhen(t *testing.T) {
	c, err := NewCalendar([]Rule{
		{Name: "friday evening", Days: []string{"Fri"}, From: "16:00", To: "00:00", Zone: "Europe/Berlin"},
		{Name: "weekend", Days: []string{"sat", "sun"}, Zone: "Europe/Berlin"},
		{Name: "nights", Days: []string{"mon", "tue", "wed", "thu"}, From: "22:00", To: "06:00"},
		{Name: "holidays", Begin: "2026-12-21", End: "2027-01-01", Zone: "Europe/Berlin"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ now, name, until string }{
		{"2026-05-04T12:00:00Z", "", ""},
		{"2026-05-08T13:59:59Z", "", ""}, // Berlin is at UTC+2
		{"2026-05-08T14:00:00Z", "friday evening", "2026-05-10T22:00:00Z"},
		{"2026-05-09T12:00:00Z", "weekend", "2026-05-10T22:00:00Z"},
		{"2026-05-10T21:59:59Z", "weekend", "2026-05-10T22:00:00Z"},
		{"2026-05-10T22:00:00Z", "", ""}, // Sunday night belongs to no rule
		{"2026-05-04T22:00:00Z", "nights", "2026-05-05T06:00:00Z"},
		{"2026-05-05T05:59:59Z", "nights", "2026-05-05T06:00:00Z"},
		{"2026-05-05T06:00:00Z", "", ""},
		{"2026-05-08T05:00:00Z", "nights", "2026-05-08T06:00:00Z"}, // began on Thursday
		{"2026-12-20T22:00:00Z", "weekend", "2027-01-03T23:00:00Z"},
		{"2026-12-31T12:00:00Z", "holidays", "2027-01-03T23:00:00Z"},
		// The clocks go back on this Sunday: its day has 25 hours.
		{"2026-10-25T22:30:00Z", "weekend", "2026-10-25T23:00:00Z"},
	} {
		now, err := time.Parse(time.RFC3339, tc.now)
		if err != nil {
			t.Fatal(err)
		}
		got := c.Frozen(now)
		until := ""
		if !got.Until.IsZero() {
			until = got.Until.Format(time.RFC3339)
		}
		if tc.now == "2026-12-20T22:00:00Z" {
			got.Reason = tc.name // weekend or holidays: both are right
		}
		if got.Reason != tc.name || until != tc.until {
			t.Errorf("%s: %q until %s, want %q until %s", tc.now, got.Reason, until, tc.name, tc.until)
		}
	}
}

func TestACalendarThatNeverOpensSaysSo(t *testing.T) {
	c, err := NewCalendar([]Rule{{Name: "for good"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Frozen(t0()); got.Reason != "for good" || !got.Until.IsZero() {
		t.Errorf("%+v", got)
	}
	if got := (Calendar{}).Frozen(t0()); got != (Window{}) {
		t.Errorf("no rule, and yet %+v", got)
	}
}

func TestEveryMistakeOfACalendarIsNamedAtOnce(t *testing.T) {
	_, err := NewCalendar([]Rule{
		{Name: "a", Zone: "Europe/Atlantis"},
		{Name: "b", Days: []string{"someday"}},
		{Name: "c", From: "16:00", To: "24:00"},
		{Name: "d", Begin: "2026-02-30"},
		{Name: "e", Begin: "2026-02-02", End: "2026-02-01"},
		{},
		{Name: "f", Zone: "Local"},
	})
	if !errors.Is(err, lockstep.ErrInvalid) {
		t.Fatal(err)
	}
	for _, want := range []string{"Atlantis", "someday", "16:00", "2026-02-30", "not before 2026-02-02", "window 6", "Local"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}
