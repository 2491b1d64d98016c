package messenger

import (
	"context"
	"errors"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"lockstep/internal/lockstep"
	"lockstep/internal/notify"
	"lockstep/internal/notify/notifytest"
)

func emailSettings(server string) Settings {
	return Settings{Name: "team", Kind: KindEmail, To: []string{"Téam <team@example.org>", "ops@example.org"}, From: "Lockstep <lockstep@example.org>", SMTP: server}
}

// remote returns the settings and options of a mailbox that is not on this machine, as
// far as names go.
func remote(m *mailbox, port string, o Options) (Settings, Options) {
	o.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, m.listener.Addr().String())
	}
	return emailSettings("mail.example.org:" + port), o
}

// shownMail is what people see of a mail.
func shownMail(t interface{ Fatal(...any) }, m *mail.Message) string {
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	if err != nil {
		t.Fatal(err)
	}
	return subject + "\n" + strings.ReplaceAll(string(body), "\r\n", "\n")
}

func TestEmailKeepsTheContract(t *testing.T) {
	notifytest.Run(t, func(t *testing.T) notifytest.Case {
		m := newMailbox(t, nil)
		return notifytest.Case{
			Sender:    mustNew(t, emailSettings(m.listener.Addr().String()), env(nil)),
			Recipient: "team", Set: m.set, Recognises: true,
			Shown: func() []string {
				var out []string
				for _, got := range m.received(t) {
					out = append(out, shownMail(t, got))
				}
				return out
			},
		}
	})
}

func TestTheMailOfAMessage(t *testing.T) {
	sender := mustNew(t, emailSettings("127.0.0.1:25"), env(nil))
	e, ok := sender.(*Email)
	if !ok {
		t.Fatalf("%T", sender)
	}
	m := notifytest.Message("incident prod-3 rolled-back")
	m.Text = "It is stable: grüße.\n.\nLast line."
	body, err := e.compose(m)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "mail.eml", body)
	again, err := e.compose(m)
	if err != nil || string(again) != string(body) {
		t.Error("the second attempt is another mail")
	}
}

func TestAllAddressesGetTheMail(t *testing.T) {
	m := newMailbox(t, nil)
	r, err := mustNew(t, emailSettings(m.listener.Addr().String()), env(nil)).Send(t.Context(), notifytest.Message("a"))
	if err != nil || !strings.Contains(r.Text, "2 addresses") {
		t.Errorf("%v, %+v", err, r)
	}
	if !slices.Equal(m.rcpts, []string{"RCPT TO:<team@example.org>", "RCPT TO:<ops@example.org>"}) {
		t.Error(m.rcpts)
	}
}

