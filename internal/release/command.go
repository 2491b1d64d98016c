package release

import (
	"fmt"
	"slices"
	"time"

	"lockstep/internal/lockstep"
)

// Promote takes the release to its next step now, or makes the candidate stable from
// the last one. It is no way round anything: what the step still asks for must have
// been opened by BreakGlass. ErrRefused: that is not so, the release stands still, or
// it is about to be aborted.
func Promote(s State, by Order, seen Observation) (Transition, error) {
	t, r, err := begin(s, by, KindAdvance)
	if err != nil {
		return Transition{}, fmt.Errorf("promote: %w", err)
	}
	what := "promote release " + r.ID
	if err := movable(s, r, seen, what); err != nil {
		return Transition{}, err
	}
	closed, skipped := split(r, conditions(s, r, seen, t.Entry.At))
	if len(closed) > 0 {
		return Transition{}, refuse(what, words(closed), glassHint(closed))
	}
	t.advance(r, seen, skipped, Ending{Outcome: Promoted, By: by.Actor, Reason: by.Reason, At: t.Entry.At})
	return t, nil
}

// PromoteFully makes the candidate stable now, whatever steps are left. Every gate
// that they have must have been opened by BreakGlass, and preflight must be passed.
// ErrRefused: as with Promote.
func PromoteFully(s State, by Order, seen Observation) (Transition, error) {
	t, r, err := begin(s, by, KindPromote)
	if err != nil {
		return Transition{}, fmt.Errorf("promote: %w", err)
	}
	what := "promote release " + r.ID + " fully"
	if err := movable(s, r, seen, what); err != nil {
		return Transition{}, err
	}
	list := conditions(s, r, seen, t.Entry.At)
	for i, step := range r.Plan.Steps[r.Step+1:] {
		list = append(list, demands(step, r.Step+1+i)...)
	}
	closed, skipped := split(r, list)
	if len(closed) > 0 {
		return Transition{}, refuse(what, words(closed), glassHint(closed))
	}
	r.record(seen)
	r.Passed = append(r.Passed, Passed{Step: r.Step, Began: r.StepSince, Ended: t.Entry.At, Ran: r.Clock.Elapsed(t.Entry.At), Seen: r.Seen, Skipped: skipped})
	r.Step = len(r.Plan.Steps) - 1
	t.Entry.State.promote(r, seen.Head, Ending{Outcome: Promoted, By: by.Actor, Reason: by.Reason, At: t.Entry.At})
	return t, nil
}

// demands lists what a step that was never entered would ask for.
func demands(step Step, i int) []unmet {
	var list []unmet
	add := func(gate Gate, asked bool) {
		if asked {
			list = append(list, unmet{gate: gate, words: fmt.Sprintf("step %d asks for %s", i+1, gate)})
		}
	}
	add(GateTime, step.For > 0)
	add(GateUnits, step.MinUnits > 0)
	add(GateMix, len(step.Mix) > 0)
	add(GateApproval, step.Approvals > 0)
	return list
}

// movable refuses what no glass helps against.
func movable(s State, r *Release, seen Observation, what string) error {
	if cause, doomed := doom(s, r, seen); doomed {
		return refuse(what, "it is about to be aborted: "+cause.reason, `"lockstep release status" shows it`)
	}
	if len(s.Pending) > 0 {
		return refuse(what, fmt.Sprintf("%d effects are still to be carried out, first %s %s", len(s.Pending), s.Pending[0].Kind, s.Pending[0].Name()), "the controller does it; is one running?")
	}
	if r.Halt != nil && r.Halt.Kind != Held {
		return refuse(what, fmt.Sprintf("it is %s: %s", r.Halt.Kind, r.Halt.Reason), `"lockstep release resume" first`)
	}
	return nil
}

// Pause stops the release and its clock until somebody resumes it. It is aborted
// all the same when it is found bad. ErrRefused: it is paused already.
func Pause(s State, by Order) (Transition, error) {
	t, r, err := begin(s, by, KindPause)
	if err != nil {
		return Transition{}, fmt.Errorf("pause: %w", err)
	}
	if r.Halt != nil && r.Halt.Kind == Paused {
		return Transition{}, refuse("pause release "+r.ID, "it is paused, by "+r.Halt.By+": "+r.Halt.Reason, `"lockstep release resume" lets it go on`)
	}
	r.halt(Halt{Kind: Paused, By: by.Actor, Reason: by.Reason, At: t.Entry.At})
	return t, nil
}

