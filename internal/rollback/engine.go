package rollback

import (
	"context"
	"errors"
	"fmt"
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

const (
	lookFor = time.Minute      // one look may take this long
	grace   = 10 * time.Second // a Do that has passed its deadline gets this to end
)

// ErrElsewhere says that another process walks the plan. Nothing is wrong with it.
var ErrElsewhere = fmt.Errorf("another process walks the plan: %w", lockstep.ErrConflict)

// Start stores a plan, before anything of it is done. ErrConflict: the id is taken.
func (g *Engine) Start(ctx context.Context, p Plan) (State, error) {
	if err := p.Check(); err != nil {
		return State{}, err
	}
	j, err := g.Journals.Open(p.ID)
	if err != nil {
		return State{}, err
	}
	s := NewState(p)
	_, err = j.append(ctx, Head{}, Entry{What: "planned", Actor: p.By, State: s})
	if errors.Is(err, ledger.ErrHeadMoved) {
		return State{}, fmt.Errorf("plan %s: %w: there is one of that name", p.ID, lockstep.ErrConflict)
	}
	return s, err
}

// Run walks a plan to its end, from wherever it is: it is also how a plan is resumed. Every
// step looks, does and looks again; one that is done already is not done again. A step that
// fails holds up those that need it, and no others. The error says that the walk itself was
// broken off: ErrElsewhere, an end of ctx, a store that does not answer; the plan then goes
// on with the next Run. That steps are left for a person is in the State and no error.
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
	for {
		if err := ctx.Err(); err != nil {
			return w.state(), err
		}
		next, at := Next(w.state())
		if at < 0 {
			return w.finish(ctx, next)
		}
		if err := w.step(ctx, at); err != nil {
			return w.state(), err
		}
	}
}

// walk is one Run.
type walk struct {
	engine  *Engine
	journal *Journal
	head    Head
}

func (w *walk) state() State { return w.head.Entry.State }

// note writes the state that change makes of the newest one.
func (w *walk) note(ctx context.Context, what, step string, change func(s *State)) error {
	s := w.head.Entry.State.clone()
	change(&s)
	head, err := w.journal.append(ctx, w.head, Entry{What: what, Actor: w.engine.Name, State: s, Step: step})
	if errors.Is(err, ledger.ErrHeadMoved) {
		return lockstep.Hint(fmt.Errorf("%w: %w", ErrElsewhere, err), fmt.Sprintf(`watch it with "lockstep rollback status %s --watch"`, w.journal.id))
	}
	if err == nil {
		w.head = head
	}
	return err
}

// finish notes that nothing is left that can be done.
func (w *walk) finish(ctx context.Context, s State) (State, error) {
	now := w.engine.Now().UTC()
	if !w.state().Ended.IsZero() && s.same(w.head.Entry.State) {
		return w.state(), nil
	}
	err := w.note(ctx, "walked", "", func(n *State) {
		n.Steps = s.Steps
		n.Ended = now
		if n.Began.IsZero() {
			n.Began = now
		}
	})
	return w.state(), err
}

func (s *State) same(t State) bool {
	for i := range s.Steps {
		if s.Steps[i].Progress != t.Steps[i].Progress {
			return false
		}
	}
	return true
}

// step looks, does and looks again.
func (w *walk) step(ctx context.Context, at int) error {
	step := w.state().Plan.Steps[at]
	target, ok := w.engine.Targets[step.Target]
	if !ok {
		return w.fail(ctx, at, Failed, lockstep.Hint(fmt.Errorf("nothing here knows how to do %q: %w", step.Target, lockstep.ErrNotFound), "run it where it is configured"), Sight{})
	}
	before, err := w.look(ctx, target, at)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return w.fail(ctx, at, Failed, fmt.Errorf("look first: %w", err), before)
	}
	begun := w.state().Steps[at].Progress == Doing
	switch {
	case before.State == step.To:
		return w.done(ctx, at, before, !begun)
	case step.From != "" && before.State != step.From && before.State != Partial:
		return w.fail(ctx, at, Third, fmt.Errorf("want %q, to be made %q; found %q", step.From, step.To, before.State), before)
	}
	now := w.engine.Now().UTC()
	if err := w.note(ctx, "begin "+step.ID, step.ID, func(s *State) {
		x := &s.Steps[at]
		x.Progress, x.By, x.Tries, x.Sight, x.Error, x.Hint = Doing, w.engine.Name, x.Tries+1, before, "", ""
		if x.Began.IsZero() {
			x.Began = now
		}
		if s.Began.IsZero() {
			s.Began = now
		}
		s.Ended = time.Time{}
	}); err != nil {
		return err
	}
	failure := w.do(ctx, target, at)
	if ctx.Err() != nil || errors.Is(failure, ErrElsewhere) {
		return errors.Join(ctx.Err(), failure) // a later Run goes on
	}
	after, err := w.look(ctx, target, at)
	switch {
	case err == nil && after.State == step.To:
		return w.done(ctx, at, after, false) // whatever the Do says: its end is true
	case failure != nil:
		return w.fail(ctx, at, Failed, failure, after)
	case err != nil:
		return w.fail(ctx, at, Failed, fmt.Errorf("look again: %w", err), after)
	}
	return w.fail(ctx, at, Third, fmt.Errorf("it was done, and is not so: want %q, found %q", step.To, after.State), after)
}

func (w *walk) done(ctx context.Context, at int, sight Sight, already bool) error { //nolint:revive // already is a fact of the step and no mode
	now := w.engine.Now().UTC()
	step := w.state().Plan.Steps[at]
	err := w.note(ctx, "step "+step.ID+" done", step.ID, func(s *State) {
		x := &s.Steps[at]
		x.Progress, x.By, x.Ended, x.Sight, x.Already, x.Error, x.Hint = Done, w.engine.Name, now, sight, already, "", ""
		if x.Began.IsZero() {
			x.Began = now
		}
		if s.Began.IsZero() {
			s.Began = now
		}
	})
	w.settled(err, at)
	return err
}

