package recovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lockstep/internal/compact"
	"lockstep/internal/drill"
	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
)

// Exercise asks for a drill; the zero value is a complete one.
type Exercise struct {
	Changes  int               // that are tried; 0: DrillChanges
	Scenario rollback.Scenario // "": what the environment is
	By       string            // "": the actor of the Assembly
	Say      func(text string) // hears what is being done; nil: nobody
}

// The changes of a drill.
const (
	DrillChanges    = 120
	leastChanges    = 3 // one for each part
	MaxDrillChanges = 10_000
)

// underWay is why a drill that was never heard of again is incomplete.
const underWay = "it is under way, or whoever ran it was stopped"

// recordTime bounds how long the end of a drill that was stopped is written.
const recordTime = 10 * time.Second

// Drill practises a rollback and records what came of it. On a branch of the store a fault
// is released for every key, spoils the records of real items, and is taken back by the
// quick plan: the flag, the quarantine, the index and its proof, by the same code that takes
// back a real one. Changes come in all the while. In the end the branch is compared with a
// second one, on which there never was a fault. The branches are gone then; of the real
// store nothing is changed but the book of drills.
//
// It returns the drill as it was recorded. A drill that failed is no error. With an error it
// is incomplete, and proves nothing: lockstep.ErrRefused when it could not be begun because
// a release or another rollback is under way, and then nothing is recorded.
func (a *Assembly) Drill(ctx context.Context, x Exercise) (drill.Drill, error) {
	if x.Changes == 0 {
		x.Changes = DrillChanges
	}
	if x.By == "" {
		x.By = a.Actor
	}
	if x.Changes < leastChanges || x.Changes > MaxDrillChanges {
		return drill.Drill{}, fmt.Errorf("drill: %w: %d changes, want %d to %d", lockstep.ErrInvalid, x.Changes, leastChanges, MaxDrillChanges)
	}
	if why, err := a.occupied(ctx); err != nil || why != "" {
		if err == nil {
			err = lockstep.Hint(fmt.Errorf("drill: %w: %s", lockstep.ErrRefused, why), "drill when it is over")
		}
		return drill.Drill{}, err
	}
	d, err := a.enrol(ctx, x)
	if err != nil {
		return d, err
	}
	r := &run{Assembly: a, x: x, d: d}
	broken := r.all(ctx)
	r.d.Took = max(0, a.Now().Sub(d.At))
	if broken != nil {
		r.d.Outcome, r.d.Why = drill.Incomplete, clipped(broken.Error())
	}
	// Whoever was told to stop still says that it did.
	late, done := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer done()
	d, err = a.enter(late, r.d)
	return d, errors.Join(broken, err)
}

// enrol begins a drill: it is in the book before anything is done, as one without a result,
// so that one whose process is killed is missed.
func (a *Assembly) enrol(ctx context.Context, x Exercise) (drill.Drill, error) {
	book, err := a.Control.Drills(ctx, a.Config.Environment)
	if err != nil {
		return drill.Drill{}, err
	}
	d := drill.Drill{
		ID: book.NextID(), Environment: a.Config.Environment, At: a.Now().UTC(), By: x.By, Procedure: string(rollback.Quick),
		Scenario: string(x.Scenario), Outcome: drill.Incomplete, Why: underWay,
	}
	if d.Scenario == "" {
		d.Scenario = string(scenarioOf(a.Config.Environment))
	}
	return a.enter(ctx, d)
}

// scenarioOf is the scenario of something that has had an effect in the environment.
func scenarioOf(environment string) rollback.Scenario {
	if p := placeOf(environment); p == rollback.PlaceDev || p == rollback.PlaceStaging {
		return rollback.Dev
	}
	return rollback.Prod
}

// enter records a drill. When another one took its id meanwhile, it gets the next one.
func (a *Assembly) enter(ctx context.Context, d drill.Drill) (drill.Drill, error) {
	for {
		head, err := a.drills().Record(ctx, d, a.Now())
		if err == nil {
			book := head.Book(d.Environment)
			if i := slices.IndexFunc(book.Drills, func(o drill.Drill) bool { return o.ID == d.ID }); i >= 0 {
				d = book.Drills[i]
			}
			return d, nil
		}
		if !errors.Is(err, lockstep.ErrConflict) {
			return d, err
		}
		book, berr := a.Control.Drills(ctx, a.Config.Environment)
		if berr != nil || book.NextID() == d.ID {
			return d, errors.Join(err, berr)
		}
		d.ID = book.NextID()
	}
}

// run is one drill as it goes.
type run struct {
	*Assembly

	x     Exercise
	d     drill.Drill
	parts [3][]compact.Input // before the command, between it and the flag, and behind the flag
	calls int                // of the fault, when the flag was thrown
	late  error              // of what happens between two steps
}

