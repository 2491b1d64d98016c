package crashtest

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/rollback"
	"lockstep/internal/version"
)

// passage is one walk of a place: a rollback, its undo, and the undo of that.
type passage struct {
	plan  string
	begin []string
	up    string // the version that is deployed
	tests bool   // whether the tests are run
	after aftermath
}

func passages() []passage {
	return []passage{
		{plan: "dev-1", begin: []string{"rollback", "run", "--full", "--revision", "receipts@1", "--without", "watch", "--yes"}, up: "1", tests: true},
		{plan: "dev-2", begin: []string{"rollback", "undo", "dev-1", "--yes"}, up: "2"},
		{plan: "dev-3", begin: []string{"rollback", "undo", "dev-2", "--yes"}, up: "1"},
	}
}

// TestAKilledRollbackGoesOn is the acceptance of issue 4: SIGKILL between the steps of a
// full rollback and inside of them, then resume, and each step is done once and the end
// state is the same; undone and redone, digests and trees are as before.
func TestAKilledRollbackGoesOn(t *testing.T) {
	bin := built(t)
	moments := *seed
	if moments == 0 {
		moments = uint64(time.Now().UnixNano())
	}
	t.Logf("go test ./internal/crashtest -run KilledRollback -crash.rounds=%d -crash.seed=%d", *rounds, moments)
	rng := rand.New(rand.NewPCG(moments, 4))
	undisturbed := passages()
	undisturbedWalks(t, bin, undisturbed)
	deck := deaths(rng)
	// The programs that do something outside, one after the other, whatever the seed.
	journeys := [][3][]death{{
		{{program: "up", call: 1, when: "before"}, {program: "up", call: 1, when: "during"}, {program: "tests", call: 1, when: "before"}, {program: "tests", call: 1, when: "after"}},
		{{program: "up", call: 1, when: "after"}},
		{{program: "up", call: 1, when: "before"}},
	}}
	for i := range max(2, *rounds/4) {
		cards := func(n int) (out []death) {
			for k := range n {
				out = append(out, deck[(5*i+5-n+k)%len(deck)])
			}
			return out
		}
		journeys = append(journeys, [3][]death{cards(5)[:3], cards(2)[:1], cards(1)})
	}
	var met, due atomic.Int64
	t.Run("journeys", func(t *testing.T) {
		for i, deaths := range journeys {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				p := newPlace(t, bin)
				p.fill(t, filepath.Join(p.dir, "data"), "receipts@1")
				bad := p.aftermath(t).Digest // it has the time in it at which the bad revision wrote
				for k, w := range undisturbed {
					if k == 1 {
						w.after.Digest = bad
					}
					met.Add(int64(p.walk(t, w, deaths[k])))
					due.Add(int64(len(deaths[k])))
					if diff := cmp.Diff(w.after, p.aftermath(t)); diff != "" {
						t.Fatalf("plan %s, to die %v: it does not end as one that nobody kills (-want +got):\n%s", w.plan, deaths[k], diff)
					}
				}
			})
		}
	})
	t.Logf("%d rollbacks, undone and redone, of which processes were killed %d times", len(journeys), met.Load())
	if !t.Failed() && met.Load() < due.Load()/3 {
		t.Errorf("of %d deaths only %d came: most walks have ended before", due.Load(), met.Load())
	}
}

