package notify

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Outcome is what became of one delivery.
type Outcome struct {
	Ref
	Status   Status    `json:"status"`
	Attempts int       `json:"attempts"`
	Receipt  Receipt   `json:"receipt,omitzero"`
	Error    string    `json:"error,omitempty"`
	Next     time.Time `json:"next,omitzero"` // when it is tried again; zero when it is final
}

// Round is what one Deliver did, and what remains.
type Round struct {
	Sent    []Outcome `json:"sent,omitempty"`
	Failed  []Outcome `json:"failed,omitempty"` // to be tried again
	GivenUp []Outcome `json:"given_up,omitempty"`
	// Remaining are the deliveries that are not final now, those of Failed among them.
	Remaining []Outcome `json:"remaining,omitempty"`
	// Busy says that another courier is sending one of the remaining, or was when this one
	// wanted to.
	Busy bool `json:"busy,omitempty"`
	// Next is when a further round has something to do here; zero: nothing remains that
	// this courier can send.
	Next time.Time `json:"next,omitzero"`
}

func (r *Round) add(o Outcome) {
	switch o.Status {
	case Sent:
		r.Sent = append(r.Sent, o)
	case GivenUp:
		r.GivenUp = append(r.GivenUp, o)
	case Waiting:
		r.Failed = append(r.Failed, o)
	case Claimed: // none of ours
	}
}

// rest fills in what remains in state s.
func (r *Round) rest(s State, now time.Time, senders map[string]Sender, concerns func(Item, Delivery) bool) {
	silent := map[string]time.Time{} // recipients that did not answer in this round
	for _, o := range r.Failed {
		silent[o.Recipient] = o.Next
	}
	for _, i := range s.Items {
		for _, d := range i.Deliveries {
			if d.Status.Final() || !concerns(i, d) {
				continue
			}
			o := Outcome{Ref: Ref{i.Message.ID, d.Recipient}, Status: d.Status, Attempts: d.Attempts, Error: d.Error, Next: d.Next}
			_, known := senders[d.Recipient]
			if !known && o.Error == "" {
				o.Error = "no recipient of this name is configured here"
			}
			r.Remaining = append(r.Remaining, o)
			_, failed := silent[d.Recipient]
			r.Busy = r.Busy || known && !failed && !now.Before(d.Next) || d.Status == Claimed
			// What was left out because its recipient does not answer is for the round in
			// which that is asked again: sooner there is nothing to do.
			next := d.Next
			if at, ok := silent[d.Recipient]; ok && at.After(next) && !now.Before(next) {
				next = at
			}
			if known && (r.Next.IsZero() || next.Before(r.Next)) {
				r.Next = next
			}
		}
	}
}

// Missing says in one line who has not got what, and why; "" when nothing remains.
func (r Round) Missing() string {
	var parts []string
	for _, o := range slices.Concat(r.GivenUp, r.Remaining) {
		parts = append(parts, o.describe())
	}
	return strings.Join(parts, "; ")
}

func (o Outcome) describe() string {
	o.Error = strings.TrimPrefix(o.Error, o.Recipient+": ") // it names the recipient already
	switch {
	case o.Status == Claimed:
		return fmt.Sprintf("%s: being sent", o.Recipient)
	case o.Status == GivenUp:
		return fmt.Sprintf("%s: given up: %s", o.Recipient, o.Error)
	case o.Error == "":
		return fmt.Sprintf("%s: not tried yet", o.Recipient)
	}
	return fmt.Sprintf("%s: %s; tried again at %s", o.Recipient, o.Error, o.Next.UTC().Format(time.RFC3339))
}
