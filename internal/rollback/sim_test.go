package rollback

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/blob"
	"lockstep/internal/blob/blobtest"
	"lockstep/internal/lockstep"
)

var (
	oneSeed   = flag.Uint64("sim.seed", 0, "run this seed alone")
	manySeeds = flag.Uint64("sim.seeds", 200, "run so many seeds")
)

// TestSimulation walks random plans, takes them back and does them again, in processes that
// are killed at any look, effect, half effect or append, before and behind it, over a store
// that fails and loses answers. Each effect happens once, the world ends as it would have
// without all that, an undo returns it to its beginning, and the undo of that to its end.
// One seed, one course of events: a seed replays.
func TestSimulation(t *testing.T) {
	first, last := uint64(1), *manySeeds
	if *oneSeed != 0 {
		first, last = *oneSeed, *oneSeed
	}
	total := map[string]int{}
	synctest.Test(t, func(t *testing.T) {
		for seed := first; seed <= last; seed++ {
			s := newSim(seed)
			if err := s.run(t.Context()); err != nil {
				t.Fatalf("seed %d: %v\ngo test ./internal/rollback -run TestSimulation -sim.seed=%d", seed, err, seed)
			}
			for k, n := range s.tally {
				total[k] += n
			}
		}
	})
	t.Logf("%v", total)
	if last-first < 100 {
		return
	}
	// A simulation in which something never happens proves nothing about it.
	for _, k := range []string{
		"killed at look", "killed at do", "killed at keep", "killed at half", "killed at whole", "killed at before", "killed at behind", "failed", "lost",
		"done", "failed step", "third", "blocked", "already", "undone", "redone", "taken over",
	} {
		if total[k] == 0 {
			t.Errorf("it never happened: %s", k)
		}
	}
}

// TestEveryBoundary kills a process once at each point that a walk of three steps comes by.
func TestEveryBoundary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := planOf(in(PhaseFlag, move("a", "bad", "good")), move("b", "bad", "good", "a"), in(PhaseData, move("c", "bad", "good", "a")))
		for killAt := 1; ; killAt++ {
			w, store := newWorld().set("a", "bad").set("b", "bad").set("c", "bad"), &blob.Mem{}
			proc := &process{killAt: killAt}
			g := mortalEngine(w, store, proc)
			_, err := g.Start(t.Context(), plan)
			if err == nil {
				_, err = g.Run(t.Context(), plan.ID)
			}
			if !proc.dead {
				if err != nil || killAt < 40 {
					t.Fatalf("%v after %d points: %v", err, killAt, proc.points)
				}
				return
			}
			g = mortalEngine(w, store, &process{})
			if _, err := g.State(t.Context(), plan.ID); errors.Is(err, lockstep.ErrNotFound) {
				if _, err := g.Start(t.Context(), plan); err != nil { // it was never stored
					t.Fatal(err)
				}
			}
			s, err := g.Run(t.Context(), plan.ID)
			if err != nil || s.Outcome() != Complete || w.once() != nil || len(w.wholes) != 3 || len(w.halves) != 3 {
				t.Fatalf("killed at %s: %v, %s, %v", proc.points[killAt-1], err, progress(s), w.once())
			}
		}
	})
}

func mortalEngine(w *world, store blob.Store, proc *process) *Engine {
	return engineOf(&mortal{store, proc}, map[string]Target{"mover": &mover{world: w, proc: proc}})
}

type sim struct {
	rng    *rand.Rand
	world  *world
	store  *blob.Mem
	faulty *blobtest.Faulty
	tally  map[string]int
}

func newSim(seed uint64) *sim {
	s := &sim{rng: rand.New(rand.NewPCG(seed, 11)), world: newWorld(), store: &blob.Mem{}, tally: map[string]int{}}
	s.faulty = blobtest.NewFaulty(s.store, s.fault)
	return s
}

// fault breaks appends now and then. Hints come from a goroutine of their own, and reads are
// repeated as often as it likes: neither may draw from the one source of chance.
func (s *sim) fault(op, _ string) blobtest.Fault {
	if op != "create" || s.rng.IntN(15) != 0 {
		return blobtest.None
	}
	if s.rng.IntN(2) == 0 {
		s.tally["failed"]++
		return blobtest.FailBefore
	}
	s.tally["lost"]++
	return blobtest.LoseAnswer
}

func (s *sim) run(ctx context.Context) error {
	plan := s.plan()
	before := s.world.all()
	calm, err := calmly(ctx, plan, before)
	if err != nil {
		return err
	}
	state, err := s.through(ctx, plan)
	if err != nil {
		return err
	}
	if diff := cmp.Diff(essence(calm.state), essence(state)); diff != "" {
		return fmt.Errorf("it ends in another way than without kills (-without +with):\n%s", diff)
	}
	after := s.world.all()
	if diff := cmp.Diff(calm.world, after); diff != "" {
		return fmt.Errorf("the world ends in another way than without kills (-without +with):\n%s", diff)
	}
	if err := s.world.once(); err != nil {
		return err
	}
	for i := range state.Steps {
		x := state.Steps[i]
		s.tally[map[Progress]string{Done: "done", Failed: "failed step", Third: "third", Blocked: "blocked"}[x.Progress]]++
		if x.Already {
			s.tally["already"]++
		}
		if x.Tries > 1 {
			s.tally["taken over"]++
		}
	}
	// Things that went astray, or were half moved by a step that failed, are not taken back.
	for name, x := range after {
		if x.State == "astray" || x.Half != "" {
			before[name] = x
		}
	}
	undone, err := s.undo(ctx, state, "dev-2", before)
	if undone == nil || err != nil {
		return err
	}
	s.tally["undone"]++
	if redone, err := s.undo(ctx, *undone, "dev-3", after); redone == nil || err != nil {
		return fmt.Errorf("the undo of the undo: %w", err)
	}
	s.tally["redone"]++
	return nil
}

