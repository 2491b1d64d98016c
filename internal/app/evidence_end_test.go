package app

import (
	"errors"
	"testing"
	"time"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/release"
	"lockstep/internal/version"
)

// TestEvidenceOfAnAbortedReleaseIsFoundByTheNextStartOfItsContent aborts a release within
// its first minutes, long before anybody keeps evidence for its own sake, and releases
// something else before the same content is tried again.
func TestEvidenceOfAnAbortedReleaseIsFoundByTheNextStartOfItsContent(t *testing.T) {
	flaky := newVariant("flaky", func(u handler.Unit, muts []lockstep.Mutation) ([]lockstep.Mutation, error) {
		if u.Messages[0].Change.Event == lockstep.Modify && version.KeyHash(u.Messages[0].ID) < "1" {
			return nil, errors.New("now and then")
		}
		return muts, nil
	})
	x := newStillOf(t, 200, flaky, newVariant("good", nil))
	x.created()
	controller := x.app.Controller()
	plan := release.Plan{Name: "test", Steps: []release.Step{{Kind: release.Preflight}, {Kind: release.Canary, Weight: 2500, MinUnits: 1 << 20}, {Kind: release.Promotion}}}
	begin := func(candidate string) *release.Release {
		t.Helper()
		rev, err := x.app.Revisions.Lookup(candidate)
		if err != nil {
			t.Fatal(err)
		}
		req, err := x.app.Request(t.Context(), Proposal{Candidate: rev.ID(), Plan: plan})
		if err != nil {
			t.Fatal(err)
		}
		head, err := x.app.Command(t.Context(), func(s release.State) (release.Transition, error) { return release.Start(s, x.app.Order("a test"), req) })
		if err != nil {
			t.Fatal(err)
		}
		return head.State().Release
	}
	if r := begin("receipts@flaky"); r.Evidence != nil {
		t.Fatalf("it begins with the evidence %s", r.Evidence)
	}
	x.tick(controller)
	// As many units as a guard needs to be curious, and not as many as it needs to be sure.
	for range 3 {
		x.edits(40)
	}
	first, err := x.app.Releases.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if first.State().Release.Evidence != nil {
		if e, err := decodeEvidence(first.State().Release.Evidence); err != nil || e.Units["candidate"] > 0 {
			t.Fatalf("evidence was kept before: %+v, %v", e, err)
		}
	}
	aborted, err := x.app.Abort(t.Context(), "a test")
	if err != nil {
		t.Fatal(err)
	}
	kept, err := decodeEvidence(aborted.State().Release.Evidence)
	if err != nil || kept.Units["candidate"] == 0 || kept.Through < x.app.Compactor.Head().Number() {
		t.Fatalf("the entry of the abort has the evidence %+v, %v", kept, err)
	}
	trace, err := x.app.Trace(t.Context(), aborted.State().Release)
	if err != nil || uint64(trace.Units) != kept.Units["candidate"] {
		t.Errorf("%d units are kept of %d, %v", kept.Units["candidate"], trace.Units, err)
	}
	if r, err := x.app.Rejudge(t.Context(), 0, 0); err != nil || !r.Agrees {
		t.Errorf("computed again: %q, %v", r.Differences, err)
	}

	begin("receipts@good")
	x.tick(controller)
	x.edits(40)
	if _, err := x.app.Abort(t.Context(), "in between"); err != nil {
		t.Fatal(err)
	}
	again := begin("receipts@flaky")
	back, err := decodeEvidence(again.Evidence)
	if err != nil || back.Units["candidate"] != kept.Units["candidate"] || again.ID == aborted.State().Release.ID {
		t.Errorf("release %s of the same content begins with %+v, %v", again.ID, back, err)
	}
}

// TestWhatAnAbortHadNoTimeToCountIsCountedByTheNextStart has the entry of the abort without
// evidence, as when the store was slow.
func TestWhatAnAbortHadNoTimeToCountIsCountedByTheNextStart(t *testing.T) {
	x := newStillOf(t, 100, newVariant("good", nil))
	x.created()
	plan := release.Plan{Name: "test", Steps: []release.Step{{Kind: release.Preflight}, {Kind: release.Canary, Weight: 5000, MinUnits: 1 << 20}, {Kind: release.Promotion}}}
	rev, err := x.app.Revisions.Lookup("receipts@good")
	if err != nil {
		t.Fatal(err)
	}
	order := func(do func(s release.State, by release.Order) (release.Transition, error)) {
		t.Helper()
		if _, err := x.app.Command(t.Context(), func(s release.State) (release.Transition, error) { return do(s, x.app.Order("a test")) }); err != nil {
			t.Fatal(err)
		}
	}
	order(func(s release.State, by release.Order) (release.Transition, error) {
		return release.Start(s, by, release.Request{Candidate: rev.ID(), Plan: plan, Head: x.app.Compactor.Head().Number()})
	})
	s := x.tick(x.app.Controller())
	if s.Release.Phase != release.PhaseCanary {
		t.Fatalf("%s", s.Describe(time.Now()))
	}
	x.edits(60)
	order(release.Abort)
	x.edits(60) // behind the fence: no evidence
	trace, err := x.app.Trace(t.Context(), s.Release)
	if err != nil || trace.Units == 0 {
		t.Fatalf("trace %+v, %v", trace, err)
	}
	raw, err := x.app.inherited(t.Context(), rev.ID())
	if err != nil {
		t.Fatal(err)
	}
	e, err := decodeEvidence(raw)
	if err != nil || e.Units["candidate"] != uint64(trace.Units) {
		t.Errorf("%v units are inherited of %d, %v", e.Units, trace.Units, err)
	}
	if none, err := x.app.inherited(t.Context(), "receipts@other+999999999999"); err != nil || none != nil {
		t.Errorf("other content inherits %s, %v", none, err)
	}
}
