package notify

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
	"lockstep/internal/rollback/targettest"
)

func target(o *Outbox, senders map[string]Sender) *Target {
	return &Target{Outbox: o, Courier: courier(o, senders), Item: rollback.ItemNotified, Now: t0}
}

func plan(t testing.TB, recipients ...string) rollback.Step {
	t.Helper()
	s, err := Plan("notify", message("incident prod-3 rolled-back"), recipients)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheTargetKeepsTheContract(t *testing.T) {
	targettest.Run(t, func(t *testing.T) targettest.Case {
		o := outbox(t)
		return targettest.Case{
			Target: target(o, map[string]Sender{"slack": new(receiver), "mail": new(receiver)}),
			Step:   plan(t, "slack", "mail"),
		}
	})
}

func look(t testing.TB, target *Target, at rollback.At) rollback.Sight {
	t.Helper()
	s, err := target.Look(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTellingIsEvidenceWithALink(t *testing.T) {
	o := outbox(t)
	to := target(o, map[string]Sender{"slack": new(receiver)})
	to.Item = rollback.ItemIssue
	step, k := plan(t, "slack"), &targettest.Keeper{}
	if err := to.Do(t.Context(), rollback.At{Step: step}, k); err != nil {
		t.Fatal(err)
	}
	want := rollback.Evidence{Item: rollback.ItemIssue, OK: true, Text: "slack has it since 2026-05-04T08:00:00Z (taken as number 1)", Link: "https://example.org/rolled-back"}
	for name, at := range map[string]rollback.At{"journal": {Step: step, Kept: k.Kept}, "outbox": {Step: step}} {
		if s := look(t, to, at); s.State != Told || len(s.Evidence) != 1 || s.Evidence[0] != want {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestOneWhoIsDownIsNamedAndToldLater(t *testing.T) {
	o := outbox(t)
	mail := &receiver{fails: []error{errors.New("mail: connection refused")}}
	senders := map[string]Sender{"slack": new(receiver), "mail": mail}
	to, at1 := target(o, senders), rollback.At{Step: plan(t, "slack", "mail")}
	err := to.Do(t.Context(), at1, &targettest.Keeper{})
	if !errors.Is(err, lockstep.ErrUnavailable) || !strings.Contains(err.Error(), "mail: connection refused") || strings.Contains(err.Error(), "slack") || lockstep.HintOf(err) == "" {
		t.Errorf("%v, hint %q", err, lockstep.HintOf(err))
	}
	if s := look(t, to, at1); s.State != rollback.Partial || len(s.Evidence) != 1 || s.Evidence[0].OK {
		t.Errorf("%+v", s)
	}
	deliver(t, courier(o, senders), at(time.Hour)) // the server, later
	if s := look(t, to, at1); s.State != Told || len(s.Evidence) != 2 {
		t.Errorf("%+v", s)
	}
	if len(mail.seen()) != 1 {
		t.Error(mail.seen())
	}
}

func TestAResumedStepTriesAtOnce(t *testing.T) {
	o := outbox(t)
	slack := &receiver{fails: []error{lockstep.ErrUnavailable, lockstep.ErrRefused}}
	to, at, k := target(o, map[string]Sender{"slack": slack}), rollback.At{Step: plan(t, "slack")}, &targettest.Keeper{}
	for range 2 {
		if err := to.Do(t.Context(), at, k); !errors.Is(err, lockstep.ErrUnavailable) {
			t.Fatal(err)
		}
	}
	if err := to.Do(t.Context(), at, k); err != nil {
		t.Fatal(err)
	}
	if got := slack.seen(); len(got) != 1 {
		t.Error(got)
	}
}

func TestTheTextIsComposedOnceWhenTheStepIsDone(t *testing.T) {
	o, slack := outbox(t), &receiver{fails: []error{lockstep.ErrUnavailable}}
	to, at := target(o, map[string]Sender{"slack": slack}), rollback.At{Step: plan(t, "slack")}
	composed := 0
	to.Compose = func(_ context.Context, m Message) (Message, error) {
		composed++
		m.Subject, m.ID = "It is stable\nnow", "somebody else's"
		return m, nil
	}
	if err := to.Do(t.Context(), at, &targettest.Keeper{}); err == nil {
		t.Fatal("no error")
	}
	if err := to.Do(t.Context(), at, &targettest.Keeper{}); err != nil {
		t.Fatal(err)
	}
	i, ok := stateOf(t, o).Find("incident prod-3 rolled-back")
	if !ok || i.Message.Subject != "It is stable now" || composed != 1 {
		t.Errorf("composed %d times: %+v", composed, i.Message)
	}
	to.Compose = func(context.Context, Message) (Message, error) { return Message{}, lockstep.ErrNotFound }
	to.Outbox = outbox(t)
	if err := to.Do(t.Context(), at, &targettest.Keeper{}); !errors.Is(err, lockstep.ErrNotFound) {
		t.Error(err)
	}
}

func TestTheJournalOutlivesTheOutbox(t *testing.T) {
	to, k := target(outbox(t), map[string]Sender{"slack": new(receiver)}), &targettest.Keeper{}
	step := plan(t, "slack")
	if err := to.Do(t.Context(), rollback.At{Step: step}, k); err != nil {
		t.Fatal(err)
	}
	fresh := target(outbox(t), nil) // it has forgotten
	if s := look(t, fresh, rollback.At{Step: step, Kept: k.Kept}); s.State != Told {
		t.Errorf("%+v", s)
	}
	if err := fresh.Do(t.Context(), rollback.At{Step: step, Kept: k.Kept}, k); err != nil {
		t.Error(err)
	}
	// What was kept for fewer recipients does not do for more.
	if s := look(t, fresh, rollback.At{Step: plan(t, "slack", "mail"), Kept: k.Kept}); s.State != Untold {
		t.Errorf("%+v", s)
	}
}

func TestAStepThatIsMalformedIsRefused(t *testing.T) {
	to := target(outbox(t), nil)
	good := plan(t, "slack")
	for _, params := range []string{``, `{}`, `{"message":{},"recipients":["slack"]}`, `{"colour":"red"}`, strings.Replace(string(good.Params), `["slack"]`, `[]`, 1)} {
		s := good
		s.Params = json.RawMessage(params)
		if _, err := to.Look(t.Context(), rollback.At{Step: s}); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s: look %v", params, err)
		}
		if err := to.Do(t.Context(), rollback.At{Step: s}, &targettest.Keeper{}); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s: do %v", params, err)
		}
	}
	if _, err := Plan("notify", message("a"), nil); !errors.Is(err, lockstep.ErrInvalid) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := to.Look(ctx, rollback.At{Step: good}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := to.Do(ctx, rollback.At{Step: good}, &targettest.Keeper{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestAStepWaitsForAnotherWhoIsSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, slack := outbox(t), new(receiver)
		to, step := target(o, map[string]Sender{"slack": slack}), plan(t, "slack")
		to.Now = time.Now
		m := message("incident prod-3 rolled-back")
		if err := o.Put(t.Context(), "server", m, []string{"slack"}, time.Now()); err != nil {
			t.Fatal(err)
		}
		ref := Ref{m.ID, "slack"}
		if _, _, ok, err := o.claim(t.Context(), "server", ref, Patient, time.Now(), time.Now().Add(time.Minute)); !ok || err != nil {
			t.Fatal(ok, err)
		}
		ended := make(chan error, 1)
		go func() { ended <- to.Do(t.Context(), rollback.At{Step: step}, &targettest.Keeper{}) }()
		time.Sleep(5 * time.Second)
		if err := o.sent(t.Context(), "server", ref, Receipt{Text: "by the server"}, time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != nil || len(slack.seen()) != 0 {
			t.Errorf("%v; it was sent again: %v", err, slack.seen())
		}
	})
}

func TestAStepDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := outbox(t)
		to := target(o, map[string]Sender{"slack": new(receiver)})
		to.Now = time.Now
		if err := o.Put(t.Context(), "server", message("incident prod-3 rolled-back"), []string{"slack"}, time.Now()); err != nil {
			t.Fatal(err)
		}
		if _, _, ok, err := o.claim(t.Context(), "server", Ref{"incident prod-3 rolled-back", "slack"}, Patient, time.Now(), time.Now().Add(time.Hour)); !ok || err != nil {
			t.Fatal(ok, err)
		}
		err := to.Do(t.Context(), rollback.At{Step: plan(t, "slack")}, &targettest.Keeper{})
		if !errors.Is(err, lockstep.ErrUnavailable) || !strings.Contains(err.Error(), "slack: being sent") {
			t.Error(err)
		}
	})
}
