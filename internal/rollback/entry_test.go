package rollback

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/lockstep"
)

const page = "../../docs/format/plan.md"

// exampleEntry is the entry of docs/format/plan.md.
func exampleEntry() Entry {
	flag := Step{
		ID: "flag", Target: "flag", Phase: PhaseFlag, Title: "Take receipts@2 out of the routing", To: "not routed", Params: json.RawMessage(`{"revision":"receipts@2"}`),
		Predicted: 200 * time.Millisecond, Changes: "every key is decided by receipts@1", Manual: "lockstep release abort --reason TEXT", UndoBy: "the release is retried",
	}
	deploy := Step{
		ID: "deploy", Target: "deploy", Phase: PhaseCode, Title: "Deploy release 17", From: "at 18", To: "at 17", Needs: []string{"flag"}, Deadline: 15 * time.Minute,
		Predicted: 6 * time.Minute, Risk: "requests fail for a moment", UndoLast: true,
	}
	s := NewState(Plan{
		ID: "prod-3", Environment: "prod", Scenario: Prod, Procedure: Full, Bad: "receipts@2+222222222222", To: Pair{"receipts@1+111111111111", 41}, Release: "prod-7",
		By: "anna", Reason: "labels are <lost>", At: t0(), Steps: []Step{flag, deploy}, Notes: []string{"without git: not configured"}, Escalation: []string{"team lead: Carla"},
	})
	s.Began = at(time.Second)
	s.Steps[0] = StepState{
		Progress: Done, By: "lockstep", Began: at(time.Second), Ended: at(2 * time.Second), Tries: 1, Kept: json.RawMessage(`{"was":"on trial"}`),
		Sight: Sight{State: "not routed", Detail: "receipts@1 is stable", Evidence: []Evidence{{ItemRouting, true, "receipts@2 is not routed", "release ledger"}}},
	}
	s.Steps[1] = StepState{Progress: Doing, By: "lockstep", Began: at(2 * time.Second), Tries: 2, Sight: Sight{State: Partial}}
	s.Signatures = []Signature{{ItemCustomers, "bert", "asked support", at(3 * time.Second)}}
	return Entry{Format: Format, MinReader: Format, Number: 7, What: "begin deploy", Actor: "lockstep", State: s, Step: "deploy"}
}

func documented(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```json\n(.*?)```").FindSubmatch(text)
	if m == nil {
		t.Fatal("docs/format/plan.md has no example")
	}
	return m[1]
}

func TestTheDocumentedEntryParses(t *testing.T) {
	want := exampleEntry()
	body, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if doc := documented(t); !bytes.Equal(doc, body) {
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
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	e := exampleEntry()
	e.State.Plan.Incident, e.State.Plan.Undoes = "inc-1", "prod-2"
	e.State.Plan.Steps[1].Loss = []string{"a minute"}
	e.State.Ended, e.State.UndoneBy = t0(), "prod-4"
	e.State.Steps[0].Already, e.State.Steps[1].Error, e.State.Steps[1].Hint = true, "no", "yes"
	body, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeEntry(body); err != nil {
		t.Fatal(err)
	}
	last, err := json.Marshal(beat{Step: "a", Try: 1, Count: 1, Every: 1, Over: true})
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]bool{}
	for _, m := range regexp.MustCompile(`"([a-z_]+)":`).FindAllSubmatch(append(body, last...), -1) {
		fields[string(m[1])] = true
	}
	if len(fields) < 45 {
		t.Fatalf("only %d fields: the entry is not full", len(fields))
	}
	for f := range fields {
		if f != "was" && !bytes.Contains(text, []byte("`"+f+"`")) {
			t.Errorf("%s is not in the page", f)
		}
	}
	var phases []string
	for _, p := range Phases() {
		phases = append(phases, "`"+string(p)+"`")
	}
	if want := strings.Join(phases, ", "); !bytes.Contains(text, []byte(want)) {
		t.Errorf("the page has not the phases in their order: %s", want)
	}
	for _, p := range []Progress{Waiting, Doing, Done, Failed, Third, Skipped, Blocked} {
		if !bytes.Contains(text, []byte("`"+string(p)+"`")) {
			t.Errorf("progress %s is not in the page", p)
		}
	}
}