func TestMailsOfATopicAreOneThread(t *testing.T) {
	m := newMailbox(t, nil)
	s := mustNew(t, emailSettings(m.listener.Addr().String()), env(nil))
	other := notifytest.Message("incident prod-4 opened")
	other.Topic = "incident prod-4"
	for _, msg := range []notify.Message{notifytest.Message("incident prod-3 opened"), notifytest.Message("incident prod-3 rolled-back"), other} {
		if _, err := s.Send(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
	}
	got := m.received(t)
	threads := []string{got[0].Header.Get("References"), got[1].Header.Get("References"), got[2].Header.Get("References")}
	if threads[0] == "" || threads[0] != threads[1] || threads[0] == threads[2] || got[0].Header.Get("Message-ID") == got[1].Header.Get("Message-ID") {
		t.Error(threads)
	}
}

func TestNothingIsSaidInTheClearToAnotherMachine(t *testing.T) {
	m := newMailbox(t, func(m *mailbox) { m.password = "hunter2hunter2" })
	s, o := remote(m, "587", env(map[string]string{"U": "lockstep", "P": "hunter2hunter2"}))
	s.UserEnv, s.PasswordEnv = "U", "P"
	_, err := mustNew(t, s, o).Send(t.Context(), notifytest.Message("a"))
	if !errors.Is(err, lockstep.ErrRefused) || !strings.Contains(err.Error(), "STARTTLS") || lockstep.HintOf(err) == "" {
		t.Errorf("%v, hint %q", err, lockstep.HintOf(err))
	}
	if !slices.Equal(m.clear, []string{"EHLO"}) {
		t.Errorf("it heard %v", m.clear)
	}
}

func TestMailGoesOverTLSAndLogsIn(t *testing.T) {
	server, client := certificate(t)
	for _, c := range []struct {
		port  string
		clear []string
	}{{"587", []string{"EHLO", "STARTTLS"}}, {"465", nil}} {
		m := newMailbox(t, func(m *mailbox) { m.password, m.config, m.implicit = "hunter2hunter2", server, c.port == "465" })
		o := env(map[string]string{"U": "lockstep", "P": "hunter2hunter2"})
		o.TLS = client
		s, o := remote(m, c.port, o)
		s.UserEnv, s.PasswordEnv = "U", "P"
		if _, err := mustNew(t, s, o).Send(t.Context(), notifytest.Message("a")); err != nil {
			t.Fatalf("port %s: %v", c.port, err)
		}
		if len(m.received(t)) != 1 || m.logins != 1 || !slices.Equal(m.clear, c.clear) {
			t.Errorf("port %s: %d mails, %d logins, in the clear: %v", c.port, len(m.received(t)), m.logins, m.clear)
		}
	}
}

func TestACertificateOfSomebodyElseIsNotTrusted(t *testing.T) {
	server, _ := certificate(t)
	m := newMailbox(t, func(m *mailbox) { m.config = server })
	s, o := remote(m, "587", env(nil))
	if _, err := mustNew(t, s, o).Send(t.Context(), notifytest.Message("a")); err == nil || !strings.Contains(err.Error(), "team") {
		t.Errorf("%v", err)
	}
	if len(m.mails) != 0 {
		t.Error("it got the mail")
	}
}

func TestAPasswordThatIsWrongIsFinalAndNotShown(t *testing.T) {
	m := newMailbox(t, func(m *mailbox) { m.password = "right-password" })
	s := emailSettings(m.listener.Addr().String())
	s.UserEnv, s.PasswordEnv = "U", "P"
	_, err := mustNew(t, s, env(map[string]string{"U": "lockstep", "P": "wrong-password"})).Send(t.Context(), notifytest.Message("a"))
	if !notify.Permanent(err) || strings.Contains(err.Error(), "wrong-password") || !strings.Contains(err.Error(), "535") {
		t.Errorf("%v", err)
	}
}

func TestAnAnswerOfTheServerSaysWhetherToTryAgain(t *testing.T) {
	for _, c := range []struct {
		verb, answer string
		permanent    bool
	}{
		{"MAIL", "451 4.7.1 greylisted", false},
		{"MAIL", "552 5.3.4 too big", true},
		{"RCPT", "450 4.2.1 busy", false},
		{"RCPT", "550 5.1.1 no such user", true},
		{"DATA", "421 closing", false},
		{"DATA", "554 5.6.0 spam", true},
	} {
		m := newMailbox(t, func(m *mailbox) { m.answers[c.verb] = c.answer })
		_, err := mustNew(t, emailSettings(m.listener.Addr().String()), env(nil)).Send(t.Context(), notifytest.Message("a"))
		if err == nil || notify.Permanent(err) != c.permanent || !strings.Contains(err.Error(), c.answer[:3]) {
			t.Errorf("%s %s: %v", c.verb, c.answer, err)
		}
		if c.verb == "RCPT" && err != nil && !strings.Contains(err.Error(), "team@example.org") {
			t.Errorf("the address is not named: %v", err)
		}
		if len(m.mails) != 0 {
			t.Errorf("%s %s: it has the mail", c.verb, c.answer)
		}
	}
}

// TestNoTextBecomesAHeader parses the mail of any message and wants the headers that
// compose writes, and no others.
func TestNoTextBecomesAHeader(t *testing.T) {
	e, err := newEmail(emailSettings("127.0.0.1:25"), env(nil))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		m := notifytest.Message("a")
		m.Subject = rapid.StringN(1, 60, 240).Draw(t, "subject")
		m.Text = rapid.String().Draw(t, "text") + "\r\n\r\nBcc: x@example.org\n.\r\n"
		if m.Check() != nil {
			t.Skip("not a message")
		}
		raw, err := e.compose(m)
		if err != nil {
			t.Fatal(err)
		}
		got, err := mail.ReadMessage(strings.NewReader(string(raw)))
		if err != nil {
			t.Fatalf("%v:\n%s", err, raw)
		}
		if len(got.Header) != 12 || got.Header.Get("Bcc") != "" {
			t.Fatalf("%v", got.Header)
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(string(raw), "\r\n"), "\r\n") {
			if len(line) > 998 || strings.ContainsAny(line, "\r\n\x00") || strings.ContainsFunc(line, func(r rune) bool { return r > 126 }) {
				t.Fatalf("line %q", line)
			}
		}
		if shown := shownMail(t, got); !strings.HasPrefix(shown, m.Subject+"\n") {
			t.Fatalf("%q, want %q", shown[:min(len(shown), 200)], m.Subject)
		}
	})
}

func TestAComposedHeaderWithALineBreakIsRefused(t *testing.T) {
	e, err := newEmail(emailSettings("127.0.0.1:25"), env(nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"a\r\nBcc: b@c.d", "a\nb"} {
		m := notifytest.Message("a")
		m.ID = id // as if nobody had checked it
		if _, err := e.compose(m); err == nil {
			t.Errorf("%q became a header", id)
		}
	}
}
