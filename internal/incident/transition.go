package incident

import (
	"fmt"
	"time"

	"lockstep/internal/lockstep"
)

// ErrClosed says that an incident is closed.
var ErrClosed = fmt.Errorf("the incident is closed: %w", lockstep.ErrRefused)

// Order is who says something, and when. Both are kept.
type Order struct {
	Actor string // person or machine
	At    time.Time
}

func (o Order) check() error {
	if err := name().want("actor", o.Actor); err != nil {
		return err
	}
	if o.At.IsZero() {
		return fmt.Errorf("%w time: none", lockstep.ErrInvalid)
	}
	return nil
}

// Transition is the entry that a transition leads to. Book.Do numbers it, takes the
// secrets out and appends it.
type Transition struct {
	Entry Entry
	Same  bool // it changes nothing; there is nothing to append
}

// begin opens a transition from a copy of in, which it returns.
func begin(in Incident, by Order, kind Kind) (*Transition, *Incident, error) {
	if err := by.check(); err != nil {
		return nil, nil, fmt.Errorf("incident %s: %s: %w", in.ID, kind, err)
	}
	if in.ID == "" {
		return nil, nil, fmt.Errorf("%s: %w: no such incident", kind, lockstep.ErrNotFound)
	}
	t := &Transition{Entry: Entry{Kind: kind, Actor: by.Actor, At: plain(by.At), Incident: in.clone()}}
	return t, &t.Entry.Incident, nil
}

// beginOpen is begin for what only an open incident takes. ErrClosed: it is closed.
func beginOpen(in Incident, by Order, kind Kind) (*Transition, *Incident, error) {
	t, next, err := begin(in, by, kind)
	if err == nil && !in.Open() {
		err = lockstep.Hint(fmt.Errorf("incident %s: %s: %w", in.ID, kind, ErrClosed), `"lockstep incident reopen `+in.ID+`" first`)
	}
	if err != nil {
		return nil, nil, err
	}
	return t, next, nil
}

// said ends a transition with the line that the history shows.
func (t *Transition) said(format string, args ...any) (Transition, error) {
	t.Entry.What = fmt.Sprintf(format, args...)
	return *t, nil
}

// same is the transition that changes nothing.
func same(in Incident) (Transition, error) {
	return Transition{Same: true, Entry: Entry{Incident: in}}, nil
}

func refuse(in Incident, what, why, hint string) error {
	return lockstep.Hint(fmt.Errorf("incident %s: %s: %w: %s", in.ID, what, lockstep.ErrRefused, why), hint)
}

func invalid(in Incident, what string, err error) error {
	return fmt.Errorf("incident %s: %s: %w", in.ID, what, err)
}

// full refuses one more when there are as many as an entry holds.
func full(in Incident, what string, n, most int) error {
	if n < most {
		return nil
	}
	return refuse(in, "one more "+what, fmt.Sprintf("it has %d already", n), "put the rest into a file and link that to the incident")
}

// Bounds of an incident, so that one entry stays small.
const (
	MaxNotes      = 256
	MaxDecisions  = 128
	MaxLinks      = 128
	MaxTasks      = 128
	MaxSignatures = 256
	MaxFindings   = 32
	MaxCounts     = 64
	MaxIDs        = 200
	MaxKeys       = 200
	MaxAccepted   = 128
	MaxPast       = 32
)
