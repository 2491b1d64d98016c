package follow_test

import (
	"context"
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lockstep/internal/blob"
	"lockstep/internal/follow"
	"lockstep/internal/ledger"
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

// rig is a follower in memory on a log of its own.
type rig struct {
	*follow.Follower
	t     tb
	w     *versiontest.World
	st    *state.State
	store *blob.Mem
	held  *memory
}

func newRig(t tb) *rig {
	t.Helper()
	r := &rig{t: t, store: new(blob.Mem), held: &memory{}}
	r.w = versiontest.New(t, r.store)
	var err error
	if r.st, err = state.Open("state", "store-1", r.w.Bases, state.Options{FS: vfs.NewMem(), CacheBytes: 1 << 20, MemTableBytes: 1 << 20}); err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := r.st.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	r.Follower = &follow.Follower{Log: r.w.Log, Store: "store-1", Target: r.held}
	return r
}

// view moves the state to version n and passes a view of it.
func (r *rig) view(n uint64, use func(*state.Reader)) {
	r.t.Helper()
	if err := r.st.MoveTo(r.t.Context(), r.w.Log, n); err != nil {
		r.t.Fatalf("move to %d: %v", n, err)
	}
	v, err := r.st.Read()
	if err != nil {
		r.t.Fatalf("read: %v", err)
	}
	defer func() {
		if err := v.Close(); err != nil {
			r.t.Errorf("close the view: %v", err)
		}
	}()
	use(v)
}

func (r *rig) tryBring(n uint64) (moved follow.Moved, err error) {
	r.t.Helper()
	r.view(n, func(v *state.Reader) { moved, err = r.Bring(r.t.Context(), v) })
	return moved, err
}

func (r *rig) bring(n uint64) follow.Moved {
	r.t.Helper()
	moved, err := r.tryBring(n)
	if err != nil {
		r.t.Fatalf("bring to %d: %v", n, err)
	}
	r.holds(n)
	return moved
}

func (r *rig) verdicts(n uint64) (out []follow.Verdict) {
	r.t.Helper()
	r.view(n, func(v *state.Reader) {
		var err error
		if out, err = r.Verify(r.t.Context(), v); err != nil {
			r.t.Fatalf("verify version %d: %v", n, err)
		}
	})
	return out
}

// published is what a follower of version n must hold.
func (r *rig) published(n uint64) contents {
	out := contents{}
	for k, row := range r.w.State(n) {
		if k.Collection.Builtin() {
			continue
		}
		if out[k.Collection] == nil {
			out[k.Collection] = map[string]held{}
		}
		out[k.Collection][k.ID] = held{string(row.Image), string(row.Vector)}
	}
	return out
}

func (r *rig) holds(n uint64) {
	r.t.Helper()
	got := contents{}
	for c, records := range r.held.records {
		if len(records) > 0 {
			got[c] = records
		}
	}
	if diff := cmp.Diff(r.published(n), got, cmp.AllowUnexported(held{})); diff != "" {
		r.t.Fatalf("the follower of version %d (-want +got):\n%s", n, diff)
	}
	want := follow.Mark{Store: "store-1", Version: n, Digests: map[lockstep.Collection]string{}}
	if n > 0 {
		e, err := r.w.Log.Read(r.t.Context(), n)
		if err != nil {
			r.t.Fatalf("%v", err)
		}
		for c, d := range e.Digests() {
			if !c.Builtin() {
				want.Digests[c] = d
			}
		}
	}
	if diff := cmp.Diff(want, r.held.mark); diff != "" {
		r.t.Fatalf("the mark of version %d (-want +got):\n%s", n, diff)
	}
	for _, v := range r.verdicts(n) {
		if !v.Equal || v.Digest != v.Want || len(v.Differences) > 0 || v.Records != int64(len(got[v.Collection])) {
			r.t.Fatalf("verdict %+v", v)
		}
	}
}

// differing counts the published records that differ between two versions.
func (r *rig) differing(from, to uint64) int {
	a, b, n := r.published(from), r.published(to), 0
	for c, records := range a {
		for id, h := range records {
			if b[c][id] != h {
				n++
			}
		}
	}
	for c, records := range b {
		for id := range records {
			if _, ok := a[c][id]; !ok {
				n++
			}
		}
	}
	return n
}

func TestAFollowerGoesAnyWayThroughTheTree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRig(t)
		for range rapid.IntRange(1, 6).Draw(t, "moves") {
			r.w.Grow(t.Context(), rapid.IntRange(0, 4).Draw(t, "versions"), func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "pick") })
			from := r.held.mark
			to := uint64(rapid.IntRange(0, int(r.w.Head())).Draw(t, "to"))
			moved := r.bring(to)
			want := follow.Moved{From: from.Version, To: to, Full: from.Version == 0 && (to != 0 || from.Store == ""), Records: r.differing(from.Version, to)}
			if moved != want {
				t.Fatalf("moved %+v, want %+v", moved, want)
			}
			if again := r.bring(to); again != (follow.Moved{From: to, To: to}) {
				t.Fatalf("moved again: %+v", again)
			}
		}
	})
}

