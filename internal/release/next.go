package release

import (
	"bytes"
	"fmt"
	"time"
)

// byItself is the actor of what nobody ordered, until Controller.Tick puts its own
// name in the entry.
const byItself = "lockstep"

// evidenceEvery is how often evidence is kept while nothing else happens. What was
// not kept is computed again from the ledger of versions after a restart.
const evidenceEvery = 10 * time.Minute

// Decision is what Next thinks should happen now.
type Decision struct {
	// Transition is what to carry out and append; nil: nothing yet.
	Transition *Transition
	// Why is the reason, for people: of the entry, or of the waiting.
	Why string
	// Until is the earliest time at which waiting can end by itself. Zero: it takes more
	// than time, or there is nothing to wait for.
	Until time.Time
}

// Next decides what happens to the environment in state s, given what was seen, at
// now. It is pure: the same arguments give the same decision. The first rule of the
// list that has something to say decides.
func Next(s State, seen Observation, now time.Time) Decision {
	n := next{s: s, seen: seen, now: plain(now)}
	for _, rule := range []func() (Decision, bool){
		n.takeBack, // a fence that a promotion overtook
		n.abort,    // from any step, halted or not
		n.carry,    // what the ledger asks for and nobody has done yet
		n.thaw,     // a stop that has run out
		n.watch,    // a promoted candidate gets worse
		n.idle,     // nothing under way
		n.stand,    // paused or expired: a person's turn
		n.hold,     // a guard stops it
		n.lift,     // or lets it go
		n.expire,   // nobody approved in time
		n.keep,     // evidence, now and then
		n.wait,     // something is not there yet
	} {
		if d, ok := rule(); ok {
			return d
		}
	}
	return n.advance()
}

type next struct {
	s    State
	seen Observation
	now  time.Time
}

// act makes a decision of an entry of that kind, which change fills in.
func (n next) act(kind Kind, why string, change func(t *Transition, s *State)) Decision {
	why = clip(why)
	t, err := open(n.s, Order{Actor: byItself, Reason: why, At: n.now}, kind)
	if err != nil {
		// An order of ours is complete, so this state belongs to no environment, or now
		// is no time at all.
		return Decision{Why: err.Error()}
	}
	change(&t, &t.Entry.State)
	return Decision{Transition: &t, Why: t.Entry.Reason}
}

func (n next) ending(outcome Outcome, why string) Ending {
	return Ending{Outcome: outcome, By: byItself, Reason: clip(why), At: n.now}
}

// takeBack keeps the promise of an abort that lost its entry to a promotion.
func (n next) takeBack() (Decision, bool) {
	r := n.s.Release
	if r == nil || r.Phase != PhasePromoted || !n.seen.Fenced || !SameRevision(n.s.Stable.Revision, r.Candidate) {
		return Decision{}, false
	}
	if _, bad := n.s.Quarantined(r.KnownGood.Revision); bad {
		return Decision{}, false
	}
	why := because("it was fenced to be aborted while it was being promoted", n.seen.fencedWhy())
	return n.act(KindAbort, why, func(_ *Transition, s *State) {
		s.dethrone(Pair{Revision: s.KnownGood.Revision, Version: n.seen.Head}, n.now)
		s.Release.end(PhaseAborted, n.ending(TakenBack, why))
	}), true
}

// doomed is why a release has to be aborted, and how that will be called.
type doomed struct {
	outcome Outcome
	reason  string
}

// doom says whether r has to be aborted. The order decides what it is called.
func doom(s State, r *Release, seen Observation) (doomed, bool) {
	if q, bad := s.Quarantined(r.Candidate); bad {
		return doomed{Forbidden, fmt.Sprintf("the candidate was quarantined by %s: %s", q.By, q.Reason)}, true
	}
	if seen.Quarantined != "" {
		return doomed{Forbidden, "the candidate was quarantined elsewhere: " + seen.Quarantined}, true
	}
	if r.Phase == PhasePreflight && seen.Preflight == Bad {
		return doomed{Unfit, because("preflight failed", seen.Reasons)}, true
	}
	if seen.Verdict == Bad && (!lastCopy(r, seen) || seen.Fenced) {
		return doomed{RolledBack, because("a guard found the candidate bad", seen.Reasons)}, true
	}
	if seen.Fenced {
		return doomed{TakenBack, because("its fence is in the ledger of versions: an abort was begun", seen.fencedWhy())}, true
	}
	return doomed{}, false
}

// lastCopy says whether there would be nothing to go back to.
func lastCopy(r *Release, seen Observation) bool { return r.Weight == All && seen.Stable == Bad }

