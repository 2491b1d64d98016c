package release

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// promotedAndCarried is a state whose release is promoted, with nothing left to be done.
func promotedAndCarried(t *testing.T) State {
	t.Helper()
	return step(t, in(t, PhasePromoted), Observation{}, 73*time.Minute, KindCarried)
}

// watched is promotedAndCarried, and what is seen of it.
func watched(t *testing.T) (State, Observation) {
	t.Helper()
	return promotedAndCarried(t), Observation{Evidence: json.RawMessage(`{"since":1}`)}
}

func TestAnAlarmAfterThePromotionIsKeptOnceAndTakesNothingBack(t *testing.T) {
	s, seen := watched(t)
	seen.Alarm = &Alarm{Guard: "batch-failure", Reason: "9 of 60 units bad"}
	alarmed := step(t, s, seen, 80*time.Minute, KindAlarm)
	a := alarmed.Release.Alarm
	if a == nil || a.Guard != "batch-failure" || !a.At.Equal(at(80*time.Minute)) || string(alarmed.Release.Evidence) != `{"since":1}` {
		t.Errorf("alarm %+v, evidence %s", a, alarmed.Release.Evidence)
	}
	if alarmed.Stable != s.Stable || alarmed.Release.Phase != PhasePromoted || s.Release.Alarm != nil {
		t.Errorf("stable %v in %s; the state before has %+v", alarmed.Stable, alarmed.Release.Phase, s.Release.Alarm)
	}
	if text := alarmed.Describe(at(2 * time.Hour)); !strings.Contains(text, "ALARM since 2026-05-04 09:20:00Z: 9 of 60 units bad") {
		t.Errorf("%s", text)
	}
	seen.Alarm.Reason = "10 of 61 units bad"
	if d := Next(alarmed, seen, at(81*time.Minute)); d.Transition != nil {
		t.Errorf("it is raised again: %s", d.Describe())
	}
	for name, why := range map[string]func(*State){
		"under way":    func(s *State) { s.Release.Phase, s.Release.Ending = PhasePromote, nil },
		"without name": func(s *State) { s.Release.Alarm.Guard = "" },
	} {
		broken := alarmed.clone()
		if why(&broken); broken.check() == nil {
			t.Errorf("an alarm %s is accepted", name)
		}
	}
}

func TestEvidenceSinceAPromotionIsKeptEveryHourForAWeek(t *testing.T) {
	s, seen := watched(t)
	ended := s.Release.Ending.At.Sub(t0())
	if d := Next(s, seen, at(ended+59*time.Minute)); d.Transition != nil {
		t.Errorf("within the hour: %s", d.Describe())
	}
	s = step(t, s, seen, ended+61*time.Minute, KindEvidence)
	if d := Next(s, seen, at(ended+3*time.Hour)); d.Transition != nil {
		t.Errorf("nothing new: %s", d.Describe())
	}
	seen.Evidence, seen.Alarm = json.RawMessage(`{"since":2}`), &Alarm{Guard: "g", Reason: "r"}
	if d := Next(s, seen, at(ended+WatchFor)); d.Transition != nil {
		t.Errorf("after a week: %s", d.Describe())
	}
	if s.WatchedAt(at(ended+WatchFor-time.Second)) == nil || s.WatchedAt(at(ended+WatchFor)) != nil {
		t.Error("it is watched for another time than a week")
	}
}

func TestUnitsAreCountedForTheRevisionThatWasPromotedWhileItIsStable(t *testing.T) {
	s, _ := watched(t)
	if r := RoutingOf(9, s, ""); r.Watch != "watch-dev-1.1" || r.Release != "" || r.Candidate != "" || r.Revision("key") != newRev {
		t.Errorf("routing %+v", r)
	}
	back := s.clone()
	back.Stable.Revision = oldRev // a rollback
	if r := RoutingOf(9, back, ""); r.Watch != "" {
		t.Errorf("it is watched after it was taken back: %+v", r)
	}
	if r := RoutingOf(9, in(t, PhaseCanary), ""); r.Watch != "" {
		t.Errorf("it is watched in its canary: %+v", r)
	}
}
