package state_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lockstep/internal/blob"
	"lockstep/internal/lockstep"
	"lockstep/internal/state"
	"lockstep/internal/version"
	"lockstep/internal/version/versiontest"
)

// tb is what testing.T and rapid.T have in common.
type tb interface {
	versiontest.TB
	Context() context.Context
	Cleanup(func())
	Errorf(format string, args ...any)
}

const storeID = "store-1"

func open(t tb, fs vfs.FS, store string, bases state.VectorSource) *state.State {
	t.Helper()
	st, err := state.Open("state", store, bases, state.Options{FS: fs, CacheBytes: 1 << 20, MemTableBytes: 1 << 20})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return st
}

func closed(t tb, st *state.State) {
	t.Helper()
	if err := st.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

// opened is open in memory, and closes at the end of the test.
func opened(t tb, bases state.VectorSource) *state.State {
	t.Helper()
	st := open(t, vfs.NewMem(), storeID, bases)
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return st
}

func move(t tb, st *state.State, w *versiontest.World, to uint64) {
	t.Helper()
	if err := st.MoveTo(t.Context(), w.Log, to); err != nil {
		t.Fatalf("move to %d: %v", to, err)
	}
}

func read(t tb, st *state.State) *state.Reader {
	t.Helper()
	r, err := st.Read()
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return r
}

// held reads everything a view shows, vectors included.
func held(t tb, r *state.Reader) map[versiontest.Key]versiontest.Row {
	t.Helper()
	out := map[versiontest.Key]versiontest.Row{}
	for _, c := range []lockstep.Collection{"lines", "words", lockstep.Table, "line", "wordsx"} {
		last := ""
		err := r.Scan(t.Context(), c, "", func(row state.Row) error {
			id := string(row.ID)
			if id <= last {
				t.Fatalf("%s: %q after %q", c, id, last)
			}
			last = id
			out[versiontest.Key{Collection: c, ID: id}] = versiontest.Row{Image: bytes.Clone(row.Record), Author: row.Author()}
			return nil
		})
		if err != nil {
			t.Fatalf("scan %s: %v", c, err)
		}
	}
	for k, row := range out {
		rec, author, ok, err := r.Record(k.Collection, k.ID)
		if err != nil || !ok || author != row.Author || !bytes.Equal(version.AppendRecord(nil, &rec), row.Image) {
			t.Fatalf("%s %q: scanned, but read as %+v by %+v, %t, %v", k.Collection, k.ID, rec, author, ok, err)
		}
		if row.Vector, err = r.Vector(t.Context(), k.Collection, k.ID, rec.Vector); err != nil {
			t.Fatalf("%v", err)
		}
		out[k] = row
	}
	return out
}

// shows wants a view to show exactly version n, as the model has it.
func shows(t tb, r *state.Reader, w *versiontest.World, n uint64) {
	t.Helper()
	if r.Version() != n {
		t.Fatalf("the view shows version %d, want %d", r.Version(), n)
	}
	if diff := cmp.Diff(w.State(n), held(t, r)); diff != "" {
		t.Fatalf("version %d (-want +got):\n%s", n, diff)
	}
	sums := map[lockstep.Collection]*version.Tally{}
	var h version.Hasher
	for k, row := range w.State(n) {
		if sums[k.Collection] == nil {
			sums[k.Collection] = &version.Tally{}
		}
		h.Add(&sums[k.Collection].Sum, k.ID, row.Image)
		sums[k.Collection].Records++
	}
	for _, c := range append(r.Collections(), "lines", "words", lockstep.Table, "unknown") {
		want := version.Tally{}
		if sums[c] != nil {
			want = *sums[c]
		}
		if got := r.Tally(c); got != want {
			t.Fatalf("version %d: %s has %d records with digest %.12s, want %d with %.12s", n, c, got.Records, got.Sum.Digest(), want.Records, want.Sum.Digest())
		}
	}
	if _, _, ok, err := r.Record("lines", "absent"); ok || err != nil {
		t.Fatalf("an absent record: %t, %v", ok, err)
	}
}

func isAt(t tb, st *state.State, w *versiontest.World, n uint64) {
	t.Helper()
	r := read(t, st)
	shows(t, r, w, n)
	if err := r.Close(); err != nil {
		t.Fatalf("close the view: %v", err)
	}
	if st.Version() != n {
		t.Fatalf("the state is at %d, want %d", st.Version(), n)
	}
}

func grow(t *rapid.T, w *versiontest.World, steps int) {
	w.Grow(t.Context(), steps, func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "pick") })
}