// undo takes a plan back, and compares the world with what it should be then. Nil: there
// was nothing to take back.
func (s *sim) undo(ctx context.Context, state State, id string, want map[string]thing) (*State, error) {
	g := mortalEngine(s.world, s.store, &process{})
	p, err := g.PlanUndo(ctx, state, id, "bert", "it was wrong")
	if errors.Is(err, lockstep.ErrRefused) {
		if slices.ContainsFunc(state.Steps, func(x StepState) bool { return x.Progress == Done && !x.Already }) {
			return nil, err
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s.world.forget()
	out, err := s.through(ctx, p)
	if err != nil {
		return nil, err
	}
	if out.Outcome() != Complete {
		return nil, fmt.Errorf("plan %s: %s", id, out.Text())
	}
	if diff := cmp.Diff(want, s.world.all()); diff != "" {
		return nil, fmt.Errorf("plan %s (-want +got):\n%s", id, diff)
	}
	return &out, s.world.once()
}

// end is how a plan ends.
type end struct {
	state State
	world map[string]thing
}

// calmly walks a plan in a world of its own, in which nothing breaks.
func calmly(ctx context.Context, p Plan, things map[string]thing) (end, error) {
	w := newWorld()
	maps.Copy(w.things, things)
	g := mortalEngine(w, &blob.Mem{}, &process{})
	if _, err := g.Start(ctx, p); err != nil {
		return end{}, err
	}
	state, err := g.Run(ctx, p.ID)
	return end{state, w.all()}, err
}

// through walks a plan to its end, in as many processes as it takes: the first few of them
// are killed somewhere.
func (s *sim) through(ctx context.Context, p Plan) (State, error) {
	kills := s.rng.IntN(5)
	for range 50 {
		proc := &process{}
		if kills > 0 {
			kills--
			proc.killAt = 1 + s.rng.IntN(10*len(p.Steps))
		}
		g := engineOf(&mortal{s.faulty, proc}, map[string]Target{"mover": &mover{world: s.world, proc: proc}})
		opts := quickly()
		opts.Rand, opts.Settle = chance{s.rng}, time.Second
		if s.rng.IntN(3) == 0 {
			opts.Settle = 1 // gives up at once
		}
		g.Journals = NewJournals(&mortal{s.faulty, proc}, opts)
		state, err := oneProcess(ctx, g, p)
		if proc.dead {
			point, _, _ := strings.Cut(proc.points[len(proc.points)-1], " ")
			s.tally["killed at "+point]++
			continue
		}
		if errors.Is(err, lockstep.ErrUnavailable) || errors.Is(err, lockstep.ErrConflict) {
			continue // its answer was lost, or that of the one before
		}
		return state, err
	}
	return State{}, errors.New("it does not end")
}

// oneProcess does what a person does who only knows the plan.
func oneProcess(ctx context.Context, g *Engine, p Plan) (State, error) {
	if _, err := g.State(ctx, p.ID); errors.Is(err, lockstep.ErrNotFound) {
		if _, err := g.Start(ctx, p); err != nil {
			return State{}, err
		}
	}
	return g.Run(ctx, p.ID)
}

// chance is a source of bytes.
type chance struct{ rng *rand.Rand }

var _ io.Reader = chance{}

func (c chance) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(c.rng.Uint32())
	}
	return len(b), nil
}

// plan draws a plan, and sets its things up in the world.
func (s *sim) plan() Plan {
	var steps []Step
	phase := 0
	for i := range 1 + s.rng.IntN(7) {
		name := fmt.Sprintf("t%d", i)
		phase = min(phase+s.rng.IntN(2)*s.rng.IntN(3), len(Phases())-1)
		var needs []string
		for j := range steps {
			if s.rng.IntN(3) == 0 {
				needs = append(needs, steps[j].ID)
			}
		}
		from := "bad"
		if s.rng.IntN(4) == 0 {
			from = ""
		}
		how := ""
		switch s.rng.IntN(14) {
		case 0, 1:
			how = "refused"
		case 2:
			how = "lazy"
		case 3:
			how, from = "astray", "bad" // from anywhere it would be moved again, since nobody sees that it was
		case 4:
			how = "blind"
		}
		state := "bad"
		switch s.rng.IntN(10) {
		case 0:
			state = "good"
		case 1, 2:
			state = "strange"
		}
		s.world.set(name, state)
		steps = append(steps, in(Phases()[phase], moveBadly(how, name, from, "good", needs...)))
	}
	return planOf(steps...)
}

// essence is what must be the same whatever was killed.
func essence(s State) []StepState {
	out := slices.Clone(s.Steps)
	for i := range out {
		out[i].Began, out[i].Ended, out[i].Tries = time.Time{}, time.Time{}, min(out[i].Tries, 1)
		if out[i].Progress == Third {
			out[i].Error = "" // whether it was found before the Do or behind it
		}
	}
	return out
}
