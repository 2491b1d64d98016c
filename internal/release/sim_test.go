package release

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"lockstep/internal/blob"
	"lockstep/internal/blob/blobtest"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
)

var (
	oneSeed   = flag.Uint64("sim.seed", 0, "run this seed alone, and show every step")
	manySeeds = flag.Uint64("sim.seeds", 100, "run so many seeds")
)

// TestSimulation lets two controllers and a person drive one release over a store
// that loses answers, delays creates and fails, and kills each of them at any call.
// One thread, one seed: a seed replays exactly.
func TestSimulation(t *testing.T) {
	if *oneSeed != 0 {
		w := newWorld(*oneSeed)
		w.show = t.Logf
		if err := w.run(); err != nil {
			t.Fatal(err)
		}
		return
	}
	total := tally{}
	for seed := uint64(1); seed <= *manySeeds; seed++ {
		w := newWorld(seed)
		if err := w.run(); err != nil {
			t.Fatalf("seed %d: %v\ngo test ./internal/release -run TestSimulation -sim.seed=%d -v", seed, err, seed)
		}
		for k, n := range w.tally {
			total[k] += n
		}
	}
	t.Logf("%v", total)
	if *manySeeds < 100 {
		return
	}
	// A simulation in which something never happens proves nothing about it.
	for _, k := range []string{
		"killed", "moved", "unknown", "delayed", "abort", "promote", "taken-back", "rolled-back", "called-off", "hold", "lift", "fenced before a kill", "advance", "carried",
	} {
		if total[k] == 0 {
			t.Errorf("it never happened: %s", k)
		}
	}
}

type tally map[string]int

// world is everything outside of the actors.
type world struct {
	seed    uint64
	rng     *rand.Rand
	show    func(string, ...any)
	mem     blob.Mem
	faulty  *blobtest.Faulty
	calm    bool // no faults and no kills any more
	now     time.Time
	badFrom time.Time // the candidate is bad from then on; zero: never
	fences  map[string]bool
	pins    map[string]uint64
	witness *Log
	checked uint64
	last    State
	tally   tally
	// knew holds what an actor had seen of state n when it went on from there.
	knew map[string][]Observation
}

func newWorld(seed uint64) *world {
	w := &world{
		seed: seed, rng: rand.New(rand.NewPCG(seed, 7)), show: func(string, ...any) {}, now: t0(),
		fences: map[string]bool{}, pins: map[string]uint64{}, tally: tally{}, knew: map[string][]Observation{},
	}
	w.faulty = blobtest.NewFaulty(&w.mem, w.fault)
	w.witness = NewLog(&w.mem, ledger.Options{Prefetch: 1})
	if w.rng.IntN(2) == 0 {
		w.badFrom = w.now.Add(time.Duration(w.rng.IntN(150)) * time.Minute)
	}
	return w
}

func (w *world) fault(op, _ string) blobtest.Fault {
	if w.calm || w.rng.IntN(12) != 0 {
		return blobtest.None
	}
	faults := []blobtest.Fault{blobtest.FailBefore, blobtest.LoseAnswer, blobtest.SendTwice, blobtest.Delay}
	f := faults[w.rng.IntN(len(faults))]
	if f == blobtest.Delay && op == "create" {
		w.tally["delayed"]++
	}
	return f
}

// Uint64s as bytes: put ids of the ledger.
func (w *world) Read(p []byte) (int, error) {
	for i := 0; i < len(p); i += 8 {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], w.rng.Uint64())
		copy(p[i:], b[:])
	}
	return len(p), nil
}

var errKilled = errors.New("killed")

// actor is straight-line production code that stops before each of its calls.
type actor struct {
	w     *world
	name  string
	yield func(string) bool
	dead  bool
	// before is the call it stands before; moved says that the one before that was a fence.
	before string
	moved  bool
	next   func() (string, bool)
	stop   func()
}

