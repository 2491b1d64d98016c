package notify

import (
	"fmt"
	"slices"
	"time"

	"lockstep/internal/lockstep"
)

// Put adds m for the recipients. It is the same state, and changed is false, when all of
// them were named for this ID before, whatever m says now: the first text stays. Further
// recipients get that text, too. ErrInvalid: m or a name is malformed, or nobody is
// named. ErrRefused: too many messages wait, or m is packed and cannot go to anybody else.
func (s State) Put(m Message, recipients []string, now time.Time) (next State, changed bool, err error) {
	if err := m.Check(); err != nil {
		return s, false, err
	}
	if len(recipients) == 0 || len(recipients) > MaxRecipients {
		return s, false, invalid(m.ID, "%d recipients, want 1 to %d", len(recipients), MaxRecipients)
	}
	for _, r := range recipients {
		if err := CheckRecipient(r); err != nil {
			return s, false, err
		}
	}
	n := s.index(m.ID)
	var item Item
	if n >= 0 {
		item = s.Items[n]
	} else {
		m.At = m.At.UTC()
		m.Fields = slices.Clone(m.Fields)
		item = Item{Message: m}
	}
	item.Deliveries = slices.Clone(item.Deliveries)
	for _, r := range recipients {
		if _, named := item.To(r); !named {
			item.Deliveries = append(item.Deliveries, Delivery{Recipient: r, Status: Waiting, Since: now.UTC(), Next: now.UTC()})
			changed = true
		}
	}
	switch {
	case !changed:
		return s, false, nil
	case item.Packed:
		return s, false, fmt.Errorf("message %q: %w: it is sent and its text is gone, so nobody else can get it", m.ID, lockstep.ErrRefused)
	case len(item.Deliveries) > MaxRecipients:
		return s, false, invalid(m.ID, "%d recipients, at most %d", len(item.Deliveries), MaxRecipients)
	case n < 0 && len(s.Pending()) >= MaxPending:
		return s, false, lockstep.Hint(fmt.Errorf("message %q: %w: %d messages wait already", m.ID, lockstep.ErrRefused, MaxPending),
			"look why they are not sent, and give up those that nobody needs")
	}
	s.Items = slices.Clone(s.Items)
	if n >= 0 {
		s.Items[n] = item
	} else {
		s.Items = append(s.Items, item)
	}
	return s.tidy(), true, nil
}

// Claim reserves a delivery for by until a time, when it is due at now. urgent is a
// person's wish: it does not wait for Next, except when the receiver asked for that, and
// takes up what was given up. Of one thread a recipient gets one message at a time: two
// at once would open two issues. attempt is the number of the claim, which Failed wants.
func (s State) Claim(ref Ref, by string, now, until time.Time, urgent Urgency) (next State, attempt int, ok bool) {
	d, n, k := s.at(ref)
	if d == nil || s.Items[n].Packed || s.taken(s.Items[n].Message.Thread(), ref, now) {
		return s, 0, false
	}
	early := now.Before(d.Next) && (urgent != Urgent || d.Status == Claimed || d.Asked)
	if early || d.Status == Sent || d.Status == GivenUp && urgent != Urgent {
		return s, 0, false
	}
	c := *d
	if c.Status == GivenUp {
		c.Since, c.Done = now.UTC(), time.Time{}
	}
	c.Status, c.By, c.Next, c.Asked = Claimed, by, until.UTC(), false
	c.Attempts++
	return s.with(n, k, c), c.Attempts, true
}

// taken says whether another message of a thread is being sent to the same recipient.
func (s State) taken(thread string, ref Ref, now time.Time) bool {
	for _, i := range s.Items {
		if i.Message.ID == ref.ID || i.Message.Thread() != thread {
			continue
		}
		if d, ok := i.To(ref.Recipient); ok && d.Status == Claimed && now.Before(d.Next) {
			return true
		}
	}
	return false
}

// Urgency says whether somebody waits for a delivery.
type Urgency int

// The urgencies.
const (
	Patient Urgency = iota
	Urgent
)

// Sent notes that the receiver has the message, whoever has sent it and whatever the
// state says: it is true.
func (s State) Sent(ref Ref, r Receipt, now time.Time) (next State, changed bool) {
	d, n, k := s.at(ref)
	if d == nil || d.Status == Sent {
		return s, false
	}
	r = r.bounded()
	c := *d
	c.Status, c.By, c.Next, c.Asked, c.Error = Sent, "", time.Time{}, false, ""
	c.Receipt, c.Done = &r, now.UTC()
	return s.with(n, k, c).tidy(), true
}