func TestWhatIsNoEntryIsRefused(t *testing.T) {
	e := exampleEntry()
	b, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	whole := string(b)
	swap := func(old, by string) string {
		t.Helper()
		if !strings.Contains(whole, old) {
			t.Fatalf("the example has no %s", old)
		}
		return strings.Replace(whole, old, by, 1)
	}
	for _, c := range []struct {
		name, body string
		want       error
	}{
		{"newer reader", `{"format":2,"min_reader":2,"colour":{"any":"thing"}}`, lockstep.ErrRefused},
		{"unknown field", swap(`"actor"`, `"colour":"red","actor"`), lockstep.ErrCorrupt},
		{"unknown field below", swap(`"progress"`, `"colour":"red","progress"`), lockstep.ErrCorrupt},
		{"surplus", whole + "{}", lockstep.ErrCorrupt},
		{"white space", " " + whole, lockstep.ErrCorrupt},
		{"white space in parameters", swap(`{"revision":"receipts@2"}`, `{"revision": "receipts@2"}`), lockstep.ErrCorrupt},
		{"a field in capitals", swap(`"actor"`, `"Actor"`), lockstep.ErrCorrupt},
		{"no number", swap(`"number":7`, `"number":0`), lockstep.ErrCorrupt},
		{"no format", swap(`"format":1`, `"format":0`), lockstep.ErrCorrupt},
		{"no reader", swap(`"min_reader":1`, `"min_reader":0`), lockstep.ErrCorrupt},
		{"no reason to be there", swap(`"what":"begin deploy"`, `"what":""`), lockstep.ErrCorrupt},
		{"an unknown progress", swap(`"progress":"done"`, `"progress":"lost"`), lockstep.ErrCorrupt},
		{"two that are being done", swap(`"progress":"done"`, `"progress":"doing"`), lockstep.ErrCorrupt},
		{"being done, and never begun", swap(`,"tries":2`, ``), lockstep.ErrCorrupt},
		{"begun less than never", swap(`"tries":1`, `"tries":-1`), lockstep.ErrCorrupt},
		{"one state too few", strings.Replace(whole, `,{"progress":"doing","by":"lockstep","began":"2026-05-04T08:00:02Z","tries":2,"sight":{"state":"partial"}}`, "", 1), lockstep.ErrCorrupt},
		{"a plan that is none", swap(`"needs":["flag"]`, `"needs":["flog"]`), lockstep.ErrCorrupt},
		{"too much kept", swap(`"on trial"`, `"`+strings.Repeat("x", MaxKept)+`"`), lockstep.ErrCorrupt},
		{"too long", strings.Repeat(" ", maxEntry+1), lockstep.ErrCorrupt},
		{"not JSON", "plan 7", lockstep.ErrCorrupt},
		{"nothing", "", lockstep.ErrCorrupt},
	} {
		if c.body == whole {
			t.Fatalf("%s changes nothing", c.name)
		}
		if _, err := DecodeEntry([]byte(c.body)); !errors.Is(err, c.want) || (errors.Is(err, lockstep.ErrRefused) && lockstep.HintOf(err) == "") {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	if _, err := DecodeEntry([]byte(whole)); err != nil {
		t.Errorf("the entry that all others are made of: %v", err)
	}
	if _, err := DecodeEntry([]byte(swap(`"format":1`, `"format":2`))); err != nil {
		t.Errorf("a newer format that this reader may read: %v", err)
	}
}

func TestTextThatIsNoUTF8IsWrittenAsItReadsBack(t *testing.T) {
	e := exampleEntry()
	e.State.Plan.Reason, e.State.Steps[0].Error = "a\xff\u2028<", `\ufffd`
	body, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeEntry(body)
	if err != nil || got.State.Plan.Reason != "a\uFFFD\u2028<" || got.State.Steps[0].Error != `\ufffd` {
		t.Errorf("%v %+v", err, got)
	}
	e.State.Plan.Steps[0].Params = json.RawMessage("{")
	if _, err := e.Encode(); !errors.Is(err, lockstep.ErrInvalid) {
		t.Error(err)
	}
}

func FuzzDecodeEntry(f *testing.F) {
	var seeds [][]byte
	add := func(e Entry) {
		b, err := e.Encode()
		if err != nil {
			f.Fatal(err)
		}
		seeds = append(seeds, b)
	}
	add(exampleEntry())
	add(Entry{Format: 1, MinReader: 1, Number: 2, What: "walked", Actor: "\u2028<&>\x00", State: walked()})
	for _, p := range []Plan{full(), quick(), undoing()} {
		add(Entry{Format: 2, MinReader: 1, Number: 1, What: "planned", Actor: "a", State: NewState(p)})
	}
	seeds = append(seeds, []byte(`{}`), []byte(`{"format":2,"min_reader":2}`), nil)
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := DecodeEntry(b)
		if err != nil {
			if !errors.Is(err, lockstep.ErrCorrupt) && !errors.Is(err, lockstep.ErrRefused) {
				t.Errorf("error %v has no class", err)
			}
			return
		}
		again, err := e.Encode()
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("read %q, written %q, %v", b, again, err)
		}
		// Whatever was read can be shown and gone on with.
		s := &e.State
		_, _, _, _ = s.Text(), s.Plan.Text(), s.Plan.Markdown(), s.Timeline()
		ChecklistMarkdown(s.Checklist())
		n, at := Next(*s)
		if at >= 0 && n.Steps[at].Progress != Doing && !n.ready(at) {
			t.Errorf("step %d is next, and not ready", at)
		}
		if err := n.check(); err != nil {
			t.Errorf("what is next is no state: %v", err)
		}
	})
}