var (
	_ blob.Store = (*actor)(nil)
	_ Fencer     = (*actor)(nil)
	_ Pinner     = (*actor)(nil)
	_ Observer   = (*actor)(nil)
)

// call stops until the scheduler lets it go on; what is killed here never happens.
func (a *actor) call(what string) error {
	if a.dead || !a.yield(what) {
		a.dead = true
		return errKilled
	}
	return nil
}

func (a *actor) Create(ctx context.Context, key string, body []byte) error {
	if err := a.call("create " + key); err != nil {
		return err
	}
	return a.w.faulty.Create(ctx, key, body)
}

func (a *actor) Get(ctx context.Context, key string) (io.ReadCloser, blob.Meta, error) {
	if err := a.call("get " + key); err != nil {
		return nil, blob.Meta{}, err
	}
	return a.w.faulty.Get(ctx, key)
}

func (a *actor) List(ctx context.Context, prefix, after string) iter.Seq2[blob.Meta, error] {
	return a.w.faulty.List(ctx, prefix, after)
}

func (a *actor) Delete(ctx context.Context, key string) error { return a.w.faulty.Delete(ctx, key) }

func (a *actor) Hint(ctx context.Context, key string, body []byte) error {
	if err := a.call("hint " + key); err != nil {
		return err
	}
	return a.w.faulty.Hint(ctx, key, body)
}

// effect happens, or not, and its answer arrives, or not.
func (a *actor) effect(what string, do func()) error {
	if err := a.call(what); err != nil {
		return err
	}
	f := blobtest.None
	if !a.w.calm {
		f = []blobtest.Fault{blobtest.None, blobtest.None, blobtest.None, blobtest.FailBefore, blobtest.LoseAnswer}[a.w.rng.IntN(5)]
	}
	if f != blobtest.FailBefore {
		do()
	}
	if f != blobtest.None {
		return lockstep.ErrUnavailable
	}
	return nil
}

func (a *actor) Fence(_ context.Context, e Effect) error {
	return a.effect("fence "+e.Name(), func() { a.w.fences[e.Name()] = true })
}

func (a *actor) Pin(_ context.Context, e Effect) error {
	return a.effect("pin "+e.Name(), func() { a.w.pins[e.Name()] = e.Pair.Version })
}

func (a *actor) Unpin(_ context.Context, e Effect) error {
	return a.effect("unpin "+e.Name(), func() { delete(a.w.pins, e.Name()) })
}

func (a *actor) Observe(_ context.Context, s State) (Observation, error) {
	if err := a.call("observe"); err != nil {
		return Observation{}, err
	}
	w := a.w
	o := good()
	if !w.calm {
		o.Verdict = []Health{Healthy, Healthy, Healthy, Healthy, Hold, NoData}[w.rng.IntN(6)]
	}
	if w.bad() && s.Release.Weight > 0 {
		o.Verdict = Bad
	}
	o.Fenced = w.fences[s.Release.fence("", "").Name()]
	key := fmt.Sprint(a.name, s.Release.ID, s.Release.Attempt, s.Release.Phase, s.Release.Step)
	w.knew[key] = append(w.knew[key], o)
	return o, nil
}

func (w *world) bad() bool { return !w.badFrom.IsZero() && !w.now.Before(w.badFrom) }

func (a *actor) controller() *Controller {
	opts := ledger.Options{Rand: a.w, Prefetch: 1, Settle: time.Second, Wait: func(context.Context, time.Duration) error { return a.call("wait") }}
	return &Controller{Name: a.name, Log: NewLog(a, opts), Fencer: a, Pinner: a, Observer: a}
}

// born starts an actor whose life is body; it stands before its first call.
func (w *world) born(name string, body func(*Controller) error) *actor {
	a := &actor{w: w, name: name}
	a.next, a.stop = iter.Pull(func(yield func(string) bool) {
		a.yield = yield
		for !a.dead {
			err := body(a.controller())
			w.note(name, err)
			if a.dead || !yield("rest") {
				return
			}
		}
	})
	return a
}

