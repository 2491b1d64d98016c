package rollback

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
)

// Engine walks plans. It holds no state of its own: any number may be made, in any process,
// and one that starts goes on where another died.
type Engine struct {
	Name     string            // actor of its entries
	Targets  map[string]Target // by the name that steps call them
	Journals *Journals
	Now      func() time.Time
	// Say hears how far a step is; nil: nobody. It is not stored.
	Say func(step, text string, done, total int64)
	// Settled hears of every step that has come to its end; nil: nobody.
	Settled func(s Step, x StepState)
}

// ErrElsewhere says that another process walks the plan. Nothing is wrong with it, and
// nothing was done.
var ErrElsewhere = fmt.Errorf("another process walks the plan: %w", lockstep.ErrConflict)

// Start stores a plan, before anything of it is done. lockstep.ErrInvalid: it cannot be
// carried out as it is. lockstep.ErrConflict: the id is taken. Neither stores anything.
// lockstep.ErrUnavailable: it may be stored or not; State tells.
func (g *Engine) Start(ctx context.Context, p Plan) (State, error) {
	if err := p.Check(); err != nil {
		return State{}, err
	}
	j, err := g.Journals.Open(p.ID)
	if err != nil {
		return State{}, err
	}
	head, err := j.append(ctx, Head{}, Entry{What: "planned", Actor: p.By, State: NewState(p)})
	if errors.Is(err, ledger.ErrHeadMoved) {
		return State{}, lockstep.Hint(fmt.Errorf("plan %s: %w: there is one of that name", p.ID, lockstep.ErrConflict), "plan again: the new plan gets a name of its own")
	}
	if err != nil {
		return State{}, err
	}
	return head.Entry.State, nil
}

// Run walks a plan to its end, from wherever it is: it is also how a plan is resumed. Every
// step looks, does and looks again; one that is done already is not done again. A step that
// fails holds up those that need it, and no others. That steps are left for a person is in
// the State and no error.
//
// An error says that the walk was broken off, and the plan goes on with the next Run:
// ErrElsewhere, an end of ctx, a store that does not answer. The State then is the newest
// one that is known, and a step that was under way is still Doing. lockstep.ErrNotFound:
// there is no such plan. lockstep.ErrRefused: it was taken back.
//
// Settled hears of each step at most once; a kill may lose it.
func (g *Engine) Run(ctx context.Context, id string) (State, error) {
	j, err := g.Journals.Open(id)
	if err != nil {
		return State{}, err
	}
	head, err := j.Head(ctx)
	if err != nil {
		return State{}, err
	}
	w := &walk{engine: g, journal: j, head: head}
	if s := w.state(); s.inForce() != nil {
		return s, s.inForce()
	}
	if err := w.alone(ctx); err != nil {
		return w.state(), err
	}
	for {
		if err := ctx.Err(); err != nil {
			return w.state(), err
		}
		if _, at := Next(w.state()); at >= 0 {
			if err := w.step(ctx, at); err != nil {
				return w.state(), err
			}
			continue
		}
		if over, err := w.finish(ctx); over || err != nil {
			return w.state(), err
		}
	}
}

// inForce returns lockstep.ErrRefused for a plan that was taken back.
func (s *State) inForce() error {
	if s.UndoneBy == "" {
		return nil
	}
	return lockstep.Hint(fmt.Errorf("plan %s: %w: plan %s has taken it back", s.Plan.ID, lockstep.ErrRefused, s.UndoneBy),
		"to bring it into force again: lockstep rollback undo "+s.UndoneBy)
}

