package notify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lockstep/internal/blob"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
)

// LogPrefix is where the entries live in the store.
const LogPrefix = "outbox"

const (
	firstPause   = 50 * time.Millisecond
	longestPause = 2 * time.Second
)

// tries bounds how often one change is decided anew because others were first.
const tries = 64

// Outbox is the ledger of messages. It holds nothing that is not in the store and is
// safe for concurrent use, here and in other processes.
type Outbox struct {
	log    *ledger.Log
	wait   func(context.Context, time.Duration) error
	redact func(string) string
}

// NewOutbox returns the outbox in store. It does not touch the store. redact strikes out
// secrets of all text before it is stored; nil: the texts come without.
func NewOutbox(store blob.Store, opts ledger.Options, redact func(string) string) *Outbox {
	if redact == nil {
		redact = func(s string) string { return s }
	}
	wait := opts.Wait
	if wait == nil {
		wait = sleep
	}
	return &Outbox{log: ledger.New(store, LogPrefix, opts), wait: wait, redact: redact}
}

// head is an entry of the ledger and the state after it; the zero head is an empty one.
type head struct {
	ledger ledger.Entry
	state  State
}

func (o *Outbox) head(ctx context.Context) (head, error) {
	le, err := o.log.Head(ctx)
	if errors.Is(err, lockstep.ErrNotFound) {
		return head{}, nil
	}
	if err != nil {
		return head{}, fmt.Errorf("find the newest outbox entry: %w", err)
	}
	e, err := DecodeEntry(le.Body)
	if err != nil {
		return head{}, fmt.Errorf("outbox entry %d: %w", le.N, err)
	}
	if e.Number != le.N {
		return head{}, fmt.Errorf("outbox entry %d: %w: it says it is %d", le.N, lockstep.ErrCorrupt, e.Number)
	}
	return head{le, e.State}, nil
}

// State returns what is in the outbox.
func (o *Outbox) State(ctx context.Context) (State, error) {
	h, err := o.head(ctx)
	return h.state, err
}

// Put accepts m for the recipients: after nil it is in the store, and every recipient
// gets it or is shown as given up. An ID that was put before changes nothing, except
// that recipients it did not have get the text that was put first; an ID is remembered
// for as long as there are not MaxFinal later messages that are final.
//
// ErrInvalid and ErrRefused as State.Put says, and nothing was accepted. Another error:
// it may have been accepted; put it again.
func (o *Outbox) Put(ctx context.Context, actor string, m Message, recipients []string, now time.Time) error {
	m = o.redacted(m)
	err := o.change(ctx, Entry{Event: EventPut, Message: m.ID, Actor: actor, At: now.UTC()}, func(s State) (State, bool, error) {
		return s.Put(m, recipients, now)
	})
	if err != nil {
		return fmt.Errorf("put into the outbox: %w", err)
	}
	return nil
}

// redacted strikes secrets out of the texts; the names are checked forms. What that made
// longer than allowed is cut.
func (o *Outbox) redacted(m Message) Message {
	strike := func(text string, limit int, shorten func(string, int) string) string {
		struck := o.redact(text)
		if len(text) <= limit && len(struck) > limit {
			return shorten(struck, limit)
		}
		return struck
	}
	m.Subject = strike(m.Subject, MaxSubject, Brief)
	m.Text = strike(m.Text, MaxText, cut)
	m.Markdown = strike(m.Markdown, MaxMarkdown, cut)
	var fields []Field
	for _, f := range m.Fields {
		fields = append(fields, Field{f.Name, strike(f.Value, maxValue, Brief)})
	}
	m.Fields = fields
	return m
}

// GiveUp ends a delivery by order of actor. Errors as State.GiveUp says; another one:
// it may have taken effect.
func (o *Outbox) GiveUp(ctx context.Context, actor, reason string, ref Ref, now time.Time) error {
	reason = o.redact(reason)
	return o.change(ctx, Entry{Event: EventGiveUp, Message: ref.ID, Recipient: ref.Recipient, Actor: actor, At: now.UTC()}, func(s State) (State, bool, error) {
		next, err := s.GiveUp(ref, actor, reason, now)
		return next, err == nil, err
	})
}

// Revive makes a delivery due again by order of actor. Errors as State.Revive says;
// another one: it may have taken effect.
func (o *Outbox) Revive(ctx context.Context, actor string, ref Ref, now time.Time) error {
	return o.change(ctx, Entry{Event: EventRevive, Message: ref.ID, Recipient: ref.Recipient, Actor: actor, At: now.UTC()}, func(s State) (State, bool, error) {
		next, err := s.Revive(ref, now)
		return next, err == nil, err
	})
}

