package notify

import (
	"bytes"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/lockstep"
)

// exampleEntry is the entry of docs/format/outbox.md: one message of each state.
func exampleEntry(t testing.TB) Entry {
	t.Helper()
	s := with(t, State{}, "incident prod-3 opened", "ops-slack")
	s, _ = s.Sent(Ref{"incident prod-3 opened", "ops-slack"}, Receipt{Text: "status 200: ok"}, at(time.Second))
	s = with(t, s, "incident prod-3 rolled-back", "issue", "mail", "ops-slack", "pager")
	s, _ = s.Sent(Ref{"incident prod-3 rolled-back", "issue"}, Receipt{Text: "issue 12", Link: "https://github.com/acme/receipts/issues/12"}, at(2*time.Second))
	ref := Ref{"incident prod-3 rolled-back", "mail"}
	s, n := claimed(t, s, ref, at(3*time.Second))
	s, _ = s.Failed(ref, n, Failure{"mail: unavailable: 421 try later", at(10 * time.Minute), true}, at(4*time.Second))
	s, _ = claimed(t, s, Ref{"incident prod-3 rolled-back", "ops-slack"}, at(5*time.Second))
	s, err := s.GiveUp(Ref{"incident prod-3 rolled-back", "pager"}, "anna", "it is switched off", at(6*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	s.Forgotten = 2
	return Entry{
		Format: Format, MinReader: Format, Number: 9, Event: EventGiveUp, Message: "incident prod-3 rolled-back", Recipient: "pager",
		Actor: "anna", At: at(6 * time.Second), State: s,
	}
}

func documented(t testing.TB) []byte {
	t.Helper()
	page, err := os.ReadFile("../../docs/format/outbox.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```json\n(.*?)```").FindSubmatch(page)
	if m == nil {
		t.Fatal("docs/format/outbox.md has no example")
	}
	return m[1]
}

func encoded(t testing.TB, e Entry) []byte {
	t.Helper()
	body, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestTheDocumentedEntryParses(t *testing.T) {
	want := exampleEntry(t)
	if doc, body := documented(t), encoded(t, want); !bytes.Equal(doc, body) {
		t.Errorf("documented\n%s\nwritten\n%s", doc, body)
	}
	got, err := DecodeEntry(documented(t))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEveryFieldOfTheFormatIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/format/outbox.md")
	if err != nil {
		t.Fatal(err)
	}
	e := exampleEntry(t)
	e.State.Items[1].Message.Markdown = "# Rolled back"
	fields := map[string]bool{}
	for _, m := range regexp.MustCompile(`"([a-z_]+)":`).FindAllSubmatch(encoded(t, e), -1) {
		fields[string(m[1])] = true
	}
	if len(fields) < 25 {
		t.Fatalf("only %d fields: the example is not full", len(fields))
	}
	for _, word := range []Event{EventPut, EventClaim, EventSent, EventFailed, EventGiveUp, EventRevive} {
		fields[string(word)] = true
	}
	for _, word := range []Status{Waiting, Claimed, Sent, GivenUp} {
		fields[string(word)] = true
	}
	for f := range fields {
		if !bytes.Contains(page, []byte("`"+f+"`")) {
			t.Errorf("%s is not in the page", f)
		}
	}
}

func TestDecodeRefusesWhatItWouldNotWrite(t *testing.T) {
	good := string(encoded(t, exampleEntry(t)))
	for _, c := range []struct {
		name, old, new string
		want           error
	}{
		{"a newer format", `"min_reader":1`, `"min_reader":2`, lockstep.ErrRefused},
		{"an unknown field", `"format":1`, `"format":1,"colour":"red"`, lockstep.ErrCorrupt},
		{"white space", `"format":1`, `"format": 1`, lockstep.ErrCorrupt},
		{"an unknown event", `"event":"give-up"`, `"event":"shout"`, lockstep.ErrCorrupt},
		{"an unknown status", `"status":"waiting"`, `"status":"lost"`, lockstep.ErrCorrupt},
		{"no number", `"number":9`, `"number":0`, lockstep.ErrCorrupt},
		{"a receipt of what was not sent", `"status":"sent"`, `"status":"waiting"`, lockstep.ErrCorrupt},
		{"a message twice", `"id":"incident prod-3 opened"`, `"id":"incident prod-3 rolled-back"`, lockstep.ErrCorrupt},
		{"a recipient twice", `"recipient":"mail"`, `"recipient":"issue"`, lockstep.ErrCorrupt},
		{"packed text", `"packed":true`, `"packed":false`, lockstep.ErrCorrupt},
		{"surplus", "\n", "\n{}\n", lockstep.ErrCorrupt},
		{"no line's end", "\n", "", lockstep.ErrCorrupt},
		{"an actor of two lines", `"actor":"anna"`, `"actor":"an\nna"`, lockstep.ErrCorrupt},
		{"a subject of two lines", "Receipts rolled back", `Receipts\nrolled back`, lockstep.ErrCorrupt},
	} {
		body := strings.Replace(good, c.old, c.new, 1)
		if body == good {
			t.Fatalf("%s: nothing to replace", c.name)
		}
		if _, err := DecodeEntry([]byte(body)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func FuzzDecodeEntry(f *testing.F) {
	first := exampleEntry(f)
	first.Event, first.Recipient = EventPut, ""
	seeds := [][]byte{documented(f), encoded(f, first), []byte(`{"min_reader":2}`), []byte("{}"), {}}
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := DecodeEntry(body)
		if err != nil {
			if !errors.Is(err, lockstep.ErrCorrupt) && !errors.Is(err, lockstep.ErrRefused) {
				t.Errorf("error %v has no class", err)
			}
			return
		}
		if again := encoded(t, *e); !bytes.Equal(again, body) {
			t.Errorf("parsed\n%s\nencodes to\n%s", body, again)
		}
		// Whatever it says, deciding about it ends well.
		for _, ref := range e.State.Due(e.At) {
			next, attempt, ok := e.State.Claim(ref, "fuzz", e.At, e.At.Add(time.Minute), Patient)
			if ok {
				next, _ = next.Failed(ref, attempt, Failure{Error: "e"}, e.At)
			}
			if err := next.check(); err != nil {
				t.Errorf("after %v: %v", ref, err)
			}
		}
	})
}
