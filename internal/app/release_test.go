package app

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"path/filepath"
	"testing"
	"time"

	"lockstep/internal/compact"
	"lockstep/internal/config"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/receipt"
	"lockstep/internal/receipt/synth"
	"lockstep/internal/release"
)

// variant is receipts@2 under another name, with a mistake if it has one.
type variant struct {
	handler.Handler
	version string
	plan    func(u handler.Unit, muts []lockstep.Mutation) ([]lockstep.Mutation, error)
}

func (v variant) Describe() handler.Description {
	d := v.Handler.Describe()
	d.Version, d.Code = v.version, d.Code+v.version
	return d
}

func (v variant) Plan(ctx context.Context, u handler.Unit) ([]lockstep.Mutation, error) {
	muts, err := v.Handler.Plan(ctx, u)
	if err != nil || v.plan == nil {
		return muts, err
	}
	return v.plan(u, muts)
}

func newVariant(version string, plan func(handler.Unit, []lockstep.Mutation) ([]lockstep.Mutation, error)) variant {
	return variant{receipt.V2(receipt.V2Config{}), version, plan}
}

// trial is a server with traffic, in which releases are made.
type trial struct {
	t      *testing.T
	server *Server
	synth  *synth.Generator
	stop   func()
}

func newTrial(t *testing.T, handlers ...handler.Handler) *trial {
	t.Helper()
	return newTrialWith(t, func(*config.Config) {}, handlers...)
}

// newTrialWith is newTrial with another configuration.
func newTrialWith(t *testing.T, change func(*config.Config), handlers ...handler.Handler) *trial {
	t.Helper()
	dir := t.TempDir()
	cfg := config.Default().WithData(filepath.Join(dir, "data"))
	cfg.Imports.Directory = filepath.Join(dir, "imports")
	cfg.Follower.Chroma.Enabled = "off"
	cfg.Release.Watch = 10 * time.Millisecond
	change(&cfg)
	a, err := Open(t.Context(), cfg, Options{Now: time.Now, Actor: "tester", Handlers: handlers})
	if err != nil {
		t.Fatal(err)
	}
	x := &trial{t: t, server: NewServer(a), synth: synth.New(7, synth.Options{
		Receipts: 400, Lines: synth.Range{Min: 1, Max: 2}, Words: synth.Range{Min: 1, Max: 2}, Dimension: 4, Labels: 30,
	})}
	for i := range x.synth.Len() {
		if err := writeObjects(dir, x.synth, i); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- x.server.Run(ctx) }()
	x.stop = func() {
		cancel()
		if err := errors.Join(<-done, a.Close()); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() { x.stop() })
	var created []compact.Input
	for e := range x.synth.Events() {
		created = append(created, compact.Input{Message: e.Message()})
	}
	x.submit(created)
	return x
}

func (x *trial) submit(inputs []compact.Input) {
	x.t.Helper()
	if _, err := x.server.Submit(x.t.Context(), inputs); err != nil {
		x.t.Fatal(err)
	}
}

// edits submits n edits, as one batch.
func (x *trial) edits(n int) {
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
	x.submit(inputs)
}

func (x *trial) start(candidate string, steps ...release.Step) {
	x.t.Helper()
	rev, err := x.server.Revisions.Lookup(candidate)
	if err != nil {
		x.t.Fatal(err)
	}
	plan := release.Plan{Name: "test", Steps: append(append([]release.Step{{Kind: release.Preflight}}, steps...), release.Step{Kind: release.Promotion})}
	if _, err := x.server.Command(x.t.Context(), func(s release.State) (release.Transition, error) {
		return release.Start(s, x.server.Order("a test"), release.Request{Candidate: rev.ID(), Plan: plan, Head: x.server.Compactor.Head().Number()})
	}); err != nil {
		x.t.Fatal(err)
	}
}

// until submits edits until the release is over, slower and slower: what compares beside
// the commits must come to its end on any machine.
func (x *trial) until() release.State {
	x.t.Helper()
	for n := range 150 {
		head, err := x.server.Releases.Head(x.t.Context())
		if err != nil {
			x.t.Fatal(err)
		}
		if s := head.State(); s.Live() == nil {
			return s
		}
		x.edits(60)
		time.Sleep(time.Duration(15+4*n) * time.Millisecond) // a controller looks
	}
	head, _ := x.server.Releases.Head(x.t.Context())
	x.t.Fatalf("the release does not end:\n%s", head.State().Describe(time.Now()))
	return release.State{}
}

