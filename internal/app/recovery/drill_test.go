package recovery

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"lockstep/internal/blob"
	"lockstep/internal/branch"
	"lockstep/internal/compact"
	"lockstep/internal/drill"
	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
)

func (w *world) driller() *Assembly {
	return &Assembly{
		Control: w.server.Control, Config: w.server.Config, Workplace: Serving{w.server}, Actor: "tester", Now: time.Now,
	}
}

// objects lists the store: keys and sizes, hints and drills left out.
func (w *world) objects() []string {
	w.t.Helper()
	var out []string
	for m, err := range w.server.Blobs.List(w.t.Context(), "", "") {
		if err != nil {
			w.t.Fatal(err)
		}
		if !strings.HasPrefix(m.Key, blob.HintPrefix) && !strings.HasPrefix(m.Key, drill.LogPrefix+"/") {
			out = append(out, m.Key)
		}
	}
	slices.Sort(out)
	return out
}

func (w *world) drillBook() drill.Book {
	w.t.Helper()
	b, err := w.server.Drills(w.t.Context(), "local")
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func TestADrillPassesAndChangesNothingButTheBook(t *testing.T) {
	w := newWorld(t)
	w.edits(20)
	before, digest, routing := w.objects(), w.digest(), w.routing()
	d, err := w.driller().Drill(t.Context(), Exercise{})
	if err != nil {
		t.Fatal(err, lockstep.HintOf(err))
	}
	if d.Outcome != drill.Passed || !d.Same || d.Harmed == 0 || d.Restored != d.Harmed {
		t.Fatalf("%+v", d)
	}
	if d.ID != "local-drill-1" || d.By != "tester" || d.Scenario != "dev" || d.Procedure != "quick" || d.Revision != w.goodID() {
		t.Errorf("%+v", d)
	}
	if m := d.Marks; !m.LastBad.After(m.Commanded) {
		t.Errorf("no change came in between the command and the flag: %s", m)
	}
	if after := w.objects(); !slices.Equal(after, before) || w.digest() != digest || w.routing() != routing {
		t.Errorf("the store was\n%v\nand is\n%v", before, after)
	}
	if b := w.drillBook(); b.Total != 1 || len(b.Drills) != 1 || b.Drills[0] != d {
		t.Errorf("%+v", b)
	}
}

func TestADrillIsRunWhileChangesComeIn(t *testing.T) {
	w := newWorld(t)
	a := w.driller()
	steps := 0
	d, err := a.Drill(t.Context(), Exercise{Say: func(string) { // of the real store
		steps++
		w.edits(5)
	}})
	if err != nil || d.Outcome != drill.Passed || steps == 0 {
		t.Errorf("%d steps, %+v, %v", steps, d, err)
	}
}

func TestEveryScenarioIsDrilled(t *testing.T) {
	w := newWorld(t)
	for _, s := range []rollback.Scenario{rollback.PreDeploy, rollback.Dev, rollback.Prod} {
		d, err := w.driller().Drill(t.Context(), Exercise{Scenario: s, Changes: 10, By: "anna"})
		if err != nil || d.Outcome != drill.Passed || d.Scenario != string(s) || d.By != "anna" {
			t.Errorf("%s: %+v, %v", s, d, err)
		}
	}
	if b := w.drillBook(); b.Total != 3 || b.Statistics(10).Passed != 3 {
		t.Errorf("%+v", b)
	}
}

func TestEveryConfiguredWayBackIsDrilled(t *testing.T) {
	w := newWorld(t)
	w.edits(20)
	for wish, want := range map[rollback.Wish]string{
		Revert: "took back", Reset: "is version", Rebuild: "derived anew from the mirror", None: "took back", // none practises a revert
	} {
		a := w.driller()
		a.Config.Rollback.Data = string(wish)
		var said []string
		d, err := a.Drill(t.Context(), Exercise{Changes: 30, Say: func(s string) { said = append(said, s) }})
		if err != nil || d.Outcome != drill.Passed {
			t.Errorf("%s: %+v, %v", wish, d, err)
		}
		i := slices.IndexFunc(said, func(s string) bool { return strings.HasPrefix(s, TargetIndex+": done: ") })
		if i < 0 || !strings.Contains(said[i], want) {
			t.Errorf("%s: %q", wish, said)
		}
	}
}

// closed is a workplace that is not open.
type closed struct{ why error }

func (c closed) Work(context.Context, func(context.Context, *compact.Compactor, branch.Origin) error) error {
	return c.why
}

func TestADrillThatCannotTakeABranchIsIncomplete(t *testing.T) {
	w := newWorld(t)
	a := w.driller()
	broken := errors.New("no room")
	a.Workplace = closed{broken}
	d, err := a.Drill(t.Context(), Exercise{})
	if !errors.Is(err, broken) || d.Outcome != drill.Incomplete || !strings.Contains(d.Why, "no room") {
		t.Errorf("%+v, %v", d, err)
	}
	if b := w.drillBook(); len(b.Drills) != 1 || b.Drills[0] != d {
		t.Errorf("%+v", b)
	}
}

func TestADrillThatIsStoppedIsIncomplete(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	d, err := w.driller().Drill(ctx, Exercise{Say: func(text string) {
		if strings.HasPrefix(text, TargetFlag) {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || d.Outcome != drill.Incomplete || d.Harmed == 0 {
		t.Errorf("%+v, %v", d, err)
	}
	if b := w.drillBook(); len(b.Drills) != 1 || b.Drills[0] != d {
		t.Errorf("%+v", b)
	}
}

func TestADrillFailsWhenTheFaultIsNotTakenBack(t *testing.T) {
	w := newWorld(t)
	a := w.driller()
	g, err := a.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	r := &run{Assembly: a, x: Exercise{Changes: 20}, d: drill.Drill{ID: "local-drill-1"}}
	if err := r.harm(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	// The plan is not walked.
	if err := r.judge(t.Context(), g, rollback.State{}); err != nil {
		t.Fatal(err)
	}
	if r.d.Outcome != drill.Failed || r.d.Same || r.d.Restored != 0 || !strings.Contains(r.d.Why, "records differ from the counterfactual") {
		t.Errorf("%+v", r.d)
	}
}

func TestADrillFailsWhenTheFlagDoesNotStopTheFault(t *testing.T) {
	w := newWorld(t)
	a := w.driller()
	g, err := a.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	r := &run{Assembly: a, x: Exercise{Changes: 20}, d: drill.Drill{ID: "local-drill-1"}}
	if err := r.harm(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	// The step says that it is done, and nobody has done it.
	r.settled(t.Context(), g, rollback.Step{Target: TargetFlag}, rollback.StepState{Progress: rollback.Done})
	if err := errors.Join(r.late, r.judge(t.Context(), g, rollback.State{})); err != nil {
		t.Fatal(err)
	}
	if r.d.Outcome != drill.Failed || !strings.Contains(r.d.Why, "behind the flag") {
		t.Errorf("%+v", r.d)
	}
}

func TestNoDrillWhileAReleaseIsUnderWay(t *testing.T) {
	w := newWorld(t)
	w.trial()
	d, err := w.driller().Drill(t.Context(), Exercise{})
	if !errors.Is(err, lockstep.ErrRefused) || d.ID != "" {
		t.Errorf("%+v, %v", d, err)
	}
	a := w.driller()
	a.Config.Rollback.Drill.Every = 24 * time.Hour
	if call, err := a.DrillDue(t.Context()); err != nil || call.Due || !strings.Contains(call.Why, "under way") {
		t.Errorf("%+v, %v", call, err)
	}
	if b := w.drillBook(); b.Total != 0 {
		t.Errorf("%+v", b)
	}
}

func TestADrillIsPossibleAfterOtherReleases(t *testing.T) {
	w := newWorld(t)
	w.trial()
	w.abort()
	w.edits(10)
	d, err := w.driller().Drill(t.Context(), Exercise{Changes: 30})
	if err != nil || d.Outcome != drill.Passed {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestADrillOfAnEmptyIndexProvesNothing(t *testing.T) {
	w := newWorld(t)
	a := w.driller()
	if _, err := a.Drill(t.Context(), Exercise{Changes: MaxDrillChanges + 1}); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("too many changes: %v", err)
	}
	var gone []compact.Input
	for e := range w.synth.Events() {
		e.ID += "-gone"
		e.Change.Event, e.Change.Old, e.Change.New, e.Change.Seq = lockstep.Remove, e.Change.New, nil, e.Change.Seq+"0"
		gone = append(gone, compact.Input{Message: e.Message()})
	}
	w.submit(gone)
	d, err := a.Drill(t.Context(), Exercise{})
	if !errors.Is(err, lockstep.ErrRefused) || d.Outcome != drill.Incomplete {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestOfTwoDrillsAtOnceNoneIsLost(t *testing.T) {
	w := newWorld(t)
	a := w.driller()
	first, err := a.enrol(t.Context(), Exercise{By: "anna"})
	if err != nil {
		t.Fatal(err)
	}
	second := first // it asked for its id at the same time
	second.By = "bert"
	if second, err = a.enter(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	for _, d := range []*drill.Drill{&first, &second} {
		d.Outcome, d.Why, d.Fault, d.Revision = drill.Failed, "a test", faultWords, w.goodID()
		if *d, err = a.enter(t.Context(), *d); err != nil {
			t.Fatal(err)
		}
	}
	b := w.drillBook()
	if first.ID != "local-drill-1" || second.ID != "local-drill-2" || b.Total != 2 || b.Drills[0] != first || b.Drills[1] != second {
		t.Errorf("%+v", b)
	}
}

func TestDrillsFollowTheirSchedule(t *testing.T) {
	w := newWorld(t)
	a := w.driller()
	now := time.Now()
	a.Now = func() time.Time { return now }
	if _, ran, err := a.DrillWhenDue(t.Context(), Exercise{Changes: 10}); ran || err != nil {
		t.Errorf("without a schedule: %v, %v", ran, err)
	}
	a.Config.Rollback.Drill.Every = 7 * 24 * time.Hour
	d, ran, err := a.DrillWhenDue(t.Context(), Exercise{Changes: 10})
	if !ran || err != nil || d.Outcome != drill.Passed {
		t.Fatalf("the first one: %v, %+v, %v", ran, d, err)
	}
	now = now.Add(6 * 24 * time.Hour)
	if _, ran, err := a.DrillWhenDue(t.Context(), Exercise{Changes: 10}); ran || err != nil {
		t.Errorf("after six days: %v, %v", ran, err)
	}
	now = now.Add(25 * time.Hour)
	if _, ran, err := a.DrillWhenDue(t.Context(), Exercise{Changes: 10}); !ran || err != nil {
		t.Errorf("after seven days: %v, %v", ran, err)
	}
}
