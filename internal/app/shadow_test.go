package app

import (
	"context"
	"errors"
	"hash/fnv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/release"
	"lockstep/internal/shadow"
)

// share says whether a key is among the first of a hundred.
func share(key string, percent uint32) bool {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	return h.Sum32()%100 < percent
}

// altered returns a plan that sets a metadata key on every record of some keys.
func altered(key string, value lockstep.Value, concerns func(group string) bool) func(handler.Unit, []lockstep.Mutation) ([]lockstep.Mutation, error) {
	return func(u handler.Unit, muts []lockstep.Mutation) ([]lockstep.Mutation, error) {
		if !concerns(u.Messages[0].Group) {
			return muts, nil
		}
		for i := range muts {
			if muts[i].Op != lockstep.Delete {
				muts[i].Record.Metadata = muts[i].Record.Metadata.With(key, value)
			}
		}
		return muts, nil
	}
}

func inShadow() []release.Step {
	return []release.Step{{Kind: release.Shadow, MinUnits: 100}, {Kind: release.Canary, Weight: 1000, MinUnits: 20}}
}

// harmed returns how many mutations of the candidate are in the versions.
func (x *trial) harmed(candidate string) int {
	x.t.Helper()
	head, err := x.server.Log.Head(x.t.Context())
	if err != nil {
		x.t.Fatal(err)
	}
	n := 0
	for v := uint64(1); v <= head.Number(); v++ {
		e, err := x.server.Log.Read(x.t.Context(), v)
		if err != nil {
			x.t.Fatal(err)
		}
		n += e.Revisions[candidate]
	}
	return n
}

func TestACandidateThatIsSilentlyWrongOnOnePercentOfTheKeysIsCaughtInShadow(t *testing.T) {
	x := newTrial(t, newVariant("wrong", altered("merchant_name", lockstep.String("nobody"), func(group string) bool { return share(group, 1) })))
	x.start("receipts@wrong", inShadow()...)
	s := x.until()
	r := s.Release
	if r.Ending.Outcome != release.RolledBack || r.Plan.Steps[r.Step].Kind != release.Shadow {
		t.Fatalf("it ended in %s as %+v", r.Plan.Steps[r.Step], r.Ending)
	}
	if n := x.harmed(r.Candidate); n > 0 {
		t.Errorf("%d records were harmed", n)
	}
}

