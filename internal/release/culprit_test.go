package release

import (
	"strings"
	"testing"
	"time"
)

func TestWhatFoundACandidateBadIsKeptForPrograms(t *testing.T) {
	bad := func(c *Culprit) Observation {
		return seen(func(o *Observation) { o.Verdict, o.Culprit = Bad, c })
	}
	s := step(t, in(t, PhaseCanary), bad(&Culprit{Source: FromGuard, Name: "candidate-broken"}), time.Minute, KindAbort)
	if c := s.Release.Ending.Culprit; c == nil || *c != (Culprit{FromGuard, "candidate-broken", 2}) || c.String() != "guard candidate-broken in step 3" {
		t.Errorf("culprit %+v", c)
	}
	unfit := seen(func(o *Observation) { o.Preflight, o.Culprit = Bad, &Culprit{Source: FromPreflight, Name: "preflight"} })
	s = step(t, settled(t), unfit, time.Minute, KindAbort)
	if c := s.Release.Ending.Culprit; c == nil || c.Source != FromPreflight || c.String() != "preflight in step 1" {
		t.Errorf("culprit %+v", c)
	}
	held := seen(func(o *Observation) {
		o.Verdict, o.Culprit = Hold, &Culprit{Source: FromAnalysis, Name: "sample-ratio"}
	})
	s = step(t, in(t, PhaseCanary), held, time.Minute, KindHold)
	if c := s.Release.Halt.Culprit; c == nil || c.Name != "sample-ratio" || c.Step != 2 {
		t.Errorf("culprit %+v", c)
	}
	fenced := seen(func(o *Observation) { o.Fenced, o.Culprit = true, &Culprit{Source: FromGuard, Name: "x"} })
	if s := step(t, in(t, PhaseCanary), fenced, time.Minute, KindAbort); s.Release.Ending.Culprit != nil {
		t.Errorf("a fence has the culprit %+v", s.Release.Ending.Culprit)
	}
	// What no entry could hold does not keep an abort from being done.
	for _, c := range []*Culprit{nil, {}, {Source: "stars", Name: "x"}, {Source: FromGuard}} {
		if s := step(t, in(t, PhaseCanary), bad(c), time.Minute, KindAbort); s.Release.Ending.Culprit != nil {
			t.Errorf("%+v is kept as %+v", c, s.Release.Ending.Culprit)
		}
	}
	long := step(t, in(t, PhaseCanary), bad(&Culprit{Source: FromGuard, Name: strings.Repeat("x", 2*MaxText)}), time.Minute, KindAbort)
	if n := len(long.Release.Ending.Culprit.Name); n > MaxText {
		t.Errorf("a name of %d bytes", n)
	}
	for _, c := range []Culprit{{"stars", "x", 0}, {FromGuard, "", 0}, {FromGuard, "x", -1}, {FromGuard, "x", 9}} {
		broken := long.clone()
		if broken.Release.Ending.Culprit = &c; broken.check() == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
}
