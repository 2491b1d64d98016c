package simtest

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"lockstep/internal/ledger"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

// call is what an actor is about to do when it stops.
type call struct{ op, key string }

// actor is one process of the world: a coroutine that runs production code and stops
// before every call of a port. It lives and dies many times; what stays of it is what a
// process leaves behind, the disk of its local state.
type actor struct {
	w      *world
	name   string
	script func(*actor)
	weight int // how often it gets its turn
	skew   time.Duration
	ids    *rand.ChaCha8 // its put ids

	disk   *vfs.MemFS   // the local state as the running process sees it
	older  []*vfs.MemFS // the local state as it was when the process ended well
	open   *state.State // to be closed when the process ends
	target *target      // of the follower

	next    func() (call, bool)
	stop    func()
	yield   func(call) bool
	pending call
	verdict verdict
	cancel  context.CancelFunc // of what it is doing
	inHand  []*message         // taken from the queue and not answered yet
	down    bool               // the parts of bases cannot be read for now
	well    bool               // its process ended by itself
	manners int                // so often it lets others go first

	begunCalm bool // what it is doing was begun in calm weather
}

// killed unwinds an actor that died. Nothing below may recover it but a handler's
// caller, and handlers call no port.
type killed struct{}

// start gives birth to the actor, on the disk that it has.
func (a *actor) start() {
	a.well = false
	a.next, a.stop = iter.Pull(func(yield func(call) bool) {
		defer func() {
			if r := recover(); r != nil && r != (killed{}) {
				a.w.violated(fmt.Errorf("%s panicked: %v\n%s", a.name, r, debug.Stack()))
			}
		}()
		a.yield = yield
		a.script(a)
	})
	a.resume()
}

// resume lets the actor run to its next call. It reports whether it lives.
func (a *actor) resume() bool {
	c, ok := a.next()
	a.pending = c
	return ok
}

// at stops the actor before a call until the scheduler decides what becomes of it.
func (a *actor) at(op, key string) verdict {
	if !a.yield(call{op, key}) {
		panic(killed{})
	}
	if a.verdict == killBefore {
		panic(killed{})
	}
	if a.verdict == cancelBefore && a.cancel != nil {
		a.cancel()
	}
	return a.verdict
}

// buried cleans up after a process that ended, well or not. What its local state had
// come to is flushed in either case: when Pebble itself flushes is not decided by the
// seed, and so the next life begins with this state, or with one that an earlier life
// left behind, or with nothing. What a real crash leaves is for the crash tests.
func (a *actor) buried() {
	if a.open != nil {
		if err := a.open.Close(); err != nil {
			a.w.violated(fmt.Errorf("%s: close the local state: %w", a.name, err))
		}
		a.open = nil
	}
	a.older = append(a.older, a.disk.CrashClone(vfs.CrashCloneCfg{}))
	switch n := a.w.rng.IntN(10); {
	case n < 2:
		a.disk = vfs.NewCrashableMem() // the machine is gone, and its disk with it
	case n < 5: // it was restored from an old image
		a.disk = a.older[a.w.rng.IntN(len(a.older))].CrashClone(vfs.CrashCloneCfg{})
	}
	a.w.queue = append(a.w.queue, a.inHand...) // nobody acknowledged it
	a.inHand, a.cancel, a.down = nil, nil, false
}

// now is the actor's clock, which need not be right.
func (a *actor) now() time.Time { return a.w.now.Add(a.skew) }

// wait is how an actor sleeps: the time passes at once.
func (a *actor) wait(ctx context.Context, d time.Duration) error {
	a.at("wait", "")
	a.w.now = a.w.now.Add(d)
	return ctx.Err()
}

// openLog opens the log as a new process does, knowing nothing.
func (a *actor) openLog() *version.Log {
	return version.NewLog(&port{a}, ledger.Options{Now: a.now, Rand: a.ids, Wait: a.wait, Prefetch: 1, Paranoid: a.w.paranoid})
}

// openState opens the local state on the actor's disk.
func (a *actor) openState() (*state.State, error) {
	st, err := state.Open("state", "simulated", state.NewBases(&port{a}), state.Options{CacheBytes: 1 << 18, MemTableBytes: 1 << 20, FS: a.disk})
	a.open = st
	return st, err
}

// operation returns a context for one piece of work, which a verdict may cancel.
func (a *actor) operation() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(a.w.ctx)
	a.cancel = cancel
	return ctx, func() { cancel(); a.cancel = nil }
}

// done says what an error of an operation means: most are the weather.
func (a *actor) done(what string, err error) bool {
	if err == nil {
		return true
	}
	a.w.note("%s: %s: %v", a.name, what, err)
	a.w.judge(a, what, err)
	return false
}
