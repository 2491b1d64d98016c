package simtest

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"lockstep/internal/blob"
	"lockstep/internal/compact"
	"lockstep/internal/handler"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// world is everything there is, and the scheduler of it.
type world struct {
	seed  uint64
	rng   *rand.Rand
	ctx   context.Context //nolint:containedctx // it stands for the process that runs the simulation
	now   time.Time
	store *blob.Mem
	trace hash.Hash64
	log   func(format string, args ...any) // nil: nobody watches
	steps int
	err   error // the first violation

	actors   []*actor
	delayed  []late
	queue    []*message
	feed     *feed
	witness  *witness
	account  *account
	fixed    bool // the revision without the bug is deployed
	haste    int  // how often somebody takes something back; 1 is seldom
	calm     bool // no more faults: everything must come to rest
	paranoid bool
	weather  float64 // how bad it is; 1 is bad
	losing   bool    // resets may give changes up
	resets   int     // how many may still be made
	settled  map[string]uint64
	arriving bool // what happens now was sent long ago
	bases    int  // how many may still be built
	trial    trial
	// reverting: it is a world of rings, in which a bad revision is on trial from the start
	// and is reverted.
	reverting bool
	crowded   bool // few keys, much of it twice, two builds for long: races that are rare elsewhere
	count     tally
}

func newWorld(seed uint64) *world {
	w := &world{
		seed: seed, rng: rand.New(rand.NewPCG(seed, 0x5eed)), ctx: context.Background(),
		now: time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC), trace: fnv.New64a(), settled: map[string]uint64{},
	}
	w.store = &blob.Mem{Now: func() time.Time { return w.now }}
	w.weather = [...]float64{0, 0.3, 1, 1, 2}[w.rng.IntN(5)]
	w.paranoid = w.rng.IntN(4) == 0
	w.crowded = w.rng.IntN(4) == 0
	w.losing = w.rng.IntN(4) == 0
	w.bases = max(0, w.rng.IntN(6)-2)
	w.resets = [...]int{0, 1, 1, 2, 4}[w.rng.IntN(5)]
	w.haste = 1
	if w.crowded {
		w.resets, w.haste = w.resets+6, 4
	}
	if w.reverting = seed%5 == 0; w.reverting {
		w.beginBad()
	}
	w.feed = newFeed(w)
	w.witness = newWitness(w)
	w.account = &account{w: w}
	w.add("left", (*actor).compactor, 10)
	w.add("right", (*actor).compactor, 4+w.rng.IntN(7))
	w.add("resetter", (*actor).resetter, 3)
	w.add("follower", (*actor).follower, 3)
	return w
}

func (w *world) add(name string, script func(*actor), weight int) {
	a := &actor{w: w, name: name, script: script, weight: weight, disk: vfs.NewCrashableMem()}
	var key [32]byte
	copy(key[:], fmt.Sprintf("%s %d", name, w.seed))
	a.ids = rand.NewChaCha8(key)
	w.actors = append(w.actors, a)
}

// violated notes what must not happen. The first one ends the history.
func (w *world) violated(err error) {
	if w.err == nil && err != nil {
		w.err = err
	}
}

func (w *world) note(format string, args ...any) {
	if w.log != nil {
		w.log("%5d  "+format, append([]any{w.steps}, args...)...)
	}
}

func (w *world) chance(percent float64) bool { return w.rng.Float64()*100 < percent }

// run plays the history of the seed and returns the first violation.
func (w *world) run(ctx context.Context) error {
	w.ctx = ctx
	defer w.end()
	for _, a := range w.actors {
		a.start()
	}
	storm := 200 + w.rng.IntN(700)
	for w.steps < storm && w.err == nil {
		w.step()
	}
	w.becalm()
	for limit := w.steps + 20_000; w.err == nil && !w.quiet(); {
		if w.steps > limit {
			w.violated(fmt.Errorf("the world does not come to rest: %s", w.unrest()))
		}
		w.step()
	}
	if w.err == nil {
		w.violated(w.final())
	}
	w.count.versions += len(w.witness.versions) - 1
	return w.err
}

