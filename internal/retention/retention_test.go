package retention

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/base"
	"lockstep/internal/blob"
	"lockstep/internal/blob/blobtest"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
	"lockstep/internal/state"
	"lockstep/internal/version"
	"lockstep/internal/version/versiontest"
)

func newWorld(t *testing.T) (*versiontest.World, *blob.Mem) {
	t.Helper()
	mem := &blob.Mem{}
	w := versiontest.New(t, mem)
	mem.Now = func() time.Time { return w.Clock }
	return w, mem
}

func put(id, doc string) versiontest.Write {
	return versiontest.Write{Collection: "lines", ID: id, Record: versiontest.Rec(id, doc), Vector: []float32{1, float32(len(doc))}, Message: "m-" + id + doc}
}

// collect plans, stores, waits and executes.
func collect(t *testing.T, w *versiontest.World, p Policy) Done {
	t.Helper()
	plan := stored(t, w, p)
	w.Clock = w.Clock.Add(25 * time.Hour)
	d, err := Execute(t.Context(), w.Log, plan.N, w.Clock, nil)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func stored(t *testing.T, w *versiontest.World, p Policy) Plan {
	t.Helper()
	plan, err := MakePlan(t.Context(), w.Log, p, w.Clock, nil)
	if err != nil {
		t.Fatal(err)
	}
	if plan, err = Store(t.Context(), w.Store, plan); err != nil {
		t.Fatal(err)
	}
	return plan
}

func keys(t *testing.T, s blob.Store, prefix string) []string {
	t.Helper()
	var out []string
	for m, err := range s.List(t.Context(), prefix, "") {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, m.Key)
	}
	slices.Sort(out)
	return out
}

