package messenger

import (
	"errors"
	"strings"
	"testing"
	"time"

	"lockstep/internal/blob"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
	"lockstep/internal/notify"
	"lockstep/internal/notify/notifytest"
	"lockstep/internal/rollback"
	"lockstep/internal/rollback/targettest"
)

// team is a chat, a program, a mailbox and a directory that are told by one outbox.
type team struct {
	slack, hook *hooked
	mail        *mailbox
	dir         string
	target      *notify.Target
	step        rollback.Step
}

func newTeam(t *testing.T) *team {
	t.Helper()
	w := &team{slack: newHooked(t, nil), hook: newHooked(t, map[string]bool{}), mail: newMailbox(t, nil), dir: t.TempDir()}
	o := env(map[string]string{"SLACK": w.slack.URL + hookPath, "HOOK": w.hook.URL + hookPath, "SECRET": signingSecret})
	mail := emailSettings(w.mail.listener.Addr().String())
	senders, names := map[string]notify.Sender{}, []string{}
	for _, s := range []Settings{
		{Name: "ops-slack", Kind: KindSlack, URLEnv: "SLACK"},
		{Name: "hook", Kind: KindWebhook, URLEnv: "HOOK", SecretEnv: "SECRET"},
		mail,
		{Name: "archive", Kind: KindFile, Dir: w.dir, Form: FormLines},
	} {
		senders[s.Name], names = mustNew(t, s, o), append(names, s.Name)
	}
	outbox := notify.NewOutbox(new(blob.Mem), ledger.Options{}, nil)
	w.target = &notify.Target{Outbox: outbox, Courier: &notify.Courier{Name: "test", Outbox: outbox, Senders: senders}, Item: rollback.ItemNotified, Now: now}
	var err error
	if w.step, err = notify.Plan("notify", notifytest.Message("incident prod-3 rolled-back"), names); err != nil {
		t.Fatal(err)
	}
	return w
}

// counts is how often each of them shows the message.
func (w *team) counts(t *testing.T) [4]int {
	t.Helper()
	slack, _ := w.slack.received()
	hook, _ := w.hook.received()
	return [4]int{len(slack), len(hook), len(w.mail.received(t)), len(shownLines(t, w.dir))}
}

func TestTheStepThatTellsTheTeamKeepsTheContract(t *testing.T) {
	targettest.Run(t, func(t *testing.T) targettest.Case {
		w := newTeam(t)
		return targettest.Case{Target: w.target, Step: w.step}
	})
}

func TestTheTeamIsToldThoughTheMailServerIsDown(t *testing.T) {
	w := newTeam(t)
	w.mail.set(notifytest.Down)
	err := w.target.Do(t.Context(), rollback.At{Step: w.step}, &targettest.Keeper{})
	if !errors.Is(err, lockstep.ErrUnavailable) || !strings.Contains(err.Error(), "team: ") || !strings.Contains(err.Error(), "421") || strings.Contains(err.Error(), "ops-slack") {
		t.Errorf("%v", err)
	}
	w.mail.set(notifytest.Works)
	if _, err := w.target.Courier.Deliver(t.Context(), now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	sight, err := w.target.Look(t.Context(), rollback.At{Step: w.step})
	if err != nil || sight.State != notify.Told || w.counts(t) != [4]int{1, 1, 1, 1} {
		t.Errorf("%v: %+v, shown %v", err, sight, w.counts(t))
	}
}

// TestWhoCanTellShowsAMessageOnceAfterAKill forgets the outbox: everybody is told twice.
func TestWhoCanTellShowsAMessageOnceAfterAKill(t *testing.T) {
	w := newTeam(t)
	for range 2 {
		outbox := notify.NewOutbox(new(blob.Mem), ledger.Options{}, nil)
		w.target.Outbox, w.target.Courier.Outbox = outbox, outbox
		if err := w.target.Do(t.Context(), rollback.At{Step: w.step}, &targettest.Keeper{}); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.counts(t); got != [4]int{2, 1, 1, 1} {
		t.Errorf("slack, webhook, mail, file show it %v times", got)
	}
}
