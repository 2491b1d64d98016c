package release

import (
	"errors"
	"strings"
	"testing"
	"time"

	"lockstep/internal/lockstep"
)

func TestCommandsRefuseWhatMakesNoSense(t *testing.T) {
	const soon = 75 * time.Minute
	anna, bert := by("anna", soon), by("bert", soon)
	jailed := must(t)(Quarantine(adopted(t), by("anna", 0), newRev))
	aborted := must(t)(Abort(in(t, PhaseCanary), by("anna", 20*time.Minute)))
	held := step(t, in(t, PhaseCanary), seen(func(o *Observation) { o.Verdict = Hold }), time.Minute, KindHold)
	paused := must(t)(Pause(in(t, PhaseCanary), by("anna", time.Minute)))
	frozen := must(t)(Freeze(adopted(t), by("anna", 0), time.Time{}))
	approved := must(t)(Approve(in(t, PhasePromote), bert))
	risky := must(t)(AcceptRisk(settled(t), anna, "one-way"))
	start := func(s State, change func(*Request)) error {
		req := request()
		change(&req)
		_, err := Start(s, anna, req)
		return err
	}
	asIs := func(*Request) {}
	of := func(_ Transition, err error) error { return err }
	for _, c := range []struct {
		name string
		err  error
		want error
		says string
	}{
		{"adopt twice", of(Adopt(adopted(t), anna, "dev", Pair{oldRev, 1})), lockstep.ErrRefused, "has begun"},
		{"adopt nowhere", of(Adopt(State{}, anna, "Dev!", Pair{oldRev, 1})), lockstep.ErrInvalid, "environment"},
		{"adopt a label", of(Adopt(State{}, anna, "dev", Pair{"receipts@1", 1})), lockstep.ErrInvalid, "name@version+hash"},
		{"start before adopting", start(State{}, asIs), lockstep.ErrNotFound, "no ledger"},
		{"start without a name", of(Start(adopted(t), Order{Reason: "r", At: t0()}, request())), lockstep.ErrInvalid, "actor"},
		{"start without a reason", of(Start(adopted(t), Order{Actor: "a", At: t0()}, request())), lockstep.ErrInvalid, "reason"},
		{"start without a time", of(Start(adopted(t), Order{Actor: "a", Reason: "r"}, request())), lockstep.ErrInvalid, "time"},
		{"two at once", start(settled(t), asIs), ErrBusy, "dev-1"},
		{"start stable", start(adopted(t), func(r *Request) { r.Candidate = oldRev }), lockstep.ErrRefused, "stable already"},
		{"start stable by another name", start(adopted(t), func(r *Request) { r.Candidate = "renamed@9+111111111111" }), lockstep.ErrRefused, "stable already"},
		{"start a quarantined one", start(jailed, asIs), lockstep.ErrRefused, "quarantined by anna"},
		{"start a quarantined one by another name", start(jailed, func(r *Request) { r.Candidate = "renamed@9+222222222222" }), lockstep.ErrRefused, "quarantined by anna"},
		{"start a bad plan", start(adopted(t), func(r *Request) { r.Plan.Steps = nil }), lockstep.ErrInvalid, "steps"},
		{"start on a stopped line", start(frozen, asIs), lockstep.ErrRefused, "the line was stopped by anna"},
		{"start in a window", start(adopted(t), func(r *Request) { r.Frozen = Window{Reason: "xmas"} }), lockstep.ErrRefused, "xmas"},
		{"start out of order", start(adopted(t), func(r *Request) { r.Chain = []string{"1h of 48h"} }), lockstep.ErrRefused, "1h of 48h"},
		{"glass for another gate", start(adopted(t), func(r *Request) {
			r.Chain, r.Glass = []string{"1h of 48h"}, []Glass{{Gate: GateFreeze, Second: "bert"}}
		}), lockstep.ErrRefused, "1h of 48h"},
		{"glass alone", start(adopted(t), func(r *Request) { r.Glass = []Glass{{Gate: GateChain, Second: "Anna "}} }), lockstep.ErrRefused, "second person"},
		{"supersede what is not there", start(adopted(t), func(r *Request) { r.Supersedes = "dev-9" }), lockstep.ErrRefused, "supersede"},
		{"evidence that is none", start(adopted(t), func(r *Request) { r.Evidence = []byte("{") }), lockstep.ErrInvalid, "evidence"},
		{"promote too early", of(Promote(in(t, PhaseCanary), by("anna", 0), good())), lockstep.ErrRefused, "10m of 10m"},
		{"promote the bad", of(Promote(in(t, PhaseCanary), anna, seen(func(o *Observation) { o.Verdict = Bad }))), lockstep.ErrRefused, "about to be aborted"},
		{"promote the held", of(Promote(held, anna, seen(func(o *Observation) { o.Verdict = Hold }))), lockstep.ErrRefused, "a guard holds it"},
		{"promote the paused", of(Promote(paused, anna, good())), lockstep.ErrRefused, "is paused"},
		{"promote before the pin", of(Promote(started(t), anna, good())), lockstep.ErrRefused, "pin release-dev-1.1"},
		{"promote past preflight", of(Promote(settled(t), anna, Observation{})), lockstep.ErrRefused, "preflight"},
		{"promote fully past everything", of(PromoteFully(in(t, PhaseShadow), anna, good())), lockstep.ErrRefused, "step 4 asks for mix"},
		{"promote nothing", of(Promote(adopted(t), anna, good())), ErrNone, ""},
		{"pause twice", of(Pause(paused, anna)), lockstep.ErrRefused, "by anna"},
		{"resume what runs", of(Resume(settled(t), anna)), lockstep.ErrRefused, "not stand still"},
		{"resume against a guard", of(Resume(held, anna)), lockstep.ErrRefused, "a guard holds it"},
		{"abort twice", of(Abort(aborted, anna)), ErrNone, "aborted by a person"},
		{"abort the promoted", of(Abort(in(t, PhasePromoted), anna)), ErrNone, "promoted"},
		{"retry what runs", of(Retry(settled(t), anna, request())), lockstep.ErrRefused, "not aborted"},
		{"retry nothing", of(Retry(adopted(t), anna, request())), ErrNone, ""},
		{"retry the quarantined", of(Retry(must(t)(Quarantine(in(t, PhaseCanary), anna, newRev)), anna, request())), lockstep.ErrRefused, "quarantined"},
		{"retry in a window", of(Retry(aborted, anna, Request{Frozen: Window{Reason: "xmas"}})), lockstep.ErrRefused, "xmas"},
		{"approve too early", of(Approve(in(t, PhaseCanary), bert)), lockstep.ErrRefused, "does not wait"},
		{"approve one's own", of(Approve(in(t, PhasePromote), anna)), lockstep.ErrRefused, "started it"},
		{"approve twice", of(Approve(approved, by("carl", soon))), lockstep.ErrRefused, "does not wait"},
		{"approve too late", of(Approve(in(t, PhasePromote), by("bert", 130*time.Minute))), lockstep.ErrRefused, "expired"},
		{"accept twice", of(AcceptRisk(risky, anna, "one-way")), lockstep.ErrRefused, "accepted already"},
		{"accept nothing", of(AcceptRisk(settled(t), anna, "")), lockstep.ErrInvalid, "risk"},
		{"quarantine stable", of(Quarantine(adopted(t), anna, oldRev)), lockstep.ErrRefused, "is stable"},
		{"quarantine twice", of(Quarantine(jailed, anna, newRev)), lockstep.ErrRefused, "was quarantined"},
		{"release what is free", of(Unquarantine(adopted(t), anna, newRev)), lockstep.ErrNotFound, ""},
		{"stop twice", of(Freeze(frozen, anna, time.Time{})), lockstep.ErrRefused, "stopped by anna"},
		{"stop in the past", of(Freeze(adopted(t), anna, t0())), lockstep.ErrInvalid, "future"},
		{"run what runs", of(Unfreeze(adopted(t), anna)), lockstep.ErrRefused, "not stopped"},
		{"open what is open", of(BreakGlass(must(t)(BreakGlass(settled(t), anna, GateTime, "bert")), anna, GateTime, "bert")), lockstep.ErrRefused, "open already"},
		{"open alone", of(BreakGlass(settled(t), anna, GateTime, "ANNA")), lockstep.ErrRefused, "second person"},
		{"open with nobody", of(BreakGlass(settled(t), anna, GateTime, "")), lockstep.ErrInvalid, "second person"},
		{"open an unknown gate", of(BreakGlass(settled(t), anna, "quarantine", "bert")), lockstep.ErrInvalid, "freeze, chain, time"},
		{"restore during a release", of(Restore(settled(t), anna, Pair{oldRev, 1})), ErrBusy, "dev-1"},
		{"restore what never was", of(Restore(adopted(t), anna, Pair{otherRev, 1})), lockstep.ErrRefused, "never was stable"},
		{"restore what is", of(Restore(adopted(t), anna, Pair{oldRev, 1})), lockstep.ErrRefused, "stable already"},
		{"restore a quarantined one", of(Restore(must(t)(Quarantine(in(t, PhasePromoted), anna, oldRev)), anna, Pair{oldRev, 1})), lockstep.ErrRefused, "quarantined"},
		{"settle during a release", of(Settle(settled(t), anna)), ErrBusy, ""},
		{"settle nothing", of(Settle(adopted(t), anna)), lockstep.ErrRefused, "kept"},
	} {
		if !errors.Is(c.err, c.want) || !strings.Contains(c.err.Error(), c.says) {
			t.Errorf("%s: %v, want %v with %q", c.name, c.err, c.want, c.says)
		}
	}
}