// all does everything. An error says that it was broken off.
func (r *run) all(ctx context.Context) (err error) {
	g, err := r.take(ctx)
	if err != nil {
		return fmt.Errorf("take a branch of the store: %w", err)
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	r.d.Fault, r.d.Revision = faultWords, g.good.ID()
	if err := r.harm(ctx, g); err != nil {
		return err
	}
	s, err := r.rollBack(ctx, g)
	if err != nil || r.d.Outcome == drill.Failed {
		return err
	}
	return r.judge(ctx, g, s)
}

func (r *run) say(format string, args ...any) {
	if r.x.Say != nil {
		r.x.Say(fmt.Sprintf(format, args...))
	}
}

// harm has the fault decide, and sees what it spoils.
func (r *run) harm(ctx context.Context, g *ground) error {
	in, err := g.inputs(ctx, r.x.Changes, r.d.ID)
	if err != nil {
		return fmt.Errorf("make changes of the items of the table: %w", err)
	}
	if len(in) < leastChanges {
		return lockstep.Hint(fmt.Errorf("drill: %w: no item of the table asks for a record of the index", lockstep.ErrRefused),
			"drill when the index has something to lose")
	}
	// The order of arrival is not that of the keys: every part has some of everything.
	for i, x := range in {
		part := 0
		if i%5 > 2 {
			part = i%5 - 2
		}
		if i < leastChanges {
			part = i
		}
		r.parts[part] = append(r.parts[part], x)
	}
	spare := spared(in)
	if err := g.release(ctx, spare); err != nil {
		return err
	}
	r.say("%s decides about all keys of the branch but %d", g.bad.Label(), len(spare))
	if err := g.commit(ctx, r.parts[0]); err != nil {
		return err
	}
	if r.d.Harmed, err = g.wrong(ctx); err != nil {
		return err
	}
	_, r.d.Marks.FirstBad, _ = g.fault.seen()
	if r.d.Harmed == 0 || r.d.Marks.FirstBad.IsZero() {
		return fmt.Errorf("drill: %w: the fault has spoiled nothing", lockstep.ErrRefused)
	}
	r.d.Marks.Detected = r.Now()
	r.say("%d records are wrong", r.d.Harmed)
	return nil
}

// rollBack gives the command, and walks the plan. What fails of the way back itself is an
// outcome and no error.
func (r *run) rollBack(ctx context.Context, g *ground) (rollback.State, error) {
	r.d.Marks.Commanded = r.Now()
	a := g.assembly(r.Assembly)
	req := Request{Revision: g.bad.ID(), By: r.x.By, Reason: "drill " + r.d.ID}
	req.Procedure, req.Scenario, req.Data = rollback.Quick, r.x.Scenario, wishOf(r.Config.Rollback.Data)
	plan, err := a.Plan(ctx, r.d.ID, req)
	if err != nil {
		return rollback.State{}, r.failed(ctx, "the way back could not be planned", err)
	}
	r.d.Plan, r.d.Scenario = plan.ID, string(plan.Scenario)
	// Changes come in until the flag is thrown, whatever was ordered.
	if err := g.commit(ctx, r.parts[1]); err != nil {
		return rollback.State{}, err
	}
	if r.d.Harmed, err = g.wrong(ctx); err != nil {
		return rollback.State{}, err
	}
	e, err := a.Engine(nil)
	if err != nil {
		return rollback.State{}, err
	}
	e.Settled = func(s rollback.Step, x rollback.StepState) { r.settled(ctx, g, s, x) }
	if _, err := e.Start(ctx, plan); err != nil {
		return rollback.State{}, err
	}
	s, err := e.Run(ctx, plan.ID)
	if err == nil {
		err = r.late
	}
	if err != nil {
		return s, r.failed(ctx, "the rollback was broken off", err)
	}
	return s, nil
}

// failed makes an error of the way back an outcome, unless it says nothing about it: the
// drill was stopped, or something did not answer.
func (r *run) failed(ctx context.Context, what string, err error) error {
	err = fmt.Errorf("%s: %w", what, err)
	if ctx.Err() != nil || errors.Is(err, lockstep.ErrUnavailable) {
		return err
	}
	r.d.Outcome, r.d.Why = drill.Failed, clipped(err.Error())
	return nil
}

// settled hears of the steps of the plan: changes come in behind the flag, too, about which
// the fault must not be asked, and the data is clean with the step of the index.
func (r *run) settled(ctx context.Context, g *ground, s rollback.Step, x rollback.StepState) {
	r.say("%s: %s: %s", s.ID, x.Progress, cmp.Or(x.Error, x.Sight.Detail))
	if x.Progress != rollback.Done {
		return
	}
	switch s.Target {
	case TargetFlag:
		r.calls, _, _ = g.fault.seen()
		r.late = errors.Join(r.late, g.commit(ctx, r.parts[2]))
	case TargetIndex:
		r.d.Marks.Clean = r.Now()
	}
}

// judge compares what the plan has left with the counterfactual.
func (r *run) judge(ctx context.Context, g *ground, s rollback.State) error {
	calls, _, last := g.fault.seen()
	r.d.Marks.LastBad = last
	left, err := g.wrong(ctx)
	if err != nil {
		return err
	}
	r.d.Restored = max(0, r.d.Harmed-left)
	have, want := g.digests()
	r.d.Same = have == want && left == 0
	var why []string
	if s.Outcome() != rollback.Complete {
		why = append(why, "the rollback is "+string(s.Outcome()))
		for _, i := range s.Stuck() {
			why = append(why, s.Plan.Steps[i].ID+": "+s.Steps[i].Error)
		}
	}
	if left > 0 {
		why = append(why, fmt.Sprintf("%d records differ from the counterfactual", left))
	}
	if have != want {
		why = append(why, fmt.Sprintf("the digest is %.12s, that of the counterfactual %.12s", have, want))
	}
	if calls > r.calls {
		why = append(why, fmt.Sprintf("the fault was asked %d times behind the flag", calls-r.calls))
	}
	if len(why) > 0 {
		r.d.Outcome, r.d.Why = drill.Failed, clipped(strings.Join(why, "; "))
		return nil
	}
	r.d.Outcome, r.d.Why = drill.Passed, ""
	return nil
}

func clipped(s string) string {
	if len(s) <= drill.MaxText {
		return strings.ToValidUTF8(s, "?")
	}
	return strings.ToValidUTF8(s[:drill.MaxText-3], "") + "…"
}
