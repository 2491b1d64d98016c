// Package simtest runs the data half in a world that is as bad as we can make it.
//
// Two compactors, somebody who resets, and a follower run the code that ships, as
// coroutines of one thread; each stops at every call of the object store. One
// generator, seeded by a number, decides who goes on, whose call fails, whose answer is
// lost or whose effect comes late, who dies and with which local state it comes back,
// and what is delivered twice or out of order. A seed therefore is a whole history, and
// the same one every time.
//
// In one world of five a bad revision decides about some keys from the start, and the
// compactors revert what it decided while everything else goes on.
//
// Beside the log stands a witness, which reads every entry the moment it is there,
// folds it in plain maps and in the model of handlertest, and compares. What must stay
// true is DESIGN 3, invariants 1 to 6 and 8; the comments of the checks name them. A list of
// planted mutants (mutant_test.go) shows that the checks can fail.
package simtest

import (
	"context"
	"flag"
	"fmt"
	"runtime"
	"sync"
	"testing"
)

var (
	oneSeed   = flag.Uint64("sim.seed", 0, "run this seed alone, and show every step")
	manySeeds = flag.Int("sim.seeds", 0, "run so many seeds; default 100")
	fromSeed  = flag.Uint64("sim.from", 1, "the first of the seeds")
	quick     = flag.Bool("sim.quick", false, "run the seeds and nothing else")
)

// plainSeeds is what `go test` runs when nobody asks for more; `make sim` does.
const plainSeeds = 100

func TestSimulation(t *testing.T) {
	if *oneSeed != 0 {
		w := newWorld(*oneSeed)
		w.log = t.Logf
		fail(t, w, w.run(t.Context()))
		return
	}
	n := *manySeeds
	if n == 0 {
		n = plainSeeds
	}
	sum, bad := runSeeds(t.Context(), *fromSeed, n)
	if bad != nil {
		fail(t, bad, bad.err)
		return
	}
	t.Logf("%d seeds: %s", n, &sum)
	if n >= plainSeeds && !*quick {
		sum.check(t)
	}
}

// runSeeds plays n seeds beginning with from, one on each processor at a time: worlds know
// nothing of each other. It ends at the first violation and returns the world of the
// lowest seed that had one.
func runSeeds(ctx context.Context, from uint64, n int) (sum tally, bad *world) {
	var wg sync.WaitGroup
	var mu sync.Mutex // guards everything below
	next := from
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				mu.Lock()
				seed := next
				next++
				stop := bad != nil || seed >= from+uint64(n)
				mu.Unlock()
				if stop {
					return
				}
				w := newWorld(seed)
				err := w.run(ctx)
				mu.Lock()
				sum.add(w)
				if err != nil && (bad == nil || seed < bad.seed) {
					bad = w
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return sum, bad
}

func fail(t *testing.T, w *world, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("seed %d, step %d: %v\ngo test ./internal/simtest -run TestSimulation -sim.seed=%d", w.seed, w.steps, err, w.seed)
	}
}

func TestTheSameSeedIsTheSameHistory(t *testing.T) {
	for _, seed := range []uint64{1, 2, 3, 4, 5, 6, 7, 8} {
		a, b := newWorld(seed), newWorld(seed)
		errA, errB := a.run(t.Context()), b.run(t.Context())
		if fmt.Sprint(errA) != fmt.Sprint(errB) || a.steps != b.steps || a.trace.Sum64() != b.trace.Sum64() {
			t.Errorf("seed %d: %d steps with trace %x and error %v, then %d steps with trace %x and error %v",
				seed, a.steps, a.trace.Sum64(), errA, b.steps, b.trace.Sum64(), errB)
		}
	}
	if newWorld(1).rng.Uint64() == newWorld(2).rng.Uint64() {
		t.Error("two seeds are one history")
	}
}
