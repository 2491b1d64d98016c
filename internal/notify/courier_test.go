package notify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/blob"
	"lockstep/internal/blob/blobtest"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
)

func courier(o *Outbox, senders map[string]Sender) *Courier {
	return &Courier{Name: "one", Outbox: o, Senders: senders}
}

func TestEachMessageIsSentOnceToEverybody(t *testing.T) {
	o, slack, mail := outbox(t), new(receiver), new(receiver)
	c := courier(o, map[string]Sender{"slack": slack, "mail": mail})
	put(t, o, "a", "slack", "mail")
	put(t, o, "b", "mail")
	r := deliver(t, c, t0())
	if len(r.Sent) != 3 || !r.Next.IsZero() || r.Missing() != "" {
		t.Errorf("%+v", r)
	}
	put(t, o, "a", "slack", "mail")
	if r := deliver(t, c, at(time.Hour)); len(r.Sent) != 0 || len(r.Remaining) != 0 {
		t.Errorf("a second round did %+v", r)
	}
	if diff := cmp.Diff([][]string{{"a"}, {"a", "b"}}, [][]string{slack.seen(), mail.seen()}); diff != "" {
		t.Error(diff)
	}
	i, _ := stateOf(t, o).Find("a")
	if d, _ := i.To("slack"); d.Receipt == nil || d.Receipt.Link != "https://example.org/rolled-back" || d.Receipt.Text != "taken as number 1" {
		t.Errorf("receipt %+v", d.Receipt)
	}
}

func TestAReceiverThatIsDownIsAskedAgainAndHoldsUpNoOther(t *testing.T) {
	down := fmt.Errorf("slack: %w: status 500", lockstep.ErrUnavailable)
	o, slack, mail := outbox(t), &receiver{fails: []error{down, down, down}}, new(receiver)
	c := courier(o, map[string]Sender{"slack": slack, "mail": mail})
	put(t, o, "a", "slack", "mail")
	now, rounds := t0(), 0
	for r := deliver(t, c, now); !r.Next.IsZero(); r = deliver(t, c, now) {
		rounds++
		if len(r.Failed) != 1 || !strings.Contains(r.Missing(), "slack: unavailable: status 500; tried again at ") {
			t.Fatalf("round %d: %+v, %s", rounds, r, r.Missing())
		}
		if early := deliver(t, c, r.Next.Add(-time.Nanosecond)); len(early.Sent)+len(early.Failed) > 0 {
			t.Fatalf("round %d: it was asked too early", rounds)
		}
		if most := now.Add(defaultFirst << (rounds - 1)); r.Next.After(most) {
			t.Fatalf("round %d: next at %s, at most %s", rounds, r.Next, most)
		}
		now = r.Next
	}
	if rounds != 3 || len(slack.seen()) != 1 || len(mail.seen()) != 1 {
		t.Errorf("%d rounds failed, slack got %v, mail %v", rounds, slack.seen(), mail.seen())
	}
}

func TestARefusalIsGivenUpAndShownUntilSomebodyAsksAgain(t *testing.T) {
	o, slack := outbox(t), &receiver{fails: []error{fmt.Errorf("slack: %w: status 404: no_service", lockstep.ErrNotFound)}}
	c := courier(o, map[string]Sender{"slack": slack})
	put(t, o, "a", "slack")
	r := deliver(t, c, t0())
	if len(r.GivenUp) != 1 || !r.Next.IsZero() || r.Missing() != "slack: given up: not found: status 404: no_service" {
		t.Errorf("%+v: %s", r, r.Missing())
	}
	if lost := stateOf(t, o).Lost(); len(lost) != 1 || lost[0].Message.Text == "" {
		t.Errorf("it is not shown: %+v", lost)
	}
	if r := deliver(t, c, at(100*time.Hour)); len(r.Sent) != 0 {
		t.Error("it was tried again")
	}
	if r, err := c.DeliverMessage(t.Context(), at(time.Hour), "a"); err != nil || len(r.Sent) != 1 {
		t.Errorf("on demand: %+v, %v", r, err)
	}
}

func TestTheReceiverSaysWhenToAskAgain(t *testing.T) {
	busy := Later(fmt.Errorf("slack: %w: status 429", lockstep.ErrUnavailable), Wait{For: 7 * time.Minute})
	o, slack := outbox(t), &receiver{fails: []error{busy}}
	c := courier(o, map[string]Sender{"slack": slack})
	put(t, o, "a", "slack")
	if r := deliver(t, c, t0()); !r.Next.Equal(at(7 * time.Minute)) {
		t.Errorf("next at %s", r.Next)
	}
	if _, err := c.DeliverMessage(t.Context(), at(6*time.Minute), "a"); err != nil || len(slack.seen()) != 0 {
		t.Errorf("a person's wish overruled it: %v, %v", slack.seen(), err)
	}
	if r := deliver(t, c, at(7*time.Minute)); len(r.Sent) != 1 {
		t.Errorf("%+v", r)
	}
}