// Skip leaves a step out that is not done, because a person says so: those that need it go
// on with the next Run. lockstep.ErrInvalid: nobody, or for no reason.
// lockstep.ErrRefused: it is done, or left out already.
func (g *Engine) Skip(ctx context.Context, id, step, by, reason string) (State, error) {
	if by == "" || reason == "" {
		return State{}, lockstep.Hint(fmt.Errorf("skip step %s of plan %s: %w: a name and a reason are needed", step, id, lockstep.ErrInvalid), "give --reason")
	}
	return g.amend(ctx, id, amendment{"step " + step + " skipped", step, by}, func(s *State) error {
		i, err := s.Step(step)
		if err != nil {
			return err
		}
		x := &s.Steps[i]
		if x.Progress == Done || x.Progress == Skipped {
			return lockstep.Hint(fmt.Errorf("skip step %s of plan %s: %w: it is %s", step, id, lockstep.ErrRefused, x.Progress), "there is nothing to leave out")
		}
		x.Progress, x.By, x.Ended, x.Error, x.Hint = Skipped, clip(by, maxLine), g.Now().UTC(), clip(reason, maxText), ""
		s.again(Blocked)
		return nil
	})
}

// Retry has the steps that could not be done be tried again with the next Run. A plan of
// which nothing is stuck stays as it is.
func (g *Engine) Retry(ctx context.Context, id string) (State, error) {
	return g.amend(ctx, id, amendment{what: "retry", by: g.Name}, func(s *State) error {
		if err := s.inForce(); err != nil {
			return err
		}
		if len(s.Stuck()) == 0 {
			return errUnchanged
		}
		s.again(Failed, Third, Blocked)
		return nil
	})
}

// again has the steps that are so be considered once more.
func (s *State) again(which ...Progress) {
	for i := range s.Steps {
		if slices.Contains(which, s.Steps[i].Progress) {
			s.Steps[i].Progress = Waiting
		}
	}
	s.Ended = time.Time{}
}

// maxSignatures bounds how often people may sign.
const maxSignatures = 256

// Sign has a person answer for an item of the checklist; of two signatures for one item
// the newer counts. lockstep.ErrNotFound: there is no such item. lockstep.ErrInvalid:
// nobody, or for no reason.
func (g *Engine) Sign(ctx context.Context, id, item, by, reason string) (State, error) {
	if !isItem(item) {
		return State{}, lockstep.Hint(fmt.Errorf("item %.80q of the checklist: %w", item, lockstep.ErrNotFound), `"lockstep rollback checklist -o json" shows the ids`)
	}
	if by == "" || reason == "" {
		return State{}, lockstep.Hint(fmt.Errorf("sign %s: %w: a name and a reason are needed", item, lockstep.ErrInvalid), "give --reason")
	}
	return g.amend(ctx, id, amendment{what: "signed " + item, by: by}, func(s *State) error {
		if len(s.Signatures) >= maxSignatures {
			return fmt.Errorf("sign %s: %w: plan %s has %d signatures", item, lockstep.ErrRefused, id, maxSignatures)
		}
		s.Signatures = append(s.Signatures, Signature{item, clip(by, maxLine), clip(reason, maxText), g.Now().UTC()})
		return nil
	})
}

// amendment says what an entry is about that no walk writes.
type amendment struct{ what, step, by string }

// errUnchanged says that there is nothing to write.
var errUnchanged = errors.New("unchanged")

// amend writes what change makes of the newest state; another writer in between is no
// reason not to.
func (g *Engine) amend(ctx context.Context, id string, a amendment, change func(s *State) error) (State, error) {
	j, err := g.Journals.Open(id)
	if err != nil {
		return State{}, err
	}
	for {
		head, err := j.Head(ctx)
		if err != nil {
			return State{}, err
		}
		s := head.Entry.State.clone()
		switch err := change(&s); {
		case errors.Is(err, errUnchanged):
			return head.Entry.State, nil
		case err != nil:
			return State{}, err
		}
		head, err = j.append(ctx, head, Entry{What: a.what, Actor: clip(a.by, maxLine), State: s, Step: a.step})
		if errors.Is(err, ledger.ErrHeadMoved) {
			continue
		}
		if err != nil {
			return State{}, err
		}
		return head.Entry.State, nil
	}
}

// State returns a plan as it stands. lockstep.ErrNotFound: there is none of that name.
func (g *Engine) State(ctx context.Context, id string) (State, error) {
	j, err := g.Journals.Open(id)
	if err != nil {
		return State{}, err
	}
	head, err := j.Head(ctx)
	if err != nil {
		return State{}, err
	}
	return head.Entry.State, nil
}
