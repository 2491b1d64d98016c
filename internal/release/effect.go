package release

import (
	"fmt"
	"slices"

	"lockstep/internal/lockstep"
)

// EffectKind is what an effect does outside of the ledger of releases.
type EffectKind string

// The kinds of effect.
const (
	Fence EffectKind = "fence" // into the ledger of versions: what was planned before it loses
	Pin   EffectKind = "pin"   // keep the version of Pair from being deleted
	Unpin EffectKind = "unpin" // let it go
)

// Effect is something to be done outside of the ledger. It may be done more than
// once, also after it was done: doing it again changes nothing that counts.
type Effect struct {
	Kind    EffectKind `json:"kind"`
	Release string     `json:"release"` // ID
	Attempt int        `json:"attempt"`
	Pair    Pair       `json:"pair"` // of a fence: the candidate; of a pin: the known good
	By      string     `json:"by"`
	Reason  string     `json:"reason"`
}

// Name identifies the fence or the pin: "release-prod-7.2" is that of the second
// attempt of release prod-7. It is a valid name of a pin.
func (e Effect) Name() string { return fmt.Sprintf("release-%s.%d", e.Release, e.Attempt) }

func (e Effect) check() error {
	switch e.Kind {
	case Fence, Pin, Unpin:
		return nil
	}
	return fmt.Errorf("%w effect %.80q", lockstep.ErrInvalid, e.Kind)
}

// fence is the effect that goes before every abort.
func (r *Release) fence(by, reason string) Effect {
	return Effect{Kind: Fence, Release: r.ID, Attempt: r.Attempt, Pair: Pair{Revision: r.Candidate}, By: by, Reason: reason}
}

// pin asks for the known good of r to be kept, and lets all go that was kept
// before. The empty index needs no pin: it is always there.
func (s *State) pin(r *Release) {
	old := s.Pins
	s.Pins = nil
	if r.KnownGood.Version > 0 {
		e := Effect{Kind: Pin, Release: r.ID, Attempt: r.Attempt, Pair: r.KnownGood, By: byItself, Reason: "what a rollback of release " + r.ID + " returns to"}
		s.Pins = []Effect{e}
		s.Pending = append(s.Pending, e)
	}
	s.letGo(old, "release "+r.ID+" has its own")
}

// Keeps says whether the pin of that name has to hold. A pin of a release that it
// does not keep was left by a controller that slept while its release ended; it
// costs room and nothing else, and may be removed by anybody.
func (s State) Keeps(pin string) bool {
	return slices.ContainsFunc(s.Pins, func(e Effect) bool { return e.Name() == pin })
}

// unpin lets everything go that is kept.
func (s *State) unpin(reason string) {
	old := s.Pins
	s.Pins = nil
	s.letGo(old, reason)
}

func (s *State) letGo(pins []Effect, reason string) {
	for _, p := range pins {
		// A pin that is still to be set is not set any more. It may have been, by
		// somebody who died before saying so, and therefore it is removed all the same.
		s.Pending = slices.DeleteFunc(s.Pending, func(e Effect) bool { return e.Kind == Pin && e.Name() == p.Name() })
		p.Kind, p.Reason = Unpin, reason
		s.Pending = append(s.Pending, p)
	}
}
