// Package notifytest is the contract that every notify.Sender keeps.
package notifytest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"lockstep/internal/lockstep"
	"lockstep/internal/notify"
)

// Mode is how a receiver behaves.
type Mode string

// The modes.
const (
	Works   Mode = "works"
	Down    Mode = "down"    // answers that it cannot now
	Refuses Mode = "refuses" // answers that it never will
	Cuts    Mode = "cuts"    // takes the message and is gone before it answers
	Hangs   Mode = "hangs"   // does not answer at all
)

// Case is a sender with its receiver, which has got nothing yet.
type Case struct {
	Sender    notify.Sender
	Recipient string // the name that errors must contain
	// Shown are the texts that people see at the receiver, one of each message that
	// arrived, decoded, in order.
	Shown func() []string
	// Set makes the receiver behave. It returns false when it cannot behave so.
	Set func(Mode) bool
	// Recognises says whether the receiver shows a message once that was sent twice.
	Recognises bool
	Secrets    []string // what no error and no receipt may hold
}

// Message is one that Check accepts, with text that is hard to carry.
func Message(id string) notify.Message {
	return notify.Message{
		ID: id, Topic: "incident prod-3", Kind: "rolled-back", Subject: `Rolled back: receipts@2 "grüße" & <b>`,
		Text: "First line of " + id + ".\n.\n..dots & <angles> *stars* _lines_ = 100 %\nFrom the past\n" + strings.Repeat("é", 600) + "\nLast line.",
		At:   time.Date(2026, 5, 4, 8, 5, 0, 0, time.UTC), Fields: []notify.Field{{Name: "Status", Value: "Monitoring <all>"}},
	}
}

// parts are what must be seen of Message(id), whatever the form.
func parts(m notify.Message) []string {
	return append(strings.Split(m.Text, "\n"), m.Subject, "Status", "Monitoring <all>")
}

// Run checks what every sender promises. fresh makes a new world each time.
func Run(t *testing.T, fresh func(t *testing.T) Case) {
	t.Run("a message arrives, whole", func(t *testing.T) { arrives(t, fresh(t)) })
	t.Run("several messages arrive in order", func(t *testing.T) { several(t, fresh(t)) })
	t.Run("what is sent twice is shown as often as the sender says", func(t *testing.T) { twice(t, fresh(t)) })
	t.Run("a receiver that is down is worth another try", func(t *testing.T) { comesBack(t, fresh(t), Down) })
	t.Run("a lost answer is worth another try", func(t *testing.T) { comesBack(t, fresh(t), Cuts) })
	t.Run("a receiver that hangs is left in time", func(t *testing.T) { hangs(t, fresh(t)) })
	t.Run("a refusal is final", func(t *testing.T) { refused(t, fresh(t)) })
	t.Run("a cancelled context sends nothing", func(t *testing.T) { cancelled(t, fresh(t)) })
	t.Run("a malformed message is not sent", func(t *testing.T) { malformed(t, fresh(t)) })
	t.Run("the longest message arrives", func(t *testing.T) { longest(t, fresh(t)) })
}

func mustSend(t *testing.T, c Case, m notify.Message) notify.Receipt {
	t.Helper()
	r, err := c.Sender.Send(t.Context(), m)
	if err != nil {
		t.Fatalf("send %s: %v", m.ID, err)
	}
	keepsSecrets(t, c, r.Text+r.Link)
	return r
}

// wantShown checks that one shown text has every part of m; n is how many there are.
func wantShown(t *testing.T, c Case, n int, ms ...notify.Message) {
	t.Helper()
	shown := c.Shown()
	if len(shown) != n {
		t.Fatalf("the receiver shows %d messages, want %d", len(shown), n)
	}
	for i, m := range ms {
		for _, p := range parts(m) {
			if !strings.Contains(shown[i], p) {
				t.Errorf("message %d of the receiver lacks %q:\n%.2000s", i, p, shown[i])
			}
		}
	}
}

func keepsSecrets(t *testing.T, c Case, text string) {
	t.Helper()
	for _, s := range c.Secrets {
		if s == "" {
			t.Fatal("an empty secret")
		}
		if strings.Contains(text, s) {
			t.Errorf("it shows the secret %q: %s", s, text)
		}
	}
}

// wantError checks class, name and secrets of what Send returned.
func wantError(t *testing.T, c Case, err error) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	keepsSecrets(t, c, err.Error()+lockstep.HintOf(err))
	if !strings.Contains(err.Error(), c.Recipient) {
		t.Errorf("error %v does not name %s", err, c.Recipient)
	}
}

