package release

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"lockstep/internal/lockstep"
)

func TestAReleaseEarnsItsWayStepByStep(t *testing.T) {
	s := in(t, PhasePromoted)
	r := s.Release
	if s.Stable != (Pair{newRev, 50}) || s.KnownGood != (Pair{oldRev, 41}) || r.Weight != All || r.Ending.Outcome != Promoted {
		t.Errorf("stable %v, known good %v, release %+v", s.Stable, s.KnownGood, r)
	}
	if len(r.Passed) != len(r.Plan.Steps) || len(s.Past) != 1 || s.Past[0].Revision != oldRev || s.Past[0].Ran != 72*time.Minute {
		t.Errorf("passed %v, past %v", r.Passed, s.Past)
	}
	// Its pin goes at the end.
	if len(s.Pins) != 0 || len(s.Pending) != 1 || s.Pending[0].Kind != Unpin || s.Pending[0].Name() != "release-dev-1.1" {
		t.Errorf("pins %v, pending %v", s.Pins, s.Pending)
	}
	s = step(t, s, Observation{}, 73*time.Minute, KindCarried)
	if d := Next(s, good(), at(74*time.Minute)); d.Transition != nil {
		t.Errorf("it goes on: %s", d.Describe())
	}
}

// change is what a case sees, made of what is good.
func seen(change func(*Observation)) Observation {
	o := good()
	change(&o)
	return o
}

func TestNextTable(t *testing.T) {
	const after = 71 * time.Minute // all times of all steps have passed by then
	bad := seen(func(o *Observation) { o.Verdict, o.Reasons = Bad, []string{"errors"} })
	hold := seen(func(o *Observation) { o.Verdict = Hold })
	nodata := seen(func(o *Observation) { o.Verdict = NoData })
	paused := func(s State) State { return must(t)(Pause(s, by("anna", time.Minute))) }
	same := func(s State) State { return s }
	frozen := seen(func(o *Observation) { o.Frozen = Window{"weekend", at(100 * time.Hour)} })
	full := func(s State) State {
		c := s.clone()
		c.Release.Weight = All
		return c
	}
	for _, c := range []struct {
		name    string
		phase   Phase
		prepare func(State) State
		seen    Observation
		at      time.Duration
		want    Kind // "": nothing yet
		why     string
	}{
		{"preflight without an answer", PhasePreflight, same, Observation{}, after, "", "preflight is not passed"},
		{"preflight on hold", PhasePreflight, same, seen(func(o *Observation) { o.Preflight = Hold }), after, "", "preflight is not passed"},
		{"preflight failed", PhasePreflight, same, seen(func(o *Observation) { o.Preflight = Bad }), after, KindAbort, "preflight failed"},
		{"an open risk", PhasePreflight, same, seen(func(o *Observation) { o.Risks = []OpenRisk{{"one-way-data", "no way back"}} }), after, "", "one-way-data"},
		{"the pin is not set", PhasePreflight, func(State) State { return started(t) }, good(), after, KindCarried, "pin release-dev-1.1"},
		{"shadow with few units", PhaseShadow, same, seen(func(o *Observation) { o.Seen.Candidate = 4 }), after, "", "4 of 5 units"},
		{"shadow without a verdict", PhaseShadow, same, nodata, after, "", "too little data"},
		{"shadow is good", PhaseShadow, same, good(), after, KindAdvance, "passed: shadow"},
		{"shadow is bad", PhaseShadow, same, bad, after, KindAbort, "errors"},
		{"canary too early", PhaseCanary, same, good(), 9 * time.Minute, "", "1m of 10m are left"},
		{"canary without units", PhaseCanary, same, seen(func(o *Observation) { o.Seen.Candidate = 9 }), after, "", "9 of 10 units"},
		{"canary without data", PhaseCanary, same, nodata, after, "", "too little data"},
		{"canary on hold", PhaseCanary, same, hold, after, KindHold, "a guard holds it"},
		{"canary is bad", PhaseCanary, same, bad, time.Minute, KindAbort, "errors"},
		{"canary is bad while paused", PhaseCanary, paused, bad, after, KindAbort, "errors"},
		{"canary is bad while frozen", PhaseCanary, same, seen(func(o *Observation) { o.Verdict, o.Frozen = Bad, Window{"weekend", at(time.Hour)} }), after, KindAbort, "bad"},
		{"canary of everything is bad", PhaseCanary, full, bad, after, KindAbort, "errors"},
		{"the last copy is bad", PhaseCanary, full, seen(func(o *Observation) { o.Verdict, o.Stable = Bad, Bad }), after, KindHold, "last copy"},
		{"the last copy is bad and was fenced", PhaseCanary, full, seen(func(o *Observation) { o.Verdict, o.Stable, o.Fenced = Bad, Bad, true }), after, KindAbort, "bad"},
		{"a share is bad and stable is gone", PhaseCanary, same, seen(func(o *Observation) { o.Verdict, o.Stable = Bad, Bad }), after, KindAbort, "bad"},
		{"canary paused", PhaseCanary, paused, good(), after, "", "paused by anna"},
		{"canary frozen", PhaseCanary, same, frozen, after, "", "weekend"},
		{"quarantined elsewhere", PhaseCanary, same, seen(func(o *Observation) { o.Quarantined = "prod says so" }), after, KindAbort, "prod says so"},
		{"fenced", PhaseCanary, same, seen(func(o *Observation) { o.Fenced, o.FencedWhy = true, "anna: it smells" }), after, KindAbort, "anna: it smells"},
		{"fenced while paused", PhaseBake, paused, seen(func(o *Observation) { o.Fenced = true }), after, KindAbort, "fence"},
		{"an unknown verdict", PhaseCanary, same, seen(func(o *Observation) { o.Verdict = "splendid" }), after, "", "not known"},
		{"bake without a delete", PhaseBake, same, seen(func(o *Observation) { o.Seen.Mix = []lockstep.Event{lockstep.Insert} }), after, "", "no remove"},
		{"bake is good", PhaseBake, same, good(), after, KindAdvance, "passed: bake"},
		{"promotion without approval", PhasePromote, same, good(), after, "", "approval of 1 person"},
		{"approval that expired", PhasePromote, same, good(), after + time.Hour, KindExpire, "did not approve"},
		{"promotion without data", PhasePromote, func(s State) State { return must(t)(Approve(s, by("bert", after))) }, nodata, after, "", "too little data"},
		{"promotion, approved", PhasePromote, func(s State) State { return must(t)(Approve(s, by("bert", after))) }, good(), after, KindPromote, "passed"},
		{"promotion is bad", PhasePromote, same, bad, after, KindAbort, "errors"},
		{"promoted, fenced late", PhasePromoted, same, seen(func(o *Observation) { o.Fenced = true }), 73 * time.Minute, KindAbort, "while it was being promoted"},
		{"promoted, bad", PhasePromoted, func(s State) State { return step(t, s, good(), 72*time.Minute, KindCarried) }, bad, 73 * time.Minute, "", "no release"},
	} {
		s := c.prepare(in(t, c.phase))
		before := marshal(t, s)
		d := Next(s, c.seen, at(c.at))
		got := Kind("")
		if d.Transition != nil {
			got = d.Transition.Entry.Kind
			must(t)(*d.Transition, nil)
		}
		if got != c.want || !strings.Contains(d.Why, c.why) {
			t.Errorf("%s: %s, want %q because of %q", c.name, d.Describe(), c.want, c.why)
			continue
		}
		if marshal(t, s) != before {
			t.Errorf("%s: Next changed what it was given", c.name)
		}
		if got == KindAbort {
			checkAbort(t, c.name, s, c.seen, *d.Transition)
		}
	}
}