func TestABadCandidateIsCaughtInCanaryAndTakenBack(t *testing.T) {
	flaky := newVariant("flaky", func(u handler.Unit, muts []lockstep.Mutation) ([]lockstep.Mutation, error) {
		h := fnv.New32a()
		_, _ = h.Write([]byte(u.Messages[0].ID))
		if h.Sum32()%3 == 0 && u.Messages[0].Change.Event == lockstep.Modify { // preflight sees what is recorded: creations
			return nil, errors.New("index out of range")
		}
		return muts, nil
	})
	x := newTrial(t, flaky)
	x.start("receipts@flaky", release.Step{Kind: release.Canary, Weight: 2500}, release.Step{Kind: release.Bake, Weight: 5000})
	s := x.until()
	r := s.Release
	if r.Ending.Outcome != release.RolledBack || r.Phase != release.PhaseAborted {
		t.Fatalf("it ended as %+v", r.Ending)
	}
	if _, bad := s.Quarantined(r.Candidate); !bad {
		t.Error("it is not quarantined")
	}
	status, err := x.server.Status(t.Context())
	if err != nil || status.ParkedCount != 0 {
		t.Errorf("%d parked, %v: stable covers every failure of the candidate", status.ParkedCount, err)
	}
	fence, err := x.server.Log.Head(t.Context())
	if err != nil || len(fence.Entry.Fenced) != 1 {
		t.Fatalf("fences %+v, %v", fence.Entry, err)
	}
	x.edits(100)
	for n := fence.Entry.Fenced[0].Since; ; n++ {
		e, err := x.server.Log.Read(t.Context(), n)
		if errors.Is(err, lockstep.ErrNotFound) {
			break
		}
		if err != nil || e.Revisions[r.Candidate] > 0 {
			t.Fatalf("version %d behind the fence has %d mutations of the candidate, %v", n, e.Revisions[r.Candidate], err)
		}
	}
}

func TestAGoodCandidateEarnsItsTrafficAndBecomesStable(t *testing.T) {
	x := newTrial(t, newVariant("good", nil))
	x.start("receipts@good", release.Step{Kind: release.Canary, Weight: 1000, MinUnits: 20}, release.Step{Kind: release.Bake, Weight: 5000, MinUnits: 50})
	s := x.until()
	if s.Release.Ending.Outcome != release.Promoted || !release.SameRevision(s.Stable.Revision, s.Release.Candidate) {
		t.Fatalf("it ended as %+v, stable is %s", s.Release.Ending, s.Stable.Revision)
	}
	x.edits(50)
	e := x.server.Compactor.Head().Entry
	if e.Revisions[s.Stable.Revision] == 0 || len(e.Revisions) != 1 {
		t.Errorf("after the promotion %v decide", e.Revisions)
	}
}

// closed lets no key pass.
type closed struct{}

func (closed) Allows(context.Context, string) bool { return false }

func TestAVetoKeepsEveryKeyFromTheCandidate(t *testing.T) {
	x := newTrial(t, newVariant("good", nil))
	x.start("receipts@good", release.Step{Kind: release.Canary, Weight: 5000, MinUnits: 10_000})
	open := x.server.router()
	shut := x.server.router()
	shut.veto = closed{}
	for range 100 {
		routing, err := open.Route(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if routing.Canary == nil {
			time.Sleep(20 * time.Millisecond) // preflight is not over
			continue
		}
		vetoed, err := shut.Route(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		given, kept := 0, 0
		for i := range 200 {
			key := fmt.Sprint("key ", i)
			if routing.Canary(key) {
				given++
			}
			if vetoed.Canary(key) {
				kept++
			}
		}
		if given < 50 || kept != 0 {
			t.Errorf("of 200 keys %d without and %d with the veto", given, kept)
		}
		return
	}
	t.Fatal("the canary does not begin")
}

func TestARetryForgetsNothingOfTheAttemptBefore(t *testing.T) {
	x := newTrial(t, newVariant("good", nil))
	x.start("receipts@good", release.Step{Kind: release.Canary, Weight: 3000, MinUnits: 100_000})
	var before Judged
	for range 100 {
		x.edits(60)
		time.Sleep(15 * time.Millisecond)
		var err error
		if before, err = x.server.Judge(t.Context()); err != nil {
			t.Fatal(err)
		}
		if before.Units["candidate"] >= 50 {
			break
		}
	}
	if before.Units["candidate"] < 50 {
		t.Fatalf("the canary has seen %v", before.Units)
	}
	for _, order := range []func(release.State, release.Order) (release.Transition, error){
		release.Abort,
		func(s release.State, by release.Order) (release.Transition, error) {
			return release.Retry(s, by, release.Request{Head: x.server.Compactor.Head().Number()})
		},
	} {
		if _, err := x.server.Command(t.Context(), func(s release.State) (release.Transition, error) { return order(s, x.server.Order("again")) }); err != nil {
			t.Fatal(err)
		}
	}
	after, err := x.server.Judge(t.Context())
	if err != nil || after.Attempt != 2 || after.Units["candidate"] < before.Units["candidate"] {
		t.Errorf("attempt %d begins with %v units, the one before had seen %v, %v", after.Attempt, after.Units, before.Units, err)
	}
}