func TestGlassOpensWhatItNamesAndSaysWhoBrokeIt(t *testing.T) {
	s := in(t, PhaseCanary)
	few := seen(func(o *Observation) { o.Seen = Seen{Candidate: 1}; o.Verdict = NoData })
	for _, g := range []Gate{GateTime, GateUnits, GateVerdict} {
		if _, err := Promote(s, by("anna", time.Minute), few); lockstep.HintOf(err) == "" {
			t.Fatalf("before %s: %v", g, err)
		}
		s = must(t)(BreakGlass(s, by("anna", time.Minute), g, "bert"))
	}
	s = must(t)(Promote(s, by("anna", time.Minute), few))
	p := s.Release.Passed[2]
	if s.Release.Phase != PhaseBake || len(p.Skipped) != 3 || s.Release.Glass[0].Second != "bert" || s.Release.Glass[0].Reason != "because" {
		t.Errorf("%+v", s.Release)
	}
	if _, err := PromoteFully(s, by("anna", 2*time.Minute), few); err == nil || !strings.Contains(err.Error(), "it saw no insert, remove") {
		t.Errorf("mix and approval are closed, and yet: %v", err)
	}
	s = must(t)(BreakGlass(s, by("anna", time.Minute), GateMix, "bert"))
	s = must(t)(BreakGlass(s, by("anna", time.Minute), GateApproval, "bert"))
	if _, err := PromoteFully(s, by("anna", 2*time.Minute), seen(func(o *Observation) { o.Verdict = Bad })); err == nil {
		t.Error("what is bad was promoted")
	}
	s = must(t)(PromoteFully(s, by("anna", 2*time.Minute), few))
	if s.Stable.Revision != newRev || s.Release.Phase != PhasePromoted {
		t.Errorf("%+v", s)
	}
}

