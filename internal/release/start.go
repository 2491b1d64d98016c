package release

import (
	"encoding/json"
	"fmt"
	"time"

	"lockstep/internal/lockstep"
)

// Request says what shall be released, and what the gates of a start answer.
type Request struct {
	Candidate string // revision ID
	Plan      Plan
	Head      uint64   // newest version of the index: with stable, the known good
	Frozen    Window   // Calendar.Frozen
	Chain     []string // Chain.Gate: why the environment before is not enough
	// Glass opens gates for this release from its start on. Gate and Second count; the
	// rest is taken from the order.
	Glass []Glass
	// Supersedes is the ID of the aborted release that this one takes the place of.
	Supersedes string
	// InverseOf is the ID of the release that this one undoes.
	InverseOf string
	// Evidence is what the history holds about the content of the candidate; nil takes
	// what the release before leaves, when it was of the same content.
	Evidence json.RawMessage
}

// Adopt begins the ledger of an environment with the revision that is running there
// as stable. ErrRefused: the ledger has begun.
func Adopt(s State, by Order, environment string, stable Pair) (Transition, error) {
	if s.Environment != "" {
		return Transition{}, refuse("adopt "+stable.Revision, "the ledger of "+s.Environment+" has begun", `"lockstep release start" changes what is stable`)
	}
	t, err := open(s, by, KindAdopt)
	if err == nil {
		err = CheckEnvironment(environment)
	}
	if err == nil {
		err = CheckRevision(stable.Revision)
	}
	if err != nil {
		return Transition{}, fmt.Errorf("adopt %s: %w", stable.Revision, err)
	}
	n := &t.Entry.State
	n.Environment, n.KnownGood = environment, stable
	n.enthrone(stable, Clock{}, t.Entry.At)
	return t, nil
}

// Start begins a release. The pair of stable and Request.Head becomes the known
// good; its pin is pending until a controller has set it. ErrBusy: another release
// is under way. ErrRefused: the candidate is quarantined or stable already, a gate
// is closed, or what it supersedes is not an aborted release. ErrInvalid: candidate
// or plan.
func Start(s State, by Order, req Request) (Transition, error) {
	t, err := open(s, by, KindStart)
	if err != nil {
		return Transition{}, fmt.Errorf("start a release: %w", err)
	}
	what := "start a release of " + req.Candidate
	if live := s.Live(); live != nil {
		return Transition{}, lockstep.Hint(fmt.Errorf("%s: %w: %s of %s", what, ErrBusy, live.ID, live.Candidate), `wait for it, or "lockstep release abort" it`)
	}
	if err := CheckRevision(req.Candidate); err != nil {
		return Transition{}, fmt.Errorf("%s: %w", what, err)
	}
	if err := req.Plan.Check(); err != nil {
		return Transition{}, fmt.Errorf("%s: %w", what, err)
	}
	if len(req.Evidence) > MaxEvidence || (req.Evidence != nil && !json.Valid(req.Evidence)) {
		return Transition{}, fmt.Errorf("%s: %w evidence of %d bytes: want JSON, at most %d", what, lockstep.ErrInvalid, len(req.Evidence), MaxEvidence)
	}
	if SameRevision(req.Candidate, s.Stable.Revision) {
		return Transition{}, refuse(what, "it is stable already", "")
	}
	last := s.Release
	if req.Supersedes != "" && (last == nil || last.ID != req.Supersedes || last.Phase != PhaseAborted) {
		return Transition{}, refuse(what, req.Supersedes+", which it shall supersede, is not the latest release, or was not aborted", `abort it first with "lockstep release abort"`)
	}
	n := &t.Entry.State
	n.Releases++
	r := &Release{
		ID: releaseID(s.Environment, n.Releases), Number: n.Releases, Candidate: req.Candidate,
		By: by.Actor, Reason: by.Reason, Attempt: 1, Supersedes: req.Supersedes, InverseOf: req.InverseOf,
		Plan: req.Plan, PlanHash: req.Plan.Hash(), Evidence: req.Evidence,
	}
	if r.Evidence == nil && last != nil && SameRevision(last.Candidate, req.Candidate) {
		r.Evidence, r.EvidenceAt = last.Evidence, last.EvidenceAt
	}
	n.Release = r
	if err := t.launch(what, req, by); err != nil {
		return Transition{}, err
	}
	return t, nil
}

// Retry begins an aborted release again, from its first step, under the same ID, so
// that every key keeps its bucket. It keeps the evidence and the accepted risks, and
// nothing else; the known good is taken anew. Of the request, only Head and the
// gates count. ErrRefused: the latest release was not aborted, its candidate is
// quarantined, or a gate is closed.
func Retry(s State, by Order, req Request) (Transition, error) {
	t, err := open(s, by, KindRetry)
	if err != nil {
		return Transition{}, fmt.Errorf("retry: %w", err)
	}
	r := t.Entry.State.Release
	switch {
	case r == nil:
		return Transition{}, lockstep.Hint(fmt.Errorf("retry: %w", ErrNone), `"lockstep release start" begins one`)
	case r.Phase != PhaseAborted:
		return Transition{}, refuse("retry release "+r.ID, "it was not aborted: "+string(r.Phase), `"lockstep release status" shows it`)
	case SameRevision(r.Candidate, s.Stable.Revision):
		return Transition{}, refuse("retry release "+r.ID, "its candidate is stable already", "")
	}
	r.Attempt++
	r.Halt, r.Ending, r.Alarm, r.Passed, r.Glass, r.Full = nil, nil, nil, nil, nil, Clock{}
	if err := t.launch("retry release "+r.ID, req, by); err != nil {
		return Transition{}, err
	}
	return t, nil
}

// launch puts the release of t into its first step, if its gates let it.
func (t *Transition) launch(what string, req Request, by Order) error {
	s, now := &t.Entry.State, t.Entry.At
	r := s.Release
	if q, bad := s.Quarantined(r.Candidate); bad {
		return refuse(what, fmt.Sprintf("%s was quarantined by %s: %s", q.Revision, q.By, q.Reason), `"lockstep revision release-quarantine" lets it in again`)
	}
	for _, g := range req.Glass {
		g.By, g.Reason, g.At = by.Actor, by.Reason, now
		if err := g.check(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		r.Glass = append(r.Glass, g)
	}
	closed, _ := split(r, startConditions(*s, req, now))
	if len(closed) > 0 {
		return refuse(what, words(closed), glassHint(closed))
	}
	r.StartedAt, r.KnownGood = now, Pair{Revision: s.Stable.Revision, Version: req.Head}
	s.KnownGood = r.KnownGood
	r.enter(0, now)
	s.pin(r)
	return nil
}

func startConditions(s State, req Request, now time.Time) []unmet {
	list := freezeConditions(s, req.Frozen, now)
	for _, why := range req.Chain {
		list = append(list, unmet{gate: GateChain, words: why})
	}
	return list
}