// Failed notes that a claim came to nothing and that the next attempt is at f.Next; a
// zero f.Next gives up. It changes nothing when the claim is not the latest any more.
func (s State) Failed(ref Ref, attempt int, f Failure, now time.Time) (next State, changed bool) {
	d, n, k := s.at(ref)
	if d == nil || d.Status != Claimed || d.Attempts != attempt {
		return s, false
	}
	c := *d
	c.By, c.Error, c.Asked = "", Brief(f.Error, maxError), f.Asked
	if f.Next.IsZero() {
		c.Status, c.Next, c.Asked, c.Done = GivenUp, time.Time{}, false, now.UTC()
		return s.with(n, k, c).tidy(), true
	}
	c.Status, c.Next = Waiting, f.Next.UTC()
	return s.with(n, k, c), true
}

// Failure is how an attempt ended.
type Failure struct {
	Error string
	Next  time.Time // zero: never
	Asked bool      // the receiver asked for Next
}

// GiveUp ends a delivery by order of by. ErrNotFound: there is no such delivery.
// ErrConflict: it is final already.
func (s State) GiveUp(ref Ref, by, reason string, now time.Time) (State, error) {
	d, n, k := s.at(ref)
	switch {
	case d == nil:
		return s, fmt.Errorf("message %q to %s: %w in the outbox", ref.ID, ref.Recipient, lockstep.ErrNotFound)
	case d.Status.Final():
		return s, fmt.Errorf("message %q to %s: %w: it is %s already", ref.ID, ref.Recipient, lockstep.ErrConflict, d.Status)
	}
	c := *d
	c.Status, c.By, c.Next, c.Asked, c.Done = GivenUp, by, time.Time{}, false, now.UTC()
	c.Error = Brief(reason, maxError)
	return s.with(n, k, c).tidy(), nil
}

// Revive makes a delivery due again that was given up, or that waits. ErrNotFound: there
// is no such delivery. ErrConflict: it is sent, or being sent. ErrRefused: the text is
// gone.
func (s State) Revive(ref Ref, now time.Time) (State, error) {
	d, n, k := s.at(ref)
	switch {
	case d == nil:
		return s, fmt.Errorf("message %q to %s: %w in the outbox", ref.ID, ref.Recipient, lockstep.ErrNotFound)
	case d.Status == Sent || d.Status == Claimed:
		return s, fmt.Errorf("message %q to %s: %w: it is %s", ref.ID, ref.Recipient, lockstep.ErrConflict, d.Status)
	case s.Items[n].Packed:
		return s, fmt.Errorf("message %q to %s: %w: its text is gone", ref.ID, ref.Recipient, lockstep.ErrRefused)
	}
	c := *d
	c.Status, c.By, c.Since, c.Next, c.Asked, c.Done = Waiting, "", now.UTC(), now.UTC(), false, time.Time{}
	return s.with(n, k, c), nil
}

// at finds a delivery and where it is; nil when there is none.
func (s State) at(ref Ref) (d *Delivery, item, delivery int) {
	n := s.index(ref.ID)
	if n < 0 {
		return nil, 0, 0
	}
	for k := range s.Items[n].Deliveries {
		if s.Items[n].Deliveries[k].Recipient == ref.Recipient {
			return &s.Items[n].Deliveries[k], n, k
		}
	}
	return nil, 0, 0
}

func (s State) with(n, k int, d Delivery) State {
	s.Items = slices.Clone(s.Items)
	s.Items[n].Deliveries = slices.Clone(s.Items[n].Deliveries)
	s.Items[n].Deliveries[k] = d
	return s
}

// tidy packs what is final and forgets the oldest of it beyond the bounds. s is one
// whose Items nobody else has.
func (s State) tidy() State {
	var final, whole int
	for n := len(s.Items) - 1; n >= 0; n-- {
		item := &s.Items[n]
		if !item.Final() {
			continue
		}
		final++
		if !item.Arrived() && !item.Packed {
			whole++
		}
		if item.Arrived() || whole > MaxWhole {
			item.Packed = true
			item.Message.Text, item.Message.Markdown, item.Message.Fields = "", "", nil
		}
	}
	surplus := max(0, final-MaxFinal)
	s.Forgotten += uint64(surplus)
	s.Items = slices.DeleteFunc(s.Items, func(i Item) bool {
		if surplus > 0 && i.Final() {
			surplus--
			return true
		}
		return false
	})
	return s
}
