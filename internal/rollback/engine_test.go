package rollback

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/blob/blobtest"
	"lockstep/internal/lockstep"
)

func TestAStepIsLookedAtDoneAndLookedAtAgain(t *testing.T) {
	r := newRig()
	r.world.set("a", "bad").set("b", "bad")
	s := r.walk(t, planOf(move("a", "bad", "good"), move("b", "bad", "good", "a")))
	if s.Outcome() != Complete || progress(s) != "a:done b:done" {
		t.Fatalf("%s: %s", s.Outcome(), progress(s))
	}
	if got := strings.Join(r.mover.proc.points, ", "); got != "look a, do a, keep a, half a, whole a, look a, look b, do b, keep b, half b, whole b, look b" {
		t.Errorf("it went: %s", got)
	}
	want := []string{"planned", "begin a", "step a keeps", "step a done", "begin b", "step b keeps", "step b done", "walked"}
	if diff := cmp.Diff(want, r.history(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	x := s.Steps[0]
	if x.By != "lockstep" || x.Tries != 1 || x.Already || x.Sight.Detail != "a is good" || string(x.Kept) != `{"was":"bad"}` || x.Began.IsZero() || x.Ended.IsZero() {
		t.Errorf("%+v", x)
	}
}

func TestAStepWhoseEndIsTrueIsNotDone(t *testing.T) {
	r := newRig()
	r.world.set("a", "good")
	s := r.walk(t, planOf(move("a", "bad", "good")))
	if x := s.Steps[0]; x.Progress != Done || !x.Already || x.Tries != 0 {
		t.Errorf("%+v", x)
	}
	if len(r.world.wholes) != 0 || s.Outcome() != Complete {
		t.Errorf("%v, %s", r.world.wholes, s.Outcome())
	}
}

func TestAStepThatIsHalfDoneGoesOn(t *testing.T) {
	r := newRig()
	r.world.things["a"] = thing{"bad", "good"}
	s := r.walk(t, planOf(move("a", "bad", "good")))
	if s.Outcome() != Complete || r.world.halves["a half way to good"] != 0 || r.world.wholes["a is good"] != 1 {
		t.Errorf("%s, %v, %v", progress(s), r.world.halves, r.world.wholes)
	}
}

func TestAThirdStateIsNeverActedUpon(t *testing.T) {
	r := newRig()
	r.world.set("a", "strange").set("b", "bad")
	s := r.walk(t, planOf(move("a", "bad", "good"), move("b", "bad", "good")))
	if s.Outcome() != Incomplete || progress(s) != "a:third b:done" || r.world.get("a").State != "strange" {
		t.Fatalf("%s, %s", s.Outcome(), progress(s))
	}
	if slices.Contains(r.mover.proc.points, "do a") {
		t.Error("it was done")
	}
	if x := s.Steps[0]; !strings.Contains(x.Error, `found "strange", where "bad" was to be made "good"`) || x.Sight.State != "strange" || x.Tries != 0 {
		t.Errorf("%+v", x)
	}
}

func TestAnEmptyFromIsAnyState(t *testing.T) {
	r := newRig()
	r.world.set("a", "strange")
	if s := r.walk(t, planOf(move("a", "", "good"))); s.Outcome() != Complete || r.world.get("a").State != "good" {
		t.Error(progress(s))
	}
}

func TestAStepThatFailsHoldsUpThoseThatNeedItAndNoOthers(t *testing.T) {
	r := newRig()
	for _, n := range []string{"a", "b", "c", "d"} {
		r.world.set(n, "bad")
	}
	s := r.walk(t, planOf(moveBadly("refused", "a", "bad", "good"), move("b", "bad", "good", "a"), move("c", "bad", "good", "b"), move("d", "bad", "good")))
	if s.Outcome() != Incomplete || progress(s) != "a:failed b:blocked c:blocked d:done" {
		t.Fatalf("%s, %s", s.Outcome(), progress(s))
	}
	if x := s.Steps[0]; x.Error != "move a: refused" || x.Hint != "move it by hand" || x.Sight.State != "bad" {
		t.Errorf("%+v", x)
	}
	// A person does it. Then the rest goes on.
	r.world.set("a", "good")
	if s, err := r.Retry(t.Context(), "dev-1"); err != nil || progress(s) != "a:waiting b:waiting c:waiting d:done" || s.Outcome() != Running {
		t.Fatalf("%s %v", progress(s), err)
	}
	s, err := r.Run(t.Context(), "dev-1")
	if err != nil || s.Outcome() != Complete || r.world.once() != nil {
		t.Fatalf("%s %v %v", progress(s), err, r.world.once())
	}
	if x := s.Steps[0]; x.Error != "" || x.Hint != "" || x.Already {
		t.Errorf("what was begun once was not so before: %+v", x)
	}
}

func TestWhatADoSaysCountsLessThanWhatIsThere(t *testing.T) {
	for _, c := range []struct {
		name, how string
		after     func(r *rig) // what comes of a failing Do
		want      Progress
		says      string
	}{
		{"it fails, and it is so", "refused", func(r *rig) { r.world.set("a", "good") }, Done, ""},
		{"it fails, and is half done", "refused", func(r *rig) { r.world.things["a"] = thing{"bad", "good"} }, Failed, "move a: refused"},
		{"it is done, and nothing has happened", "lazy", func(*rig) {}, Failed, `it was done, and is not so: want "good", found "bad": conflict`},
		{"it is done, and is half done", "lazy", func(r *rig) { r.world.things["a"] = thing{"bad", "good"} }, Failed, `it was done, and is not so: want "good", found "partial": conflict`},
		{"it is done, and something else is there", "astray", func(*rig) {}, Third, `it was done, and is not so: want "good", found "astray": conflict`},
	} {
		r := newRig()
		r.world.set("a", "bad")
		r.mover.before = func(context.Context, At, Keeper) error { c.after(r); return nil }
		x := r.walk(t, planOf(moveBadly(c.how, "a", "bad", "good"))).Steps[0]
		if x.Progress != c.want || x.Error != c.says {
			t.Errorf("%s: %s, %q", c.name, x.Progress, x.Error)
		}
	}
}

func TestALookThatFailsIsAFailureAndKeepsWhatWasSeen(t *testing.T) {
	r := newRig()
	r.world.set("a", "bad").set("b", "bad")
	s := r.walk(t, planOf(moveBadly("blind", "a", "bad", "good"), moveBadly("refused", "b", "bad", "good")))
	if progress(s) != "a:failed b:failed" || s.Steps[0].Error != "look first: look at a: unavailable" || s.Steps[0].Tries != 0 {
		t.Fatalf("%s %+v", progress(s), s.Steps[0])
	}
	seen := s.Steps[1].Sight
	r.Targets["mover"] = eyeless{r.mover}
	if _, err := r.Retry(t.Context(), "dev-1"); err != nil {
		t.Fatal(err)
	}
	s, err := r.Run(t.Context(), "dev-1")
	if err != nil || s.Steps[1].Progress != Failed || s.Steps[1].Sight.State != "bad" || !cmp.Equal(s.Steps[1].Sight, seen) {
		t.Errorf("%v %+v", err, s.Steps[1])
	}
}

// eyeless cannot look.
type eyeless struct{ *mover }

func (eyeless) Look(context.Context, At) (Sight, error) { return Sight{}, lockstep.ErrUnavailable }

func TestATargetThatIsNotThereIsAFailure(t *testing.T) {
	r := newRig()
	r.world.set("b", "bad")
	a := move("a", "bad", "good")
	a.Target = "pulumi"
	s := r.walk(t, planOf(a, move("b", "bad", "good")))
	if progress(s) != "a:failed b:done" || !strings.Contains(s.Steps[0].Error, `nothing here knows how to do "pulumi"`) || s.Steps[0].Hint != "run it where it is configured" {
		t.Errorf("%s %+v", progress(s), s.Steps[0])
	}
}

func TestATargetThatPanicsIsAFailure(t *testing.T) {
	r := newRig()
	r.world.set("a", "bad").set("b", "bad")
	r.mover.before = func(_ context.Context, a At, _ Keeper) error {
		if a.Step.ID == "a" {
			panic(errors.New("a mistake"))
		}
		return nil
	}
	s := r.walk(t, planOf(move("a", "bad", "good"), move("b", "bad", "good")))
	if progress(s) != "a:failed b:done" || !strings.Contains(s.Steps[0].Error, "the target panicked: invalid: a mistake") {
		t.Errorf("%s %+v", progress(s), s.Steps[0])
	}
	r.Targets["mover"] = nil // as bad as it gets
	p := planOf(move("a", "bad", "good"))
	p.ID = "dev-2"
	if s := r.walk(t, p); s.Steps[0].Progress != Failed {
		t.Error(progress(s))
	}
}

func TestAPlanIsStoredBeforeItsFirstStepAndOnce(t *testing.T) {
	r := newRig()
	p := planOf(move("a", "bad", "good"))
	s, err := r.Start(t.Context(), p)
	if err != nil || s.Outcome() != Planned || progress(s) != "a:waiting" || len(r.mover.proc.points) != 0 {
		t.Fatalf("%v %s", err, progress(s))
	}
	if _, err := r.Start(t.Context(), p); !errors.Is(err, lockstep.ErrConflict) || lockstep.HintOf(err) == "" {
		t.Errorf("a second one of that name: %v", err)
	}
	p.By = ""
	if _, err := r.Start(t.Context(), p); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("a plan of nobody: %v", err)
	}
	got, err := r.State(t.Context(), "dev-1")
	if diff := cmp.Diff(s, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestWhatIsNoPlanIsNotWalked(t *testing.T) {
	r := newRig()
	ctx := t.Context()
	for name, f := range map[string]func(id string) error{
		"run":    func(id string) error { _, err := r.Run(ctx, id); return err },
		"state":  func(id string) error { _, err := r.State(ctx, id); return err },
		"retry":  func(id string) error { _, err := r.Retry(ctx, id); return err },
		"skip":   func(id string) error { _, err := r.Skip(ctx, id, "a", "anna", "why"); return err },
		"sign":   func(id string) error { _, err := r.Sign(ctx, id, ItemLogs, "anna", "why"); return err },
		"undone": func(id string) error { _, err := r.MarkUndone(ctx, id, "dev-9"); return err },
	} {
		if err := f("dev-7"); !errors.Is(err, lockstep.ErrNotFound) || lockstep.HintOf(err) == "" {
			t.Errorf("%s of a plan that is not there: %v", name, err)
		}
		if err := f("Dev/7"); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s of what cannot be a plan: %v", name, err)
		}
	}
}

func TestAnEndOfTheContextEndsEverything(t *testing.T) {
	r := newRig()
	r.world.set("a", "bad")
	if _, err := r.Start(t.Context(), planOf(move("a", "bad", "good"))); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	j, err := r.Journals.Open("dev-1")
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string]func() error{
		"start":  func() error { _, err := r.Start(ctx, planOf(move("a", "bad", "good"))); return err },
		"run":    func() error { _, err := r.Run(ctx, "dev-1"); return err },
		"state":  func() error { _, err := r.State(ctx, "dev-1"); return err },
		"skip":   func() error { _, err := r.Skip(ctx, "dev-1", "a", "anna", "why"); return err },
		"retry":  func() error { _, err := r.Retry(ctx, "dev-1"); return err },
		"sign":   func() error { _, err := r.Sign(ctx, "dev-1", ItemLogs, "anna", "why"); return err },
		"undone": func() error { _, err := r.MarkUndone(ctx, "dev-1", "dev-2"); return err },
		"again":  func() error { _, err := r.UnmarkUndone(ctx, "dev-1"); return err },
		"ids":    func() error { _, err := r.Journals.IDs(ctx); return err },
		"next":   func() error { _, err := r.Journals.NextID(ctx, "dev"); return err },
		"head":   func() error { _, err := j.Head(ctx); return err },
		"range": func() error {
			for _, err := range j.Range(ctx) {
				return err
			}
			return nil
		},
	}
	for name, f := range calls {
		if err := f(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(r.history(t)) != 1 || len(r.mover.proc.points) != 0 {
		t.Error("something was done")
	}
}

func TestARunThatIsCancelledGoesOnLater(t *testing.T) {
	r := newRig()
	r.world.set("a", "bad").set("b", "bad")
	ctx, cancel := context.WithCancel(t.Context())
	r.mover.before = func(context.Context, At, Keeper) error { cancel(); return ctx.Err() }
	if _, err := r.Start(t.Context(), planOf(move("a", "bad", "good"), move("b", "bad", "good"))); err != nil {
		t.Fatal(err)
	}
	s, err := r.Run(ctx, "dev-1")
	if !errors.Is(err, context.Canceled) || strings.Count(err.Error(), "canceled") != 1 || progress(s) != "a:doing b:waiting" {
		t.Fatalf("%v, %s", err, progress(s))
	}
	r.mover.before = nil
	s, err = r.Run(t.Context(), "dev-1")
	if err != nil || s.Outcome() != Complete || s.Steps[0].Tries != 2 || r.world.once() != nil {
		t.Errorf("%v %s %v", err, progress(s), r.world.once())
	}
}

func TestAJournalThatDoesNotAnswerBreaksTheWalkOff(t *testing.T) {
	for _, entry := range []int{2, 3, 4, 5} { // begin, keeps, done, walked
		synctest.Test(t, func(t *testing.T) { breakOff(t, entry) })
	}
}

func breakOff(t *testing.T, entry int) {
	r := newRig()
	r.world.set("a", "bad")
	down := false
	faulty := blobtest.NewFaulty(r.store, func(op, key string) blobtest.Fault {
		if down = down || op == "create" && key == fmt.Sprintf("plan/dev-1/%020d", entry); down {
			return blobtest.FailBefore
		}
		return blobtest.None
	})
	opts := quickly()
	opts.Settle = 1
	r.Journals = NewJournals(faulty, opts)
	if _, err := r.Start(t.Context(), planOf(move("a", "bad", "good"))); err != nil {
		t.Fatal(err)
	}
	s, err := r.Run(t.Context(), "dev-1")
	if !errors.Is(err, lockstep.ErrUnavailable) || s.Steps[0].Progress == Failed {
		t.Fatalf("entry %d: %v, %s", entry, err, progress(s))
	}
	if entry == 3 && r.world.get("a") != (thing{State: "bad"}) {
		t.Errorf("it went on though nothing was kept: %v", r.world.get("a"))
	}
	r.Engine = engineOf(r.store, r.Targets)
	s, err = r.Run(t.Context(), "dev-1")
	if err != nil || s.Outcome() != Complete || r.world.once() != nil || string(s.Steps[0].Kept) != `{"was":"bad"}` {
		t.Errorf("entry %d: %v %s %v %s", entry, err, progress(s), r.world.once(), s.Steps[0].Kept)
	}
}

func TestWhatATargetSaysIsCutToWhatCanBeStored(t *testing.T) {
	long := strings.Repeat("ü\x00\xff<", 5<<10)
	talker := talkerTarget{long}
	r := newRig()
	r.Targets["mover"] = talker
	s := r.walk(t, planOf(move("a", "", "good"), move("b", "", "good")))
	for i := range s.Steps {
		x := s.Steps[i]
		if x.Progress != Failed || len(x.Error) > maxText || len(x.Hint) > maxText || len(x.Sight.Detail) > maxText || len(x.Sight.Evidence) != maxEvidence || !strings.HasSuffix(x.Error, "[cut]") {
			t.Fatalf("%s: %s: %d %d %d", x.Progress, x.Error[:100], len(x.Hint), len(x.Sight.Detail), len(x.Sight.Evidence))
		}
	}
}

func TestTheFullestPlanCanBeStored(t *testing.T) {
	kept := json.RawMessage(`"` + strings.Repeat("k", maxKeptAll/MaxSteps-2) + `"`)
	long := strings.Repeat("\"\u2028", 5<<10) // twice as long in JSON
	text, sight := clip(long, maxText), Sight{State: long, Detail: long, Evidence: slices.Repeat([]Evidence{{long, true, long, long}}, 100)}.clip()
	p := planOf()
	for i := range MaxSteps {
		s := move(fmt.Sprintf("a%d", i), "bad", "good")
		s.Changes = strings.Repeat("c", maxPlan/MaxSteps-300)
		p.Steps = append(p.Steps, s)
	}
	s := NewState(p)
	for i := range s.Steps {
		s.Steps[i] = StepState{Progress: Failed, By: clip(long, maxLine), Tries: 1, Sight: sight, Kept: kept, Error: text, Hint: text}
	}
	for range maxSignatures {
		s.Signatures = append(s.Signatures, Signature{ItemLogs, clip(long, maxLine), text, t0()})
	}
	if err := s.room(0, kept); err != nil {
		t.Fatal(err)
	}
	if err := s.room(0, append(kept, ' ')); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("a byte more: %v", err)
	}
	e := Entry{Format: Format, MinReader: Format, Number: 2, What: "retry", Actor: "anna", State: s}
	body, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes", len(body))
	if _, err := DecodeEntry(body); err != nil {
		t.Fatal(err)
	}
}

// talkerTarget says a lot, and does nothing.
type talkerTarget struct{ long string }

func (k talkerTarget) Look(context.Context, At) (Sight, error) {
	return Sight{State: k.long, Detail: k.long, Evidence: slices.Repeat([]Evidence{{k.long, true, k.long, k.long}}, 100)}, nil
}

func (k talkerTarget) Do(context.Context, At, Keeper) error {
	return lockstep.Hint(errors.New(k.long), k.long)
}

func (talkerTarget) Undo(context.Context, At) (*Step, error) { return nil, nil }

func TestASkippedStepHoldsNobodyUp(t *testing.T) {
	r := newRig()
	r.world.set("a", "bad").set("b", "bad")
	ctx := t.Context()
	r.walk(t, planOf(moveBadly("refused", "a", "bad", "good"), move("b", "bad", "good", "a")))
	for _, c := range []struct {
		step, by, reason string
		want             error
	}{
		{"a", "anna", "", lockstep.ErrInvalid},
		{"a", "", "moved by hand", lockstep.ErrInvalid},
		{"x", "anna", "moved by hand", lockstep.ErrNotFound},
	} {
		if _, err := r.Skip(ctx, "dev-1", c.step, c.by, c.reason); !errors.Is(err, c.want) || lockstep.HintOf(err) == "" {
			t.Errorf("%+v: %v", c, err)
		}
	}
	s, err := r.Skip(ctx, "dev-1", "a", "anna", "moved by hand")
	if err != nil || progress(s) != "a:skipped b:waiting" || s.Outcome() != Running {
		t.Fatalf("%v %s", err, progress(s))
	}
	s, err = r.Run(ctx, "dev-1")
	if err != nil || progress(s) != "a:skipped b:done" || s.Outcome() != Complete {
		t.Errorf("%v %s", err, progress(s))
	}
	if x := s.Steps[0]; x.By != "anna" || x.Error != "moved by hand" || x.Hint != "" {
		t.Errorf("%+v", x)
	}
	for _, step := range []string{"a", "b"} {
		if _, err := r.Skip(ctx, "dev-1", step, "anna", "why"); !errors.Is(err, lockstep.ErrRefused) {
			t.Errorf("%s: %v", step, err)
		}
	}
}

func TestRetryAndRunOfWhatIsDoneChangeNothing(t *testing.T) {
	r := newRig()
	r.world.set("a", "bad")
	s := r.walk(t, planOf(move("a", "bad", "good")))
	before := len(r.history(t))
	if _, err := r.Retry(t.Context(), "dev-1"); err != nil {
		t.Fatal(err)
	}
	again, err := r.Run(t.Context(), "dev-1")
	if diff := cmp.Diff(s, again); diff != "" || err != nil || len(r.history(t)) != before {
		t.Errorf("%v %s %v", err, diff, r.history(t))
	}
}

func TestAPersonSigns(t *testing.T) {
	r := newRig()
	r.world.set("a", "bad")
	r.walk(t, planOf(move("a", "bad", "good")))
	ctx := t.Context()
	if _, err := r.Sign(ctx, "dev-1", "no.item", "anna", "why"); !errors.Is(err, lockstep.ErrNotFound) || lockstep.HintOf(err) == "" {
		t.Error(err)
	}
	for _, c := range [][2]string{{"", "why"}, {"anna", ""}} {
		if _, err := r.Sign(ctx, "dev-1", ItemLogs, c[0], c[1]); !errors.Is(err, lockstep.ErrInvalid) {
			t.Error(err)
		}
	}
	s, err := r.Sign(ctx, "dev-1", ItemLogs, "anna", "read them for an hour")
	if err != nil || len(s.Signatures) != 1 || s.Outcome() != Complete {
		t.Fatalf("%v %+v", err, s.Signatures)
	}
	if _, err := r.amend(ctx, "dev-1", amendment{what: "many signed"}, func(s *State) error {
		s.Signatures = slices.Repeat(s.Signatures, maxSignatures)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if _, err = r.Sign(ctx, "dev-1", ItemLogs, "anna", "again"); !errors.Is(err, lockstep.ErrRefused) {
		t.Error(err)
	}
}

func TestSettledHearsOfEveryStepOnce(t *testing.T) {
	r := newRig()
	r.world.set("a", "bad").set("b", "strange")
	var heard []string
	r.Settled = func(s Step, x StepState) { heard = append(heard, s.ID+" "+string(x.Progress)) }
	r.walk(t, planOf(move("a", "bad", "good"), move("b", "bad", "good")))
	if diff := cmp.Diff([]string{"a done", "b third"}, heard); diff != "" {
		t.Error(diff)
	}
}

func TestParametersComeBackAsTheyWereGiven(t *testing.T) {
	r := newRig()
	r.world.set("a", "bad")
	step := move("a", "bad", "good")
	step.Params = json.RawMessage(`{ "thing": "a",  "how": "" }`)
	p := planOf(step)
	p.Reason = "broken \xff bytes, \u2028 and <html>"
	s := r.walk(t, p)
	if string(s.Plan.Steps[0].Params) != `{"thing":"a","how":""}` || s.Plan.Reason != "broken \uFFFD bytes, \u2028 and <html>" {
		t.Errorf("%s %q", s.Plan.Steps[0].Params, s.Plan.Reason)
	}
}
