package state_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"lockstep/internal/base"
	"lockstep/internal/blob"
	"lockstep/internal/blob/blobtest"
	"lockstep/internal/compact"
	"lockstep/internal/lockstep"
	"lockstep/internal/state"
	"lockstep/internal/version"
	"lockstep/internal/version/versiontest"
)

// history is a log with real bases of versions 2 and 4, and what came before and after.
//
//	1, 2 (base adopted by 3), 4 (base adopted by 5), 6, 7
type history struct {
	*versiontest.World
	store *blob.Mem
	refs  []version.BaseRef
}

func newHistory(t *testing.T) *history {
	t.Helper()
	h := &history{store: new(blob.Mem)}
	h.World = versiontest.New(t, h.store)
	st := opened(t, nil)
	var many []versiontest.Write
	for i := range 60 {
		many = append(many, put(fmt.Sprintf("r%02d", i), "first", float32(i), 1))
	}
	h.Commit(t.Context(), many...)
	h.Commit(t.Context(), put("r00", "second", 9, 9), put("plain", "no vector"), versiontest.Write{Collection: "lines", ID: "r01"}, versiontest.Write{Collection: "words", ID: "w", Record: versiontest.Rec("w", "x"), Vector: []float32{5}})
	h.adopt(t, st)
	h.Commit(t.Context(), put("r02", "fourth"), put("r03", "fourth", 4, 4))
	h.adopt(t, st)
	h.Commit(t.Context(), put("r04", "sixth"), put("r05", "sixth", 6, 6), versiontest.Write{Collection: "lines", ID: "r06"})
	h.CommitLarge(t.Context(), put("r07", "seventh", 7, 7))
	h.Reopen()
	return h
}

func (h *history) adopt(t *testing.T, st *state.State) {
	t.Helper()
	move(t, st, h.World, h.Head())
	r := read(t, st)
	defer r.Close()
	ref, err := compact.BuildBase(t.Context(), h.Log, r, compact.BaseJob{Unique: fmt.Sprint("k", len(h.refs)), Parts: base.Options{PartRows: 16}})
	if err != nil {
		t.Fatal(err)
	}
	h.refs = append(h.refs, ref)
	h.Publish(t.Context(), version.BaseSet, func(e *version.Entry) { e.Base, e.Chain = &ref, 0 })
}

func (h *history) keys(t *testing.T, prefix string) (out []string) {
	t.Helper()
	for m, err := range h.store.List(t.Context(), prefix, "") {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, m.Key)
	}
	if len(out) == 0 {
		t.Fatalf("no objects below %s", prefix)
	}
	return out
}

func (h *history) prefix(i int) string {
	return base.ID{Version: h.refs[i].Version, Unique: h.refs[i].Unique}.String() + "/"
}