func (w *world) note(name string, err error) {
	switch {
	case errors.Is(err, ledger.ErrHeadMoved):
		w.tally["moved"]++
	case errors.Is(err, ledger.ErrUnknown):
		w.tally["unknown"]++
	}
	if err != nil {
		w.show("%s: %v", name, err)
	}
}

func (w *world) ticking(name string) *actor {
	return w.born(name, func(c *Controller) error {
		_, err := c.Tick(context.Background(), w.now)
		return err
	})
}

// meddling is a person who now and then does something, whatever it is worth.
func (w *world) meddling() *actor {
	return w.born("anna", func(c *Controller) error {
		_, err := c.Do(context.Background(), func(s State) (Transition, error) {
			by := Order{Actor: "anna", Reason: "meddling", At: w.now}
			switch w.rng.IntN(8) {
			case 0:
				return Pause(s, by)
			case 1, 2, 3:
				return Resume(s, by)
			case 4:
				if w.rng.IntN(3) == 0 {
					return Abort(s, by)
				}
			case 5:
				return Retry(s, by, Request{Head: 60})
			case 6:
				return Unquarantine(s, by, newRev)
			}
			return Transition{}, lockstep.ErrRefused
		})
		return err
	})
}

func (w *world) run() error {
	setup := &Controller{Log: w.witness}
	req := request()
	req.Plan.Steps[4].Approvals = 0
	for _, order := range []func(State) (Transition, error){
		func(s State) (Transition, error) { return Adopt(s, by("anna", 0), "dev", Pair{oldRev, 40}) },
		func(s State) (Transition, error) { return Start(s, by("anna", 0), req) },
	} {
		if _, err := setup.Do(context.Background(), order); err != nil {
			return err
		}
	}
	actors := []*actor{w.ticking("one"), w.ticking("two"), w.meddling()}
	births := []func() *actor{func() *actor { return w.ticking("one") }, func() *actor { return w.ticking("two") }, w.meddling}
	defer func() {
		for _, a := range actors {
			a.stop()
		}
	}()
	for range 1000 {
		i := w.rng.IntN(len(actors))
		if i == 2 && w.rng.IntN(3) > 0 {
			i = w.rng.IntN(2)
		}
		a := actors[i]
		// Death is likelier between a fence and its entry than anywhere else.
		if w.rng.IntN(60) == 0 || (strings.HasPrefix(a.before, "fence") && a.moved && w.rng.IntN(3) == 0) {
			w.show("%s is killed", a.name)
			w.tally["killed"]++
			if s := w.last.Live(); s != nil && w.fences[s.fence("", "").Name()] {
				w.tally["fenced before a kill"]++
			}
			a.stop()
			actors[i] = births[i]()
			continue
		}
		what, _ := a.next()
		a.moved = strings.HasPrefix(a.before, "fence")
		if a.before = what; a.moved {
			a.before = "fence, then " + what
		}
		w.show("%s %s is before: %s", w.now.Format("15:04:05"), a.name, what)
		w.now = w.now.Add(time.Duration(w.rng.IntN(40)) * time.Second)
		if w.rng.IntN(40) == 0 {
			_ = w.faulty.Flush(context.Background())
		}
		if err := w.check(); err != nil {
			return err
		}
	}
	return w.rest(actors)
}

