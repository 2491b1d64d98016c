package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lockstep/internal/config"
	"lockstep/internal/lockstep"
	"lockstep/internal/release"
)

func TestAWeightIsReadAsItIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := release.Weight(rapid.Uint32Range(1, uint32(release.All)).Draw(t, "weight"))
		for _, text := range []string{w.String(), fmt.Sprintf("%dbp", w)} {
			if got, ok := parseWeight(text); !ok || got != w {
				t.Fatalf("%q is read as %d, %v; it is %d", text, got, ok, w)
			}
		}
	})
	for _, text := range []string{"", "%", "bp", "10", "0%", "0bp", "-1%", "+1%", "100.01%", "10001bp", "0.001%", "0.5bp", "1/2%", "1e2%", "1_0%", "10 %", "10%%", "NaN%", "0x1%", ".%", "123456789%"} {
		if w, ok := parseWeight(text); ok {
			t.Errorf("%q is read as %d", text, w)
		}
	}
}

func FuzzLoadPlan(f *testing.F) {
	for _, seed := range []string{
		"", "steps: []", "name: a\nsteps: [{kind: preflight}, {kind: promote}]",
		"steps: [{kind: preflight}, {kind: canary, weight: 10%, for: 5m, units: 3, mix: [modify, insert]}, {kind: promote, approvals: 2, expires: 1h}]\ndeny: [a]\nallow: [b]",
		"steps: [{kind: preflight}, {kind: bake, weight: 25bp, mix: [remove, remove]}, {kind: promote}]",
		"steps: {kind: preflight}", "steps: [preflight, promote]", "name: ''\nsteps: [{kind: promote, for: 1h}]", "steps: [{kind: canary, weight: }]",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := LoadPlan(strings.NewReader(text), "plan.yaml")
		if err != nil {
			var ps *config.Problems
			if !errors.As(err, &ps) || len(ps.List) == 0 {
				t.Fatalf("%v names no mistake", err)
			}
			return
		}
		if err := p.Check(); err != nil {
			t.Fatalf("it was accepted, and %v", err)
		}
	})
}