func TestAnAcceptedDifferenceDoesNotHoldARelease(t *testing.T) {
	x := newTrial(t, newVariant("noting", altered("note", lockstep.String("new"), func(string) bool { return true })))
	if err := x.server.Accept(t.Context(), time.Now, shadow.Acceptance{
		Class: "*/metadata.note/*", Until: time.Now().Add(time.Hour), Reason: "it is what the release is about", By: "tester",
	}); err != nil {
		t.Fatal(err)
	}
	x.start("receipts@noting", inShadow()...)
	order := func(s release.State) (release.Transition, error) {
		return release.AcceptRisk(s, x.server.Order("stable keeps the note"), riskOldReadsNew)
	}
	if _, err := x.server.Command(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	if s := x.until(); s.Release.Ending.Outcome != release.Promoted {
		t.Errorf("it ended as %+v", s.Release.Ending)
	}
}

// shadowing brings the release that x starts into its shadow step.
func (x *still) shadowing(candidate string) *shadower {
	x.t.Helper()
	x.start(candidate)
	for {
		d, err := x.app.Controller().Tick(x.t.Context(), time.Now())
		if err != nil {
			x.t.Fatal(err)
		}
		head, err := x.app.Releases.Head(x.t.Context())
		if err != nil {
			x.t.Fatal(err)
		}
		if head.State().Release.Phase == release.PhaseShadow {
			break
		}
		if d.Transition == nil {
			x.t.Fatalf("it does not come to its shadow step: %s", d.Describe())
		}
	}
	return x.shadower()
}

func (x *still) shadower() *shadower {
	w := newShadower(x.app)
	w.dir, w.every = x.t.TempDir(), 0
	x.t.Cleanup(func() {
		if err := w.close(); err != nil {
			x.t.Error(err)
		}
	})
	return w
}

// work compares all that there is.
func (x *still) work(w *shadower) {
	x.t.Helper()
	for {
		more, err := w.work(x.t.Context())
		if err != nil {
			x.t.Fatal(err)
		}
		if !more {
			return
		}
	}
}

// counts reads what is recorded, without what depends on how fast this machine is.
func (x *still) counts() (*ShadowRecord, shadow.Counts) {
	x.t.Helper()
	head, err := x.app.Releases.Head(x.t.Context())
	if err != nil {
		x.t.Fatal(err)
	}
	s := head.State()
	_, r, err := newShadowBook(x.app.Blobs, time.Now, s.Stable.Revision, s.Release.Candidate).head(x.t.Context())
	if err != nil {
		x.t.Fatal(err)
	}
	c := r.Tally.Counts(nil, time.Now())
	c.Timed, c.Slower = 0, 0
	return r, c
}

// published returns how many units the versions from first on have.
func (x *still) published(first uint64) int64 {
	x.t.Helper()
	n := int64(0)
	for v := first; v <= x.app.Compactor.Head().Number(); v++ {
		e, err := x.app.Log.Read(x.t.Context(), v)
		if err != nil {
			x.t.Fatal(err)
		}
		n += unitsOf(e)
	}
	return n
}

func TestTheShadowComparesEveryUnitOnceWhoeverComparesAndWhenever(t *testing.T) {
	x := newStill(t, newVariant("wrong", altered("merchant_name", lockstep.String("nobody"), func(group string) bool { return share(group, 10) })))
	x.created()
	one := x.shadowing("receipts@wrong")
	first := x.app.Compactor.Head().Number() + 1
	for range 3 {
		x.edits(40)
		x.work(one)
	}
	// Another process is at work as well: each finds that the other was first, and goes on.
	two := x.shadower()
	x.edits(40)
	x.work(two)
	x.edits(40)
	x.work(one)
	x.work(two)
	// One is killed with what it has not recorded, and its state with it.
	x.edits(40)
	two.every = time.Hour
	two.pair.kept = time.Now()
	x.work(two)
	r, _ := x.counts()
	if r.Through == x.app.Compactor.Head().Number() {
		t.Fatal("it was recorded, so nothing is lost by the kill")
	}
	if err := two.close(); err != nil {
		t.Fatal(err)
	}
	x.work(x.shadower())

	r, got := x.counts()
	if want := x.published(first); got.Units+got.BothFailed != want || got.Dropped != 0 {
		t.Errorf("%d units compared of %d: %+v", got.Units, want, got)
	}
	if got.Worse == 0 || got.Noisier != 0 || got.Hard != 0 || got.Twice != got.Units {
		t.Errorf("%+v", got)
	}
	if r.Step == nil || int64(r.Step.Units) != got.Units || len(r.Step.Events) == 0 {
		t.Errorf("step %+v", r.Step)
	}
}

func TestTheShadowDropsAndCountsWhatItIsTooLateFor(t *testing.T) {
	x := newStill(t, newVariant("good", nil))
	x.created()
	w := x.shadowing("receipts@good")
	w.lag = 4
	first := x.app.Compactor.Head().Number() + 1
	for range 10 {
		x.edits(10)
	}
	x.work(w)
	_, got := x.counts()
	if want := x.published(first); got.Dropped == 0 || got.Units == 0 || got.Units+got.Dropped != want {
		t.Errorf("%d compared and %d dropped of %d", got.Units, got.Dropped, want)
	}
	if r, _ := x.counts(); r.Through != x.app.Compactor.Head().Number() {
		t.Errorf("it stands at %d", r.Through)
	}
}

func TestACandidateThatIsNotDeterministicIsWorseThanStable(t *testing.T) {
	var calls atomic.Int64
	// Only on changes: on what is recorded at the start preflight would have seen it.
	x := newStill(t, newVariant("moody", func(u handler.Unit, muts []lockstep.Mutation) ([]lockstep.Mutation, error) {
		if u.Messages[0].Change.Event != lockstep.Modify {
			return muts, nil
		}
		for i := range muts {
			if muts[i].Op == lockstep.Upsert {
				muts[i].Record.Metadata = muts[i].Record.Metadata.With("mood", lockstep.Int(calls.Add(1)))
			}
		}
		return muts, nil
	}))
	x.created()
	w := x.shadowing("receipts@moody")
	x.edits(200)
	x.work(w)
	if _, got := x.counts(); got.Worse < 12 || got.Noisier > 0 {
		t.Errorf("%+v", got)
	}
	head, err := x.app.Releases.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen, err := x.app.Controller().Observer.Observe(t.Context(), head.State())
	if err != nil || seen.Verdict != release.Bad {
		t.Errorf("%q, %v", seen.Verdict, err)
	}
}

func TestABrokenInvariantIsBadAtOnceUnlessItIsAccepted(t *testing.T) {
	x := newStill(t, newVariant("greedy", func(u handler.Unit, muts []lockstep.Mutation) ([]lockstep.Mutation, error) {
		words := u.View.Records["words"]
		if u.Messages[0].Change.Event == lockstep.Modify && len(muts) > 0 && len(words) > 0 {
			muts = append(muts, lockstep.Mutation{
				Op: lockstep.Upsert, Collection: "words", Cause: muts[0].Cause,
				Record: lockstep.Record{ID: words[0].ID + "#AGAIN"}, Vector: []float32{1, 2, 3, 4},
			})
		}
		return muts, nil
	}))
	x.created()
	w := x.shadowing("receipts@greedy")
	x.edits(6)
	x.work(w)
	observe := func() release.Observation {
		t.Helper()
		head, err := x.app.Releases.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		seen, err := x.app.Controller().Observer.Observe(t.Context(), head.State())
		if err != nil {
			t.Fatal(err)
		}
		return seen
	}
	seen := observe()
	if seen.Verdict != release.Bad || len(seen.Reasons) == 0 || !strings.Contains(seen.Reasons[0], "words/record/extra") {
		t.Fatalf("%q: %q", seen.Verdict, seen.Reasons)
	}
	if seen.Seen.Candidate == 0 || len(seen.Seen.Mix) == 0 {
		t.Errorf("in the shadow step it has seen %+v", seen.Seen)
	}
	if err := x.app.Accept(t.Context(), time.Now, shadow.Acceptance{
		Class: "words/record/extra", Until: time.Now().Add(time.Hour), Reason: "new records", By: "tester",
	}); err != nil {
		t.Fatal(err)
	}
	if seen := observe(); seen.Verdict != release.NoData {
		t.Errorf("accepted, it is %q: %q", seen.Verdict, seen.Reasons)
	}
}

func TestAMigrationThatDiffersInManyWaysCanBeAccepted(t *testing.T) {
	x := newStill(t)
	x.created()
	for range 4 {
		x.edits(200)
	}
	req := ReplayRequest{Candidate: "receipts@1", From: 1, To: x.app.Compactor.Head().Number()}
	before, err := x.app.Replay(t.Context(), req)
	if err != nil || before.Report.Counts.Unexpected == 0 || len(before.Hard) == 0 {
		t.Fatalf("%+v, %v", before.Report.Counts, err)
	}
	classes := []string{"*/metadata.*/*", "*/document/*"}
	for _, h := range before.Hard {
		classes = append(classes, string(h.Class))
	}
	for _, class := range classes {
		if _, err := x.app.Expect(t.Context(), class, "the old side is left", time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	after, err := x.app.Replay(t.Context(), req)
	if c := after.Report.Counts; err != nil || c.Unexpected != 0 || c.Worse != 0 || c.Expected+c.Equal != before.Report.Counts.Units {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestAReplayOfNothingIsRefused(t *testing.T) {
	x := newStill(t)
	for _, tc := range []struct {
		req  ReplayRequest
		want error
	}{
		{ReplayRequest{Candidate: "receipts@1", From: 0, To: 3}, lockstep.ErrInvalid},
		{ReplayRequest{Candidate: "receipts@1", From: 3, To: 2}, lockstep.ErrInvalid},
		{ReplayRequest{Candidate: "receipts@1", From: 1, To: 2}, lockstep.ErrNotFound},
		{ReplayRequest{Candidate: "receipts@9", From: 1, To: 2}, lockstep.ErrNotFound},
		{ReplayRequest{From: 1, To: 2}, lockstep.ErrNotFound},
	} {
		if _, err := x.app.Replay(t.Context(), tc.req); !errors.Is(err, tc.want) {
			t.Errorf("%+v: %v", tc.req, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := x.app.Replay(ctx, ReplayRequest{Candidate: "receipts@1", From: 1, To: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
}

func TestAcceptancesAreRefusedWhenTheyWouldMeanNothing(t *testing.T) {
	x := newStill(t)
	for name, a := range map[string]shadow.Acceptance{
		"no reason":     {Class: "lines/metadata.a/value", Until: time.Now().Add(time.Hour), By: "x"},
		"over":          {Class: "lines/metadata.a/value", Until: time.Now().Add(-time.Hour), Reason: "r", By: "x"},
		"no such class": {Class: "lines", Until: time.Now().Add(time.Hour), Reason: "r", By: "x"},
	} {
		if err := x.app.Accept(t.Context(), time.Now, a); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if all, err := x.app.Acceptances(t.Context(), time.Now); err != nil || len(all) > 0 {
		t.Errorf("%v, %v", all, err)
	}
}
