package notify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lockstep/internal/lockstep"
)

// settling is how long the entry behind an attempt may take when the caller has left: it
// is worth waiting for, since without it the message is sent again.
const settling = 10 * time.Second

// Courier sends what is due. It holds no state: any number may deliver from one outbox,
// in any number of processes, and one that starts goes on where another died.
type Courier struct {
	Name    string // actor of its entries: which process this is
	Outbox  *Outbox
	Senders map[string]Sender // by recipient; messages to others wait for a courier that has them
	Policy  Policy
}

// Deliver does one round: it sends what is due at now, each delivery once, and says what
// remains and when. A recipient that does not answer gets no second message in the same
// round. now is the time at its beginning.
//
// After an error what was sent is sent, and the next round goes on; one delivery may be
// sent twice then, as the package comment says. The error of a receiver is no error of
// the round: it is in the Round.
func (c *Courier) Deliver(ctx context.Context, now time.Time) (Round, error) {
	return c.round(ctx, now, Patient, func(Item, Delivery) bool { return true })
}

// DeliverMessage is Deliver for one message, for somebody who waits for it: it does not
// wait for the next attempt, unless the receiver asked for that, and tries again what
// was given up.
func (c *Courier) DeliverMessage(ctx context.Context, now time.Time, id string) (Round, error) {
	return c.round(ctx, now, Urgent, func(i Item, _ Delivery) bool { return i.Message.ID == id })
}

func (c *Courier) round(ctx context.Context, now time.Time, urgent Urgency, concerns func(Item, Delivery) bool) (Round, error) {
	if err := ctx.Err(); err != nil {
		return Round{}, err
	}
	p := c.Policy.resolved()
	bounded, cancel := context.WithTimeout(ctx, p.Round)
	defer cancel()
	before, err := c.Outbox.State(ctx)
	if err != nil {
		return Round{}, err
	}
	r := Round{}
	silent := map[string]bool{}
	for _, ref := range before.candidates(now, urgent, concerns) {
		sender, known := c.Senders[ref.Recipient]
		if !known || silent[ref.Recipient] || bounded.Err() != nil {
			continue
		}
		o, err := c.attempt(bounded, p, sender, ref, urgent, now)
		if err != nil {
			return r, err
		}
		r.add(o)
		silent[ref.Recipient] = o.Status == Waiting
	}
	if err := ctx.Err(); err != nil {
		return r, err
	}
	after, err := c.Outbox.State(ctx)
	if err != nil {
		return r, err
	}
	r.rest(after, now, c.Senders, concerns)
	return r, nil
}

// candidates are the deliveries that a round may try, longest due first; urgent ones
// that are not due come after.
func (s State) candidates(now time.Time, urgent Urgency, concerns func(Item, Delivery) bool) []Ref {
	var refs []Ref
	take := func(ref Ref) {
		if d, n, _ := s.at(ref); concerns(s.Items[n], *d) {
			refs = append(refs, ref)
		}
	}
	for _, ref := range s.Due(now) {
		take(ref)
	}
	if urgent != Urgent {
		return refs
	}
	for _, i := range s.Items {
		for _, d := range i.Deliveries {
			if d.Status == GivenUp || d.Status == Waiting && now.Before(d.Next) {
				take(Ref{i.Message.ID, d.Recipient})
			}
		}
	}
	return refs
}

// attempt claims a delivery, sends it and settles the claim. An Outcome without a status
// is of one that somebody else has.
func (c *Courier) attempt(ctx context.Context, p Policy, sender Sender, ref Ref, urgent Urgency, now time.Time) (Outcome, error) {
	item, attempt, ok, err := c.Outbox.claim(ctx, c.Name, ref, urgent, now, now.Add(p.Lease))
	if err != nil || !ok {
		return Outcome{}, err
	}
	receipt, err := send(ctx, p.Send, sender, item.Message)
	tail, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*settling)
	defer cancel()
	if err == nil {
		receipt = receipt.bounded()
		o := Outcome{Ref: ref, Status: Sent, Attempts: attempt, Receipt: receipt}
		return o, c.Outbox.sent(tail, c.Name, ref, receipt, now)
	}
	d, _ := item.To(ref.Recipient)
	f := p.judge(ref, d, err, now)
	if errors.Is(ctx.Err(), context.Canceled) && !Permanent(err) {
		f = Failure{Error: "interrupted: " + err.Error(), Next: now} // the receiver is not to blame
	}
	o := Outcome{Ref: ref, Status: Waiting, Attempts: attempt, Error: c.Outbox.redact(f.Error), Next: f.Next}
	if f.Next.IsZero() {
		o.Status = GivenUp
	}
	return o, c.Outbox.failed(tail, c.Name, ref, attempt, f, now)
}

func send(ctx context.Context, limit time.Duration, sender Sender, m Message) (Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	r, err := sender.Send(ctx, m)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) && !Permanent(err) {
		err = fmt.Errorf("%w: no answer in time (%s at most): %w", lockstep.ErrUnavailable, limit, err)
	}
	return r, err
}

// judge decides what becomes of delivery d whose attempt ended with err.
func (p Policy) judge(ref Ref, d Delivery, err error, now time.Time) Failure {
	f := Failure{Error: err.Error()}
	switch wait, asked := WaitOf(err); {
	case Permanent(err):
		return f
	case now.Sub(d.Since) >= p.GiveUp:
		f.Error = fmt.Sprintf("given up after %s: %s", p.GiveUp, f.Error)
		return f
	case asked:
		f.Next, f.Asked = wait.After(now), true
	default:
		f.Next = now.Add(p.Backoff(ref.ID, ref.Recipient, d.Attempts))
	}
	return f
}
