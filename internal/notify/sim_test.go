package notify

import (
	"context"
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
	manySeeds = flag.Uint64("sim.seeds", 25, "run so many seeds")
)

// TestSimulation lets two couriers deliver what a third process puts, over a store that
// loses answers and delays creates and to receivers that fail and lose answers, and kills
// each of them at any call. One thread, one seed: a seed replays exactly.
func TestSimulation(t *testing.T) {
	if *oneSeed != 0 {
		w := newWorld(*oneSeed)
		w.show = t.Logf
		if err := w.run(); err != nil {
			t.Fatal(err)
		}
		return
	}
	total := map[string]int{}
	for seed := uint64(1); seed <= *manySeeds; seed++ {
		w := newWorld(seed)
		if err := w.run(); err != nil {
			t.Fatalf("seed %d: %v\ngo test ./internal/notify -run TestSimulation -sim.seed=%d -v", seed, err, seed)
		}
		for k, n := range w.tally {
			total[k] += n
		}
	}
	t.Logf("%v", total)
	// A simulation in which something never happens proves nothing about it.
	for _, k := range []string{"killed", "killed after the answer", "moved", "lost answer", "refused", "shown twice", "sent", "failed", "give-up", "claim"} {
		if total[k] == 0 && *manySeeds >= 25 {
			t.Errorf("it never happened: %s", k)
		}
	}
}

// world is everything outside of the actors.
type world struct {
	seed   uint64
	rng    *rand.Rand
	show   func(string, ...any)
	mem    blob.Mem
	faulty *blobtest.Faulty
	calm   bool
	now    time.Time
	// shown counts what the receiver "slack" shows, which cannot tell, and known what
	// "hook" does, which can. excuses counts the ways in which one attempt may be followed
	// by another though the receiver has the message.
	shown, known, excuses map[string]int
	put                   map[string]bool // accepted for sure
	witness               *Outbox
	checked               uint64
	tally                 map[string]int
}

func newWorld(seed uint64) *world {
	w := &world{
		seed: seed, rng: rand.New(rand.NewPCG(seed, 11)), show: func(string, ...any) {}, now: t0(),
		shown: map[string]int{}, known: map[string]int{}, excuses: map[string]int{}, put: map[string]bool{}, tally: map[string]int{},
	}
	w.faulty = blobtest.NewFaulty(&w.mem, w.fault)
	w.witness = NewOutbox(&w.mem, ledger.Options{Prefetch: 1}, nil)
	return w
}

func (w *world) fault(op, _ string) blobtest.Fault {
	if w.calm || w.rng.IntN(15) != 0 {
		return blobtest.None
	}
	return []blobtest.Fault{blobtest.FailBefore, blobtest.LoseAnswer, blobtest.SendTwice, blobtest.Delay}[w.rng.IntN(4)]
}

func (w *world) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(w.rng.Uint32())
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
	began time.Time // of the round
	holds string    // the message whose answer has come and whose entry has not
	next  func() (string, bool)
	stop  func()
}

var (
	_ blob.Store = (*actor)(nil)
	_ Sender     = simReceiver{}
)

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
	err := a.w.faulty.Create(ctx, key, body)
	if errors.Is(err, blob.ErrExists) {
		a.w.tally["moved"]++
	}
	return err
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
	a.holds = "" // a hint follows an entry
	return a.w.faulty.Hint(ctx, key, body)
}

// simReceiver is one of the two receivers, as seen by one courier.
type simReceiver struct {
	a    *actor
	name string
}

func (r simReceiver) Send(_ context.Context, m Message) (Receipt, error) {
	if err := r.a.call("send " + m.ID + " to " + r.name); err != nil {
		return Receipt{}, err
	}
	w := r.a.w
	if !w.calm && w.now.Sub(r.a.began) > defaultRound { // as its context would say
		return Receipt{}, context.DeadlineExceeded
	}
	if !w.calm {
		switch w.rng.IntN(12) {
		case 0, 1:
			return Receipt{}, fmt.Errorf("%s: %w", r.name, lockstep.ErrUnavailable)
		case 2:
			return Receipt{}, Later(fmt.Errorf("%s: %w", r.name, lockstep.ErrUnavailable), Wait{For: 5 * time.Minute})
		case 3:
			if strings.HasPrefix(m.ID, "poison") {
				w.tally["refused"]++
				return Receipt{}, fmt.Errorf("%s: %w", r.name, lockstep.ErrRefused)
			}
		}
	}
	if r.name == "slack" {
		if w.shown[m.ID]++; w.shown[m.ID] > 1 {
			w.tally["shown twice"]++
		}
	}
	w.known[r.name+" "+m.ID] = 1
	if !w.calm && w.rng.IntN(10) == 0 {
		w.tally["lost answer"]++
		w.excuses[m.ID]++
		return Receipt{}, fmt.Errorf("%s: %w", r.name, lockstep.ErrUnavailable)
	}
	if r.name == "slack" {
		r.a.holds = m.ID
	}
	return Receipt{Text: "taken"}, nil
}