func newState(t *testing.T, w *versiontest.World) *state.State {
	t.Helper()
	s, err := state.Open(t.TempDir(), "test", w.Bases, state.Options{CacheBytes: 1 << 20, MemTableBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// rebuild makes version n from the store alone, as a new process would, and compares
// every record with the model. MoveTo itself compares the digests.
func rebuild(t *testing.T, w *versiontest.World, s *state.State, n uint64) {
	t.Helper()
	w.Reopen()
	if err := s.Clear("test"); err != nil {
		t.Fatal(err)
	}
	if err := s.MoveTo(t.Context(), w.Log, n); err != nil {
		t.Fatalf("rebuild version %d: %v", n, err)
	}
	r, err := s.Read()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got := map[versiontest.Key]versiontest.Row{}
	for _, c := range r.Collections() {
		err := r.Scan(t.Context(), c, "", func(row state.Row) error {
			id := string(row.ID)
			rec, err := version.DecodeRecord(id, row.Record)
			if err != nil {
				return err
			}
			v, err := r.Vector(t.Context(), c, id, rec.Vector)
			got[versiontest.Key{Collection: c, ID: id}] = versiontest.Row{Image: slices.Clone(row.Record), Vector: v, Author: row.Author()}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(w.State(n), got); diff != "" {
		t.Fatalf("version %d (-model +rebuilt):\n%s", n, diff)
	}
}

func TestEveryRootCanBeRebuiltAfterAnyHistory(t *testing.T) {
	for seed := range uint64(25) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { history(t, rand.New(rand.NewPCG(seed, 7))) })
	}
}

func history(t *testing.T, rnd *rand.Rand) {
	w, _ := newWorld(t)
	s := newState(t, w)
	born := map[uint64]time.Time{}
	policy := Policy{Keep: 3 * day, Orphans: 2 * day, Bases: 1 + rnd.IntN(2)}
	retired := uint64(0)
	for range 60 {
		before := w.Head()
		switch k := rnd.IntN(20); {
		case k < 9 || before == 0:
			commit := w.Commit
			if rnd.IntN(3) == 0 {
				commit = w.CommitLarge
			}
			id := fmt.Sprint(rnd.IntN(5))
			wr := put(id, fmt.Sprint(rnd.IntN(1000)))
			if rnd.IntN(4) == 0 {
				wr.Record = nil
			}
			commit(t.Context(), wr)
		case k < 11:
			low, err := w.Log.Ledger().Low(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if to := max(low, 1) + rnd.Uint64N(before-max(low, 1)+1); to < before && reachable(t, w, to) {
				span := version.Span{From: to, To: before, Mode: version.Replay}
				w.Reset(t.Context(), to, span)
			}
		case k < 14:
			if e := w.Entry(); e.Base == nil || e.Base.Version < before {
				w.Base(t.Context(), before)
			}
		case k < 16:
			p := Pin{Name: fmt.Sprintf("lease-%d", rnd.IntN(3)), Version: 1 + rnd.Uint64N(before), Holder: "test", Expires: w.Clock.Add(time.Duration(rnd.IntN(200)) * time.Hour)}
			if err := SetPin(t.Context(), w.Log, p); err != nil && !errors.Is(err, version.ErrRetired) {
				t.Fatal(err)
			}
		case k < 18:
			d := collect(t, w, policy)
			retired = max(retired, d.Low)
			checkRoots(t, w, s, born, policy)
		default:
			w.Clock = w.Clock.Add(time.Duration(rnd.IntN(60)) * time.Hour)
		}
		if w.Head() > before {
			born[w.Head()] = w.Clock
			if e := w.Entry(); len(e.Backlog) > 0 && rnd.IntN(2) == 0 {
				w.Publish(t.Context(), version.Fence, func(e *version.Entry) { e.Backlog = nil })
				born[w.Head()] = w.Clock
			}
		}
		w.Clock = w.Clock.Add(time.Duration(rnd.IntN(10)) * time.Hour)
	}
}

// reachable says whether a reset to version n is possible: it needs the way there.
func reachable(t *testing.T, w *versiontest.World, n uint64) bool {
	if _, err := needsOf(t.Context(), w.Log, Pin{Version: n}); err != nil {
		return false
	}
	_, err := w.Log.Path(t.Context(), w.Head(), n)
	return err == nil
}

func checkRoots(t *testing.T, w *versiontest.World, s *state.State, born map[uint64]time.Time, p Policy) {
	t.Helper()
	roots := map[uint64]bool{w.Head(): true}
	for n, at := range born {
		if at.Add(p.Keep).After(w.Clock) {
			roots[n] = true
		}
	}
	pins, err := Pins(t.Context(), w.Log)
	if err != nil {
		t.Fatal(err)
	}
	for _, pin := range pins {
		if !pin.Expired(w.Clock) {
			roots[pin.Version] = true
		}
	}
	for n := range roots {
		rebuild(t, w, s, n)
	}
	if e, err := w.Log.Head(t.Context()); err == nil && e.Entry != nil {
		for _, span := range e.Entry.Backlog {
			line, err := w.Log.Line(t.Context(), span.From, span.To)
			if err != nil {
				t.Fatalf("backlog %v: %v", span, err)
			}
			for _, n := range line {
				if _, err := w.Log.Delta(t.Context(), n); err != nil {
					t.Fatalf("backlog %v: %v", span, err)
				}
			}
		}
	}
}

// aged makes a history of which most can go: 10 versions with large deltas, bases
// of versions 2, 5 and 8, two young versions, an old orphan of each kind.
func aged(t *testing.T) (*versiontest.World, *blob.Mem) {
	t.Helper()
	w, mem := newWorld(t)
	for i := range 10 {
		w.CommitLarge(t.Context(), put("a", fmt.Sprint(i)))
		if i%3 == 1 {
			w.Base(t.Context(), w.Head())
		}
	}
	create := func(key string) {
		if err := mem.Create(t.Context(), key, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	create("delta/" + version.HashOf([]byte("orphan")))
	create("base/00000000000000000003/gone/part-0.parquet")
	create("release/00000000000000000001")
	w.Clock = w.Clock.Add(20 * day)
	w.CommitLarge(t.Context(), put("b", "young"))
	w.Commit(t.Context(), put("c", "young"))
	return w, mem
}

func TestWhatNothingNeedsIsDeletedAndNothingElse(t *testing.T) {
	w, mem := aged(t)
	before := keys(t, mem, "")
	d := collect(t, w, Policy{})
	after := keys(t, mem, "")
	gone := map[string]bool{}
	for _, k := range before {
		if !slices.Contains(after, k) {
			gone[k] = true
		}
	}
	for k := range gone {
		if !deletable(k) {
			t.Errorf("%s was deleted", k)
		}
	}
	if low, err := w.Log.Ledger().Low(t.Context()); err != nil || low != d.Low || low < 2 {
		t.Errorf("lowest version is %d, %v; the collection says %d", low, err, d.Low)
	}
	if d.Objects != len(gone) || d.Spared != 0 || d.Missing != 0 {
		t.Errorf("done %+v, %d objects gone", d, len(gone))
	}
	for _, r := range []Reason{RetiredEntry, RetiredDelta, OldBase, OrphanBase, OrphanDelta} {
		if d.By[r].Objects == 0 {
			t.Errorf("nothing deleted for the reason %q: %v", r, d.By)
		}
	}
	if got := len(keys(t, mem, "base/")); got != 4 {
		t.Errorf("%d objects of bases left, want the two newest bases: %v", got, keys(t, mem, "base/"))
	}
	s := newState(t, w)
	rebuild(t, w, s, w.Head())
	rebuild(t, w, s, w.Head()-1)
	again := collect(t, w, Policy{})
	if again.Objects != 0 && again.By[OldPin].Objects == 0 {
		t.Errorf("a second collection deleted %v", again.By)
	}
}

func TestADamagedNewestBaseCostsTimeAndNotData(t *testing.T) {
	w, _ := aged(t)
	collect(t, w, Policy{})
	bases := map[uint64]bool{}
	for _, k := range keys(t, w.Store, base.Prefix) {
		id, _, _ := base.ParseKey(k)
		bases[id.Version] = true
	}
	older := slices.Min(slices.Collect(maps.Keys(bases)))
	way, err := w.Log.Path(t.Context(), older, w.Head())
	if err != nil || len(way.Undo) > 0 {
		t.Fatalf("way from the base before: %v, %v", way, err)
	}
	for _, n := range way.Apply {
		if _, err := w.Log.Delta(t.Context(), n); err != nil {
			t.Error(err)
		}
	}
}

func TestAYoungOrphanStays(t *testing.T) {
	w, mem := aged(t)
	young := "delta/" + version.HashOf([]byte("in flight"))
	if err := mem.Create(t.Context(), young, []byte("x")); err != nil {
		t.Fatal(err)
	}
	half := "base/00000000000000000011/new/part-0.parquet"
	if err := mem.Create(t.Context(), half, []byte("x")); err != nil {
		t.Fatal(err)
	}
	collect(t, w, Policy{})
	for _, k := range []string{young, half} {
		if _, err := metaOf(t.Context(), mem, k); err != nil {
			t.Errorf("%s: %v", k, err)
		}
	}
}

func TestAnObjectWrittenAnewAfterThePlanIsSpared(t *testing.T) {
	w, mem := aged(t)
	orphan := "delta/" + version.HashOf([]byte("orphan"))
	plan := stored(t, w, Policy{NoWait: true})
	if err := mem.Delete(t.Context(), orphan); err != nil {
		t.Fatal(err)
	}
	w.Clock = w.Clock.Add(time.Hour)
	if err := mem.Create(t.Context(), orphan, []byte("x")); err != nil {
		t.Fatal(err)
	}
	d, err := Execute(t.Context(), w.Log, plan.N, w.Clock, nil)
	if err != nil || d.Spared != 1 {
		t.Fatalf("%+v, %v", d, err)
	}
	if _, err := metaOf(t.Context(), mem, orphan); err != nil {
		t.Error(err)
	}
}

func TestAStalledWriterCannotUseARetiredNumber(t *testing.T) {
	w, mem := aged(t)
	stalled := version.NewLog(mem, ledger.Options{})
	at, err := stalled.At(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	collect(t, w, Policy{})
	e := &version.Entry{Kind: version.Fence, Parent: 2, Base: at.Entry.Base, Collections: at.Entry.Collections}
	if _, err := stalled.Publish(t.Context(), at, e, nil); !errors.Is(err, ledger.ErrRetired) {
		t.Errorf("publish into a retired slot: %v, want ErrRetired", err)
	}
	rebuild(t, w, newState(t, w), w.Head())
	w.Clock = w.Clock.Add(20 * day)
	collect(t, w, Policy{})
	if slices.Contains(keys(t, mem, "log/"), logKey(3)) {
		t.Error("what the stalled writer left is still there")
	}
}

func TestAPlanWaitsByTheStoresClock(t *testing.T) {
	w, _ := aged(t)
	plan := stored(t, w, Policy{})
	ahead := w.Clock.Add(365 * day)
	if _, err := Execute(t.Context(), w.Log, plan.N, ahead, nil); !errors.Is(err, ErrTooEarly) || lockstep.HintOf(err) == "" {
		t.Errorf("executed with a clock that is ahead: %v, want ErrTooEarly", err)
	}
	p, err := MakePlan(t.Context(), w.Log, Policy{}, ahead, nil)
	if err != nil || p.Low != plan.Low || !p.At.Equal(w.Clock) {
		t.Errorf("planned with a clock that is ahead: low %d at %s, %v", p.Low, p.At, err)
	}
}

func TestExecutionGoesOnAfterACrashAnywhere(t *testing.T) {
	run := func(t *testing.T, fail int, fault blobtest.Fault) (left []string, failed bool) {
		w, mem := aged(t)
		plan := stored(t, w, Policy{NoWait: true})
		calls := 0
		f := blobtest.NewFaulty(mem, func(op, key string) blobtest.Fault {
			if op != "delete" && op != "create" {
				return blobtest.None
			}
			if calls++; calls > fail {
				return fault
			}
			return blobtest.None
		})
		if _, err := Execute(t.Context(), version.NewLog(f, ledger.Options{}), plan.N, w.Clock, nil); err != nil {
			failed = true
			w.Clock = w.Clock.Add(time.Hour)
			rebuild(t, w, newState(t, w), w.Head())
			if _, err := Execute(t.Context(), version.NewLog(mem, ledger.Options{}), plan.N, w.Clock, nil); err != nil {
				t.Fatalf("again: %v", err)
			}
		}
		rebuild(t, w, newState(t, w), w.Head())
		return keys(t, mem, ""), failed
	}
	want, _ := run(t, 1<<30, blobtest.None)
	for _, fault := range []blobtest.Fault{blobtest.FailBefore, blobtest.LoseAnswer} {
		for k := 0; ; k++ {
			left, failed := run(t, k, fault)
			if diff := cmp.Diff(want, left); diff != "" {
				t.Fatalf("killed at call %d by fault %d (-unharmed +killed):\n%s", k, fault, diff)
			}
			if !failed {
				if k < 10 {
					t.Errorf("only %d calls could fail", k)
				}
				break
			}
		}
	}
}

func TestADamagedLogOrMissingBaseStopsDeletion(t *testing.T) {
	w, mem := aged(t)
	newest := w.Entry().Base
	if err := mem.Delete(t.Context(), idOf(newest).ManifestKey()); err != nil {
		t.Fatal(err)
	}
	p, err := MakePlan(t.Context(), w.Log, Policy{}, w.Clock, nil)
	if err != nil || p.Low != 1 || len(p.Warnings) == 0 || p.ByReason[OldBase].Objects != 0 {
		t.Errorf("without the newest base: low %d, warnings %q, %v, %v", p.Low, p.Warnings, p.ByReason, err)
	}
	if err := mem.Delete(t.Context(), logKey(5)); err != nil {
		t.Fatal(err)
	}
	if _, err := MakePlan(t.Context(), w.Log, Policy{}, w.Clock, nil); err == nil {
		t.Error("a plan was made of a log with a hole")
	}
}

func TestACollectionThatWasStoppedHalfWayBlocksNobody(t *testing.T) {
	w, mem := aged(t)
	plan := stored(t, w, Policy{NoWait: true})
	if err := writeNote(t.Context(), mem, gcKey(plan.N, gcBegin), note{Format: 1}); err != nil {
		t.Fatal(err)
	}
	if err := Cancel(t.Context(), mem, plan.N, w.Clock, "stop"); err != nil {
		t.Fatal(err)
	}
	p := Pin{Name: "p", Version: 2, Holder: "test"}
	if err := SetPin(t.Context(), w.Log, p); !errors.Is(err, ErrBusy) {
		t.Errorf("pin: %v, want ErrBusy", err)
	}
	if _, err := Execute(t.Context(), w.Log, plan.N, w.Clock, nil); !errors.Is(err, ErrCancelled) {
		t.Errorf("execute: %v", err)
	}
	if err := SetPin(t.Context(), w.Log, p); err != nil {
		t.Errorf("pin: %v", err)
	}
	st, err := Plans(t.Context(), mem)
	if diff := cmp.Diff([]Status{{N: 1, Begun: true, Cancelled: true, Done: true}}, st); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
}

func TestACancelledContextDoesNothing(t *testing.T) {
	w, mem := aged(t)
	before := keys(t, mem, "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, plan := MakePlan(ctx, w.Log, Policy{}, w.Clock, nil)
	_, store := Store(ctx, mem, Plan{})
	_, read := ReadPlan(ctx, mem, 1)
	_, plans := Plans(ctx, mem)
	_, execute := Execute(ctx, w.Log, 1, w.Clock, nil)
	_, pins := Pins(ctx, w.Log)
	for i, err := range []error{
		plan, store, read, plans, execute, pins, Cancel(ctx, mem, 1, w.Clock, ""), SetPin(ctx, w.Log, Pin{}),
		RemovePin(ctx, w.Log, "a", "b", w.Clock), Renew(ctx, w.Log, "a", w.Clock, w.Clock),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("call %d: %v", i, err)
		}
	}
	if diff := cmp.Diff(before, keys(t, mem, "")); diff != "" {
		t.Error(diff)
	}
}

func TestAnEmptyStoreHasNothingToDelete(t *testing.T) {
	w, mem := newWorld(t)
	if err := mem.Create(t.Context(), "delta/"+version.HashOf(nil), []byte("x")); err != nil {
		t.Fatal(err)
	}
	w.Clock = w.Clock.Add(100 * day)
	if d := collect(t, w, Policy{}); d.Objects != 0 {
		t.Errorf("%+v", d)
	}
}
