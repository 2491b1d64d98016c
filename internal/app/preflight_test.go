package app

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lockstep/internal/compact"
	"lockstep/internal/config"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/receipt/synth"
	"lockstep/internal/release"
	"lockstep/internal/version"
)

// still is an index with traffic and without a server: a test takes every step itself.
type still struct {
	t     *testing.T
	app   *App
	synth *synth.Generator
}

func newStill(t *testing.T, handlers ...handler.Handler) *still {
	t.Helper()
	return newStillOf(t, 60, handlers...)
}

// newStillOf is newStill with so many receipts, which are so many keys.
func newStillOf(t *testing.T, receipts int, handlers ...handler.Handler) *still {
	t.Helper()
	dir := t.TempDir()
	cfg := config.Default().WithData(filepath.Join(dir, "data"))
	cfg.Imports.Directory = filepath.Join(dir, "imports")
	cfg.Follower.Chroma.Enabled = "off"
	a, err := Open(t.Context(), cfg, Options{Now: time.Now, Actor: "tester", Handlers: handlers})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	x := &still{t: t, app: a, synth: synth.New(11, synth.Options{
		Receipts: receipts, Lines: synth.Range{Min: 1, Max: 2}, Words: synth.Range{Min: 1, Max: 2}, Dimension: 4, Labels: 30,
	})}
	for i := range x.synth.Len() {
		if err := writeObjects(dir, x.synth, i); err != nil {
			t.Fatal(err)
		}
	}
	return x
}

func (x *still) created() {
	x.t.Helper()
	var inputs []compact.Input
	for e := range x.synth.Events() {
		inputs = append(inputs, compact.Input{Message: e.Message()})
	}
	x.commit(inputs)
}

func (x *still) commit(inputs []compact.Input) {
	x.t.Helper()
	if _, err := x.app.Commit(x.t.Context(), inputs); err != nil {
		x.t.Fatal(err)
	}
}

// edits commits n edits as one version.
func (x *still) edits(n int) {
	x.t.Helper()
	var inputs []compact.Input
	for _, edit := range x.synth.Edits(n) {
		if edit.Kind == "re-embedded" {
			continue // it would need its files
		}
		for _, e := range edit.Events {
			inputs = append(inputs, compact.Input{Message: e.Message()})
		}
	}
	x.commit(inputs)
}

// start begins a release in shadow and returns its state.
func (x *still) start(candidate string) release.State {
	x.t.Helper()
	rev, err := x.app.Revisions.Lookup(candidate)
	if err != nil {
		x.t.Fatal(err)
	}
	plan := release.Plan{Name: "test", Steps: []release.Step{{Kind: release.Preflight}, {Kind: release.Shadow, MinUnits: 1 << 20}, {Kind: release.Promotion}}}
	head, err := x.app.Command(x.t.Context(), func(s release.State) (release.Transition, error) {
		return release.Start(s, x.app.Order("a test"), release.Request{Candidate: rev.ID(), Plan: plan, Head: x.app.Compactor.Head().Number()})
	})
	if err != nil {
		x.t.Fatal(err)
	}
	return head.State()
}

// preflight returns what preflight says of a candidate.
func (x *still) preflight(candidate string) (release.Health, []release.OpenRisk, []string) {
	x.t.Helper()
	health, risks, reasons, err := x.app.preflight(x.t.Context(), x.start(candidate))
	if err != nil {
		x.t.Fatal(err)
	}
	return health, risks, reasons
}

func TestPreflightLetsACandidateWithTheSameOutputBegin(t *testing.T) {
	x := newStill(t, newVariant("good", nil))
	x.created()
	x.edits(100)
	if health, risks, reasons := x.preflight("receipts@good"); health != release.Healthy || len(risks) > 0 {
		t.Errorf("%q, risks %v, reasons %q", health, risks, reasons)
	}
}

func TestPreflightWithoutRecordedTrafficSaysThatNothingWasTried(t *testing.T) {
	x := newStill(t, newVariant("good", nil))
	health, risks, _ := x.preflight("receipts@good")
	if health != release.Healthy || len(risks) != 1 || risks[0].Name != riskNoTraffic {
		t.Errorf("%q, risks %v", health, risks)
	}
}