func TestTheStateFollowsAnyWayThroughTheTree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := versiontest.New(t, new(blob.Mem))
		fs := vfs.NewMem()
		st := open(t, fs, storeID, w.Bases)
		defer func() { closed(t, st) }()
		for range rapid.IntRange(1, 6).Draw(t, "moves") {
			grow(t, w, rapid.IntRange(0, 4).Draw(t, "versions"))
			to := uint64(rapid.IntRange(0, int(w.Head())).Draw(t, "to"))
			move(t, st, w, to)
			isAt(t, st, w, to)
			if rapid.IntRange(0, 3).Draw(t, "restart") == 0 {
				closed(t, st)
				w.Reopen()
				st = open(t, fs, storeID, w.Bases)
				isAt(t, st, w, to)
			}
		}
	})
}

func TestAViewDoesNotSeeLaterVersions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := versiontest.New(t, new(blob.Mem))
		st := open(t, vfs.NewMem(), storeID, w.Bases)
		defer closed(t, st)
		views := map[uint64]*state.Reader{}
		for range 4 {
			grow(t, w, 2)
			to := uint64(rapid.IntRange(0, int(w.Head())).Draw(t, "to"))
			move(t, st, w, to)
			if views[to] == nil {
				views[to] = read(t, st)
			}
		}
		for n, r := range views {
			shows(t, r, w, n)
			shows(t, r, w, n) // and the same again
			if err := r.Close(); err != nil {
				t.Fatalf("close: %v", err)
			}
		}
	})
}

// TestAfterACrashAnOlderVersionIsThere takes the disk away at any moment: what was
// not synced is lost in part, and what is left is one whole version.
func TestAfterACrashAnOlderVersionIsThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := versiontest.New(t, new(blob.Mem))
		fs := vfs.NewCrashableMem()
		st := open(t, fs, storeID, w.Bases)
		was := map[uint64]bool{0: true}
		for range rapid.IntRange(1, 5).Draw(t, "moves") {
			grow(t, w, 2)
			to := uint64(rapid.IntRange(0, int(w.Head())).Draw(t, "to"))
			path, err := w.Log.Path(t.Context(), st.Version(), to)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range append(path.Undo, path.Apply...) {
				e, err := w.Log.Read(t.Context(), n)
				if err != nil {
					t.Fatal(err)
				}
				was[n], was[e.Parent] = true, true
			}
			move(t, st, w, to)
			if rapid.Bool().Draw(t, "restart") {
				closed(t, st)
				st = open(t, fs, storeID, w.Bases)
			}
		}
		lost := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rapid.IntRange(0, 100).Draw(t, "kept"), RNG: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))})
		closed(t, st)
		again := open(t, lost, storeID, w.Bases)
		defer closed(t, again)
		if n := again.Version(); !was[n] {
			t.Fatalf("after the crash it is at version %d, where it never was", n)
		}
		isAt(t, again, w, again.Version())
		move(t, again, w, w.Head())
		isAt(t, again, w, w.Head())
	})
}

func put(id, document string, vector ...float32) versiontest.Write {
	return versiontest.Write{Collection: "lines", ID: id, Record: versiontest.Rec(id, document), Vector: vector, Message: "m-" + document}
}

func TestAStateOfAnotherStoreIsEmptied(t *testing.T) {
	w := versiontest.New(t, new(blob.Mem))
	w.Commit(t.Context(), put("a", "1", 1))
	fs := vfs.NewMem()
	st := open(t, fs, storeID, nil)
	move(t, st, w, 1)
	closed(t, st)
	other := open(t, fs, "store-2", nil)
	isAt(t, other, w, 0)
	closed(t, other)
	back := open(t, fs, storeID, nil)
	defer closed(t, back)
	isAt(t, back, w, 0)
}