func TestWhatFailsForTooLongIsGivenUp(t *testing.T) {
	slack := &receiver{fails: slices.Repeat([]error{lockstep.ErrUnavailable}, 1000)}
	o := outbox(t)
	c := courier(o, map[string]Sender{"slack": slack})
	c.Policy.GiveUp = time.Hour
	put(t, o, "a", "slack")
	now, attempts := t0(), 0
	for {
		r := deliver(t, c, now)
		attempts++
		if len(r.GivenUp) == 1 {
			if !strings.Contains(r.GivenUp[0].Error, "given up after 1h0m0s: unavailable") {
				t.Error(r.GivenUp[0].Error)
			}
			break
		}
		now = r.Next
	}
	if now.Sub(t0()) < time.Hour || attempts > 60 || attempts < 5 {
		t.Errorf("given up after %s and %d attempts", now.Sub(t0()), attempts)
	}
}

func TestARecipientThatDoesNotAnswerGetsNoSecondMessageInTheRound(t *testing.T) {
	o, slack := outbox(t), &receiver{fails: []error{lockstep.ErrUnavailable}}
	c := courier(o, map[string]Sender{"slack": slack})
	put(t, o, "a", "slack")
	put(t, o, "b", "slack")
	r := deliver(t, c, t0())
	if len(r.Failed) != 1 || len(r.Sent) != 0 || len(r.Remaining) != 2 {
		t.Fatalf("%+v", r)
	}
	if !r.Next.Equal(r.Failed[0].Next) || !r.Next.After(t0()) {
		t.Errorf("the next round is at %s, and the recipient is asked at %s", r.Next, r.Failed[0].Next)
	}
	// The other one comes first then: one message that is never taken holds up nothing.
	if r = deliver(t, c, r.Next); len(r.Sent) != 2 || slack.seen()[0] != "b" {
		t.Errorf("%+v: %v", r, slack.seen())
	}
}

func TestAMessageToSomebodyUnknownHereWaits(t *testing.T) {
	o := outbox(t)
	put(t, o, "a", "pager")
	r := deliver(t, courier(o, nil), t0())
	if !r.Next.IsZero() || len(r.Remaining) != 1 || !strings.Contains(r.Missing(), "no recipient of this name is configured here") {
		t.Errorf("%+v", r)
	}
	pager := new(receiver)
	if r := deliver(t, courier(o, map[string]Sender{"pager": pager}), at(time.Hour)); len(r.Sent) != 1 {
		t.Errorf("%+v", r)
	}
}

// waiter is a receiver that does not answer.
type waiter struct{ reached chan struct{} }

func (w waiter) Send(ctx context.Context, _ Message) (Receipt, error) {
	close(w.reached)
	<-ctx.Done()
	return Receipt{}, fmt.Errorf("slack: %w", ctx.Err())
}

func TestAReceiverThatHangsIsLeft(t *testing.T) {
	o, mail := outbox(t), new(receiver)
	c := courier(o, map[string]Sender{"slack": waiter{make(chan struct{})}, "mail": mail})
	c.Policy.Send = 10 * time.Millisecond
	put(t, o, "a", "slack", "mail")
	r := deliver(t, c, t0())
	if len(r.Failed) != 1 || !strings.Contains(r.Failed[0].Error, "no answer in time") || len(mail.seen()) != 1 {
		t.Errorf("%+v", r)
	}
}

func TestWhoIsInterruptedGivesTheClaimBack(t *testing.T) {
	o, w := outbox(t), waiter{make(chan struct{})}
	put(t, o, "a", "slack")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-w.reached
		cancel()
	}()
	if _, err := courier(o, map[string]Sender{"slack": w}).Deliver(ctx, t0()); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
	if r := deliver(t, courier(o, map[string]Sender{"slack": new(receiver)}), t0()); len(r.Sent) != 1 {
		t.Errorf("another one cannot go on at once: %+v", r)
	}
}

func TestACancelledContextDoesNothing(t *testing.T) {
	o, slack := outbox(t), new(receiver)
	put(t, o, "a", "slack")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := courier(o, map[string]Sender{"slack": slack})
	for name, err := range map[string]error{
		"put":     o.Put(ctx, "anna", message("b"), []string{"slack"}, t0()),
		"revive":  o.Revive(ctx, "anna", Ref{"a", "slack"}, t0()),
		"give up": o.GiveUp(ctx, "anna", "r", Ref{"a", "slack"}, t0()),
		"state":   errOf(o.State(ctx)),
		"deliver": errOf(c.Deliver(ctx, t0())),
		"message": errOf(c.DeliverMessage(ctx, t0(), "a")),
		"run":     c.Run(ctx, time.Second, t0, nil),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", name, err)
		}
	}
	if s := stateOf(t, o); len(s.Pending()) != 1 || len(slack.seen()) != 0 {
		t.Errorf("%+v", s)
	}
}

func errOf[T any](_ T, err error) error { return err }

