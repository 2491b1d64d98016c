package rollback

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/blob"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
)

var update = flag.Bool("update", false, "rewrite golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// t0 is a Monday.
func t0() time.Time { return time.Date(2026, 5, 4, 8, 0, 0, 0, time.UTC) }

func at(d time.Duration) time.Time { return t0().Add(d) }

// thing is one part of the world: it is in a state, or half way to the next.
type thing struct{ State, Half string }

// world is what the targets of a test act upon. It outlives every process.
type world struct {
	mu     sync.Mutex // guards everything below
	things map[string]thing
	// halves and wholes count the effects: how often a thing was brought half way to a
	// state, and how often there.
	halves, wholes map[string]int
}

func newWorld() *world {
	return &world{things: map[string]thing{}, halves: map[string]int{}, wholes: map[string]int{}}
}

func (w *world) set(name, state string) *world {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.things[name] = thing{State: state}
	return w
}

func (w *world) get(name string) thing {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.things[name]
}

func (w *world) all() map[string]thing {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.things)
}

// once returns an error unless no effect happened twice.
func (w *world) once() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, counts := range []map[string]int{w.halves, w.wholes} {
		for what, n := range counts {
			if n != 1 {
				return fmt.Errorf("%s happened %d times", what, n)
			}
		}
	}
	return nil
}

func (w *world) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.halves)
	clear(w.wholes)
}

// process is what dies. The zero one lives for ever.
type process struct {
	mu     sync.Mutex // guards everything below
	points []string   // that it came by
	killAt int        // the point at which it dies; 0: never
	dead   bool
}

var errKilled = errors.New("killed")

// live is a point at which a process may die: what comes after it never happens.
func (p *process) live(point string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return errKilled
	}
	p.points = append(p.points, point)
	if len(p.points) == p.killAt {
		p.dead = true
		return errKilled
	}
	return nil
}

// mover is a target that brings things from state to state, in two halves. It keeps what
// was before it begins.
type mover struct {
	world *world
	proc  *process
	// before is asked when a Do has begun; nil does nothing.
	before func(ctx context.Context, at At, keep Keeper) error
}

var _ Target = (*mover)(nil)

type moverParams struct {
	Thing string `json:"thing"`
	// How it goes wrong: "" not at all, "refused" it cannot be done, "lazy" it does nothing
	// and says it did, "astray" it ends where nobody wanted it, "blind" it cannot be looked at.
	How string `json:"how,omitempty"`
}

type moverKept struct {
	Was string `json:"was"`
}

func (*mover) params(a At) moverParams {
	var p moverParams
	if err := json.Unmarshal(a.Step.Params, &p); err != nil {
		panic(err)
	}
	return p
}

func (m *mover) Look(ctx context.Context, a At) (Sight, error) {
	if err := errors.Join(ctx.Err(), m.proc.live("look "+a.Step.ID)); err != nil {
		return Sight{}, err
	}
	p := m.params(a)
	if p.How == "blind" {
		return Sight{}, fmt.Errorf("look at %s: %w", p.Thing, lockstep.ErrUnavailable)
	}
	x := m.world.get(p.Thing)
	s := Sight{State: x.State, Detail: p.Thing + " is " + x.State}
	if x.Half == a.Step.To {
		s.State = Partial
	}
	return s, nil
}

func (m *mover) Do(ctx context.Context, a At, keep Keeper) error {
	if m.before != nil {
		if err := m.before(ctx, a, keep); err != nil {
			return err
		}
	}
	if err := errors.Join(ctx.Err(), m.proc.live("do "+a.Step.ID)); err != nil {
		return err
	}
	p, to := m.params(a), a.Step.To
	switch p.How {
	case "refused":
		return lockstep.Hint(fmt.Errorf("move %s: %w", p.Thing, lockstep.ErrRefused), "move it by hand")
	case "lazy":
		return nil
	case "astray":
		to = "astray"
	}
	if len(a.Kept) == 0 {
		kept, err := json.Marshal(moverKept{m.world.get(p.Thing).State})
		if err != nil {
			return err
		}
		if err := keep.Keep(ctx, kept); err != nil {
			return err
		}
	}
	if err := m.proc.live("keep " + a.Step.ID); err != nil {
		return err
	}
	keep.Say("moving", 1, 2)
	m.half(p.Thing, to)
	if err := m.proc.live("half " + a.Step.ID); err != nil {
		return err
	}
	m.whole(p.Thing, to)
	return m.proc.live("whole " + a.Step.ID)
}