func put(id, document string, vector ...float32) versiontest.Write {
	return versiontest.Write{Collection: "lines", ID: id, Record: versiontest.Rec(id, document), Vector: vector}
}

func threeVersions(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	r.w.CommitLarge(t.Context(), put("a", "1", 1, 1), put("b", "1", 1, 1))
	r.w.CommitLarge(t.Context(), put("a", "2"), put("c", "2", 2, 2))
	r.w.CommitLarge(t.Context(), put("b", "3", 3, 3), versiontest.Write{Collection: "lines", ID: "c"})
	return r
}

func TestANewFollowerIsWrittenAnew(t *testing.T) {
	r := threeVersions(t)
	if moved := r.bring(3); moved != (follow.Moved{To: 3, Full: true, Records: 2}) {
		t.Errorf("moved %+v", moved)
	}
	want := []follow.Spec{{Name: "lines", Space: "l2"}}
	if diff := cmp.Diff(want, r.held.last.Collections); diff != "" {
		t.Errorf("collections (-want +got):\n%s", diff)
	}
}

func TestAFollowerOfAnotherStoreIsWrittenAnew(t *testing.T) {
	r := threeVersions(t)
	r.bring(2)
	r.held.mark.Store = "store-0"
	if moved := r.bring(2); moved != (follow.Moved{From: 2, To: 2, Full: true, Records: 3}) {
		t.Errorf("moved %+v", moved)
	}
}

func TestWhenTheWayIsRetiredTheFollowerIsWrittenAnew(t *testing.T) {
	for name, retire := range map[string]func(*rig) error{
		"a delta is gone": func(r *rig) error {
			e, err := r.w.Log.Read(t.Context(), 2)
			if err != nil {
				return err
			}
			return r.store.Delete(t.Context(), e.Delta.Key)
		},
		"the entries are retired": func(r *rig) error { return r.w.Log.Ledger().Retire(t.Context(), 3) },
	} {
		r := threeVersions(t)
		r.bring(1)
		if err := r.st.MoveTo(t.Context(), r.w.Log, 3); err != nil {
			t.Fatal(err)
		}
		if err := retire(r); err != nil {
			t.Fatal(err)
		}
		r.Log = version.NewLog(r.store, ledger.Options{})
		if moved := r.bring(3); moved != (follow.Moved{From: 1, To: 3, Full: true, Records: 2}) {
			t.Errorf("%s: moved %+v", name, moved)
		}
	}
}

func TestAVersionThatTheLogNeverHadIsWrittenOver(t *testing.T) {
	r := threeVersions(t)
	r.bring(3)
	r.held.mark.Version = 9
	if moved := r.bring(3); !moved.Full || moved.From != 9 {
		t.Errorf("moved %+v", moved)
	}
}

