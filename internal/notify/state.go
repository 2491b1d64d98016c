package notify

import (
	"fmt"
	"slices"
	"time"

	"lockstep/internal/lockstep"
)

// Status is how far a delivery is.
type Status string

// The states of a delivery.
const (
	Waiting Status = "waiting"  // to be sent, not before Next
	Claimed Status = "claimed"  // somebody sends it, and has until Next
	Sent    Status = "sent"     // the receiver has it
	GivenUp Status = "given-up" // it was not sent, and nobody tries any more
)

// Final says whether nobody works on it any more.
func (s Status) Final() bool { return s == Sent || s == GivenUp }

// Delivery is one message on its way to one recipient.
type Delivery struct {
	Recipient string    `json:"recipient"`
	Status    Status    `json:"status"`
	Since     time.Time `json:"since"`              // when it was put, or tried anew by order; giving up counts from here
	Attempts  int       `json:"attempts,omitempty"` // claims so far; the number of one is what tells it from the others
	By        string    `json:"by,omitempty"`       // who holds the claim, or gave it up by order
	Next      time.Time `json:"next,omitzero"`      // see Status
	Asked     bool      `json:"asked,omitempty"`    // the receiver asked for Next
	Error     string    `json:"error,omitempty"`    // of the last attempt that failed
	Receipt   *Receipt  `json:"receipt,omitempty"`
	Done      time.Time `json:"done,omitzero"` // when it became final
}

// Item is a message with its deliveries, in the order in which recipients were named.
type Item struct {
	Message    Message    `json:"message"`
	Packed     bool       `json:"packed,omitempty"` // text, Markdown and fields are gone
	Deliveries []Delivery `json:"deliveries"`
}

// Final says whether nobody works on any of its deliveries any more.
func (i Item) Final() bool {
	return !slices.ContainsFunc(i.Deliveries, func(d Delivery) bool { return !d.Status.Final() })
}

// Arrived says whether every recipient has it.
func (i Item) Arrived() bool {
	return !slices.ContainsFunc(i.Deliveries, func(d Delivery) bool { return d.Status != Sent })
}

// To returns the delivery to a recipient.
func (i Item) To(recipient string) (Delivery, bool) {
	n := slices.IndexFunc(i.Deliveries, func(d Delivery) bool { return d.Recipient == recipient })
	if n < 0 {
		return Delivery{}, false
	}
	return i.Deliveries[n], true
}

// State is the outbox: a value. No function of this package changes one that it was
// given.
type State struct {
	Items     []Item `json:"items,omitempty"`     // oldest first
	Forgotten uint64 `json:"forgotten,omitempty"` // messages that were dropped after they were final
}

// Bounds of a state, so that one entry stays small. What is not final is never dropped
// and never packed; a Put that finds no room is refused instead.
const (
	MaxPending    = 200 // messages that are not final
	MaxFinal      = 300 // final ones that are remembered by their IDs
	MaxWhole      = 16  // final ones of which some delivery was given up, and that could be tried anew
	MaxRecipients = 50  // of one message
)

// Find returns the message of an ID.
func (s State) Find(id string) (Item, bool) {
	if n := s.index(id); n >= 0 {
		return s.Items[n], true
	}
	return Item{}, false
}

func (s State) index(id string) int {
	return slices.IndexFunc(s.Items, func(i Item) bool { return i.Message.ID == id })
}

// Pending returns the messages that are not final, oldest first.
func (s State) Pending() []Item { return s.filter(func(i Item) bool { return !i.Final() }) }

// Lost returns the messages of which a delivery was given up, oldest first.
func (s State) Lost() []Item { return s.filter(func(i Item) bool { return i.Final() && !i.Arrived() }) }

func (s State) filter(keep func(Item) bool) []Item {
	var out []Item
	for _, i := range s.Items {
		if keep(i) {
			out = append(out, i)
		}
	}
	return out
}

// Ref names a delivery.
type Ref struct {
	ID        string `json:"id"`
	Recipient string `json:"recipient"`
}

// Due returns what may be sent at now, longest due first.
func (s State) Due(now time.Time) []Ref {
	type due struct {
		ref Ref
		at  time.Time
	}
	var all []due
	for _, i := range s.Items {
		for _, d := range i.Deliveries {
			if !d.Status.Final() && !now.Before(d.Next) {
				all = append(all, due{Ref{i.Message.ID, d.Recipient}, d.Next})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b due) int { return a.at.Compare(b.at) })
	refs := make([]Ref, len(all))
	for n, d := range all {
		refs[n] = d.ref
	}
	return refs
}

// check finds states that no transition leads to. It is no proof of the opposite.
func (s State) check() error {
	seen := map[string]bool{}
	for _, i := range s.Items {
		if seen[i.Message.ID] {
			return fmt.Errorf("%w state: message %q is there twice", lockstep.ErrInvalid, i.Message.ID)
		}
		seen[i.Message.ID] = true
		if err := i.Message.Check(); err != nil {
			return err
		}
		if err := i.check(); err != nil {
			return fmt.Errorf("message %q: %w", i.Message.ID, err)
		}
	}
	return nil
}

func (i Item) check() error {
	if len(i.Deliveries) == 0 || i.Packed && (!i.Final() || i.Message.Text+i.Message.Markdown != "" || i.Message.Fields != nil) {
		return fmt.Errorf("%w: no deliveries, or packed and not empty", lockstep.ErrInvalid)
	}
	seen := map[string]bool{}
	for _, d := range i.Deliveries {
		if err := CheckRecipient(d.Recipient); err != nil {
			return err
		}
		if seen[d.Recipient] {
			return fmt.Errorf("%w: recipient %s is there twice", lockstep.ErrInvalid, d.Recipient)
		}
		seen[d.Recipient] = true
		if err := d.check(); err != nil {
			return fmt.Errorf("recipient %s: %w", d.Recipient, err)
		}
	}
	return nil
}

func (d Delivery) check() error {
	known := slices.Contains([]Status{Waiting, Claimed, Sent, GivenUp}, d.Status)
	switch {
	case !known, d.Attempts < 0, d.Since.IsZero():
		return fmt.Errorf("%w status %.40q, %d attempts, since %s", lockstep.ErrInvalid, d.Status, d.Attempts, d.Since)
	case d.Status.Final() != !d.Done.IsZero(), d.Status.Final() != d.Next.IsZero():
		return fmt.Errorf("%w: %s, next %s, done %s", lockstep.ErrInvalid, d.Status, d.Next, d.Done)
	case (d.Status == Sent) != (d.Receipt != nil), d.Status == Claimed && (d.By == "" || d.Attempts == 0):
		return fmt.Errorf("%w: %s, claimed by %.40q, attempt %d", lockstep.ErrInvalid, d.Status, d.By, d.Attempts)
	}
	return nil
}