func (a *actor) options() ledger.Options {
	return ledger.Options{Rand: a.w, Prefetch: 1, Settle: time.Second, Wait: func(context.Context, time.Duration) error { return a.call("wait") }}
}

func (w *world) born(name string, body func(a *actor, o *Outbox) error) *actor {
	a := &actor{w: w, name: name}
	a.next, a.stop = iter.Pull(func(yield func(string) bool) {
		a.yield = yield
		for !a.dead {
			err := body(a, NewOutbox(a, a.options(), nil))
			if err != nil {
				w.show("%s: %v", name, err)
				// Whatever came of the entry, the answer of the receiver is forgotten with the round.
				w.excuse(a)
			}
			if a.dead || !yield("rest") {
				return
			}
		}
	})
	return a
}

func (w *world) excuse(a *actor) {
	if a.holds != "" {
		w.excuses[a.holds]++
		a.holds = ""
	}
}

func (w *world) delivering(name string) *actor {
	return w.born(name, func(a *actor, o *Outbox) error {
		c := &Courier{Name: name, Outbox: o, Senders: map[string]Sender{"slack": simReceiver{a, "slack"}, "hook": simReceiver{a, "hook"}}, Policy: Policy{Seed: w.seed, GiveUp: 2 * time.Hour}}
		a.began = w.now
		_, err := c.Deliver(context.Background(), w.now)
		return err
	})
}

func (w *world) putting() *actor {
	return w.born("anna", func(_ *actor, o *Outbox) error {
		id := fmt.Sprintf("%s %d", []string{"message", "message", "poison"}[w.rng.IntN(3)], w.rng.IntN(8))
		err := o.Put(context.Background(), "anna", message(id), []string{"slack", "hook"}, w.now)
		if err == nil {
			w.put[id] = true
		}
		return err
	})
}

func (w *world) run() error {
	births := []func() *actor{func() *actor { return w.delivering("one") }, func() *actor { return w.delivering("two") }, w.putting}
	var actors []*actor
	for _, b := range births {
		actors = append(actors, b())
	}
	defer func() {
		for _, a := range actors {
			a.stop()
		}
	}()
	for range 1200 {
		i := w.rng.IntN(len(actors))
		if i == 2 && w.rng.IntN(3) > 0 {
			i = w.rng.IntN(2)
		}
		a := actors[i]
		if w.rng.IntN(70) == 0 || a.holds != "" && w.rng.IntN(20) == 0 {
			w.show("%s is killed", a.name)
			w.tally["killed"]++
			if a.holds != "" {
				w.tally["killed after the answer"]++
			}
			w.excuse(a)
			a.stop()
			actors[i] = births[i]()
			continue
		}
		what, _ := a.next()
		w.show("%s %s is before: %s", w.now.Format("15:04:05"), a.name, what)
		w.now = w.now.Add(time.Duration(w.rng.IntN(400)) * time.Millisecond)
		if w.rng.IntN(40) == 0 {
			_ = w.faulty.Flush(context.Background())
		}
		if err := w.check(); err != nil {
			return err
		}
	}
	return w.rest(actors[:2])
}

// rest lets everything come to its end without faults, and looks at it.
func (w *world) rest(couriers []*actor) error {
	_ = w.faulty.Flush(context.Background())
	w.calm = true
	var s State
	for range 200 {
		for _, a := range couriers {
			for what := ""; what != "rest"; {
				what, _ = a.next()
			}
		}
		w.now = w.now.Add(time.Minute)
		err := w.check()
		if err == nil {
			s, err = w.witness.State(context.Background())
		}
		if err != nil {
			return err
		}
		if len(s.Pending()) == 0 {
			break
		}
	}
	if n := len(s.Pending()); n > 0 {
		return fmt.Errorf("%d messages were never final: %+v", n, s.Pending())
	}
	for id := range w.put {
		i, ok := s.Find(id)
		if !ok {
			return fmt.Errorf("%q was accepted and is gone", id)
		}
		for _, d := range i.Deliveries {
			if d.Status == Sent && w.known[d.Recipient+" "+id] == 0 {
				return fmt.Errorf("%q counts as sent to %s, which has not got it", id, d.Recipient)
			}
			if d.Status == GivenUp && !strings.HasPrefix(id, "poison") {
				return fmt.Errorf("%q to %s was given up: %s", id, d.Recipient, d.Error)
			}
		}
	}
	return nil
}

// check looks at every new entry, and at how often the receiver that cannot tell shows a
// message.
func (w *world) check() error {
	for id, n := range w.shown {
		if n > 1+w.excuses[id] {
			return fmt.Errorf("%q is shown %d times, and only %d times was an answer lost", id, n, w.excuses[id])
		}
	}
	for n := w.checked + 1; ; n++ {
		le, err := w.witness.log.Read(context.Background(), n)
		if errors.Is(err, lockstep.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		e, err := DecodeEntry(le.Body)
		if err != nil {
			return err
		}
		w.show("entry %d: %s of %s to %s by %s", n, e.Event, e.Message, e.Recipient, e.Actor)
		w.tally[string(e.Event)]++
		w.checked = n
	}
}
