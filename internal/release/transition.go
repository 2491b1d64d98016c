package release

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

var (
	// ErrBusy says that a release is under way in the environment.
	ErrBusy = fmt.Errorf("a release is under way: %w", lockstep.ErrConflict)
	// ErrNone says that no release is under way in the environment.
	ErrNone = fmt.Errorf("no release is under way: %w", lockstep.ErrRefused)
)

// Order is who asks for something, why, and when. All three are kept in the ledger.
type Order struct {
	Actor  string // person or machine
	Reason string
	At     time.Time
}

func (o Order) check() error {
	if err := checkText("actor", o.Actor); err != nil {
		return err
	}
	if err := checkText("reason", o.Reason); err != nil {
		return lockstep.Hint(err, "say why; it is kept in the ledger")
	}
	if o.At.IsZero() {
		return fmt.Errorf("%w time: none", lockstep.ErrInvalid)
	}
	return nil
}

// Transition is what a command asks for: effects to carry out first, in order, and
// the entry to append when all of them succeeded. Log.Append numbers the entry.
type Transition struct {
	Before []Effect
	Entry  Entry
}

// WithEvidence returns the transition with the evidence as it is now, which a person's order
// does not know of. What no entry could hold is left out.
func (t Transition) WithEvidence(e json.RawMessage) Transition {
	if r := t.Entry.State.Release; r != nil {
		r.keepEvidence(e)
	}
	return t
}

// open begins a transition from a copy of s.
func open(s State, by Order, kind Kind) (Transition, error) {
	if err := by.check(); err != nil {
		return Transition{}, err
	}
	if s.Environment == "" && kind != KindAdopt {
		return Transition{}, lockstep.Hint(fmt.Errorf("%w: the environment has no ledger of releases yet", lockstep.ErrNotFound),
			"adopt the revision that is running as stable first")
	}
	n, now := s.clone(), plain(by.At)
	if n.Stop != nil && n.Stopped(now) == nil {
		n.thaw(now) // every entry after its end says so
	}
	return Transition{Entry: Entry{Kind: kind, Actor: by.Actor, Reason: by.Reason, At: now, State: n}}, nil
}

// begin opens a transition of the release that is under way, which it returns.
func begin(s State, by Order, kind Kind) (Transition, *Release, error) {
	t, err := open(s, by, kind)
	if err != nil {
		return Transition{}, nil, err
	}
	r := t.Entry.State.Live()
	if r == nil {
		if s.Release == nil {
			return Transition{}, nil, lockstep.Hint(ErrNone, `"lockstep release start" begins one`)
		}
		return Transition{}, nil, lockstep.Hint(fmt.Errorf("%w: %s is over: %s", ErrNone, s.Release.ID, s.Release.endWords()),
			`"lockstep release history" shows what happened`)
	}
	return t, r, nil
}

// plain strips what an entry cannot keep: the monotonic reading and the zone.
func plain(t time.Time) time.Time { return t.Round(0).UTC() }

func refuse(what, why, hint string) error {
	return lockstep.Hint(fmt.Errorf("%s: %w: %s", what, lockstep.ErrRefused, why), hint)
}

func because(what string, reasons []string) string {
	if len(reasons) == 0 {
		return what
	}
	return what + ": " + strings.Join(reasons, "; ")
}

// clip keeps a reason that was put together within what an entry may hold.
func clip(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= MaxText {
		return s
	}
	return strings.ToValidUTF8(s[:MaxText-len("...")], "") + "..."
}

// quarantine refuses revision from now on, unless it is refused already.
func (s *State) quarantine(q Quarantined) {
	if _, there := s.Quarantined(q.Revision); !there {
		s.Quarantine = append(s.Quarantine, q)
	}
}

// promote makes the candidate of r stable.
func (s *State) promote(r *Release, head uint64, e Ending) {
	occupancy := Clock{}
	if r.Weight == All {
		occupancy = r.Full
	}
	s.enthrone(Pair{Revision: r.Candidate, Version: head}, occupancy.Stand(e.At), e.At)
	r.Weight, r.Halt = All, nil
	r.end(PhasePromoted, e)
	s.unpin("release " + r.ID + " is promoted")
}

// advance takes r to its next step, or promotes it from its last one.
func (t *Transition) advance(r *Release, seen Observation, skipped []Gate, e Ending) {
	r.record(seen)
	r.Passed = append(r.Passed, Passed{Step: r.Step, Began: r.StepSince, Ended: e.At, Ran: r.Clock.Elapsed(e.At), Seen: r.Seen, Skipped: skipped})
	if r.Step == len(r.Plan.Steps)-1 {
		t.Entry.Kind = KindPromote
		t.Entry.State.promote(r, seen.Head, e)
		return
	}
	r.enter(r.Step+1, e.At)
}

// record keeps what was seen, and the evidence. What no entry could hold is left
// out: an abort must not fail for what somebody else put together.
func (r *Release) record(seen Observation) {
	r.Seen = seen.Seen
	r.Seen.Mix = nil
	for _, e := range []lockstep.Event{lockstep.Insert, lockstep.Modify, lockstep.Remove} {
		if slices.Contains(seen.Seen.Mix, e) {
			r.Seen.Mix = append(r.Seen.Mix, e)
		}
	}
	r.keepEvidence(seen.Evidence)
}