// deaths are all the places to die at, in a random order.
func deaths(rng *rand.Rand) []death {
	var out []death
	for n := 1; n <= 32; n++ {
		out = append(out, death{entry: n}, death{entry: n, later: time.Duration(rng.IntN(60_000)) * time.Microsecond})
	}
	for _, when := range []string{"before", "during", "after"} {
		for n := 1; n <= 63; n++ {
			out = append(out, death{program: "git", call: n, when: when})
		}
		for n := range 3 {
			out = append(out, death{program: "current", call: 1 + n, when: when})
		}
		out = append(out, death{program: "up", call: 1, when: when}, death{program: "tests", call: 1, when: when})
	}
	rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// undisturbedWalks walks what nobody kills, and notes how it ends.
func undisturbedWalks(t *testing.T, bin string, walks []passage) {
	t.Helper()
	p := newPlace(t, bin)
	p.fill(t, filepath.Join(p.dir, "alone", "data"), "receipts@2")
	p.fill(t, filepath.Join(p.dir, "data"), "receipts@1")
	before := p.aftermath(t)
	alone, err := examine(t.Context(), filepath.Join(p.dir, "alone", "data"), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for i := range walks {
		p.walk(t, walks[i], nil)
		walks[i].after = p.aftermath(t)
	}
	good := walks[0].after
	if want := version.IndexDigest(alone.head.Entry.Digests()); good.Digest != want || good.Digest == before.Digest {
		t.Fatalf("rolled back, the index has digest %.12s; without the bad revision it would have %.12s, with it %.12s", good.Digest, want, before.Digest)
	}
	if good.Tree == before.Tree || good.Deployed != "1" || good.Messages != 1 || good.Issues != 1 || good.Told != 1 {
		t.Fatalf("rolled back, it is %+v; before it was %+v", good, before)
	}
	for i, want := range []aftermath{good, before, good} {
		got := walks[i].after
		if got.Digest != want.Digest || got.Tree != want.Tree || got.Deployed != want.Deployed {
			t.Errorf("after plan %s it is %+v, want %+v", walks[i].plan, got, want)
		}
	}
}

// walk begins a plan, dies where it is told, goes on, and looks whether each step and each
// effect was there once. It returns how often it died.
func (p *place) walk(t *testing.T, w passage, deaths []death) (met int) {
	t.Helper()
	skip := len(p.effects(t, 0))
	clear(p.died)
	complete := false
	for _, d := range deaths {
		if complete = !p.run(t, w.plan, d, p.next(t, w)...); complete {
			break
		}
		p.mourn(t, w.plan)
		met++
	}
	for !complete {
		complete = !p.run(t, w.plan, death{}, p.next(t, w)...)
	}
	p.once(t, w.plan)
	done := map[string]int{}
	for _, line := range p.effects(t, skip) {
		done[strings.TrimSpace(line)]++
	}
	// What was killed while its program ran is looked at, and done again if it has not
	// come to its end: once, unless the program outlives its caller.
	most := 1 + p.died["deploy"] + p.died["undo-deploy"] + p.died["undo-undo-deploy"]
	if n := done["up "+w.up]; n < 1 || n > most {
		t.Fatalf("plan %s, to die %v: version %s was deployed %d times, want 1 to %d", w.plan, deaths, w.up, n, most)
	}
	delete(done, "up "+w.up)
	if n := done["tests"]; w.tests && (n < 1 || n > 1+p.died["tests-package"]) {
		t.Fatalf("plan %s, to die %v: the tests were run %d times, want 1 to %d", w.plan, deaths, n, 1+p.died["tests-package"])
	}
	if w.tests {
		delete(done, "tests")
	}
	if len(done) > 0 {
		t.Fatalf("plan %s, to die %v: nobody wanted %v", w.plan, deaths, done)
	}
	return met
}

// next is how a walk begins, or goes on once its plan is stored.
func (p *place) next(t *testing.T, w passage) []string {
	t.Helper()
	if p.entries(t, w.plan) == 0 {
		return w.begin
	}
	return []string{"rollback", "resume", w.plan}
}

// mourn notes at which step the process has died.
func (p *place) mourn(t *testing.T, plan string) {
	t.Helper()
	at := ""
	if p.entries(t, plan) > 0 {
		s := last(p.journal(t, plan)).State
		for i, x := range s.Steps {
			if x.Progress == rollback.Doing {
				at = s.Plan.Steps[i].ID
			}
		}
	}
	p.died[at]++
}

func last(entries []*rollback.Entry) *rollback.Entry { return entries[len(entries)-1] }

// once wants every step of a plan to be done, each by one entry.
func (p *place) once(t *testing.T, plan string) {
	t.Helper()
	entries := p.journal(t, plan)
	done := map[string]int{}
	for _, e := range entries {
		done[e.What]++
	}
	s := last(entries).State
	if s.Outcome() != rollback.Complete {
		t.Fatalf("plan %s is %s:\n%s", plan, s.Outcome(), s.Text())
	}
	for i, x := range s.Steps {
		id := s.Plan.Steps[i].ID
		if x.Progress != rollback.Done || done["step "+id+" done"] != 1 {
			t.Fatalf("plan %s, step %s: it is %s, and was done %d times:\n%s", plan, id, x.Progress, done["step "+id+" done"], s.Text())
		}
		if n := done["begin "+id]; n > 1+p.died[id] {
			t.Fatalf("plan %s, step %s: it was begun %d times, and killed %d times", plan, id, n, p.died[id])
		}
	}
}