// TestTwoCouriersSendEachMessageOnce lets four goroutines with two outboxes on one store
// deliver at the same time.
func TestTwoCouriersSendEachMessageOnce(t *testing.T) {
	store := new(blob.Mem)
	slack, mail := new(receiver), &receiver{fails: []error{lockstep.ErrUnavailable, nil, lockstep.ErrUnavailable}}
	var want []string
	for n := range 12 {
		id := fmt.Sprintf("message %02d", n)
		put(t, NewOutbox(store, ledger.Options{}, nil), id, "slack", "mail")
		want = append(want, id)
	}
	var wg sync.WaitGroup
	for n := range 4 {
		c := &Courier{Name: fmt.Sprint("courier ", n), Outbox: NewOutbox(store, ledger.Options{}, nil), Senders: map[string]Sender{"slack": slack, "mail": mail}}
		wg.Go(func() {
			for round := range 20 {
				if _, err := c.Deliver(t.Context(), at(time.Duration(round)*10*time.Second)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for name, r := range map[string]*receiver{"slack": slack, "mail": mail} {
		if diff := cmp.Diff(want, slices.Sorted(slices.Values(r.seen()))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestAKillAtEveryCallOfTheStoreLosesNothing cuts one courier off from its store after
// every possible number of calls. Only a kill between the answer of the receiver and the
// entry behind it may show a message twice.
func TestAKillAtEveryCallOfTheStoreLosesNothing(t *testing.T) {
	var doubled int
	for survived := 0; ; survived++ {
		mem, slack := new(blob.Mem), new(receiver)
		put(t, NewOutbox(mem, ledger.Options{}, nil), "a", "slack")
		calls := 0
		cut := blobtest.NewFaulty(mem, func(string, string) blobtest.Fault {
			if calls++; calls > survived {
				return blobtest.FailBefore
			}
			return blobtest.None
		})
		_, err := courier(NewOutbox(cut, impatient(), nil), map[string]Sender{"slack": slack}).Deliver(t.Context(), t0())
		before := len(slack.seen())
		second := courier(NewOutbox(mem, ledger.Options{}, nil), map[string]Sender{"slack": slack})
		if r := deliver(t, second, at(time.Second)); before == 1 && err != nil && len(r.Sent) > 0 {
			t.Fatalf("killed at call %d: sent again before the claim ran out", survived)
		}
		deliver(t, second, at(time.Hour))
		got := slack.seen()
		if len(got) < 1 || len(got) > 2 {
			t.Fatalf("killed at call %d: it arrived %d times", survived, len(got))
		}
		doubled += len(got) - 1
		if i, _ := stateOf(t, second.Outbox).Find("a"); !i.Arrived() {
			t.Fatalf("killed at call %d: %+v", survived, i)
		}
		if err == nil && calls <= survived {
			break
		}
	}
	if doubled == 0 {
		t.Error("no kill came between the answer and the entry")
	}
}

// impatient makes a ledger settle at once, without waiting.
func impatient() ledger.Options {
	return ledger.Options{Settle: time.Nanosecond, Prefetch: 1, Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}
}

func TestSecretsAreStruckOutBeforeTheyAreStored(t *testing.T) {
	mem := new(blob.Mem)
	redact := func(s string) string { return strings.ReplaceAll(s, "hunter2", "[redacted:password]") }
	o := NewOutbox(mem, ledger.Options{}, redact)
	m := message("a")
	m.Subject = strings.Repeat("hunter2 ", MaxSubject/8)
	m.Text, m.Markdown, m.Fields = "it is hunter2", "`hunter2`", []Field{{"Password", "hunter2"}}
	if err := o.Put(t.Context(), "anna", m, []string{"slack", "mail"}, t0()); err != nil {
		t.Fatal(err)
	}
	c := courier(o, map[string]Sender{"slack": &receiver{fails: []error{errors.New("no hunter2 here")}}})
	deliver(t, c, t0())
	if err := o.GiveUp(t.Context(), "anna", "they know hunter2", Ref{"a", "mail"}, t0()); err != nil {
		t.Fatal(err)
	}
	objects := 0
	for meta, err := range mem.List(t.Context(), LogPrefix+"/", "") {
		if err != nil {
			t.Fatal(err)
		}
		body, err := blob.ReadAll(t.Context(), mem, meta.Key, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		objects++
		if strings.Contains(string(body), "hunter2") || !strings.Contains(string(body), "[redacted:password]") {
			t.Errorf("%s: %s", meta.Key, body)
		}
	}
	if objects != 4 {
		t.Errorf("%d entries, want put, claim, failed, give-up", objects)
	}
}

func TestAStoreThatIsDownIsAnError(t *testing.T) {
	broken := blobtest.NewFaulty(new(blob.Mem), func(string, string) blobtest.Fault { return blobtest.FailBefore })
	o := NewOutbox(broken, impatient(), nil)
	if _, err := courier(o, nil).Deliver(t.Context(), t0()); !errors.Is(err, lockstep.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	if err := o.Put(t.Context(), "anna", message("a"), []string{"slack"}, t0()); !errors.Is(err, lockstep.ErrUnavailable) {
		t.Errorf("%v", err)
	}
}