// end stops all coroutines and closes what they had open.
func (w *world) end() {
	for _, a := range w.actors {
		a.stop()
		if a.open != nil {
			_ = a.open.Close() // nothing in it is needed any more
			a.open = nil
		}
	}
}

// becalm ends the bad weather. What is on its way arrives now, or never.
func (w *world) becalm() {
	w.note("calm")
	w.calm, w.fixed = true, true
	for len(w.delayed) > 0 {
		w.arrive(w.rng.IntN(len(w.delayed)), w.chance(50))
	}
}

// step moves the world on by one call of one actor.
func (w *world) step() {
	w.steps++
	w.now = w.now.Add(time.Duration(w.rng.IntN(40)) * time.Millisecond)
	w.feed.deliver()
	if !w.calm {
		if len(w.delayed) > 0 && w.chance(6) {
			w.arrive(w.rng.IntN(len(w.delayed)), w.chance(80))
		}
		if !w.fixed && w.chance(0.4) {
			w.fixed = true
			w.note("the fixed revision is deployed")
		}
	}
	a := w.choose()
	if !w.calm && w.chance(0.1*w.weather) {
		a.skew = time.Duration(w.rng.IntN(3)-1) * 24 * time.Hour // somebody set its clock
	}
	a.down = !w.calm && w.chance(3*w.weather)
	a.verdict = letThrough
	if !w.calm {
		a.verdict = w.decide(a.pending)
	}
	w.record(a)
	if a.resume() {
		if w.crowded && a.pending.op == "create" && strings.HasPrefix(a.pending.key, version.LogPrefix+"/") {
			a.manners = w.rng.IntN([...]int{1, 12, 12, 60}[w.rng.IntN(4)])
		}
		return
	}
	if !a.well {
		w.count.kills++
		w.note("%s died", a.name)
	}
	a.buried()
	if w.err == nil {
		a.start()
	}
}

func (w *world) record(a *actor) {
	fmt.Fprintf(w.trace, "%d %s %s %s %d\n", w.steps, a.name, a.pending.op, a.pending.key, a.verdict)
	if a.verdict != letThrough {
		w.count.faults++
	}
	if w.log != nil && (a.pending.op != "idle" || a.verdict != letThrough) {
		w.note("%-8s %-6s %s %s", a.name, a.pending.op, a.pending.key, a.verdict)
	}
}

// choose says who goes on. In a crowded world who is about to publish often lets the
// others go first, so that races are lost that are hardly ever lost by chance.
func (w *world) choose() *actor {
	a := w.draw()
	for w.crowded && a.manners > 0 {
		a.manners--
		a = w.draw()
	}
	return a
}

func (w *world) draw() *actor {
	total := 0
	for _, a := range w.actors {
		total += a.weight
	}
	pick := w.rng.IntN(total)
	for _, a := range w.actors {
		if pick -= a.weight; pick < 0 {
			return a
		}
	}
	panic("the weights do not add up")
}

// arrive lets one delayed effect happen, or be lost for good.
func (w *world) arrive(i int, happens bool) {
	l := w.delayed[i]
	w.delayed = append(w.delayed[:i:i], w.delayed[i+1:]...)
	if !happens {
		return
	}
	w.note("late: %s", l.key)
	w.arriving = true
	defer func() { w.arriving = false }()
	_ = l.do() // nobody waits for the answer any more
}