// checkAbort wants the fence first, unless it is there, and nothing for the
// candidate after.
func checkAbort(t *testing.T, name string, before State, seen Observation, tr Transition) {
	t.Helper()
	s := tr.Entry.State
	if fences := len(tr.Before) == 1 && tr.Before[0].Kind == Fence; fences == seen.Fenced {
		t.Errorf("%s: effects %v although fenced is %t", name, tr.Before, seen.Fenced)
	}
	if s.Live() != nil || s.Release.Weight != 0 || s.Stable.Revision != oldRev || RoutingOf(1, s, "").Revision("x") != oldRev {
		t.Errorf("%s: the candidate still has something: %+v", name, s.Release)
	}
	if _, jailed := s.Quarantined(newRev); jailed != (s.Release.Ending.Outcome == RolledBack) {
		t.Errorf("%s: outcome %s, quarantined: %t", name, s.Release.Ending.Outcome, jailed)
	}
	if before.Live() != nil && len(s.Pins) != 1 {
		t.Errorf("%s: the known good is not kept for the rollback: %v", name, s.Pins)
	}
}

func marshal(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTheClockStandsWhileAReleaseDoes(t *testing.T) {
	s := in(t, PhaseCanary)
	hold := seen(func(o *Observation) { o.Verdict = Hold })
	s = step(t, s, hold, 4*time.Minute, KindHold)
	if d := Next(s, hold, at(50*time.Minute)); d.Transition != nil {
		t.Fatalf("it is held twice: %s", d.Describe())
	}
	s = step(t, s, good(), 60*time.Minute, KindLift)
	s = must(t)(Pause(s, by("anna", 63*time.Minute)))
	s = must(t)(Resume(s, by("anna", 90*time.Minute)))
	// 4 minutes before, 3 between: 3 are left at 90.
	d := Next(s, good(), at(91*time.Minute))
	if d.Transition != nil || !d.Until.Equal(at(93*time.Minute)) {
		t.Errorf("%s, want waiting until minute 93", d.Describe())
	}
	if got := s.Outlook(at(91 * time.Minute)); got != "next: bake for 1h, 10 units, with insert, remove, in 2m at the earliest" {
		t.Errorf("outlook %q", got)
	}
	s = step(t, s, good(), 93*time.Minute, KindAdvance)
	if ran := s.Release.Passed[2].Ran; ran != 10*time.Minute {
		t.Errorf("the canary ran %s", ran)
	}
	// Too little data does not stop it: waiting for traffic is what its time is for.
	if d := Next(s, seen(func(o *Observation) { o.Verdict = NoData }), at(94*time.Minute)); d.Transition != nil {
		t.Errorf("no data: %s", d.Describe())
	}
}

func TestAnApprovalIsNeverGivenByTime(t *testing.T) {
	s := step(t, in(t, PhasePromote), good(), 130*time.Minute, KindExpire)
	for _, d := range []time.Duration{131 * time.Minute, 1000 * time.Hour} {
		if got := Next(s, good(), at(d)); got.Transition != nil {
			t.Fatalf("after %s: %s", d, got.Describe())
		}
	}
	if _, err := Approve(s, by("bert", 131*time.Minute)); err == nil {
		t.Error("an expired approval was given")
	}
	s = must(t)(Resume(s, by("anna", 200*time.Minute)))
	s = must(t)(Approve(s, by("bert", 201*time.Minute)))
	step(t, s, good(), 202*time.Minute, KindPromote)
}

func TestAStoppedLineRunsAgainFromTheMinuteItEnds(t *testing.T) {
	s := must(t)(Freeze(adopted(t), by("anna", time.Hour), at(3*time.Hour)))
	if _, err := Start(s, by("anna", 2*time.Hour), request()); err == nil {
		t.Error("a release started on a stopped line")
	}
	if got := s.Occupied(oldRev, at(2*time.Hour)); got != time.Hour {
		t.Errorf("occupied for %s while stopped", got)
	}
	if got := s.Occupied(oldRev, at(5*time.Hour)); got != 3*time.Hour {
		t.Errorf("occupied for %s after, before an entry says so", got)
	}
	s = step(t, s, Observation{}, 6*time.Hour, KindUnfreeze)
	if got := s.Occupied(oldRev, at(6*time.Hour)); got != 4*time.Hour || s.Stop != nil {
		t.Errorf("occupied for %s, stop %v", got, s.Stop)
	}
}

func TestEvidenceIsKeptNowAndThenAndThroughEverything(t *testing.T) {
	s := in(t, PhaseCanary)
	with := func(e string, v Health) Observation {
		return seen(func(o *Observation) { o.Evidence, o.Verdict = json.RawMessage(e), v })
	}
	s = step(t, s, with(`{"e":1}`, NoData), time.Minute, KindEvidence)
	if d := Next(s, with(`{"e":2}`, NoData), at(2*time.Minute)); d.Transition != nil {
		t.Fatalf("kept again after a minute: %s", d.Describe())
	}
	s = step(t, s, with(`{"e":3}`, NoData), 12*time.Minute, KindEvidence)
	s = step(t, s, with(`{"e":4}`, Bad), 13*time.Minute, KindAbort)
	s = must(t)(Unquarantine(s, by("anna", 14*time.Minute), newRev))
	retried := must(t)(Retry(s, by("anna", 15*time.Minute), Request{Head: 60}))
	if r := retried.Release; string(r.Evidence) != `{"e":4}` || r.Attempt != 2 || r.ID != "dev-1" || r.Phase != PhasePreflight || r.KnownGood.Version != 60 {
		t.Errorf("retried: %+v", r)
	}
	again := must(t)(Start(s, by("anna", 15*time.Minute), request()))
	if string(again.Release.Evidence) != `{"e":4}` || again.Release.ID != "dev-2" {
		t.Errorf("started again, the same content has lost its evidence: %s", again.Release.Evidence)
	}
	other := request()
	other.Candidate = otherRev
	if fresh := must(t)(Start(s, by("anna", 15*time.Minute), other)); fresh.Release.Evidence != nil {
		t.Errorf("another content inherits %s", fresh.Release.Evidence)
	}
}

func TestWhatAnObserverSaysCannotStopAnAbort(t *testing.T) {
	junk := seen(func(o *Observation) {
		o.Verdict, o.Reasons = Bad, []string{strings.Repeat("\xff", 5000)}
		o.Evidence = json.RawMessage(`{`)
		o.Seen.Mix = []lockstep.Event{"x", lockstep.Remove, lockstep.Insert, lockstep.Remove}
	})
	d := Next(in(t, PhaseCanary), junk, at(time.Minute))
	e := d.Transition.Entry
	e.Format, e.MinReader, e.Number = 1, 1, 9
	body, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeEntry(body); err != nil || e.Kind != KindAbort {
		t.Errorf("%s: %v", e.Kind, err)
	}
}