// TestADivergedFollowerIsNotWrittenOver: at another version and at the same one.
func TestADivergedFollowerIsNotWrittenOver(t *testing.T) {
	for _, to := range []uint64{1, 2, 3} {
		r := threeVersions(t)
		r.bring(2)
		r.held.mark.Digests = map[lockstep.Collection]string{"lines": version.HashOf(nil)}
		before := r.held.mark
		_, err := r.tryBring(to)
		if !errors.Is(err, follow.ErrDiverged) || !errors.Is(err, lockstep.ErrRefused) || lockstep.HintOf(err) == "" {
			t.Errorf("to %d: %v with hint %q, want ErrDiverged", to, err, lockstep.HintOf(err))
		}
		if diff := cmp.Diff(before, r.held.mark); diff != "" {
			t.Errorf("to %d: the follower was moved:\n%s", to, diff)
		}
		r.view(to, func(v *state.Reader) {
			if moved, err := r.Repair(t.Context(), v); err != nil || !moved.Full || moved.To != to {
				t.Errorf("repair: %+v, %v", moved, err)
			}
		})
		r.holds(to)
	}
}

func TestAStepThatFailsIsReported(t *testing.T) {
	r := threeVersions(t)
	r.held.failing = lockstep.ErrUnavailable
	if _, err := r.tryBring(1); !errors.Is(err, lockstep.ErrUnavailable) {
		t.Errorf("a full step: %v", err)
	}
	r.held.failing = nil
	r.bring(1)
	r.held.failing = lockstep.ErrUnavailable
	if _, err := r.tryBring(3); !errors.Is(err, lockstep.ErrUnavailable) {
		t.Errorf("a step: %v", err)
	}
	r.holds(1)
	r.held.failing = nil
	r.bring(3)
}

// TestADeltaWithoutTheVectorItsRecordNamesIsCorrupt: the record says that its vector
// changed and the delta does not hold the new one.
func TestADeltaWithoutTheVectorItsRecordNamesIsCorrupt(t *testing.T) {
	r := newRig(t)
	r.w.Commit(t.Context(), put("a", "1", 1, 1))
	r.bring(1)
	head, err := r.w.Log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rec := versiontest.Rec("a", "2")
	rec.Vector = version.RefOf(version.AppendVector(nil, []float32{2, 2}))
	d := &version.Delta{Mutations: []version.Mutation{{Collection: "lines", ID: "a", Cause: -1, Before: r.w.State(1)[versiontest.Key{Collection: "lines", ID: "a"}].Image, After: version.AppendRecord(nil, rec)}}}
	framer, err := version.NewFramer()
	if err != nil {
		t.Fatal(err)
	}
	b, err := framer.EncodeDelta(d)
	if err != nil {
		t.Fatal(err)
	}
	e := &version.Entry{Kind: version.Compact, Parent: 1, Delta: &version.DeltaRef{Mutations: 1}, Collections: head.Entry.Collections}
	if _, err := r.w.Log.Publish(t.Context(), head, e, b); err != nil {
		t.Fatal(err)
	}
	if err := r.st.Apply(t.Context(), 2, d, nil); err != nil {
		t.Fatal(err)
	}
	v, err := r.st.Read()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if _, err := r.Bring(t.Context(), v); !errors.Is(err, lockstep.ErrCorrupt) {
		t.Errorf("%v, want ErrCorrupt", err)
	}
	r.holds(1)
}

func TestCancelledContextsAreHonoured(t *testing.T) {
	r := threeVersions(t)
	r.bring(3)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.view(3, func(v *state.Reader) {
		_, bring := r.Bring(ctx, v)
		_, repair := r.Repair(ctx, v)
		_, verify := r.Verify(ctx, v)
		for name, err := range map[string]error{"Bring": bring, "Repair": repair, "Verify": verify} {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	r.holds(3)
}