// decide chooses what becomes of one call. Commit points suffer most.
func (w *world) decide(c call) verdict {
	odds := map[verdict]float64{}
	switch {
	case c.op == "create" && strings.HasPrefix(c.key, "log/"):
		odds = map[verdict]float64{failBefore: 4, loseAnswer: 6, delay: 5, sendTwice: 3, refuse: 1, cancelBefore: 2, killBefore: 2, killAfter: 3}
	case c.op == "create":
		odds = map[verdict]float64{failBefore: 2, loseAnswer: 3, delay: 2, sendTwice: 2, refuse: 1, cancelBefore: 1, killBefore: 1, killAfter: 1}
	case c.op == "hint":
		odds = map[verdict]float64{failBefore: 8, loseAnswer: 2, delay: 8, cancelBefore: 1, killBefore: 2, killAfter: 2}
	case c.op == "get":
		odds = map[verdict]float64{failBefore: 1, tearAnswer: 0.5, cancelBefore: 0.3, killBefore: 0.6}
	case c.op == "import":
		odds = map[verdict]float64{failBefore: 5, killBefore: 1}
	case c.op == "apply":
		odds = map[verdict]float64{failBefore: 5, loseAnswer: 5, killBefore: 2, killAfter: 2}
	case c.op == "wait":
		odds = map[verdict]float64{cancelBefore: 2, killBefore: 2}
	case c.op == "done":
		odds = map[verdict]float64{killBefore: 3}
	case c.op == "work":
		odds = map[verdict]float64{cancelBefore: 0.1, killBefore: 0.2}
	case c.op == "idle":
		odds = map[verdict]float64{killBefore: 0.3}
	}
	x := w.rng.Float64() * 100
	for v := letThrough; v <= killAfter; v++ {
		if x -= odds[v] * w.weather; x < 0 {
			return v
		}
	}
	return letThrough
}

// create is where an object comes to be. An entry of the log is looked at right then.
func (w *world) create(a *actor, key string, body []byte) error {
	err := w.store.Create(w.ctx, key, body)
	if err != nil {
		return err
	}
	w.witness.remember(key, body)
	if strings.HasPrefix(key, version.LogPrefix+"/") {
		err := w.witness.entry(key, body)
		if err == nil && !w.arriving {
			err = w.witness.asked(a)
		}
		if err != nil {
			w.violated(fmt.Errorf("%s wrote %s: %w", a.name, key, err))
			return nil
		}
		if err := w.account.look(w.witness.head()); err != nil {
			w.violated(err)
		}
	}
	return nil
}

// judge says whether an error may be: in calm weather none may.
func (w *world) judge(a *actor, what string, err error) {
	switch {
	case errors.Is(err, lockstep.ErrCorrupt):
	case w.calm && a.begunCalm && !errors.Is(err, ledger.ErrHeadMoved):
	case errors.Is(err, lockstep.ErrUnavailable), errors.Is(err, lockstep.ErrConflict), errors.Is(err, lockstep.ErrRefused),
		errors.Is(err, context.Canceled), errors.Is(err, lockstep.ErrNotFound):
		return
	}
	w.violated(fmt.Errorf("%s: %s: %w", a.name, what, err))
}

// fixed says whether the actor's process, started now, has the revision without the bug.
// In a crowded world one machine is forgotten until the end, so that both are at work.
func (a *actor) fixed() bool {
	return a.w.fixed && (a.w.calm || !a.w.crowded || a.name != "right")
}

// revision is what is deployed now where the actor lives.
func (a *actor) revision() handler.Revision {
	return handler.NewRevision(a.w.feed.handler(!a.fixed()))
}

var _ compact.Importer = (*importer)(nil)

// importer is the source of embeddings as one actor reaches it.
type importer struct{ a *actor }

func (i *importer) Import(_ context.Context, ref handler.ImportRef) (handler.Import, error) {
	if i.a.at("import", ref.Location) == failBefore {
		return handler.Import{}, weather("import", ref.Location)
	}
	if !i.a.w.fixed && i.a.w.feed.missing(ref) {
		return handler.Import{}, fmt.Errorf("import %s: %w", ref.Location, lockstep.ErrNotFound)
	}
	return i.a.w.feed.source(ref)
}
