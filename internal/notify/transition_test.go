package notify

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lockstep/internal/lockstep"
)

func with(t testing.TB, s State, id string, recipients ...string) State {
	t.Helper()
	next, _, err := s.Put(message(id), recipients, t0())
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func claimed(t testing.TB, s State, ref Ref, now time.Time) (State, int) {
	t.Helper()
	next, attempt, ok := s.Claim(ref, "one", now, now.Add(time.Minute), Patient)
	if !ok {
		t.Fatalf("no claim of %v", ref)
	}
	return next, attempt
}

func TestTheSameIDAgainChangesNothing(t *testing.T) {
	s := with(t, State{}, "a", "slack", "mail")
	other := message("a")
	other.Subject = "Something else"
	again, changed, err := s.Put(other, []string{"mail", "slack"}, at(time.Hour))
	if err != nil || changed {
		t.Fatalf("changed %v, %v", changed, err)
	}
	if diff := cmp.Diff(s, again); diff != "" {
		t.Error(diff)
	}
}

func TestANewRecipientGetsTheFirstText(t *testing.T) {
	s := with(t, State{}, "a", "slack")
	other := message("a")
	other.Subject = "Something else"
	next, changed, err := s.Put(other, []string{"slack", "mail"}, at(time.Hour))
	if err != nil || !changed {
		t.Fatalf("changed %v, %v", changed, err)
	}
	i, _ := next.Find("a")
	if i.Message.Subject != message("a").Subject || len(i.Deliveries) != 2 || !i.Deliveries[1].Next.Equal(at(time.Hour)) {
		t.Errorf("%+v", i)
	}
	if len(s.Items[0].Deliveries) != 1 {
		t.Error("the state before was changed")
	}
}

func TestPutRefusesWhatCannotBeTold(t *testing.T) {
	full := State{}
	for n := range MaxPending {
		full = with(t, full, fmt.Sprint("message ", n), "slack")
	}
	sent, _ := with(t, State{}, "new", "slack").Sent(Ref{"new", "slack"}, Receipt{}, t0())
	many := make([]string, MaxRecipients+1)
	for n := range many {
		many[n] = fmt.Sprint("r", n)
	}
	for _, c := range []struct {
		name       string
		s          State
		recipients []string
		want       error
		spoil      func(*Message)
	}{
		{"nobody", State{}, nil, lockstep.ErrInvalid, nil},
		{"too many", State{}, many, lockstep.ErrInvalid, nil},
		{"a name with a slash", State{}, []string{"a/b"}, lockstep.ErrInvalid, nil},
		{"full", full, []string{"slack"}, lockstep.ErrRefused, nil},
		{"packed, for another", sent, []string{"mail"}, lockstep.ErrRefused, nil},
		{"id with a comment's end", State{}, []string{"slack"}, lockstep.ErrInvalid, func(m *Message) { m.ID = "a -->" }},
		{"id of spaces", State{}, []string{"slack"}, lockstep.ErrInvalid, func(m *Message) { m.ID = " " }},
		{"long id", State{}, []string{"slack"}, lockstep.ErrInvalid, func(m *Message) { m.ID = strings.Repeat("a", MaxID+1) }},
		{"topic of two lines", State{}, []string{"slack"}, lockstep.ErrInvalid, func(m *Message) { m.Topic = "a\nb" }},
		{"kind of two words", State{}, []string{"slack"}, lockstep.ErrInvalid, func(m *Message) { m.Kind = "rolled back" }},
		{"subject of two lines", State{}, []string{"slack"}, lockstep.ErrInvalid, func(m *Message) { m.Subject = "a\r\nBcc: b" }},
		{"subject with a line separator", State{}, []string{"slack"}, lockstep.ErrInvalid, func(m *Message) { m.Subject = "a\u2028b" }},
		{"no subject", State{}, []string{"slack"}, lockstep.ErrInvalid, func(m *Message) { m.Subject = "" }},
		{"long text", State{}, []string{"slack"}, lockstep.ErrInvalid, func(m *Message) { m.Text = strings.Repeat("x", MaxText+1) }},
		{"broken UTF-8", State{}, []string{"slack"}, lockstep.ErrInvalid, func(m *Message) { m.Markdown = "\xff" }},
		{"a NUL", State{}, []string{"slack"}, lockstep.ErrInvalid, func(m *Message) { m.Text = "\x00" }},
		{"no time", State{}, []string{"slack"}, lockstep.ErrInvalid, func(m *Message) { m.At = time.Time{} }},
		{"a field of two lines", State{}, []string{"slack"}, lockstep.ErrInvalid, func(m *Message) { m.Fields[0].Value = "a\nb" }},
		{"many fields", State{}, []string{"slack"}, lockstep.ErrInvalid, func(m *Message) { m.Fields = make([]Field, MaxFields+1) }},
	} {
		m := message("new")
		if c.spoil != nil {
			c.spoil(&m)
		}
		next, changed, err := c.s.Put(m, c.recipients, t0())
		if !errors.Is(err, c.want) || changed {
			t.Errorf("%s: changed %v, %v, want %v", c.name, changed, err, c.want)
		}
		if diff := cmp.Diff(c.s, next); diff != "" {
			t.Errorf("%s: the state changed:\n%s", c.name, diff)
		}
	}
}

func TestAClaimIsOfOneAndRunsOut(t *testing.T) {
	ref := Ref{"a", "slack"}
	s, attempt := claimed(t, with(t, State{}, "a", "slack"), ref, t0())
	if attempt != 1 {
		t.Errorf("attempt %d", attempt)
	}
	for _, u := range []Urgency{Patient, Urgent} {
		if _, _, ok := s.Claim(ref, "two", at(59*time.Second), at(time.Hour), u); ok {
			t.Errorf("urgency %d takes what somebody else holds", u)
		}
	}
	s, second, ok := s.Claim(ref, "two", at(time.Minute), at(2*time.Minute), Patient)
	if !ok || second != 2 {
		t.Fatalf("attempt %d, %v", second, ok)
	}
	if _, changed := s.Failed(ref, 1, Failure{"late", at(time.Hour), false}, at(time.Minute)); changed {
		t.Error("the failure of a lost claim counted")
	}
	late, changed := s.Sent(ref, Receipt{Text: "late"}, at(time.Minute))
	if d, _ := late.Items[0].To("slack"); !changed || d.Status != Sent {
		t.Error("a success did not count, though the receiver has the message")
	}
	if _, changed := late.Sent(ref, Receipt{Text: "twice"}, at(time.Hour)); changed {
		t.Error("a second success changed the first")
	}
}

func TestARecipientGetsOneMessageOfAThreadAtATime(t *testing.T) {
	s := with(t, with(t, State{}, "incident prod-3 opened", "issue", "mail"), "incident prod-3 rolled-back", "issue")
	other := message("incident prod-4 opened")
	other.Topic = "incident prod-4"
	s, _, err := s.Put(other, []string{"issue"}, t0())
	if err != nil {
		t.Fatal(err)
	}
	s, _ = claimed(t, s, Ref{"incident prod-3 opened", "issue"}, t0())
	for ref, want := range map[Ref]bool{
		{"incident prod-3 rolled-back", "issue"}: false,
		{"incident prod-3 opened", "mail"}:       true,
		{"incident prod-4 opened", "issue"}:      true,
	} {
		if _, _, ok := s.Claim(ref, "two", t0(), at(time.Minute), Urgent); ok != want {
			t.Errorf("%v: claimed %v", ref, ok)
		}
	}
	if _, _, ok := s.Claim(Ref{"incident prod-3 rolled-back", "issue"}, "two", at(time.Minute), at(time.Hour), Patient); !ok {
		t.Error("a claim that has run out still counts")
	}
}

func TestUrgencyDoesNotOverruleTheReceiver(t *testing.T) {
	ref := Ref{"a", "slack"}
	s, n := claimed(t, with(t, State{}, "a", "slack"), ref, t0())
	patient, _ := s.Failed(ref, n, Failure{"down", at(time.Hour), false}, t0())
	asked, _ := s.Failed(ref, n, Failure{"too many", at(time.Hour), true}, t0())
	gone, _ := s.Failed(ref, n, Failure{"no such hook", time.Time{}, false}, t0())
	for _, c := range []struct {
		name    string
		s       State
		urgency Urgency
		after   time.Duration
		want    bool
	}{
		{"waits", patient, Patient, time.Minute, false},
		{"waits no longer", patient, Patient, time.Hour, true},
		{"waits, and a person asks", patient, Urgent, time.Minute, true},
		{"asked to wait, and a person asks", asked, Urgent, time.Minute, false},
		{"asked to wait, and has", asked, Urgent, time.Hour, true},
		{"given up", gone, Patient, 100 * time.Hour, false},
		{"given up, and a person asks", gone, Urgent, time.Minute, true},
	} {
		if _, _, ok := c.s.Claim(ref, "two", at(c.after), at(c.after+time.Minute), c.urgency); ok != c.want {
			t.Errorf("%s: claimed %v, want %v", c.name, ok, c.want)
		}
	}
}

func TestGivingUpAndRevivingNeedADelivery(t *testing.T) {
	ref := Ref{"a", "slack"}
	s := with(t, State{}, "a", "slack")
	if _, err := s.GiveUp(Ref{"b", "slack"}, "anna", "r", t0()); !errors.Is(err, lockstep.ErrNotFound) {
		t.Error(err)
	}
	if _, err := s.Revive(Ref{"a", "mail"}, t0()); !errors.Is(err, lockstep.ErrNotFound) {
		t.Error(err)
	}
	gone, err := s.GiveUp(ref, "anna", "nobody reads it", t0())
	if err != nil || len(gone.Lost()) != 1 || len(gone.Pending()) != 0 {
		t.Fatalf("%v: %+v", err, gone)
	}
	if _, err := gone.GiveUp(ref, "anna", "again", t0()); !errors.Is(err, lockstep.ErrConflict) {
		t.Error(err)
	}
	back, err := gone.Revive(ref, at(time.Hour))
	if err != nil || len(back.Due(at(time.Hour))) != 1 || back.Items[0].Message.Text == "" {
		t.Errorf("%v: %+v", err, back)
	}
	sent, _ := s.Sent(ref, Receipt{}, t0())
	if _, err := sent.Revive(ref, t0()); !errors.Is(err, lockstep.ErrConflict) {
		t.Error(err)
	}
}

func TestTheStateIsBoundedAndWhatWaitsIsKept(t *testing.T) {
	s := with(t, State{}, "waits", "slack")
	for n := range MaxFinal + 50 {
		id := fmt.Sprintf("message %d", n)
		s = with(t, s, id, "slack")
		if n%3 == 0 {
			gone, err := s.GiveUp(Ref{id, "slack"}, "anna", "r", t0())
			if err != nil {
				t.Fatal(err)
			}
			s = gone
			continue
		}
		s, _ = s.Sent(Ref{id, "slack"}, Receipt{}, t0())
	}
	if len(s.Items) != MaxFinal+1 || s.Forgotten != 50 {
		t.Errorf("%d items, %d forgotten", len(s.Items), s.Forgotten)
	}
	if i, ok := s.Find("waits"); !ok || i.Packed || i.Message.Text == "" {
		t.Errorf("what waits was packed or forgotten: %+v", i)
	}
	whole := 0
	for _, i := range s.Lost() {
		if !i.Packed {
			whole++
		}
	}
	if whole != MaxWhole {
		t.Errorf("%d messages could be tried anew, want %d", whole, MaxWhole)
	}
	if _, err := s.Revive(Ref{"message 51", "slack"}, t0()); !errors.Is(err, lockstep.ErrRefused) {
		t.Errorf("a packed message came back: %v", err)
	}
	if err := s.check(); err != nil {
		t.Error(err)
	}
}

// TestTransitionsKeepWhatMustStayTrue walks at random and looks after every step.
func TestTransitionsKeepWhatMustStayTrue(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := State{}
		sent := map[Ref]bool{}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			ref := Ref{rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "id"), rapid.SampledFrom([]string{"x", "y"}).Draw(rt, "to")}
			now := at(time.Duration(rapid.IntRange(0, 300).Draw(rt, "now")) * time.Second)
			before := s
			frozen := fmt.Sprintf("%+v", before)
			switch rapid.IntRange(0, 5).Draw(rt, "what") {
			case 0:
				s, _, _ = s.Put(message(ref.ID), []string{ref.Recipient}, now)
			case 1:
				s, _, _ = s.Claim(ref, "one", now, now.Add(time.Minute), Urgency(rapid.IntRange(0, 1).Draw(rt, "urgent")))
			case 2:
				s, _ = s.Sent(ref, Receipt{Text: "r"}, now)
			case 3:
				s, _ = s.Failed(ref, rapid.IntRange(1, 5).Draw(rt, "attempt"), Failure{"e", rapid.SampledFrom([]time.Time{{}, now.Add(time.Second)}).Draw(rt, "next"), false}, now)
			case 4:
				s, _ = s.GiveUp(ref, "anna", "r", now)
			case 5:
				s, _ = s.Revive(ref, now)
			}
			if got := fmt.Sprintf("%+v", before); got != frozen {
				rt.Fatalf("a transition changed what it was given:\n%s\n%s", frozen, got)
			}
			if err := s.check(); err != nil {
				rt.Fatal(err)
			}
			for ref := range sent {
				if d, _, _ := s.at(ref); d == nil || d.Status != Sent {
					rt.Fatalf("%v was sent and is now %+v", ref, d)
				}
			}
			for _, i := range s.Items {
				for _, d := range i.Deliveries {
					if d.Status == Sent {
						sent[Ref{i.Message.ID, d.Recipient}] = true
					}
				}
				if !i.Final() && i.Message.Text == "" {
					rt.Fatalf("%s waits without its text", i.Message.ID)
				}
			}
		}
	})
}