// fail notes that a step cannot be done now, and why.
func (w *walk) fail(ctx context.Context, at int, p Progress, why error, sight Sight) error {
	now := w.engine.Now().UTC()
	step := w.state().Plan.Steps[at]
	err := w.note(ctx, "step "+step.ID+" "+string(p), step.ID, func(s *State) {
		x := &s.Steps[at]
		x.Progress, x.By, x.Ended, x.Sight, x.Error, x.Hint = p, w.engine.Name, now, sight, clip(why.Error()), clip(lockstep.HintOf(why))
		if s.Began.IsZero() {
			s.Began = now
		}
	})
	w.settled(err, at)
	return err
}

func (w *walk) settled(err error, at int) {
	if err == nil && w.engine.Settled != nil {
		w.engine.Settled(w.state().Plan.Steps[at], w.state().Steps[at])
	}
}

func clip(s string) string { return s[:min(len(s), maxText)] }

// look asks the target, with a context of its own: that a Do used up its time is no reason
// not to know what it left.
func (w *walk) look(ctx context.Context, t Target, at int) (s Sight, err error) {
	if err := ctx.Err(); err != nil {
		return Sight{}, err
	}
	fresh, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookFor)
	defer cancel()
	call := At{Step: w.state().Plan.Steps[at], Kept: w.state().Steps[at].Kept}
	err = guarded(fresh, lookFor+grace, func() (err error) {
		s, err = t.Look(fresh, call)
		return err
	})
	return s, err
}

// do has the target make the step's end true, within the step's own time.
func (w *walk) do(ctx context.Context, t Target, at int) error {
	step := w.state().Plan.Steps[at]
	limit := step.Deadline
	if limit == 0 {
		limit = DefaultDeadline
	}
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	k := &keeper{walk: w, at: at, step: step.ID}
	call := At{Step: step, Kept: w.state().Steps[at].Kept}
	err := guarded(bounded, limit+grace, func() error { return t.Do(bounded, call, k) })
	kerr := k.close()
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return fmt.Errorf("not done within %s: %w", limit, err)
	}
	return errors.Join(err, kerr)
}

// guarded calls f, and gives it up when it does not heed its context: what hangs then goes
// on in a goroutine that nobody waits for, and the process is the one that ends it.
func guarded(ctx context.Context, limit time.Duration, f func() error) error {
	out := make(chan error, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				out <- fmt.Errorf("the target panicked: %v", r)
			}
		}()
		out <- f()
	}()
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case err := <-out:
		return err
	case <-late.C:
	case <-ctx.Done():
		select {
		case err := <-out:
			return err
		case <-time.After(grace):
		}
	}
	return fmt.Errorf("it does not end: %w", context.DeadlineExceeded)
}

// Skip leaves a step out that cannot be done, because a person says so: those that need it
// go on.
func (g *Engine) Skip(ctx context.Context, id, step, by, reason string) (State, error) {
	return g.amend(ctx, id, "step "+step+" skipped", step, by, func(s *State) error {
		i, err := s.Step(step)
		if err != nil {
			return err
		}
		x := &s.Steps[i]
		if x.Progress == Done || x.Progress == Skipped || reason == "" {
			return lockstep.Hint(fmt.Errorf("skip step %s of plan %s: %w: it is %s", step, id, lockstep.ErrRefused, x.Progress), "a step that is done is not left out; give --reason for another")
		}
		x.Progress, x.By, x.Ended, x.Error = Skipped, by, g.Now().UTC(), clip(reason)
		s.Ended = time.Time{}
		s.again()
		return nil
	})
}

// Retry has the steps that could not be done be tried again with the next Run.
func (g *Engine) Retry(ctx context.Context, id string) (State, error) {
	return g.amend(ctx, id, "retry", "", g.Name, func(s *State) error {
		for _, i := range s.Stuck() {
			s.Steps[i].Progress = Waiting
		}
		s.Ended = time.Time{}
		return nil
	})
}

// again lets the blocked steps be looked at once more.
func (s *State) again() {
	for i := range s.Steps {
		if s.Steps[i].Progress == Blocked {
			s.Steps[i].Progress = Waiting
		}
	}
}

// Sign has a person answer for an item of the checklist.
func (g *Engine) Sign(ctx context.Context, id, item, by, reason string) (State, error) {
	return g.amend(ctx, id, "signed "+item, "", by, func(s *State) error {
		if _, ok := itemOf(item); !ok {
			return lockstep.Hint(fmt.Errorf("item %q of the checklist: %w", item, lockstep.ErrNotFound), `"lockstep rollback checklist -o json" shows the ids`)
		}
		if by == "" || reason == "" {
			return fmt.Errorf("sign %s: %w: a name and a reason are needed", item, lockstep.ErrInvalid)
		}
		s.Signatures = append(s.Signatures, Signature{item, by, clip(reason), g.Now().UTC()})
		return nil
	})
}

// amend writes what change makes of the newest state; another writer in between is no
// reason not to.
func (g *Engine) amend(ctx context.Context, id, what, step, by string, change func(s *State) error) (State, error) {
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
		if err := change(&s); err != nil {
			return State{}, err
		}
		head, err = j.append(ctx, head, Entry{What: what, Actor: by, State: s, Step: step})
		if errors.Is(err, ledger.ErrHeadMoved) {
			continue
		}
		if err != nil {
			return State{}, err
		}
		return head.Entry.State, nil
	}
}

// State returns a plan as it stands.
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
