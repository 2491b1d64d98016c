package release

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

// exampleEntry is the entry of docs/format/release.md.
func exampleEntry(t testing.TB) Entry {
	t.Helper()
	s := in(t, PhaseCanary)
	s.Release.Risks = []Risk{{Name: "one-way-data", By: "anna", Reason: "rehearsed", At: t0()}}
	s.quarantine(Quarantined{Revision: otherRev, By: "lockstep", Reason: "a guard found the candidate bad", At: t0()})
	d := Next(s, seen(func(o *Observation) {
		o.Verdict, o.Reasons, o.Evidence = Hold, []string{"backlog <grows>"}, json.RawMessage(`{"ln_e":0.5}`)
	}), at(5*time.Minute))
	e := d.Transition.Entry
	e.Format, e.MinReader, e.Number = Format, Format, 6
	return e
}

func documented(t testing.TB) []byte {
	t.Helper()
	page, err := os.ReadFile("../../docs/format/release.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```json\n(.*?)```").FindSubmatch(page)
	if m == nil {
		t.Fatal("docs/format/release.md has no example")
	}
	return m[1]
}

func TestTheDocumentedEntryParses(t *testing.T) {
	want := exampleEntry(t)
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
	page, err := os.ReadFile("../../docs/format/release.md")
	if err != nil {
		t.Fatal(err)
	}
	// Every kind of value that a state can hold, in states that hold them.
	var all []byte
	promoted := in(t, PhasePromoted)
	aborted := must(t)(Abort(must(t)(BreakGlass(in(t, PhaseBake), by("anna", 0), GateTime, "bert")), by("anna", 0)))
	req := request()
	req.Supersedes, req.InverseOf = "dev-1", "dev-0"
	req.Plan.Allow, req.Plan.Deny = []string{"a"}, []string{"b"}
	superseding := must(t)(Start(aborted, by("anna", 0), req))
	for _, s := range []State{
		exampleEntry(t).State, promoted, aborted, superseding,
		must(t)(Approve(in(t, PhasePromote), by("bert", 71*time.Minute))), must(t)(Freeze(promoted, by("anna", 0), at(time.Hour))),
		step(t, in(t, PhaseCanary), seen(func(o *Observation) { o.Evidence = json.RawMessage("1"); o.Verdict = NoData }), time.Minute, KindEvidence),
		step(t, in(t, PhaseCanary), seen(func(o *Observation) { o.Verdict, o.Culprit = Bad, &Culprit{Source: FromGuard, Name: "x"} }), time.Minute, KindAbort),
		step(t, promotedAndCarried(t), Observation{Alarm: &Alarm{Guard: "g", Reason: "r"}}, 74*time.Minute, KindAlarm),
	} {
		all = append(all, marshal(t, s)...)
	}
	fields := map[string]bool{}
	for _, m := range regexp.MustCompile(`"([a-z_]+)":`).FindAllSubmatch(all, -1) {
		fields[string(m[1])] = true
	}
	if len(fields) < 60 {
		t.Fatalf("only %d fields: the states above are not full", len(fields))
	}
	for f := range fields {
		if f != "ln_e" && !bytes.Contains(page, []byte("`"+f+"`")) {
			t.Errorf("%s is not in the page", f)
		}
	}
	for _, k := range []Kind{
		KindAdopt, KindStart, KindAdvance, KindPromote, KindAbort, KindRetry, KindPause, KindResume, KindHold, KindLift, KindExpire, KindApprove,
		KindRisk, KindGlass, KindCarried, KindEvidence, KindAlarm, KindJail, KindUnjail, KindFreeze, KindUnfreeze, KindRestore, KindSettle,
	} {
		if !bytes.Contains(page, []byte("`"+string(k)+"`")) {
			t.Errorf("kind %s is not in the page", k)
		}
	}
}

func TestWhatIsNoEntryIsRefused(t *testing.T) {
	e := exampleEntry(t)
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
		{"unknown field below", swap(`"weight"`, `"colour":"red","weight"`), lockstep.ErrCorrupt},
		{"surplus", whole + "{}", lockstep.ErrCorrupt},
		{"white space", " " + whole, lockstep.ErrCorrupt},
		{"no number", swap(`"number":6`, `"number":0`), lockstep.ErrCorrupt},
		{"no actor", swap(`"actor":"lockstep"`, `"actor":""`), lockstep.ErrCorrupt},
		{"weight in preflight", swap(`"phase":"canary"`, `"phase":"preflight"`), lockstep.ErrCorrupt},
		{"over without an ending", swap(`"phase":"canary"`, `"phase":"aborted"`), lockstep.ErrCorrupt},
		{"weight of 200 percent", swap(`"weight":1000,"step_since"`, `"weight":20000,"step_since"`), lockstep.ErrCorrupt},
		{"step out of the plan", swap(`"step":2`, `"step":5`), lockstep.ErrCorrupt},
		{"another plan", swap(`"for_ns":600000000000`, `"for_ns":1`), lockstep.ErrCorrupt},
		{"another id", swap(`"id":"dev-1"`, `"id":"dev-2"`), lockstep.ErrCorrupt},
		{"a candidate without a hash", swap(`"candidate":"receipts@2+222222222222"`, `"candidate":"receipts@2"`), lockstep.ErrCorrupt},
		{"an unknown effect", swap(`"kind":"pin"`, `"kind":"spin"`), lockstep.ErrCorrupt},
		{"not JSON", "release 6", lockstep.ErrCorrupt},
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
	var seeds [][]byte
	add := func(e Entry) {
		e.Format, e.MinReader, e.Number = 1, 1, 3
		b, err := e.Encode()
		if err != nil {
			f.Fatal(err)
		}
		seeds = append(seeds, b)
	}
	add(exampleEntry(f))
	for _, phase := range []Phase{PhasePreflight, PhaseShadow, PhaseBake, PhasePromote, PhasePromoted} {
		add(Entry{Kind: KindAdvance, Actor: "a", Reason: "\u2028<&>", At: t0(), State: in(f, phase)})
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
		// Whatever was read can be decided on, described and routed by.
		e.Describe()
		e.State.Describe(e.At)
		e.State.Outlook(e.At)
		RoutingOf(1, e.State, "").Arm("key")
		d := Next(e.State, good(), e.At.Add(time.Hour))
		if d.Transition != nil {
			if err := d.Transition.Entry.State.check(); err != nil {
				t.Errorf("%s leads from a state to none: %v", d.Transition.Entry.Kind, err)
			}
		}
	})
}
