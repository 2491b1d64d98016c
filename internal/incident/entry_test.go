package incident

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lockstep/internal/lockstep"
	"lockstep/internal/redact"
)

func marshal(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func encoded(t testing.TB, e Entry) []byte {
	t.Helper()
	b, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// exampleEntry is the entry of docs/format/incident.md.
func exampleEntry(t testing.TB) Entry {
	t.Helper()
	in := opened(t)
	in = must(t)(SetMark(in, by("lockstep", 80*time.Second), Mark{Kind: MarkFirstBad, Unknown: "no version of it is published"}))
	in = must(t)(SetAffected(in, by("lockstep", 92*time.Second), Affected{Counts: []Count{{"lines", 7}}, IDs: []string{"IMAGE#a1#RECEIPT#00002#LINE#00007"}, FirstVersion: 41, LastVersion: 57, Source: "the versions"}))
	in.Tasks = in.Tasks[:2]
	tr, err := Decide(in, by("anna", 90*time.Second), "take the <quick> way back", "production is affected")
	if err != nil {
		t.Fatal(err)
	}
	e := tr.Entry
	e.Format, e.MinReader, e.Number = Format, Format, 4
	return e
}

func pageText(t testing.TB) []byte {
	t.Helper()
	page, err := os.ReadFile("../../docs/format/incident.md")
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func documented(t testing.TB) []byte {
	t.Helper()
	m := regexp.MustCompile("(?s)```json\n(.*?)```").FindSubmatch(pageText(t))
	if m == nil {
		t.Fatal("docs/format/incident.md has no example")
	}
	return m[1]
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

// fill puts words into every string, one element into every list and something into
// every pointer, so that nothing is left out.
func fill(v reflect.Value, words func() string) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(t0()))
		return
	}
	switch k := v.Kind(); {
	case k == reflect.String:
		v.SetString(words())
	case k == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), words)
	case k == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), words)
	case k == reflect.Struct:
		for _, f := range v.Fields() {
			fill(f, words)
		}
	case v.CanInt():
		v.SetInt(1)
	case v.CanUint():
		v.SetUint(1)
	case k == reflect.Bool:
		v.SetBool(true)
	default:
		panic("a field of kind " + k.String() + ": say here how it is filled")
	}
}

func TestEveryFieldOfTheFormatIsDocumented(t *testing.T) {
	var e Entry
	fill(reflect.ValueOf(&e).Elem(), func() string { return "x" })
	fields := map[string]bool{}
	for _, m := range regexp.MustCompile(`"([a-z_]+)":`).FindAllStringSubmatch(marshal(t, e), -1) {
		fields[m[1]] = true
	}
	if len(fields) < 50 {
		t.Fatalf("only %d fields: the entry above is not full", len(fields))
	}
	page := pageText(t)
	for f := range fields {
		if !bytes.Contains(page, []byte("`"+f+"`")) {
			t.Errorf("%s is not in the page", f)
		}
	}
	var words []string
	for _, k := range Kinds() {
		words = append(words, string(k))
	}
	for _, k := range MarkKinds() {
		words = append(words, string(k))
	}
	for _, s := range Sections() {
		words = append(words, string(s))
	}
	for _, w := range append(words, "plan", "issue", "file", "other", "immediate", "short", "medium") {
		if !bytes.Contains(page, []byte("`"+w+"`")) {
			t.Errorf("%s is not in the page", w)
		}
	}
}

// A field of text that the one list of them forgets would be stored as it is.
func TestNoTextPassesTheDoorWithASecretInIt(t *testing.T) {
	const secret = "token=abcdef0123 correct horse battery"
	var e Entry
	fill(reflect.ValueOf(&e).Elem(), func() string { return secret })
	c, err := e.cleaned(redact.New("correct horse battery"))
	if err != nil {
		t.Fatal(err)
	}
	// These are checked to be words of ours, or ids and hashes, by DecodeEntry.
	in := &c.Incident
	ours := []*string{&in.ID, &in.Environment, &in.Report.Markdown, &in.Report.HTML, &in.Past[0].Report.Markdown, &in.Past[0].Report.HTML, &in.Signatures[0].Item, &in.Tasks[0].ID}
	for _, s := range ours {
		*s = ""
	}
	c.Kind, in.Status, in.Marks[0].Kind, in.Links[0].Kind, in.Notes[0].Section, in.Tasks[0].Term = "", "", "", "", "", ""
	text := marshal(t, c)
	if strings.Contains(text, "abcdef0123") || strings.Contains(text, "correct horse") {
		t.Errorf("a secret is left in\n%s", text)
	}
	if n := strings.Count(text, "[redacted:configured]"); n < 50 {
		t.Errorf("only %d texts were looked at", n)
	}
	e.Incident.Cause.Reason = "kept"
	if marshal(t, e) == marshal(t, c) || e.Incident.Cause.Analysis != secret {
		t.Error("the entry that was given has changed")
	}
}