func TestStepsCanBePreparedAndGivenUp(t *testing.T) {
	w := versiontest.New(t, new(blob.Mem))
	w.Commit(t.Context(), put("a", "1", 1))
	w.Commit(t.Context(), put("a", "2", 2), put("b", "2"))
	first, err := w.Log.Delta(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	second, err := w.Log.Delta(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	st := opened(t, nil)
	if err := st.Apply(t.Context(), 1, first, nil); err != nil {
		t.Fatal(err)
	}
	p, err := st.Prepare(2, second, nil)
	if err != nil {
		t.Fatal(err)
	}
	isAt(t, st, w, 1)
	p.Discard()
	isAt(t, st, w, 1)
	if p, err = st.Prepare(2, second, second.Sums(&version.Hasher{})); err != nil {
		t.Fatal(err)
	}
	if err := p.Commit(); err != nil {
		t.Fatal(err)
	}
	isAt(t, st, w, 2)
	if err := st.Undo(t.Context(), 1, second); err != nil {
		t.Fatal(err)
	}
	isAt(t, st, w, 1)
	if err := st.Undo(t.Context(), 0, first); err != nil {
		t.Fatal(err)
	}
	isAt(t, st, w, 0)
}

// TestAWrongDigestIsFoundAndTheStateEmptied publishes an entry that lies.
func TestAWrongDigestIsFoundAndTheStateEmptied(t *testing.T) {
	for name, lie := range map[string]func(*version.Entry){
		"another digest":       func(e *version.Entry) { e.Collections[0].Digest = version.HashOf(nil) },
		"a collection unnamed": func(e *version.Entry) { e.Collections = nil },
		"one too many": func(e *version.Entry) {
			e.Collections = append(slices.Clone(e.Collections), version.CollectionState{Name: "words", Digest: version.HashOf(nil)})
		},
	} {
		w := versiontest.New(t, new(blob.Mem))
		w.Commit(t.Context(), put("a", "1", 1))
		w.Publish(t.Context(), version.Compact, lie, put("b", "2", 2))
		st := opened(t, nil)
		move(t, st, w, 1)
		if err := st.MoveTo(t.Context(), w.Log, 2); !errors.Is(err, lockstep.ErrCorrupt) {
			t.Errorf("%s: %v, want ErrCorrupt", name, err)
		}
		isAt(t, st, w, 0)
		move(t, st, w, 1)
		isAt(t, st, w, 1)
	}
}

func TestAnErrorLeavesTheStateAsItWas(t *testing.T) {
	w := versiontest.New(t, new(blob.Mem))
	w.Commit(t.Context(), put("a", "1", 1))
	st := opened(t, nil)
	move(t, st, w, 1)
	if err := st.MoveTo(t.Context(), w.Log, 7); !errors.Is(err, lockstep.ErrNotFound) {
		t.Errorf("a version that is not there: %v", err)
	}
	isAt(t, st, w, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := read(t, st)
	defer r.Close()
	for name, err := range map[string]error{
		"MoveTo": st.MoveTo(ctx, w.Log, 0),
		"Apply":  st.Apply(ctx, 2, nil, nil),
		"Undo":   st.Undo(ctx, 0, nil),
		"Scan":   r.Scan(ctx, "lines", "", func(state.Row) error { return nil }),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a cancelled context: %v", name, err)
		}
	}
	isAt(t, st, w, 1)
}

func TestScanTakesAPrefixAndStops(t *testing.T) {
	w := versiontest.New(t, new(blob.Mem))
	var writes []versiontest.Write
	for _, id := range []string{"a", "a|1", "a|2", "a\xff", "b", "a}"} {
		writes = append(writes, put(id, "x"))
	}
	w.Commit(t.Context(), writes...)
	st := opened(t, nil)
	move(t, st, w, 1)
	r := read(t, st)
	defer r.Close()
	scan := func(c lockstep.Collection, prefix, stopAt string) (ids []string, err error) {
		stop := errors.New("stop")
		err = r.Scan(t.Context(), c, prefix, func(row state.Row) error {
			ids = append(ids, string(row.ID))
			if string(row.ID) == stopAt {
				return stop
			}
			return nil
		})
		if errors.Is(err, stop) {
			err = nil
		}
		return ids, err
	}
	for _, c := range []struct {
		c              lockstep.Collection
		prefix, stopAt string
		want           []string
	}{
		{"lines", "", "", []string{"a", "a|1", "a|2", "a}", "a\xff", "b"}},
		{"lines", "a|", "", []string{"a|1", "a|2"}},
		{"lines", "a\xff", "", []string{"a\xff"}},
		{"lines", "c", "", nil},
		{"lines", "", "a|1", []string{"a", "a|1"}},
		{"line", "", "", nil},
		{"words", "", "", nil},
	} {
		if got, err := scan(c.c, c.prefix, c.stopAt); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s %q: %q, %v, want %q", c.c, c.prefix, got, err, c.want)
		}
	}
}

func TestOneStateHasOneProcess(t *testing.T) {
	dir := t.TempDir()
	st, err := state.Open(dir, storeID, nil, state.Options{MemTableBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := state.Open(dir, storeID, nil, state.Options{}); err == nil || lockstep.HintOf(err) == "" {
		t.Errorf("opened twice: %v, hint %q", err, lockstep.HintOf(err))
	}
	closed(t, st)
	st, err = state.Open(dir, storeID, nil, state.Options{MemTableBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	closed(t, st)
}
