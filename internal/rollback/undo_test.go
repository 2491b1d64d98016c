package rollback

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/lockstep"
)

// undo plans the undo of a state and walks it.
func (r *rig) undo(t *testing.T, s State, id string) State {
	t.Helper()
	p, err := r.PlanUndo(t.Context(), s, id, "bert", "it was wrong")
	if err != nil {
		t.Fatal(err)
	}
	out := r.walk(t, p)
	if out.Outcome() != Complete {
		t.Fatalf("undo of %s: %s", s.Plan.ID, out.Text())
	}
	return out
}

func in(phase Phase, s Step) Step {
	s.Phase = phase
	return s
}

func TestAnUndoReturnsTheWorldAndItsUndoTheRollback(t *testing.T) {
	r := newRig()
	r.world.set("flag", "on").set("git", "new").set("index", "wrong").set("seen", "good")
	before := r.world.all()
	s := r.walk(t, planOf(in(PhaseFlag, move("flag", "on", "off")), move("git", "new", "old"), move("seen", "bad", "good"), in(PhaseData, move("index", "wrong", "right", "flag"))))
	after := r.world.all()

	undone := r.undo(t, s, "dev-2")
	if diff := cmp.Diff(before, r.world.all()); diff != "" {
		t.Errorf("after the undo (-before +now):\n%s", diff)
	}
	if p := undone.Plan; p.Undoes != "dev-1" || p.By != "bert" || p.Reason != "it was wrong" || p.Notes != nil {
		t.Errorf("%+v", p)
	}
	if got := progress(undone); got != "undo-index:done undo-git:done undo-flag:done" {
		t.Errorf("it went %s", got)
	}
	if diff := cmp.Diff([]string{"undo-index"}, undone.Plan.Steps[2].Needs); diff != "" {
		t.Errorf("the flag is up before what was done upon it is taken back: %s", diff)
	}

	redone := r.undo(t, undone, "dev-3")
	if diff := cmp.Diff(after, r.world.all()); diff != "" {
		t.Errorf("after the undo of the undo (-before +now):\n%s", diff)
	}
	if got := progress(redone); got != "undo-undo-flag:done undo-undo-git:done undo-undo-index:done" {
		t.Errorf("it went %s", got)
	}
	r.undo(t, redone, "dev-4")
	if diff := cmp.Diff(before, r.world.all()); diff != "" {
		t.Errorf("taken back three times (-before +now):\n%s", diff)
	}
}

func TestAPlanIsMarkedUndoneOnce(t *testing.T) {
	r := newRig()
	r.world.set("a", "bad")
	r.walk(t, planOf(move("a", "bad", "good")))
	for range 2 {
		if s, err := r.MarkUndone(t.Context(), "dev-1", "dev-2"); err != nil || s.Outcome() != Undone || s.UndoneBy != "dev-2" {
			t.Fatalf("%v %s", err, s.Outcome())
		}
	}
	for range 2 {
		if s, err := r.UnmarkUndone(t.Context(), "dev-1"); err != nil || s.Outcome() != Complete {
			t.Fatalf("%v %s", err, s.Outcome())
		}
	}
	if got := strings.Join(r.history(t)[4:], ", "); got != "walked, undone by dev-2, in force again" {
		t.Error(got)
	}
}