func TestTextIsStoredTidyBoundedAndTheSameTheNextTime(t *testing.T) {
	r := redact.New("correct horse")
	words := []string{"a", "é", "…", " ", "\n", "\t", "\r\n", "\x1b[31m", "\u202e", "\xff", "[redacted:token]", "[", "password=", "token: ", `"`, "correct horse", "AKIA" + "IOSFODNN7EXAMPLE", "x1Y2z3"}
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.SampledFrom([]shape{name(), line(), text(), {24, true}, {40, false}}).Draw(t, "shape")
		s := strings.Join(rapid.SliceOfN(rapid.SampledFrom(words), 0, 60).Draw(t, "words"), "")
		got := k.store(s, r)
		if err := k.check(got); err != nil && got != redact.Marker(redact.KindText) {
			t.Fatalf("%q is stored as %q: %v", s, got, err)
		}
		if again := k.store(got, r); again != got {
			t.Fatalf("%q is stored as %q, then as %q", s, got, again)
		}
		if strings.Contains(got, "correct horse") || strings.ContainsAny(got, "\x1b\u202e\r\t") {
			t.Fatalf("%q is stored as %q", s, got)
		}
	})
}

func TestACutLeavesMarkersWhole(t *testing.T) {
	for limit := 5; limit < 40; limit++ {
		got := shape{limit, false}.cut("four [redacted:token] five and six")
		if strings.Contains(got, "[") && !strings.Contains(got, "[redacted:token]") || len(got) > limit {
			t.Errorf("%d: %q", limit, got)
		}
	}
}

func TestWhatIsNoEntryIsRefused(t *testing.T) {
	whole := string(encoded(t, exampleEntry(t)))
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
		{"unknown field below", swap(`"status"`, `"colour":"red","status"`), lockstep.ErrCorrupt},
		{"surplus", whole + "{}", lockstep.ErrCorrupt},
		{"white space", " " + whole, lockstep.ErrCorrupt},
		{"no number", swap(`"number":4`, `"number":0`), lockstep.ErrCorrupt},
		{"a first entry that opens nothing", swap(`"number":4`, `"number":1`), lockstep.ErrCorrupt},
		{"an unknown kind", swap(`"kind":"decide"`, `"kind":"dance"`), lockstep.ErrCorrupt},
		{"no actor", swap(`"actor":"anna"`, `"actor":""`), lockstep.ErrCorrupt},
		{"another id", swap(`"id":"prod-3"`, `"id":"prod-4"`), lockstep.ErrCorrupt},
		{"another environment", swap(`"environment":"prod"`, `"environment":"dev"`), lockstep.ErrCorrupt},
		{"closed without an end", swap(`"status":"open"`, `"status":"closed"`), lockstep.ErrCorrupt},
		{"an unknown status", swap(`"status":"open"`, `"status":"ajar"`), lockstep.ErrCorrupt},
		{"an unknown mark", swap(`"kind":"first-bad-effect"`, `"kind":"lunch"`), lockstep.ErrCorrupt},
		{"a mark without a source", swap(`"source":"the verdict of guard failed-units"`, `"source":""`), lockstep.ErrCorrupt},
		{"an unknown term", swap(`"term":"immediate"`, `"term":"never"`), lockstep.ErrCorrupt},
		{"versions backwards", swap(`"first_version":41`, `"first_version":99`), lockstep.ErrCorrupt},
		{"two tasks with one id", swap(`"id":"document-issues"`, `"id":"notify-team"`), lockstep.ErrCorrupt},
		{"an escape sequence", swap(`"title":"Notify team"`, `"title":"\u001b[31mNotify"`), lockstep.ErrCorrupt},
		{"not JSON", "incident 4", lockstep.ErrCorrupt},
		{"nothing", "", lockstep.ErrCorrupt},
	} {
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

func FuzzDecodeEntry(f *testing.F) {
	f.Add(encoded(f, exampleEntry(f)))
	for _, in := range []Incident{opened(f), rolledBack(f)} {
		kind, number := KindNote, uint64(3)
		f.Add(encoded(f, Entry{Format: 1, MinReader: 1, Number: number, Kind: kind, Actor: "a", What: "\u2028<&>", At: t0(), Incident: in}))
	}
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"format":2,"min_reader":2}`))
	f.Add([]byte(nil))
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
		// Whatever was read can be reported, told and written on.
		in := Input{Incident: e.Incident, Now: e.At}
		if _, err := NewReport(in).HTML(); err != nil {
			t.Error(err)
		}
		Notice(in, NoticeRolledBack)
		IssueOf(in, nil, nil)
		if tr, err := AddNote(e.Incident, Order{Actor: "a", At: t0()}, "", "x"); err == nil {
			if _, err := tr.Entry.cleaned(nil); err != nil {
				t.Error(err)
			}
		}
	})
}