// claim reserves a delivery. ok is false when it is not due, or somebody else has it.
// After an error nobody owns the claim, even if its entry is there: it runs out.
func (o *Outbox) claim(ctx context.Context, actor string, ref Ref, urgent Urgency, now, until time.Time) (item Item, attempt int, ok bool, err error) {
	for range tries {
		h, err := o.head(ctx)
		if err != nil {
			return Item{}, 0, false, err
		}
		next, attempt, ok := h.state.Claim(ref, actor, now, until, urgent)
		if !ok {
			return Item{}, 0, false, nil
		}
		err = o.append(ctx, h, Entry{Event: EventClaim, Message: ref.ID, Recipient: ref.Recipient, Actor: actor, At: now.UTC(), State: next})
		if errors.Is(err, ledger.ErrHeadMoved) {
			continue
		}
		item, _ := next.Find(ref.ID)
		return item, attempt, err == nil, err
	}
	return Item{}, 0, false, errBusy()
}

func (o *Outbox) sent(ctx context.Context, actor string, ref Ref, r Receipt, now time.Time) error {
	r.Text = o.redact(r.Text)
	return o.settle(ctx, Entry{Event: EventSent, Message: ref.ID, Recipient: ref.Recipient, Actor: actor, At: now.UTC()}, func(s State) (State, bool, error) {
		next, changed := s.Sent(ref, r, now)
		return next, changed, nil
	})
}

func (o *Outbox) failed(ctx context.Context, actor string, ref Ref, attempt int, f Failure, now time.Time) error {
	f.Error = o.redact(f.Error)
	event := EventFailed
	if f.Next.IsZero() {
		event = EventGiveUp
	}
	return o.settle(ctx, Entry{Event: event, Message: ref.ID, Recipient: ref.Recipient, Actor: actor, At: now.UTC()}, func(s State) (State, bool, error) {
		next, changed := s.Failed(ref, attempt, f, now)
		return next, changed, nil
	})
}

// settle is change that is patient with a store that does not answer: what came of an
// attempt is known here only, and forgetting it sends the message again.
func (o *Outbox) settle(ctx context.Context, e Entry, decide func(State) (State, bool, error)) error {
	var waited time.Duration
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := o.change(ctx, e, decide)
		if err == nil || !errors.Is(err, lockstep.ErrUnavailable) || waited >= settling {
			return err
		}
		if o.wait(ctx, pause) != nil {
			return err
		}
		waited += pause
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// change makes a change that may be decided again on a newer state, also on one in which
// it has happened already: it is then no change any more.
func (o *Outbox) change(ctx context.Context, e Entry, decide func(State) (State, bool, error)) error {
	for range tries {
		h, err := o.head(ctx)
		if err != nil {
			return err
		}
		next, changed, err := decide(h.state)
		if err != nil || !changed {
			return err
		}
		e.State = next
		err = o.append(ctx, h, e)
		if err == nil {
			return nil
		}
		if !errors.Is(err, ledger.ErrHeadMoved) {
			return err
		}
	}
	return errBusy()
}

func errBusy() error {
	return fmt.Errorf("append to the outbox: %w: others were first %d times", lockstep.ErrUnavailable, tries)
}

// append writes e behind what it was decided on.
func (o *Outbox) append(ctx context.Context, prev head, e Entry) error {
	e.Format, e.MinReader, e.Number = Format, Format, prev.ledger.N+1
	body, err := e.Encode()
	if err != nil {
		return err
	}
	if len(body) > maxEntryBytes {
		return lockstep.Hint(fmt.Errorf("append to the outbox: %w: the messages that wait have %d bytes, at most %d", lockstep.ErrRefused, len(body), maxEntryBytes),
			"look why they are not sent, and give up those that nobody needs")
	}
	// An entry that cannot be read would end the ledger for everybody.
	if _, err := DecodeEntry(body); err != nil {
		return fmt.Errorf("append outbox entry %d (%s): %w: %w", e.Number, e.Event, lockstep.ErrInvalid, err)
	}
	if _, err := o.log.Append(ctx, prev.ledger, body); err != nil {
		return fmt.Errorf("append outbox entry %d (%s): %w", e.Number, e.Event, err)
	}
	return nil
}