// Resume lets a release go on that a person paused, or whose approval expired: then
// the approval is asked for anew. ErrRefused: it does not stand still, or a guard
// holds it, which lets it go by itself.
func Resume(s State, by Order) (Transition, error) {
	t, r, err := begin(s, by, KindResume)
	if err != nil {
		return Transition{}, fmt.Errorf("resume: %w", err)
	}
	switch {
	case r.Halt == nil:
		return Transition{}, refuse("resume release "+r.ID, "it does not stand still", `"lockstep release status" shows what it waits for`)
	case r.Halt.Kind == Held:
		return Transition{}, refuse("resume release "+r.ID, "a guard holds it: "+r.Halt.Reason, "it goes on by itself when the guard lets it")
	}
	r.goOn(t.Entry.At)
	return t, nil
}

// Abort ends the release; stable decides for every key. The fence goes first, since
// that is what stops publishing; should the entry then fail, the next Tick finds the
// fence and aborts. The pin of the known good holds on, for the rollback of the
// data, until Settle or the next start.
func Abort(s State, by Order) (Transition, error) {
	t, r, err := begin(s, by, KindAbort)
	if err != nil {
		return Transition{}, fmt.Errorf("abort: %w", err)
	}
	t.Before = []Effect{r.fence(by.Actor, by.Reason)}
	r.end(PhaseAborted, Ending{Outcome: Called, By: by.Actor, Reason: by.Reason, At: t.Entry.At})
	return t, nil
}

// Approve adds one person's approval of the promotion. ErrRefused: nothing waits for
// one, the person started the release, or has approved already.
func Approve(s State, by Order) (Transition, error) {
	t, r, err := begin(s, by, KindApprove)
	if err != nil {
		return Transition{}, fmt.Errorf("approve: %w", err)
	}
	what := "approve release " + r.ID
	deadline := r.AskedAt.Add(r.Current().expires())
	switch {
	case r.Phase != PhasePromote || len(r.Approvals) >= r.Current().Approvals:
		return Transition{}, refuse(what, "it does not wait for an approval", `"lockstep release status" shows what it waits for`)
	case r.Halt != nil && r.Halt.Kind == Expired, !t.Entry.At.Before(deadline):
		return Transition{}, refuse(what, "the approval expired at "+clockTime(deadline), `"lockstep release resume" asks for it anew`)
	case samePerson(by.Actor, r.By):
		return Transition{}, refuse(what, by.Actor+" started it", "another person has to approve")
	case slices.ContainsFunc(r.Approvals, func(a Approval) bool { return samePerson(a.By, by.Actor) }):
		return Transition{}, refuse(what, by.Actor+" has approved already", "another person has to approve")
	}
	r.Approvals = append(r.Approvals, Approval{By: by.Actor, Reason: by.Reason, At: t.Entry.At})
	return t, nil
}

// AcceptRisk accepts a risk of the release by the name that preflight gives it.
// ErrRefused: it was accepted already. ErrInvalid: the name is empty or too long.
func AcceptRisk(s State, by Order, name string) (Transition, error) {
	t, r, err := begin(s, by, KindRisk)
	if err == nil {
		err = checkText("risk", name)
	}
	if err != nil {
		return Transition{}, fmt.Errorf("accept risk: %w", err)
	}
	if r.Accepted(name) {
		return Transition{}, refuse("accept risk "+name, "it is accepted already", "")
	}
	r.Risks = append(r.Risks, Risk{Name: name, By: by.Actor, Reason: by.Reason, At: t.Entry.At})
	return t, nil
}

// Quarantine refuses revision from now on, by the hash of its content. If it is the
// candidate of the release under way, that is aborted by the same entry. ErrRefused:
// it is quarantined already, or it is stable, and something has to decide.
func Quarantine(s State, by Order, revision string) (Transition, error) {
	t, err := open(s, by, KindJail)
	if err == nil {
		err = CheckRevision(revision)
	}
	if err != nil {
		return Transition{}, fmt.Errorf("quarantine %s: %w", revision, err)
	}
	what := "quarantine " + revision
	if q, there := s.Quarantined(revision); there {
		return Transition{}, refuse(what, "it was quarantined by "+q.By+": "+q.Reason, "")
	}
	if SameRevision(s.Stable.Revision, revision) {
		return Transition{}, refuse(what, "it is stable in "+s.Environment, `go back to another revision first: "lockstep rollback plan"`)
	}
	if len(s.Quarantine) >= MaxQuarantined {
		return Transition{}, refuse(what, fmt.Sprintf("%d revisions are quarantined already", len(s.Quarantine)), `"lockstep revision release-quarantine" those that are gone`)
	}
	n := &t.Entry.State
	n.quarantine(Quarantined{Revision: revision, By: by.Actor, Reason: by.Reason, At: t.Entry.At})
	if r := n.Live(); r != nil && SameRevision(r.Candidate, revision) {
		t.Before = []Effect{r.fence(by.Actor, by.Reason)}
		r.end(PhaseAborted, Ending{Outcome: Forbidden, By: by.Actor, Reason: by.Reason, At: t.Entry.At})
	}
	return t, nil
}

