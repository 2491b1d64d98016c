package recovery

import (
	"context"
	"fmt"
	"slices"
	"time"

	"lockstep/internal/incident"
	"lockstep/internal/lockstep"
	"lockstep/internal/release"
)

// attempt is one attempt of a release, as the ledger of releases tells it.
type attempt struct {
	release *release.Release // at the newest entry about it, without its evidence
	turns   []turn           // oldest first
	end     *turn            // that took it out of the routing; nil: it may decide for keys
	settled *turn            // by which somebody called its data clean
	next    time.Time        // when the next attempt began, of whatever release; zero: none did
	until   uint64           // what is behind this version is not of this attempt; 0: there is no end yet
}

// turn is an entry of the ledger of releases, without the state that it holds: of a bake of
// days there are many, and each holds the evidence.
type turn struct {
	number  uint64
	kind    release.Kind
	actor   string
	reason  string
	at      time.Time
	phase   release.Phase
	weight  release.Weight
	step    int
	outcome release.Outcome
	stable  string
}

func turnOf(e *release.Entry) turn {
	t := turn{number: e.Number, kind: e.Kind, actor: e.Actor, reason: e.Reason, at: e.At, stable: e.State.Stable.Revision}
	if r := e.State.Release; r != nil {
		t.phase, t.weight, t.step = r.Phase, r.Weight, r.Step
		if r.Ending != nil {
			t.outcome = r.Ending.Outcome
		}
	}
	return t
}

// link says where the entry can be looked up.
func (t turn) link() string { return fmt.Sprintf("release ledger, entry %d", t.number) }

// attemptOf reads an attempt back from the newest entry of the ledger. number 0 is the
// latest attempt of the release, id "" the latest release. lockstep.ErrNotFound: there was
// no such attempt.
func attemptOf(ctx context.Context, log *release.Log, id string, number int) (attempt, error) {
	head, err := log.Head(ctx)
	if err != nil {
		return attempt{}, err
	}
	var a attempt
	var later []turn
	for n := head.Number(); n > 0; n-- {
		h, err := log.At(ctx, n)
		if err != nil {
			return attempt{}, err
		}
		r := h.State().Release
		if r == nil {
			break // before the first release
		}
		if id == "" {
			id = r.ID
		}
		if number == 0 && r.ID == id {
			number = r.Attempt
		}
		if r.ID == id && r.Attempt == number {
			a.add(r, turnOf(h.Entry))
			continue
		}
		if a.release != nil {
			break
		}
		later = append(later, turnOf(h.Entry))
		a.next, a.until = r.StartedAt, r.KnownGood.Version
	}
	if a.release == nil {
		return attempt{}, lockstep.Hint(fmt.Errorf("release %q, attempt %d: %w", id, number, lockstep.ErrNotFound), `"lockstep release history" lists the releases`)
	}
	slices.Reverse(a.turns)
	slices.Reverse(later)
	a.conclude(later)
	return a, nil
}

// add takes one more entry, each older than the last.
func (a *attempt) add(r *release.Release, t turn) {
	if a.release == nil {
		c := *r
		c.Evidence = nil
		a.release = &c
	}
	a.turns = append(a.turns, t)
}

// conclude finds out when the candidate lost its keys, and whether its data was called
// clean. later are the entries about what came behind it.
func (a *attempt) conclude(later []turn) {
	for i := range a.turns {
		t := &a.turns[i]
		aborted := t.phase == release.PhaseAborted
		dethroned := t.phase == release.PhasePromoted && !release.SameRevision(t.stable, a.release.Candidate)
		switch {
		case !aborted && !dethroned:
			a.end = nil
		case a.end == nil:
			a.end = t
		}
		if t.kind == release.KindSettle {
			a.settled = t
		}
	}
	if a.end != nil || len(later) == 0 {
		return
	}
	a.until = 0 // it was stable when the next one began, and went on to write
	for i := range later {
		if t := &later[i]; !release.SameRevision(t.stable, a.release.Candidate) {
			a.end = t
			return
		}
	}
}

// trial is the name of the attempt in the ledger of versions.
func (a *attempt) trial() string {
	return release.Effect{Release: a.release.ID, Attempt: a.release.Attempt}.Name()
}

// byVerdict says whether guards took it back, and no person. One that did not pass
// preflight has decided for no key, and harmed nobody.
func byVerdict(r *release.Release) bool {
	return r != nil && r.Phase == release.PhaseAborted && r.Ending != nil && r.Ending.Outcome == release.RolledBack
}

// subject is the attempt as an incident is about it.
func (a *attempt) subject() *incident.Subject {
	r := a.release
	s := &incident.Subject{Release: r.ID, Attempt: r.Attempt, Candidate: r.Candidate, Stable: r.KnownGood.Revision}
	for _, t := range a.turns {
		if t.weight > 0 && s.Since.IsZero() {
			s.Since = t.at
		}
		if !t.phase.Final() && t.step < len(r.Plan.Steps) {
			s.Step = fmt.Sprintf("step %d of %d, %s at %s", t.step+1, len(r.Plan.Steps), r.Plan.Steps[t.step].Kind, t.weight)
		}
	}
	if r.Phase == release.PhasePromoted {
		s.Step = "" // it had passed all of them
	}
	return s
}

// events is what the ledger of releases says of the attempt.
func (a *attempt) events() []incident.Event {
	var out []incident.Event
	for _, t := range a.turns {
		if t.kind == release.KindEvidence || t.kind == release.KindCarried {
			continue // housekeeping
		}
		what := fmt.Sprintf("%s, release %s", t.kind, a.release.ID)
		switch {
		case t.outcome != "" && t.kind == release.KindAbort:
			what += " (" + string(t.outcome) + ")"
		case !t.phase.Final():
			what += fmt.Sprintf(" (%s at %s)", t.phase, t.weight)
		}
		out = append(out, incident.Event{At: t.at, Who: t.actor, What: what + ": " + firstOf(t.reason), Link: t.link(), Source: "release"})
	}
	return out
}