func TestPreflightRefusesACandidateThatFailsWhereStableDoesNot(t *testing.T) {
	for _, tc := range []struct {
		name string
		plan func(handler.Unit, []lockstep.Mutation) ([]lockstep.Mutation, error)
		want string
	}{
		{"panics", func(handler.Unit, []lockstep.Mutation) ([]lockstep.Mutation, error) { panic("index out of range") }, "panicked"},
		{"foreign", func(_ handler.Unit, muts []lockstep.Mutation) ([]lockstep.Mutation, error) {
			for i := range muts {
				muts[i].Collection = "elsewhere"
			}
			return muts, nil
		}, "cannot be stored"},
		{"clocked", func(u handler.Unit, muts []lockstep.Mutation) ([]lockstep.Mutation, error) {
			for i := range muts {
				if muts[i].Op == lockstep.Upsert {
					muts[i].Record.Metadata = muts[i].Record.Metadata.With("when", lockstep.String(u.Now.String()))
				}
			}
			return muts, nil
		}, "follow the clock"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			x := newStill(t, newVariant(tc.name, tc.plan))
			x.created()
			x.edits(50)
			health, _, reasons := x.preflight("receipts@" + tc.name)
			if all := strings.Join(reasons, "\n"); health != release.Bad || !strings.Contains(all, tc.want) {
				t.Errorf("%q: %s", health, all)
			}
		})
	}
}

// formatted is a handler that declares another format.
type formatted struct{ variant }

func (f formatted) Describe() handler.Description {
	d := f.variant.Describe()
	d.ReadsFormat, d.WritesFormat = "other/1", "other/2"
	return d
}

func names(risks []release.OpenRisk) string {
	var out []string
	for _, r := range risks {
		out = append(out, r.Name)
	}
	return strings.Join(out, " ")
}

func TestPreflightProvesTheWayBackWhateverTheFormatsAreCalled(t *testing.T) {
	x := newStill(t, formatted{newVariant("renamed", nil)})
	x.created()
	x.edits(100)
	health, risks, reasons := x.preflight("receipts@renamed")
	if health != release.Healthy || names(risks) != riskNewReadsOld {
		t.Errorf("%q, risks %v, reasons %q", health, risks, reasons)
	}
}

func TestPreflightOpensTheRiskOfACandidateWhoseOutputStableCannotGoOnFrom(t *testing.T) {
	// Stable gets vectors with the import and not again: what is not there it cannot change.
	x := newStill(t, newVariant("dropping", func(_ handler.Unit, muts []lockstep.Mutation) ([]lockstep.Mutation, error) {
		out := muts[:0:0]
		for _, m := range muts {
			if m.Op == lockstep.Upsert && m.Collection == "words" {
				continue
			}
			out = append(out, m)
		}
		return out, nil
	}))
	x.created()
	x.edits(100)
	health, risks, reasons := x.preflight("receipts@dropping")
	if health != release.Healthy || names(risks) != riskOldReadsNew || !strings.Contains(risks[0].Reason, "words/record/missing on ") {
		t.Errorf("%q, risks %v, reasons %q", health, risks, reasons)
	}
}

func TestPreflightProvesNothingWhereNoKeyHasTwoChanges(t *testing.T) {
	x := newStill(t, formatted{newVariant("renamed", nil)})
	var inputs []compact.Input
	met := map[string]bool{}
	for e := range x.synth.Events() {
		if m := e.Message(); !met[m.Group] {
			met[m.Group] = true
			inputs = append(inputs, compact.Input{Message: m})
		}
	}
	x.commit(inputs)
	if _, risks, reasons := x.preflight("receipts@renamed"); !strings.Contains(names(risks), riskOldReadsNew) {
		t.Errorf("risks %v, reasons %q", risks, reasons)
	}
}

func TestRoomIsThatOfACopyOfTheIndexForEveryPart(t *testing.T) {
	if got := roomFor(nil); got != leastRoom {
		t.Errorf("an empty index needs %d", got)
	}
	e := &version.Entry{SinceBase: 1 << 20, Base: &version.BaseRef{Bytes: 4 << 20}}
	if got := roomFor(e); got != leastRoom+copiesOfIndex*5<<20 {
		t.Errorf("it needs %d", got)
	}
}

func TestPreflightEndsWithItsContext(t *testing.T) {
	x := newStill(t, newVariant("good", nil))
	x.created()
	s := x.start("receipts@good")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if health, _, _, err := x.app.preflight(ctx, s); !errors.Is(err, context.Canceled) && health == release.Healthy {
		t.Errorf("%q, %v", health, err)
	}
}