// Unquarantine lets a quarantined revision in again. Evidence against it stays.
// ErrNotFound: it is not quarantined.
func Unquarantine(s State, by Order, revision string) (Transition, error) {
	t, err := open(s, by, KindUnjail)
	if err != nil {
		return Transition{}, fmt.Errorf("release %s from quarantine: %w", revision, err)
	}
	if _, there := s.Quarantined(revision); !there {
		return Transition{}, fmt.Errorf("release %s from quarantine: %w: it is not quarantined in %s", revision, lockstep.ErrNotFound, s.Environment)
	}
	n := &t.Entry.State
	n.Quarantine = slices.DeleteFunc(n.Quarantine, func(q Quarantined) bool { return SameRevision(q.Revision, revision) })
	return t, nil
}

// Freeze stops the line: nothing starts or advances before until (zero: before
// Unfreeze). Aborts and rollbacks go on. ErrRefused: it is stopped already.
// ErrInvalid: until is not in the future.
func Freeze(s State, by Order, until time.Time) (Transition, error) {
	t, err := open(s, by, KindFreeze)
	if err != nil {
		return Transition{}, fmt.Errorf("stop the line: %w", err)
	}
	now := t.Entry.At
	if stop := s.Stopped(now); stop != nil {
		return Transition{}, refuse("stop the line", "it was stopped by "+stop.By+": "+stop.Reason, "let it run first")
	}
	if !until.IsZero() {
		if until = plain(until); !until.After(now) {
			return Transition{}, fmt.Errorf("stop the line: %w end %s: it is not in the future", lockstep.ErrInvalid, clockTime(until))
		}
	}
	n := &t.Entry.State
	n.thaw(now)
	n.Stop = &Stop{By: by.Actor, Reason: by.Reason, At: now, Until: until}
	n.Occupancy = n.Occupancy.Stand(now)
	return t, nil
}

// Unfreeze lets the line run again. ErrRefused: it is not stopped.
func Unfreeze(s State, by Order) (Transition, error) {
	t, err := open(s, by, KindUnfreeze)
	if err != nil {
		return Transition{}, fmt.Errorf("let the line run: %w", err)
	}
	if s.Stop == nil {
		return Transition{}, refuse("let the line run", "it is not stopped", "")
	}
	t.Entry.State.thaw(t.Entry.At)
	return t, nil
}

// thaw removes a stop, from the time on at which it ended.
func (s *State) thaw(now time.Time) {
	if s.Stop == nil {
		return
	}
	if end := s.Stop.Until; !end.IsZero() && end.Before(now) {
		now = end
	}
	s.Stop, s.Occupancy = nil, s.Occupancy.Run(now)
}

// Restore makes to stable without a release: it is how a rollback takes back a
// promotion, and asks no gate. The time for which the revision that goes was stable
// counts for no chain. ErrBusy: a release is under way and has to be aborted first.
// ErrRefused: to is quarantined, is stable already, or never was stable here.
func Restore(s State, by Order, to Pair) (Transition, error) {
	t, err := open(s, by, KindRestore)
	if err == nil {
		err = CheckRevision(to.Revision)
	}
	what := "restore " + to.Revision
	if err != nil {
		return Transition{}, fmt.Errorf("%s: %w", what, err)
	}
	if live := s.Live(); live != nil {
		return Transition{}, lockstep.Hint(fmt.Errorf("%s: %w: %s", what, ErrBusy, live.ID), `"lockstep release abort" it first`)
	}
	if q, bad := s.Quarantined(to.Revision); bad {
		return Transition{}, refuse(what, "it was quarantined by "+q.By+": "+q.Reason, "name another revision")
	}
	if SameRevision(to.Revision, s.Stable.Revision) {
		return Transition{}, refuse(what, "it is stable already", "")
	}
	was := func(p Tenure) bool { return SameRevision(p.Revision, to.Revision) }
	if !SameRevision(s.KnownGood.Revision, to.Revision) && !slices.ContainsFunc(s.Past, was) {
		return Transition{}, refuse(what, "it never was stable in "+s.Environment, `"lockstep release start" is the way for a new revision`)
	}
	t.Entry.State.dethrone(to, t.Entry.At)
	return t, nil
}

// Settle says that the data of the latest release is as it should be, so that its
// known good need not be kept any more. ErrBusy: the release is under way.
// ErrRefused: nothing is kept.
func Settle(s State, by Order) (Transition, error) {
	t, err := open(s, by, KindSettle)
	if err != nil {
		return Transition{}, fmt.Errorf("settle: %w", err)
	}
	if live := s.Live(); live != nil {
		return Transition{}, fmt.Errorf("settle: %w: %s", ErrBusy, live.ID)
	}
	if len(s.Pins) == 0 {
		return Transition{}, refuse("settle", "no known good is kept", "")
	}
	t.Entry.State.unpin(by.Reason)
	return t, nil
}
