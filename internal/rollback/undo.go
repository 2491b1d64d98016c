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
// be taken back is in the notes. ErrRefused: nothing of it was done. Nothing is stored.
func (g *Engine) PlanUndo(ctx context.Context, s State, id, by, reason string) (Plan, error) {
	p := s.Plan
	p.ID, p.Undoes, p.By, p.Reason, p.At, p.Steps, p.Notes = id, s.Plan.ID, by, reason, g.Now().UTC(), nil, nil
	for i, step := range slices.Backward(s.Plan.Steps) {
		x := s.Steps[i]
		if x.Progress != Done {
			if x.Progress == Failed || x.Progress == Doing || x.Progress == Third {
				p.Notes = append(p.Notes, fmt.Sprintf("%s: it is %s, look what is there", step.ID, x.Progress))
			}
			continue
		}
		if x.Already {
			continue // it was so before
		}
		t, ok := g.Targets[step.Target]
		if !ok {
			p.Notes = append(p.Notes, fmt.Sprintf("%s: nothing here knows how to take %q back", step.ID, step.Target))
			continue
		}
		back, err := t.Undo(ctx, At{Step: step, Kept: x.Kept})
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
		// Each takes back what those before it were done upon.
		if n := len(p.Steps); n > 0 && b.Phase == p.Steps[n-1].Phase && len(b.Needs) == 0 {
			b.Needs = []string{p.Steps[n-1].ID}
		} else {
			b.Needs = slices.DeleteFunc(slices.Clone(b.Needs), func(n string) bool { return !slices.ContainsFunc(p.Steps, func(s Step) bool { return s.ID == n }) })
		}
		p.Steps = append(p.Steps, b)
	}
	if len(p.Steps) == 0 {
		return Plan{}, fmt.Errorf("take plan %s back: %w: %s", s.Plan.ID, lockstep.ErrRefused, because(p.Notes))
	}
	return p, p.Check()
}

func because(notes []string) string {
	if len(notes) == 0 {
		return "nothing of it has to be taken back"
	}
	return strings.Join(notes, "; ")
}

// MarkUndone notes that another plan has taken this one back.
func (g *Engine) MarkUndone(ctx context.Context, id, by string) (State, error) {
	return g.amend(ctx, id, "undone by "+by, "", g.Name, func(s *State) error {
		s.UndoneBy = by
		return nil
	})
}

// UnmarkUndone notes that what had taken the plan back was itself taken back.
func (g *Engine) UnmarkUndone(ctx context.Context, id string) (State, error) {
	return g.amend(ctx, id, "in force again", "", g.Name, func(s *State) error {
		s.UndoneBy = ""
		return nil
	})
}