func (h *history) remove(t *testing.T, prefix string) {
	t.Helper()
	for _, k := range h.keys(t, prefix) {
		if err := h.store.Delete(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
}

func TestANewStateBeginsWithTheNewestBase(t *testing.T) {
	h := newHistory(t)
	counted := blobtest.NewFaulty(h.store, nil)
	st := opened(t, state.NewBases(counted))
	move(t, st, h.World, h.Head())
	isAt(t, st, h.World, 7)
	// Backward past the base, where the vectors come from the deltas, and forward again.
	for _, to := range []uint64{6, 1, 4, 0, 2, 7} {
		move(t, st, h.World, to)
		isAt(t, st, h.World, to)
	}
}

func TestVectorsStayInTheBaseUntilTheyAreAskedFor(t *testing.T) {
	h := newHistory(t)
	vectors := 0
	st := opened(t, state.NewBases(blobtest.NewFaulty(h.store, func(op, key string) blobtest.Fault {
		if op == "get" && strings.Contains(key, "vectors") {
			vectors++
		}
		return blobtest.None
	})))
	move(t, st, h.World, 7)
	if vectors != 0 {
		t.Errorf("%d reads of vectors before one was asked for", vectors)
	}
	isAt(t, st, h.World, 7)
	if vectors == 0 {
		t.Error("vectors were found although their parts were never read")
	}
}

func TestTheStateOfABaseSurvivesARestart(t *testing.T) {
	h := newHistory(t)
	fs := vfs.NewMem()
	st := open(t, fs, storeID, state.NewBases(h.store))
	move(t, st, h.World, 5)
	closed(t, st)
	st = open(t, fs, storeID, state.NewBases(h.store))
	defer func() { closed(t, st) }()
	isAt(t, st, h.World, 5)
	move(t, st, h.World, 7)
	isAt(t, st, h.World, 7)
}

// TestALongLivedStateMovesToNewBases: loaded from the first base, it must not need it
// when retention has removed it.
func TestALongLivedStateMovesToNewBases(t *testing.T) {
	h := newHistory(t)
	st := opened(t, state.NewBases(h.store))
	move(t, st, h.World, 3)
	move(t, st, h.World, 7)
	h.remove(t, h.prefix(0))
	isAt(t, st, h.World, 7)
	for _, to := range []uint64{1, 7} {
		move(t, st, h.World, to)
		isAt(t, st, h.World, to)
	}
}

// TestALostBaseCostsTimeAndNoData is TRAPS 4.5.
func TestALostBaseCostsTimeAndNoData(t *testing.T) {
	for _, c := range []struct {
		name string
		lose func(*testing.T, *history)
	}{
		{"the newest is gone", func(t *testing.T, h *history) { h.remove(t, h.prefix(1)) }},
		{"the newest is gone, and the way to the first", func(t *testing.T, h *history) {
			h.remove(t, h.prefix(1))
			if err := h.Log.Ledger().Retire(t.Context(), 2); err != nil {
				t.Fatal(err)
			}
			h.Reopen()
		}},
		{"both are gone", func(t *testing.T, h *history) { h.remove(t, base.Prefix) }},
		{"the newest has damaged records", func(t *testing.T, h *history) { h.damage(t, h.prefix(1), "records") }},
		{"all are damaged", func(t *testing.T, h *history) { h.damage(t, base.Prefix, "") }},
	} {
		h := newHistory(t)
		c.lose(t, h)
		st := opened(t, state.NewBases(h.store))
		move(t, st, h.World, 7)
		isAt(t, st, h.World, 7)
		if t.Failed() {
			t.Fatal(c.name)
		}
	}
}

// damage changes one byte of every object below a prefix whose name has the infix.
func (h *history) damage(t *testing.T, prefix, infix string) {
	t.Helper()
	changed := 0
	for _, k := range h.keys(t, prefix) {
		if !strings.Contains(k, infix) {
			continue
		}
		b, err := blob.ReadAll(t.Context(), h.store, k, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/2] ^= 1
		if err := h.store.Delete(t.Context(), k); err != nil {
			t.Fatal(err)
		}
		if err := h.store.Create(t.Context(), k, b); err != nil {
			t.Fatal(err)
		}
		changed++
	}
	if changed == 0 {
		t.Fatalf("no object below %s has %q in its name", prefix, infix)
	}
}

func TestADamagedVectorIsNotHandedOut(t *testing.T) {
	h := newHistory(t)
	st := opened(t, state.NewBases(h.store))
	move(t, st, h.World, 7)
	h.damage(t, h.prefix(1), "vectors")
	r := read(t, st)
	defer r.Close()
	rec, _, ok, err := r.Record("lines", "r20")
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if v, err := r.Vector(t.Context(), "lines", "r20", rec.Vector); !errors.Is(err, lockstep.ErrCorrupt) {
		t.Errorf("%x, %v, want ErrCorrupt", v, err)
	}
	if v, err := r.Vector(t.Context(), "lines", "r07", version.RefOf(version.AppendVector(nil, []float32{7, 7}))); err != nil || len(v) != 8 {
		t.Errorf("a vector that is here: %x, %v", v, err)
	}
	if v, err := r.Vector(t.Context(), "lines", "r07", version.RefOf(version.AppendVector(nil, []float32{7, 8}))); !errors.Is(err, lockstep.ErrCorrupt) {
		t.Errorf("another vector than the record names: %x, %v", v, err)
	}
	if v, err := r.Vector(t.Context(), "lines", "plain", lockstep.VectorRef{}); err != nil || v != nil {
		t.Errorf("no vector: %x, %v", v, err)
	}
}

// TestWhenTheWayIsRetiredTheBaseServes removes what the way back would need.
func TestWhenTheWayIsRetiredTheBaseServes(t *testing.T) {
	h := newHistory(t)
	st := opened(t, state.NewBases(h.store))
	if err := st.MoveTo(t.Context(), h.Log, 1); err != nil {
		t.Fatal(err)
	}
	if err := h.Log.Ledger().Retire(t.Context(), 4); err != nil {
		t.Fatal(err)
	}
	h.Reopen()
	move(t, st, h.World, 7)
	isAt(t, st, h.World, 7)
	if err := st.MoveTo(t.Context(), h.Log, 2); !errors.Is(err, version.ErrRetired) {
		t.Errorf("to a retired version: %v", err)
	}
	isAt(t, st, h.World, 7)
	h.remove(t, base.Prefix)
	fresh := opened(t, state.NewBases(h.store))
	if err := fresh.MoveTo(t.Context(), h.Log, 7); !errors.Is(err, lockstep.ErrNotFound) {
		t.Errorf("with neither way nor base: %v", err)
	}
	isAt(t, fresh, h.World, 0)
}

func TestAVersionThatTheLogNeverHadIsLeft(t *testing.T) {
	ahead, w := versiontest.New(t, new(blob.Mem)), versiontest.New(t, new(blob.Mem))
	for range 3 {
		ahead.Commit(t.Context(), put("z", fmt.Sprint(ahead.Head())))
	}
	w.Commit(t.Context(), put("a", "1", 1))
	st := opened(t, nil)
	move(t, st, ahead, 3)
	move(t, st, w, 1)
	isAt(t, st, w, 1)
}

// broken hands out many rows, calls half-way, and fails.
type broken struct {
	halfWay func()
	err     error
}

func (broken) Vector(context.Context, version.BaseRef, lockstep.Collection, string) ([]byte, error) {
	return nil, lockstep.ErrNotFound
}

func (b broken) Load(_ context.Context, _ version.BaseRef, use func(lockstep.Collection, *lockstep.Record, *lockstep.Author) error) (map[lockstep.Collection]*version.Tally, error) {
	text := strings.Repeat("x", 1<<20)
	for i := range 40 {
		if err := use("lines", &lockstep.Record{ID: fmt.Sprintf("left over %02d", i), HasDocument: true, Document: text}, &lockstep.Author{Version: 1}); err != nil {
			return nil, err
		}
	}
	if b.halfWay != nil {
		b.halfWay()
	}
	return nil, b.err
}

func TestABaseThatEndsHalfWayLeavesNothing(t *testing.T) {
	w := versiontest.New(t, new(blob.Mem))
	w.Commit(t.Context(), put("a", "1", 1))
	st := opened(t, broken{err: lockstep.ErrUnavailable})
	move(t, st, w, 1)
	if err := st.LoadBase(t.Context(), version.BaseRef{Version: 1, Unique: "k"}); !errors.Is(err, lockstep.ErrUnavailable) {
		t.Errorf("%v, want ErrUnavailable", err)
	}
	isAt(t, st, w, 0)
	move(t, st, w, 1)
	isAt(t, st, w, 1)
}

// TestACrashHalfThroughABaseLeavesNothing: rows are on disk by then, and no version
// counts them.
func TestACrashHalfThroughABaseLeavesNothing(t *testing.T) {
	w := versiontest.New(t, new(blob.Mem))
	w.Commit(t.Context(), put("a", "1", 1))
	fs := vfs.NewCrashableMem()
	var lost *vfs.MemFS
	st := open(t, fs, storeID, broken{err: lockstep.ErrUnavailable, halfWay: func() { lost = fs.CrashClone(vfs.CrashCloneCfg{}) }})
	if err := st.LoadBase(t.Context(), version.BaseRef{Version: 1, Unique: "k"}); !errors.Is(err, lockstep.ErrUnavailable) {
		t.Fatal(err)
	}
	closed(t, st)
	again := open(t, lost, storeID, nil)
	defer closed(t, again)
	isAt(t, again, w, 0)
	move(t, again, w, 1)
	isAt(t, again, w, 1)
}

func TestWithoutBasesTheWholeWayIsTaken(t *testing.T) {
	h := newHistory(t)
	st := opened(t, nil)
	move(t, st, h.World, 7)
	isAt(t, st, h.World, 7)
	if err := st.LoadBase(t.Context(), h.refs[0]); !errors.Is(err, lockstep.ErrNotFound) {
		t.Errorf("a base without a source: %v", err)
	}
}