func set(t *testing.T, c Case, m Mode) {
	t.Helper()
	if !c.Set(m) {
		t.Skipf("this receiver cannot be made such that it %s", m)
	}
}

func arrives(t *testing.T, c Case) {
	m := Message("incident prod-3 rolled-back")
	mustSend(t, c, m)
	wantShown(t, c, 1, m)
}

func several(t *testing.T, c Case) {
	var ms []notify.Message
	for _, id := range []string{"incident prod-3 opened", "incident prod-3 rolled-back", "incident prod-3 recovered"} {
		m := Message(id)
		mustSend(t, c, m)
		ms = append(ms, m)
	}
	wantShown(t, c, 3, ms...)
}

func twice(t *testing.T, c Case) {
	m := Message("incident prod-3 rolled-back")
	first := mustSend(t, c, m)
	again := mustSend(t, c, m)
	want := 2
	if c.Recognises {
		want = 1
		if first.Link != again.Link {
			t.Errorf("the second receipt links to %q, the first to %q", again.Link, first.Link)
		}
	}
	wantShown(t, c, want, m)
}

func comesBack(t *testing.T, c Case, mode Mode) {
	set(t, c, mode)
	m := Message("incident prod-3 rolled-back")
	_, err := c.Sender.Send(t.Context(), m)
	wantError(t, c, err)
	if !errors.Is(err, lockstep.ErrUnavailable) || notify.Permanent(err) {
		t.Errorf("%s: %v, want ErrUnavailable", mode, err)
	}
	set(t, c, Works)
	mustSend(t, c, m)
	want := 1
	if mode == Cuts && !c.Recognises {
		want = 2
	}
	wantShown(t, c, want, m)
}

func hangs(t *testing.T, c Case) {
	set(t, c, Hangs)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, err := c.Sender.Send(ctx, Message("incident prod-3 rolled-back"))
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("it took %s to leave", took)
	}
	if err == nil || notify.Permanent(err) {
		t.Errorf("%v, want an error that is worth another try", err)
	}
	if err != nil {
		keepsSecrets(t, c, err.Error())
	}
}

func refused(t *testing.T, c Case) {
	set(t, c, Refuses)
	_, err := c.Sender.Send(t.Context(), Message("incident prod-3 rolled-back"))
	wantError(t, c, err)
	if !notify.Permanent(err) {
		t.Errorf("%v is worth another try, though it was refused", err)
	}
}

func cancelled(t *testing.T, c Case) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Sender.Send(ctx, Message("incident prod-3 rolled-back")); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
	if n := len(c.Shown()); n != 0 {
		t.Errorf("%d messages arrived", n)
	}
}

func malformed(t *testing.T, c Case) {
	for _, m := range []func(*notify.Message){
		func(m *notify.Message) { m.Subject = "one\r\nBcc: everybody@example.org" },
		func(m *notify.Message) { m.Subject = "" },
		func(m *notify.Message) { m.ID = "--> <!-- x" },
		func(m *notify.Message) { m.Topic = "a\nb" },
		func(m *notify.Message) { m.Fields = []notify.Field{{Name: "A\r\nB", Value: "c"}} },
	} {
		bad := Message("incident prod-3 rolled-back")
		m(&bad)
		if _, err := c.Sender.Send(t.Context(), bad); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%+v: %v, want ErrInvalid", bad.Subject, err)
		}
	}
	if n := len(c.Shown()); n != 0 {
		t.Errorf("%d messages arrived", n)
	}
}

// longest wants the beginning: a receiver has its own limits, and half is better than
// nothing.
func longest(t *testing.T, c Case) {
	m := Message("incident prod-3 rolled-back")
	m.Subject = strings.Repeat("s", notify.MaxSubject)
	m.Text = "It begins.\n" + strings.Repeat("& ", notify.MaxText/2-6)
	m.Markdown = "It begins.\n" + strings.Repeat("&\n", notify.MaxMarkdown/2-6)
	mustSend(t, c, m)
	shown := c.Shown()
	if len(shown) != 1 || !slices.ContainsFunc(strings.Split(shown[0], "\n"), func(l string) bool { return strings.Contains(l, "It begins.") }) {
		t.Errorf("%d messages arrived, and the first does not begin with the text", len(shown))
	}
}