func (n next) abort() (Decision, bool) {
	live := n.s.Live()
	if live == nil {
		return Decision{}, false
	}
	cause, ok := doom(n.s, live, n.seen)
	if !ok {
		return Decision{}, false
	}
	return n.act(KindAbort, cause.reason, func(t *Transition, s *State) {
		r := s.Release
		if !n.seen.Fenced {
			t.Before = []Effect{r.fence(byItself, t.Entry.Reason)}
		}
		r.record(n.seen)
		ending := n.ending(cause.outcome, cause.reason)
		if cause.outcome == RolledBack || cause.outcome == Unfit {
			ending.Culprit = n.seen.Culprit.at(r.Step)
		}
		r.end(PhaseAborted, ending)
		if cause.outcome == RolledBack {
			s.quarantine(Quarantined{Revision: r.Candidate, By: byItself, Reason: t.Entry.Reason, At: n.now})
		}
	}), true
}

func (n next) carry() (Decision, bool) {
	if len(n.s.Pending) == 0 {
		return Decision{}, false
	}
	return n.act(KindCarried, effectWords(n.s.Pending)+" is carried out", func(t *Transition, s *State) {
		t.Before, s.Pending = s.Pending, nil
	}), true
}

func (n next) thaw() (Decision, bool) {
	if n.s.Stop == nil || n.s.Stopped(n.now) != nil {
		return Decision{}, false
	}
	// Opening the entry does it, as it does for every other entry.
	return n.act(KindUnfreeze, "the stop of the line ran out at "+clockTime(n.s.Stop.Until), func(*Transition, *State) {}), true
}

func (n next) idle() (Decision, bool) {
	if n.s.Live() != nil {
		return Decision{}, false
	}
	return Decision{Why: "no release is under way"}, true
}

func (n next) stand() (Decision, bool) {
	h := n.s.Release.Halt
	if h == nil || h.Kind == Held {
		return Decision{}, false
	}
	return Decision{Why: fmt.Sprintf("%s by %s: %s", h.Kind, h.By, h.Reason)}, true
}

// holding says why a guard stops the release, "" when none does.
func (n next) holding() string {
	r := n.s.Release
	switch {
	case n.seen.Verdict == Bad && lastCopy(r, n.seen):
		return because("the candidate is bad, and it is the last copy: stable cannot run", n.seen.Reasons)
	case n.seen.Verdict == Hold && !r.Opened(GateVerdict):
		return because("a guard holds it", n.seen.Reasons)
	}
	return ""
}

func (n next) hold() (Decision, bool) {
	why := n.holding()
	if why == "" {
		return Decision{}, false
	}
	if n.s.Release.Halt != nil {
		return Decision{Why: why}, true
	}
	return n.act(KindHold, why, func(t *Transition, s *State) {
		s.Release.record(n.seen)
		s.Release.halt(Halt{Kind: Held, By: byItself, Reason: t.Entry.Reason, At: n.now, Culprit: n.seen.Culprit.at(s.Release.Step)})
	}), true
}

func (n next) lift() (Decision, bool) {
	if n.s.Release.Halt == nil {
		return Decision{}, false
	}
	return n.act(KindLift, "no guard holds it any more", func(_ *Transition, s *State) {
		s.Release.record(n.seen)
		s.Release.goOn(n.now)
	}), true
}

func (n next) expire() (Decision, bool) {
	r := n.s.Release
	step := r.Current()
	missing := step.Approvals - len(r.Approvals)
	deadline := r.AskedAt.Add(step.expires())
	if missing <= 0 || r.Opened(GateApproval) || n.now.Before(deadline) {
		return Decision{}, false
	}
	why := fmt.Sprintf("%s did not approve before %s", people(missing), clockTime(deadline))
	return n.act(KindExpire, why, func(_ *Transition, s *State) {
		s.Release.halt(Halt{Kind: Expired, By: byItself, Reason: why, At: n.now})
	}), true
}

func (n next) keep() (Decision, bool) {
	r := n.s.Release
	if n.seen.Evidence == nil || bytes.Equal(n.seen.Evidence, r.Evidence) || n.now.Sub(r.EvidenceAt) < evidenceEvery || n.ready() {
		return Decision{}, false
	}
	return n.act(KindEvidence, "the evidence so far", func(_ *Transition, s *State) {
		s.Release.record(n.seen)
		s.Release.EvidenceAt = n.now
	}), true
}

func (n next) ready() bool {
	closed, _ := split(n.s.Release, conditions(n.s, n.s.Release, n.seen, n.now))
	return len(closed) == 0
}

func (n next) wait() (Decision, bool) {
	closed, _ := split(n.s.Release, conditions(n.s, n.s.Release, n.seen, n.now))
	if len(closed) == 0 {
		return Decision{}, false
	}
	d := Decision{Why: words(closed)}
	for _, c := range closed {
		if c.until.After(d.Until) {
			d.Until = c.until
		}
	}
	return d, true
}

func (n next) advance() Decision {
	r := n.s.Release
	_, skipped := split(r, conditions(n.s, r, n.seen, n.now))
	why := "passed: " + r.Current().String()
	if len(skipped) > 0 {
		why += "; opened by glass: " + gateWords(skipped)
	}
	return n.act(KindAdvance, why, func(t *Transition, s *State) {
		t.advance(s.Release, n.seen, skipped, n.ending(Promoted, why))
	})
}