func TestWhatAnUndoLeavesOutIsSaid(t *testing.T) {
	r := newRig()
	for _, n := range []string{"a", "final", "check", "refused", "skipped", "later"} {
		r.world.set(n, "bad")
	}
	r.world.set("third", "strange").set("was", "good")
	gone := move("gone", "bad", "good")
	gone.Target = "gone"
	r.Targets["gone"] = r.mover
	r.world.set("gone", "bad")
	r.walk(t, planOf(
		move("a", "bad", "good"), moveBadly("final", "final", "bad", "good"), moveBadly("check", "check", "bad", "good"), moveBadly("refused", "refused", "bad", "good"),
		move("third", "bad", "good"), move("was", "bad", "good"), gone, moveBadly("refused", "skipped", "bad", "good"), move("later", "bad", "good", "refused"),
	))
	s, err := r.Skip(t.Context(), "dev-1", "skipped", "anna", "by hand")
	if err != nil {
		t.Fatal(err)
	}
	delete(r.Targets, "gone")
	p, err := r.PlanUndo(t.Context(), s, "dev-2", "bert", "it was wrong")
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Steps) != 1 || p.Steps[0].ID != "undo-a" {
		t.Errorf("%+v", p.Steps)
	}
	want := []string{
		"skipped: it is skipped, look what is there",
		`gone cannot be taken back: nothing here knows how to take "gone" back: refused`,
		"third: it is third, look what is there",
		"refused: it is failed, look what is there",
		"final cannot be taken back: final is not moved twice: refused",
	}
	if diff := cmp.Diff(want, p.Notes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestThereMustBeSomethingToTakeBack(t *testing.T) {
	r := newRig()
	r.world.set("a", "good").set("b", "bad")
	s := r.walk(t, planOf(move("a", "bad", "good")))
	if _, err := r.PlanUndo(t.Context(), s, "dev-2", "bert", "why"); !errors.Is(err, lockstep.ErrRefused) || !strings.Contains(err.Error(), "nothing of it has to be taken back") {
		t.Error(err)
	}
	p := planOf(moveBadly("final", "b", "bad", "good"))
	p.ID = "dev-3"
	if _, err := r.PlanUndo(t.Context(), r.walk(t, p), "dev-4", "bert", "why"); !errors.Is(err, lockstep.ErrRefused) || !strings.Contains(err.Error(), "b is not moved twice") {
		t.Error(err)
	}
}

// strangeUndo gives undos as they come.
type strangeUndo struct {
	*mover

	undo func(ctx context.Context, a At) (*Step, error)
}

func (u strangeUndo) Undo(ctx context.Context, a At) (*Step, error) { return u.undo(ctx, a) }

func TestAnUndoThatCannotBePlannedIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig()
		r.world.set("a", "bad")
		s := r.walk(t, planOf(move("a", "bad", "good")))
		for name, c := range map[string]struct {
			undo func(ctx context.Context, a At) (*Step, error)
			want error
		}{
			"unavailable": {func(context.Context, At) (*Step, error) { return nil, lockstep.ErrUnavailable }, lockstep.ErrUnavailable},
			"panic":       {func(context.Context, At) (*Step, error) { panic("oh") }, lockstep.ErrInvalid},
			"hangs":       {func(ctx context.Context, _ At) (*Step, error) { <-ctx.Done(); return nil, ctx.Err() }, context.DeadlineExceeded},
			"no step":     {func(context.Context, At) (*Step, error) { return &Step{}, nil }, lockstep.ErrInvalid},
		} {
			r.Targets["mover"] = strangeUndo{r.mover, c.undo}
			if _, err := r.PlanUndo(t.Context(), s, "dev-2", "bert", "why"); !errors.Is(err, c.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestUndosOfOneNameAreToldApart(t *testing.T) {
	r := newRig()
	r.world.set("a", "bad").set("b", "bad").set("c", "bad")
	r.Targets["mover"] = strangeUndo{r.mover, func(ctx context.Context, a At) (*Step, error) {
		s, err := r.mover.Undo(ctx, a)
		s.ID = map[string]string{"a": "back", "b": "back", "c": ""}[a.Step.ID]
		return s, err
	}}
	s := r.walk(t, planOf(move("a", "bad", "good"), move("b", "bad", "good"), move("c", "bad", "good")))
	if got := progress(r.undo(t, s, "dev-2")); got != "undo-c:done back:done undo-a:done" {
		t.Error(got)
	}
}

func TestTheOrderOfAnUndo(t *testing.T) {
	last := func(s Step) Step { s.UndoLast = true; return s }
	for _, c := range []struct {
		name  string
		steps []Step
		want  string // each with what it needs
	}{
		{"reversed", []Step{move("a", "", "x"), move("b", "", "x")}, "undo-b undo-a(undo-b)"},
		{"one phase after the other", []Step{in(PhaseFlag, move("a", "", "x")), in(PhaseData, move("b", "", "x"))}, "undo-b undo-a"},
		{"what rests on a step first", []Step{in(PhaseFlag, move("a", "", "x")), in(PhaseData, move("b", "", "x", "a"))}, "undo-b undo-a(undo-b)"},
		{
			"also through a check",
			[]Step{in(PhaseFlag, move("a", "", "x")), in(PhaseCode, moveBadly("check", "b", "", "x", "a")), in(PhaseData, move("c", "", "x", "b"))},
			"undo-c undo-a(undo-c)",
		},
		{
			"but not through what is taken back", // which needs it already
			[]Step{in(PhaseFlag, move("a", "", "x")), in(PhaseCode, move("b", "", "x", "a")), in(PhaseData, move("c", "", "x", "b"))},
			"undo-c undo-b(undo-c) undo-a(undo-b)",
		},
		{
			"a deployment behind the rest of its phase",
			[]Step{in(PhaseFlag, move("f", "", "x")), move("git", "", "x"), last(move("deploy", "", "x", "git")), move("tests", "", "x"), in(PhaseData, move("d", "", "x"))},
			"undo-d undo-tests undo-git(undo-tests) undo-deploy(undo-git) undo-f",
		},
	} {
		r := newRig()
		for _, s := range c.steps {
			r.world.set(s.ID, "old")
		}
		s := r.walk(t, planOf(c.steps...))
		p, err := r.PlanUndo(t.Context(), s, "dev-2", "bert", "why")
		if err != nil {
			t.Fatal(err)
		}
		if got := withNeeds(p); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		redo, err := r.PlanUndo(t.Context(), r.undo(t, s, "dev-2"), "dev-3", "bert", "why")
		if err != nil {
			t.Fatal(err)
		}
		if c.name == "a deployment behind the rest of its phase" {
			if got := withNeeds(redo); !strings.Contains(got, "undo-undo-git undo-undo-tests(undo-undo-git) undo-undo-deploy(undo-undo-tests) undo-undo-d") {
				t.Errorf("again: %s", got)
			}
		}
	}
}

func withNeeds(p Plan) string {
	var out []string
	for i := range p.Steps {
		s := p.Steps[i].ID
		if n := p.Steps[i].Needs; len(n) > 0 {
			s += "(" + strings.Join(n, " ") + ")"
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}