func TestAStartThroughBrokenGlassIsOnRecord(t *testing.T) {
	req := request()
	req.Chain, req.Frozen = []string{"1h of 48h"}, Window{Reason: "xmas"}
	req.Glass = []Glass{{Gate: GateChain, Second: "bert"}, {Gate: GateFreeze, Second: "bert"}}
	s := must(t)(Start(adopted(t), by("anna", 0), req))
	if len(s.Release.Glass) != 2 || s.Release.Glass[1].By != "anna" || s.Release.Glass[1].Second != "bert" {
		t.Errorf("%+v", s.Release.Glass)
	}
	// A retry begins with whole glass.
	s = must(t)(Abort(s, by("anna", time.Minute)))
	if _, err := Retry(s, by("anna", time.Minute), Request{Chain: req.Chain}); !errors.Is(err, lockstep.ErrRefused) {
		t.Errorf("the retry went through glass of the attempt before: %v", err)
	}
}

func TestAnAcceptedRiskOpensPreflightAndNoOther(t *testing.T) {
	s := must(t)(AcceptRisk(settled(t), by("anna", 0), "one-way"))
	risks := seen(func(o *Observation) { o.Risks = []OpenRisk{{"one-way", "a"}, {"no-drill", "b"}} })
	if d := Next(s, risks, t0()); d.Transition != nil || strings.Contains(d.Why, "one-way") || !strings.Contains(d.Why, "no-drill") {
		t.Errorf("%s", d.Describe())
	}
	s = must(t)(AcceptRisk(s, by("bert", 0), "no-drill"))
	s = step(t, s, risks, 0, KindAdvance)
	if len(s.Release.Risks) != 2 || s.Release.Risks[1].By != "bert" {
		t.Errorf("%+v", s.Release.Risks)
	}
}