// rest lets everything come to its end without faults, and looks at it.
func (w *world) rest(actors []*actor) error {
	_ = w.faulty.Flush(context.Background())
	w.calm = true
	for range 2000 {
		if w.last.Live() == nil && len(w.last.Pending) == 0 && !w.promised() {
			break
		}
		for _, a := range actors[:2] {
			a.next()
		}
		w.now = w.now.Add(time.Minute)
		if h := w.last.Live(); h != nil && h.Halt != nil && h.Halt.Kind != Held {
			c := &Controller{Log: w.witness}
			_, err := c.Do(context.Background(), func(s State) (Transition, error) {
				return Resume(s, Order{Actor: "bert", Reason: "r", At: w.now})
			})
			w.note("bert", err)
		}
		if err := w.check(); err != nil {
			return err
		}
	}
	s, r := w.last, w.last.Release
	switch {
	case s.Live() != nil:
		return fmt.Errorf("it never ended: %s", s.Describe(w.now))
	case len(s.Pending) > 0:
		return fmt.Errorf("pending for ever: %v", s.Pending)
	case w.fences[r.fence("", "").Name()] && (r.Phase != PhaseAborted || s.Stable.Revision != oldRev):
		return fmt.Errorf("an abort was lost: %s", s.Describe(w.now))
	}
	for _, p := range s.Pins {
		if w.pins[p.Name()] != p.Pair.Version {
			return fmt.Errorf("pin %s is not set", p.Name())
		}
	}
	return nil
}

// promised says whether a fence still waits for its abort.
func (w *world) promised() bool {
	r := w.last.Release
	return r.Phase == PhasePromoted && w.fences[r.fence("", "").Name()]
}

// check looks at every new entry.
func (w *world) check() error {
	for n := w.checked + 1; ; n++ {
		at, err := w.witness.At(context.Background(), n)
		if errors.Is(err, lockstep.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		w.show("entry %s", at.Entry.Describe())
		w.tally[string(at.Entry.Kind)]++
		if k := at.Entry.Kind; k == KindAbort || k == KindPromote {
			w.tally[string(at.State().Release.Ending.Outcome)]++
		}
		if err := w.follows(w.last, at.Entry); err != nil {
			return fmt.Errorf("entry %d (%s): %w", n, at.Entry.Describe(), err)
		}
		w.last, w.checked = at.State(), n
	}
}

// follows says what is wrong with e after state before.
func (w *world) follows(before State, e *Entry) error {
	r, old := e.State.Release, before.Release
	if old == nil || r == nil {
		return nil
	}
	name := r.fence("", "").Name()
	switch {
	case r.Weight > old.Weight && e.Kind != KindAdvance && e.Kind != KindPromote:
		return fmt.Errorf("the weight grew from %s to %s", old.Weight, r.Weight)
	case e.Kind == KindAdvance && (r.Step != old.Step+1 || before.Live() == nil || old.Halt != nil):
		return fmt.Errorf("from step %d to %d, halt %v", old.Step, r.Step, old.Halt)
	case e.Kind == KindAdvance && old.Step == 0 && w.pins[name] == 0:
		return errors.New("it left preflight, and its known good is not pinned")
	case e.Kind == KindAbort && old.Phase == PhaseAborted:
		return errors.New("aborted twice")
	case e.Kind == KindAbort && !w.fences[name]:
		return errors.New("aborted without a fence")
	case e.Kind == KindAbort && (r.Weight != 0 || e.State.Stable.Revision != oldRev):
		return errors.New("aborted, and the candidate still decides")
	case e.Kind == KindPromote && (old.Step != len(old.Plan.Steps)-1 || before.Live() == nil):
		return errors.New("promoted from where nobody is promoted")
	case r.Attempt != old.Attempt && (e.Kind != KindRetry || old.Phase != PhaseAborted || r.Attempt != old.Attempt+1):
		return fmt.Errorf("attempt %d after %d", r.Attempt, old.Attempt)
	}
	if e.Kind == KindAdvance || e.Kind == KindPromote {
		return w.deserved(old, e)
	}
	return nil
}

// deserved wants that whoever advanced the release had seen it healthy in the state
// it advanced, and no fence: weights never grow after bad.
func (w *world) deserved(old *Release, e *Entry) error {
	for _, o := range w.knew[fmt.Sprint(e.Actor, old.ID, old.Attempt, old.Phase, old.Step)] {
		if o.Verdict == Healthy && !o.Fenced {
			return nil
		}
		if old.Weight == 0 && old.Phase == PhasePreflight && o.Verdict != Bad && !o.Fenced {
			return nil
		}
	}
	return errors.New("it grew although nobody had seen it healthy")
}
