package rollback

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"lockstep/internal/lockstep"
)

// PlanUndo makes the plan that takes another one back: its done steps in reverse order,
// each by what its own target says. What has nothing to take back is left out; what cannot
// be taken back, and what was begun and is not done, is in the notes. A step is taken back
// only when what was done upon it has been. Nothing is stored. lockstep.ErrRefused: nothing
// of it has to be, or can be, taken back.
func (g *Engine) PlanUndo(ctx context.Context, s State, id, by, reason string) (Plan, error) {
	p := s.Plan
	p.ID, p.Undoes, p.By, p.Reason, p.At, p.Steps, p.Notes = id, s.Plan.ID, by, reason, g.Now().UTC(), nil, nil
	backs := map[string]string{} // the step that takes one back, by its id
	for _, i := range undoOrder(s.Plan.Steps) {
		step, x := s.Plan.Steps[i], s.Steps[i]
		if x.Progress != Done {
			if x.Tries > 0 || x.Progress == Third {
				p.Notes = append(p.Notes, fmt.Sprintf("%s: it is %s, look what is there", step.ID, x.Progress))
			}
			continue
		}
		if x.Already {
			continue // it was so before
		}
		back, err := g.undo(ctx, At{Step: step, Kept: x.Kept})
		switch {
		case errors.Is(err, lockstep.ErrRefused):
			p.Notes = append(p.Notes, fmt.Sprintf("%s cannot be taken back: %v", step.ID, err))
			continue
		case err != nil:
			return Plan{}, fmt.Errorf("plan the undo of step %s: %w", step.ID, err)
		case back == nil:
			continue
		}
		b := *back
		if b.ID == "" || has(p.Steps, b.ID) {
			b.ID = "undo-" + step.ID
		}
		b.Needs = undoNeeds(p.Steps, s.Plan.Steps, b, step, backs)
		backs[step.ID] = b.ID
		p.Steps = append(p.Steps, b)
	}
	if len(p.Steps) == 0 {
		return Plan{}, fmt.Errorf("take plan %s back: %w: %s", s.Plan.ID, lockstep.ErrRefused, because(p.Notes))
	}
	return p, p.Check()
}

// undo asks the target of a step how it is taken back.
func (g *Engine) undo(ctx context.Context, at At) (*Step, error) {
	t, ok := g.Targets[at.Step.Target]
	if !ok {
		return nil, fmt.Errorf("nothing here knows how to take %q back: %w", at.Step.Target, lockstep.ErrRefused)
	}
	return within(ctx, lookFor, func(ctx context.Context) (*Step, error) { return t.Undo(ctx, at) })
}

// undoOrder is the reverse of the order in which steps were done, those that want to come
// last behind the others of their phase.
func undoOrder(steps []Step) []int {
	var out []int
	for i := len(steps) - 1; i >= 0; {
		var last []int
		for phase := steps[i].Phase; i >= 0 && steps[i].Phase == phase; i-- {
			if steps[i].UndoLast {
				last = append(last, i)
			} else {
				out = append(out, i)
			}
		}
		out = append(out, last...)
	}
	return out
}

// undoNeeds are the steps of an undo that must be done before back, which takes step back:
// those that its target names, the one before it in its phase, and those that take back
// what was done upon the step. What needed it through a step that has no undo counts too.
func undoNeeds(before, done []Step, back, step Step, backs map[string]string) []string {
	var out []string
	need := func(id string) {
		if id != "" && id != back.ID && has(before, id) && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	for _, id := range back.Needs {
		need(id)
	}
	if n := len(before); n > 0 && before[n-1].Phase == back.Phase {
		need(before[n-1].ID)
	}
	upon := map[string]bool{step.ID: true}
	for _, s := range done {
		if !slices.ContainsFunc(s.Needs, func(id string) bool { return upon[id] }) {
			continue
		}
		if backs[s.ID] == "" {
			upon[s.ID] = true
		}
		need(backs[s.ID])
	}
	return out
}

func has(steps []Step, id string) bool {
	return slices.ContainsFunc(steps, func(s Step) bool { return s.ID == id })
}

func because(notes []string) string {
	if len(notes) == 0 {
		return "nothing of it has to be taken back"
	}
	return strings.Join(notes, "; ")
}

// MarkUndone notes that another plan has taken this one back: it is not walked any more.
func (g *Engine) MarkUndone(ctx context.Context, id, by string) (State, error) {
	return g.undoneBy(ctx, id, by, "undone by "+by)
}

// UnmarkUndone notes that what had taken the plan back was itself taken back.
func (g *Engine) UnmarkUndone(ctx context.Context, id string) (State, error) {
	return g.undoneBy(ctx, id, "", "in force again")
}

// undoneBy writes it unless it is so already: who was killed behind it says it again.
func (g *Engine) undoneBy(ctx context.Context, id, by, what string) (State, error) {
	return g.amend(ctx, id, amendment{what: what, by: g.Name}, func(s *State) error {
		if s.UndoneBy == by {
			return errUnchanged
		}
		s.UndoneBy = by
		return nil
	})
}