func TestAQuarantineAbortsItsOwnReleaseInTheSameEntry(t *testing.T) {
	tr, err := Quarantine(in(t, PhaseBake), by("anna", 20*time.Minute), newRev)
	s := must(t)(tr, err)
	if len(tr.Before) != 1 || tr.Before[0].Kind != Fence || tr.Before[0].Pair.Revision != newRev || tr.Before[0].By != "anna" {
		t.Errorf("effects %v", tr.Before)
	}
	if s.Release.Ending.Outcome != Forbidden || s.Release.Weight != 0 {
		t.Errorf("%+v", s.Release)
	}
	other := must(t)(Quarantine(in(t, PhaseBake), by("anna", 20*time.Minute), otherRev))
	if other.Live() == nil {
		t.Error("the quarantine of another revision ended the release")
	}
}

func TestPinsFollowTheReleaseThatMayNeedThem(t *testing.T) {
	s := must(t)(Abort(settled(t), by("anna", time.Minute)))
	if !s.Keeps("release-dev-1.1") || len(s.Pending) != 0 {
		t.Fatalf("after an abort: pins %v, pending %v", s.Pins, s.Pending)
	}
	clean := must(t)(Settle(s, by("anna", time.Hour)))
	if clean.Keeps("release-dev-1.1") || len(clean.Pending) != 1 || clean.Pending[0].Kind != Unpin {
		t.Errorf("after settling: pins %v, pending %v", clean.Pins, clean.Pending)
	}
	next := must(t)(Retry(s, by("anna", time.Hour), Request{Head: 60}))
	if !next.Keeps("release-dev-1.2") || next.Keeps("release-dev-1.1") || effectWords(next.Pending) != "pin release-dev-1.2, unpin release-dev-1.1" {
		t.Errorf("after a retry: pins %v, pending %v", next.Pins, effectWords(next.Pending))
	}
	// A pin that nobody has set yet is not set any more, and removed in case it was.
	early := must(t)(Settle(must(t)(Abort(started(t), by("anna", 0))), by("anna", 0)))
	if effectWords(early.Pending) != "unpin release-dev-1.1" {
		t.Errorf("pending %v", effectWords(early.Pending))
	}
	empty := request()
	empty.Head = 0
	if s := must(t)(Start(adopted(t), by("anna", 0), empty)); len(s.Pending) != 0 {
		t.Errorf("the empty index is pinned: %v", s.Pending)
	}
}

func TestARollbackTakesBackAPromotionAndItsOccupancy(t *testing.T) {
	s := in(t, PhasePromoted)
	if got := s.Occupied(newRev, at(100*time.Hour)); got != 100*time.Hour-72*time.Minute {
		t.Errorf("occupied for %s", got)
	}
	s = must(t)(Restore(s, by("anna", 50*time.Hour), Pair{oldRev, 90}))
	if s.Stable != (Pair{oldRev, 90}) || s.Occupied(newRev, at(100*time.Hour)) != 0 {
		t.Errorf("stable %v, occupied %s", s.Stable, s.Occupied(newRev, at(100*time.Hour)))
	}
	if got := s.Occupied(oldRev, at(51*time.Hour)); got != 72*time.Minute {
		t.Errorf("the restored one was there for %s at a stretch", got)
	}
}