func (m *mover) half(name, to string) {
	m.world.mu.Lock()
	defer m.world.mu.Unlock()
	if x := m.world.things[name]; x.Half == "" {
		m.world.things[name] = thing{x.State, to}
		m.world.halves[name+" half way to "+to]++
	}
}

func (m *mover) whole(name, to string) {
	m.world.mu.Lock()
	defer m.world.mu.Unlock()
	m.world.things[name] = thing{State: to}
	m.world.wholes[name+" is "+to]++
}

func (m *mover) Undo(_ context.Context, a At) (*Step, error) {
	p := m.params(a)
	if p.How == "final" {
		return nil, fmt.Errorf("%s is not moved twice: %w", p.Thing, lockstep.ErrRefused)
	}
	if p.How == "check" {
		return nil, nil
	}
	var k moverKept
	if err := json.Unmarshal(a.Kept, &k); err != nil {
		return nil, err
	}
	s := a.Step
	s.ID, s.From, s.To, s.Title = "undo-"+a.Step.ID, a.Step.To, k.Was, "Move "+p.Thing+" back to "+k.Was
	return &s, nil
}

// move is the step that brings a thing from one state to another.
func move(name, from, to string, needs ...string) Step {
	return moveBadly("", name, from, to, needs...)
}

func moveBadly(how, name, from, to string, needs ...string) Step {
	params, err := json.Marshal(moverParams{name, how})
	if err != nil {
		panic(err)
	}
	return Step{ID: name, Target: "mover", Phase: PhaseCode, Title: "Move " + name + " to " + to, From: from, To: to, Params: params, Needs: needs}
}

func planOf(steps ...Step) Plan {
	return Plan{ID: "dev-1", Environment: "dev", Scenario: Dev, Procedure: Full, By: "anna", Reason: "labels are lost", At: t0(), Steps: steps}
}

// quickly has a ledger that waits for nobody.
func quickly() ledger.Options {
	return ledger.Options{Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }, Prefetch: 1}
}

// engineOf returns an engine of a process that lives for ever, over a store.
func engineOf(store blob.Store, targets map[string]Target) *Engine {
	return &Engine{Name: "lockstep", Targets: targets, Journals: NewJournals(store, quickly()), Now: time.Now}
}

// rig is a world with its store, and an engine over it.
type rig struct {
	*Engine
	world *world
	mover *mover
	store *blob.Mem
}

func newRig() *rig {
	r := &rig{world: newWorld(), store: &blob.Mem{}}
	r.mover = &mover{world: r.world, proc: &process{}}
	r.Engine = engineOf(r.store, map[string]Target{"mover": r.mover})
	return r
}

// walk stores a plan and walks it.
func (r *rig) walk(t *testing.T, p Plan) State {
	t.Helper()
	if _, err := r.Start(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	s, err := r.Run(t.Context(), p.ID)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// history is what the entries of plan dev-1 are about.
func (r *rig) history(t *testing.T) []string {
	t.Helper()
	j, err := r.Journals.Open("dev-1")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for e, err := range j.Range(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e.What)
	}
	return out
}

// progress is how far every step is, in short.
func progress(s State) string {
	out := ""
	for i := range s.Steps {
		if i > 0 {
			out += " "
		}
		out += s.Plan.Steps[i].ID + ":" + string(s.Steps[i].Progress)
	}
	return out
}