func TestAPlanFileMeansWhatItSays(t *testing.T) {
	p, err := LoadPlan(strings.NewReader(`
steps:
  - {kind: preflight}
  - {kind: shadow, for: 1h, units: 100}
  - {kind: canary, weight: 0.5%, for: 30m}
  - {kind: bake, units: 5, mix: [remove, insert]}
  - {kind: promote, approvals: 1, expires: 2h}
allow: [a]
deny: [b, c]
`), "steps.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := "  1  preflight\n   2  shadow for 1h, 100 units\n   3  canary 0.5% for 30m\n   4  bake, 5 units, with insert, remove\n   5  promote, approved by 1 person within 2h\n" +
		"      always the candidate from the first canary on: a\n      never the candidate: b, c\n"
	if got := p.String(); p.Name != "steps.yaml" || !strings.HasSuffix(got, want) {
		t.Errorf("plan %s is\n%s", p.Name, got)
	}
}

func TestWhatAStepCanSeeRestsOnTheTraffic(t *testing.T) {
	plan := func(steps ...release.Step) release.Plan {
		return release.Plan{Name: "test", Steps: append(append([]release.Step{{Kind: release.Preflight}}, steps...), release.Step{Kind: release.Promotion})}
	}
	day := release.Step{Kind: release.Bake, Weight: 1000, For: 24 * time.Hour}
	busy := Traffic{Versions: 100, Span: time.Hour, Units: 2000, Counted: 2000, Stable: 1800, Bad: 18, Keys: 500}
	for _, c := range []struct {
		name    string
		traffic Traffic
		plan    release.Plan
		step    int
		windows int
		note    string
	}{
		{"an hour's traffic for a day", busy, plan(day), 2, 2400, ""},
		{"the longest step counts", busy, plan(release.Step{Kind: release.Canary, Weight: 100, For: time.Minute}, day), 3, 2400, ""},
		{"units take longer than the time", busy, plan(release.Step{Kind: release.Canary, Weight: 1000, For: time.Minute, MinUnits: 200}), 2, 100, "take longer"},
		{"no rate", Traffic{Versions: 1, Units: 40, Keys: 40}, plan(release.Step{Kind: release.Canary, Weight: 5000, For: time.Hour, MinUnits: 200}), 2, 10, "how long it takes is not known"},
		{"few keys", Traffic{Versions: 10, Units: 100, Span: time.Hour, Keys: 3}, plan(day), 2, 120, "3 keys were seen: with 10% of them the candidate may have none"},
		{"stable never failed", Traffic{Versions: 10, Units: 100, Span: time.Hour, Keys: 30}, plan(day), 2, 120, "stable was not seen to fail in 0 counted units"},
		{"nothing yet", Traffic{}, plan(day), 0, 0, "nobody knows the traffic"},
		{"no share", busy, plan(), 0, 0, "promoted without having been compared"},
		{"all of the keys", busy, plan(release.Step{Kind: release.Canary, Weight: release.All}), 0, 0, "no stable to compare with"},
	} {
		p, err := c.traffic.Power(c.plan)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if p.Step != c.step || (p.Outlook == nil) != (c.step == 0) || !strings.Contains(strings.Join(p.Notes, "\n"), c.note) {
			t.Errorf("%s: step %d, notes %q", c.name, p.Step, p.Notes)
		}
		if p.Outlook != nil && p.Outlook.Traffic.Windows != c.windows {
			t.Errorf("%s: %d windows, want %d", c.name, p.Outlook.Traffic.Windows, c.windows)
		}
	}
	if p, err := busy.Power(plan(day)); err != nil || p.Outlook.Traffic.Base != 0.01 || p.Window != 36*time.Second {
		t.Errorf("%+v, %v: stable fails in 1 %%, and 20 units take 36 s", p.Outlook, err)
	}
}

func TestBarriersAreThereExactlyWhenAStartIsRefused(t *testing.T) {
	now := time.Date(2026, 1, 6, 12, 0, 0, 0, time.UTC)
	const stable, other = "receipts@1+aaaaaaaaaaaa", "receipts@2+bbbbbbbbbbbb"
	by := release.Order{Actor: "tester", Reason: "a test", At: now}
	plan, err := release.Preset("AllAtOnce")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		tr, err := release.Adopt(release.State{}, by, "dev", release.Pair{Revision: stable})
		do := func(when string, order func(release.State) (release.Transition, error)) {
			if rapid.Bool().Draw(t, when) {
				if next, e := order(tr.Entry.State); e == nil {
					tr = next
				}
			}
		}
		do("under way", func(s release.State) (release.Transition, error) {
			return release.Start(s, by, release.Request{Candidate: "receipts@3+cccccccccccc", Plan: plan})
		})
		do("frozen", func(s release.State) (release.Transition, error) { return release.Freeze(s, by, time.Time{}) })
		do("quarantined", func(s release.State) (release.Transition, error) { return release.Quarantine(s, by, other) })
		req := release.Request{Candidate: rapid.SampledFrom([]string{stable, other}).Draw(t, "candidate"), Plan: plan}
		if rapid.Bool().Draw(t, "window") {
			req.Frozen = release.Window{Reason: "a holiday"}
		}
		if rapid.Bool().Draw(t, "chain") {
			req.Chain = []string{"not stable in staging"}
		}
		for _, g := range []release.Gate{release.GateFreeze, release.GateChain} {
			if rapid.Bool().Draw(t, "glass "+string(g)) {
				req.Glass = append(req.Glass, release.Glass{Gate: g, Second: "ann"})
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		barriers := Barriers(tr.Entry.State, req, now)
		if _, err := release.Start(tr.Entry.State, by, req); (err == nil) != (len(barriers) == 0) {
			t.Fatalf("%v, and start says %v", barriers, err)
		}
	})
}

func TestEvidenceIsComputedAgainFromTheLedgerOfVersions(t *testing.T) {
	x := newTrial(t, newVariant("good", nil))
	x.start("receipts@good", release.Step{Kind: release.Canary, Weight: 2500, MinUnits: 40}, release.Step{Kind: release.Bake, Weight: 5000, MinUnits: 80})
	x.until()
	control := x.server.Control
	r, err := control.Rejudge(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Kept || !r.Agrees || r.Units["candidate"] == 0 || r.Stored != r.Judgement.Verdict {
		t.Errorf("%+v", r)
	}
	j, err := control.Judge(t.Context())
	if err != nil || j.Judgement.Verdict != r.Judgement.Verdict || j.Through != r.Through {
		t.Errorf("explained as %+v, computed as %+v, %v", j, r.Judged, err)
	}
	strict, err := control.Rejudge(t.Context(), 0, 1e-9)
	if err != nil || !strict.Agrees || strict.Beta != 1e-9 || strict.Judgement.Guards[0].LogPass <= r.Judgement.Guards[0].LogPass {
		t.Errorf("with beta 1e-9: %+v, %v", strict, err)
	}

	// One bad unit more or less is noticed.
	head, latest, err := control.latest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	kept, err := decodeEvidence(latest.Evidence)
	if err != nil {
		t.Fatal(err)
	}
	course, err := control.course(t.Context(), head, latest)
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := course.begin()
	if err != nil {
		t.Fatal(err)
	}
	if err := course.repeat(t.Context(), control.Log, again, kept.Through-1); err != nil {
		t.Fatal(err)
	}
	if d := differences(kept, again); len(d) == 0 {
		t.Error("a version that is missing makes no difference")
	}
}

func TestWhatACandidateLeftIsCounted(t *testing.T) {
	x := newTrial(t, newVariant("good", nil))
	x.start("receipts@good", release.Step{Kind: release.Canary, Weight: 5000, MinUnits: 1 << 30})
	head := func() release.Head {
		h, err := x.server.Releases.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	for range 200 {
		if head().State().Release.Phase == release.PhaseCanary {
			break
		}
		time.Sleep(10 * time.Millisecond) // a controller looks
	}
	x.edits(60)
	before := x.server.Compactor.Head().Number()
	// The server may see the fence first, and has aborted then before the order has.
	if aborted, err := x.server.Abort(t.Context(), "a test"); err != nil || aborted.State().Release.Phase != release.PhaseAborted {
		t.Fatalf("%+v, %v", aborted.State().Release, err)
	}
	if _, err := x.server.Abort(t.Context(), "a test"); !errors.Is(err, release.ErrNone) {
		t.Errorf("aborted again: %v", err)
	}
	x.edits(60)
	r := head().State().Release
	got, err := x.server.Trace(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if got.Units == 0 || got.Mutations == 0 || got.First <= r.KnownGood.Version || got.Last > before || got.Fence <= before || got.KnownGood != r.KnownGood.Version {
		t.Errorf("%+v, known good %d, before the abort %d", got, r.KnownGood.Version, before)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, err := range map[string]error{
		"trace":   second(x.server.Trace(ctx, r)),
		"traffic": second(x.server.Traffic(ctx, head().State())),
		"judge":   second(x.server.Judge(ctx)),
		"rejudge": second(x.server.Rejudge(ctx, 0, 0)),
		"request": second(x.server.Request(ctx, Proposal{Candidate: r.Candidate})),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s after the end of ctx: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestANameStandsForARevision(t *testing.T) {
	const id = "receipts@2+5db2a84020c3"
	for name, want := range map[string]bool{
		id: true, "receipts@2": true, "5db2": true, "5DB2A8": true,
		"receipts": false, "5db": false, "receipts@2+5db2": false, "": false, "db2a": false,
	} {
		if Answers(id, name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
	s := release.State{Release: &release.Release{Candidate: id}}
	if got, ok := Named(s, "receipts@2"); !ok || got != id {
		t.Errorf("the candidate is %q", got)
	}
	if got, ok := Named(release.State{}, "receipts@2"); ok {
		t.Errorf("a label that nobody knows is %q", got)
	}
	if _, err := PlanNamed(config.Config{}, "Canary11Percent"); !errors.Is(err, lockstep.ErrNotFound) {
		t.Errorf("%v", err)
	}
}
