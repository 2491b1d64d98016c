package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lockstep/internal/blob"
	"lockstep/internal/change"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
	"lockstep/internal/state"
	"lockstep/internal/version"
	"lockstep/internal/version/versiontest"
)

func newWorld(t *testing.T) (*versiontest.World, *blob.Mem) {
	t.Helper()
	mem := &blob.Mem{}
	return versiontest.New(t, mem), mem
}

// view returns a view of version n.
func view(t *testing.T, w *versiontest.World, n uint64) *state.Reader {
	t.Helper()
	s, err := state.Open(t.TempDir(), "test", w.Bases, state.Options{CacheBytes: 1 << 20, MemTableBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.MoveTo(t.Context(), w.Log, n); err != nil {
		t.Fatal(err)
	}
	r, err := s.Read()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

const insert = `{"eventID":"e1","eventName":"INSERT","dynamodb":{"Keys":{"PK":{"S":"IMAGE#1"},"SK":{"S":"LINE#7"}},"NewImage":{"PK":{"S":"IMAGE#1"},"SK":{"S":"LINE#7"},"text":{"S":"TOTAL"}},"SequenceNumber":"100"}}`

func line(id, doc, message, revision string, pairs ...string) versiontest.Write {
	return versiontest.Write{Collection: "lines", ID: id, Record: versiontest.Rec(id, doc, pairs...), Message: message, Revision: revision, Body: insert}
}

func gone(id, message, revision string) versiontest.Write {
	return versiontest.Write{Collection: "lines", ID: id, Message: message, Revision: revision, Body: insert}
}

func TestAListMarksWhatAResetLeftBehind(t *testing.T) {
	w, _ := newWorld(t)
	ctx := t.Context()
	w.Commit(ctx, line("a", "1", "m1", "r@1"))                              // 1
	w.Commit(ctx, line("a", "2", "m2", "r@1"))                              // 2
	w.Publish(ctx, version.Fence, func(*version.Entry) {})                  // 3
	w.Commit(ctx, line("b", "3", "m3", "r@2"))                              // 4
	w.Reset(ctx, 2, version.Span{From: 2, To: 4, Mode: version.Hold})       // 5
	w.Commit(ctx, line("c", "4", "m4", "r@1"), line("d", "5", "m4", "r@1")) // 6
	got := func(o Options) (out []string) {
		rows, err := List(ctx, w.Log, o)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			out = append(out, fmt.Sprintf("%d %s %v %d", r.Version, r.Kind, r.OnLine, r.Records))
		}
		return out
	}
	want := []string{"6 compact true 3", "5 reset true 1", "4 compact false 2", "2 compact true 1", "1 compact true 1"}
	if diff := cmp.Diff(want, got(Options{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"4 compact false 2", "3 fence false 1"}, got(Options{All: true, To: 4, Limit: 2})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"6 compact true 3"}, got(Options{From: 6, To: 99})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := List(ctx, w.Log, Options{From: 3, To: 2}); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("from after to: %v", err)
	}
	rows, err := List(ctx, w.Log, Options{})
	if err != nil || rows[1].Digest != rows[3].Digest || rows[1].Digest == rows[2].Digest {
		t.Errorf("digests of a reset and its target: %v, %v", rows, err)
	}
	if err := w.Log.Ledger().Retire(ctx, 4); err != nil {
		t.Fatal(err)
	}
	if got := got(Options{}); len(got) != 3 {
		t.Errorf("retired versions are listed: %v", got)
	}
	if _, err := Show(ctx, w.Log, 2, change.Schema{}); !errors.Is(err, version.ErrRetired) {
		t.Errorf("show a retired version: %v", err)
	}
}

func TestShowSummarisesAVersion(t *testing.T) {
	w, _ := newWorld(t)
	ctx := t.Context()
	w.Commit(ctx, line("a", "1", "m1", "r@1"), line("b", "1", "m1", "r@1"))
	mirror := versiontest.Write{Collection: lockstep.Table, ID: "IMAGE#1|LINE#7", Record: versiontest.Rec("IMAGE#1|LINE#7", "{}", "entity", "line"), Message: "m2", Body: insert}
	n := w.Commit(ctx, line("a", "2", "m2", "r@1"), gone("b", "m2", "r@1"), line("c", "1", "m3", "r@1"), mirror)
	v, err := Show(ctx, w.Log, n, change.Schema{})
	if err != nil {
		t.Fatal(err)
	}
	want := []Count{{"lines", 1, 1, 1}, {lockstep.Table, 1, 0, 0}}
	if diff := cmp.Diff(want, v.Changes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	event := &Event{Entity: "line", Key: "IMAGE#1|LINE#7", Event: lockstep.Insert, Sequence: "100"}
	if diff := cmp.Diff(event, v.Shown[0].Event); diff != "" || len(v.Shown) != 2 || v.Messages != 2 {
		t.Errorf("%d of %d messages (-want +got):\n%s", len(v.Shown), v.Messages, diff)
	}
	if _, err := Show(ctx, w.Log, 99, change.Schema{}); !errors.Is(err, lockstep.ErrNotFound) {
		t.Errorf("version 99: %v", err)
	}
	body, err := json.Marshal(v)
	if err != nil || !json.Valid(body) {
		t.Errorf("%s, %v", body, err)
	}
}

func TestDiffIsTheNetChangeFieldByField(t *testing.T) {
	w, _ := newWorld(t)
	ctx := t.Context()
	first := line("a", "old", "m1", "r@1", "keep", "1", "drop", "2", "change", "3")
	first.Vector = []float32{1, 2}
	w.Commit(ctx, first, line("b", "x", "m1", "r@1"), line("same", "x", "m1", "r@1"))
	second := line("a", "new", "m2", "r@2", "keep", "1", "change", "4", "add", "5")
	second.Vector = []float32{2, 1}
	w.Commit(ctx, second, gone("b", "m2", "r@2"), line("same", "y", "m2", "r@2"),
		versiontest.Write{Collection: lockstep.Table, ID: "k|", Record: versiontest.Rec("k|", "{}")})
	w.Commit(ctx, line("same", "x", "m3", "r@2"), line("c", "z", "m3", "r@2"))
	d, err := Diff(ctx, w.Log, 1, 3, DiffOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Count{{"lines", 1, 1, 1}}, d.Counts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	str := func(s string) *Value { return &Value{"string", s} }
	vec := func(v ...float32) *Value { return vectorOf(version.RefOf(version.AppendVector(nil, v))) }
	want := RecordDiff{Collection: "lines", ID: "a", Change: Changed, Author: lockstep.Author{Version: 2, Message: "m2", Revision: "r@2"}, Fields: []FieldDiff{
		{Part: Document, Old: str("old"), New: str("new")},
		{Part: Metadata, Key: "add", New: str("5")},
		{Part: Metadata, Key: "change", Old: str("3"), New: str("4")},
		{Part: Metadata, Key: "drop", Old: str("2")},
		{Part: Vector, Old: vec(1, 2), New: vec(2, 1)},
	}}
	if diff := cmp.Diff(want, d.Records[0]); diff != "" || len(d.Records) != 3 {
		t.Errorf("%d records (-want +got):\n%s", len(d.Records), diff)
	}
	back, err := Diff(ctx, w.Log, 3, 1, DiffOptions{Builtin: true, Limit: 1})
	if err != nil || !back.Truncated || len(back.Records) != 1 || back.Undo != 2 {
		t.Errorf("%+v, %v", back, err)
	}
	if diff := cmp.Diff([]Count{{"lines", 1, 1, 1}, {lockstep.Table, 0, 0, 1}}, back.Counts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := Diff(ctx, w.Log, 1, 9, DiffOptions{}); !errors.Is(err, lockstep.ErrNotFound) {
		t.Errorf("to a version that is not: %v", err)
	}
}

func TestBlameFollowsARecordToItsCreation(t *testing.T) {
	w, _ := newWorld(t)
	ctx := t.Context()
	w.Commit(ctx, line("a", "1", "m1", "r@1"))                                   // 1
	w.Commit(ctx, line("x", "1", "m2", "r@1"))                                   // 2
	w.CommitLarge(ctx, line("a", "2", "m3", "r@1"), line("a", "3", "m4", "r@2")) // 3: twice
	w.Commit(ctx, line("a", "bad", "m5", "r@3"))                                 // 4, left behind
	w.Reset(ctx, 3)                                                              // 5
	w.Commit(ctx, line("a", "4", "m6", "r@2"))                                   // 6
	w.Base(ctx, 6)                                                               // 7
	w.Commit(ctx, gone("x", "m7", "r@2"))                                        // 8
	blame := func(id string, o BlameOptions) (out []string) {
		writes, err := Blame(t.Context(), w.Log, view(t, w, w.Head()), "lines", id, o)
		if err != nil {
			t.Fatal(err)
		}
		for _, wr := range writes {
			m := ""
			if wr.Message != nil {
				m = wr.Message.ID
			}
			out = append(out, fmt.Sprintf("%d %s %s %s %v", wr.Version, wr.Change, m, wr.Revision, wr.Retired))
		}
		return out
	}
	want := []string{"6 changed m6 r@2 false", "3 changed m4 r@2 false", "3 changed m3 r@1 false", "1 added m1 r@1 false"}
	if diff := cmp.Diff(want, blame("a", BlameOptions{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want[:2], blame("a", BlameOptions{Limit: 2})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"8 deleted m7 r@2 false", "2 added m2 r@1 false"}, blame("x", BlameOptions{})); diff != "" {
		t.Errorf("a deleted record (-want +got):\n%s", diff)
	}
	r := view(t, w, w.Head())
	if _, err := Blame(ctx, w.Log, r, "lines", "never", BlameOptions{}); !errors.Is(err, lockstep.ErrNotFound) {
		t.Errorf("a record that never was: %v", err)
	}
	w.Commit(ctx, line("y", "1", "m8", "r@2"))
	if _, err := Blame(ctx, w.Log, view(t, w, w.Head()), "lines", "x", BlameOptions{Depth: 1}); !errors.Is(err, lockstep.ErrNotFound) || lockstep.HintOf(err) == "" {
		t.Errorf("deeper than allowed: %v", err)
	}
	if err := w.Log.Ledger().Retire(ctx, 5); err != nil {
		t.Fatal(err)
	}
	for _, reopen := range []bool{false, true} { // also when the log remembers what is gone
		if reopen {
			w.Reopen()
		}
		if diff := cmp.Diff([]string{want[0], "3  m4 r@2 true"}, blame("a", BlameOptions{})); diff != "" {
			t.Errorf("after retention (-want +got):\n%s", diff)
		}
	}
}

func TestBlameOfADeletedRecordWalksParentsAndNotTheLog(t *testing.T) {
	w, _ := newWorld(t)
	ctx := t.Context()
	w.Commit(ctx, line("x", "1", "m1", "r@1"))
	w.Commit(ctx, gone("x", "m2", "r@1"))
	w.Commit(ctx, line("x", "2", "m3", "r@2")) // left behind
	w.Reset(ctx, 2)
	writes, err := Blame(ctx, w.Log, view(t, w, 4), "lines", "x", BlameOptions{})
	if err != nil || len(writes) != 2 || writes[0].Version != 2 || writes[0].Change != Deleted || writes[1].Version != 1 {
		t.Errorf("%+v, %v", writes, err)
	}
}

func TestBisectFindsTheFirstBadVersion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 60).Draw(t, "length")
		lineOf, at := make([]uint64, n), uint64(0)
		for i := range lineOf {
			at += uint64(rapid.IntRange(1, 5).Draw(t, "gap"))
			lineOf[i] = at
		}
		first := rapid.IntRange(0, n-1).Draw(t, "first bad")
		skips := map[uint64]bool{}
		for range rapid.IntRange(0, 6).Draw(t, "skips") {
			skips[lineOf[rapid.IntRange(0, n-1).Draw(t, "skip")]] = true
		}
		b, err := NewBisect(lineOf)
		if err != nil {
			t.Fatal(err)
		}
		asked := 0
		for {
			v, ok := b.Next()
			if !ok {
				break
			}
			if asked++; asked > n {
				t.Fatalf("asked %d times about %d versions: %v", asked, n, b.Steps)
			}
			m := Good
			if v >= lineOf[first] {
				m = Bad
			}
			if skips[v] {
				m = Skip
			}
			if err := b.Mark(v, m); err != nil {
				t.Fatal(err)
			}
			body, err := json.Marshal(b) // stored and loaded again between the steps
			if err != nil {
				t.Fatal(err)
			}
			b = &Bisect{}
			if err := errors.Join(json.Unmarshal(body, b), b.Check()); err != nil {
				t.Fatal(err)
			}
		}
		r := b.Result()
		if !r.Done || r.Left != 0 || !slices.Contains(r.Suspects, lineOf[first]) {
			t.Fatalf("result %+v, first bad is %d", r, lineOf[first])
		}
		for _, s := range r.Suspects[:len(r.Suspects)-1] {
			if !skips[s] {
				t.Fatalf("version %d was not skipped and is a suspect still: %+v", s, r)
			}
		}
		if len(skips) == 0 && (r.First != lineOf[first] || asked > 7) {
			t.Fatalf("asked %d times: %+v, want %d", asked, r, lineOf[first])
		}
	})
}

func TestBisectRefusesNonsense(t *testing.T) {
	for _, l := range [][]uint64{nil, {2, 2}, {3, 1}} {
		if _, err := NewBisect(l); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("line %v: %v", l, err)
		}
	}
	b, err := NewBisect([]uint64{1, 3, 5, 7})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Mark(3, Good); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		n    uint64
		m    Mark
		want error
	}{{2, Good, lockstep.ErrInvalid}, {5, "maybe", lockstep.ErrInvalid}, {1, Bad, lockstep.ErrConflict}, {7, Good, lockstep.ErrConflict}} {
		if err := b.Mark(c.n, c.m); !errors.Is(err, c.want) {
			t.Errorf("%d is %s: %v, want %v", c.n, c.m, err, c.want)
		}
	}
	if len(b.Steps) != 1 {
		t.Errorf("refused answers were noted: %v", b.Steps)
	}
}

// tangle makes a history with resets, a base and large deltas: 12 versions.
func tangle(t *testing.T) (*versiontest.World, *blob.Mem) {
	w, mem := newWorld(t)
	ctx := t.Context()
	v := line("a", "1", "m1", "r@1")
	v.Vector = []float32{1, 2, 3}
	w.Commit(ctx, v)                                // 1
	w.CommitLarge(ctx, line("b", "1", "m2", "r@1")) // 2
	w.Commit(ctx, gone("a", "m3", "r@1"))           // 3
	w.Reset(ctx, 2)                                 // 4
	w.Commit(ctx, line("c", "1", "m4", "r@1"))      // 5
	w.Base(ctx, 5)                                  // 6
	w.CommitLarge(ctx, line("c", "2", "m5", "r@1")) // 7
	w.Reset(ctx, 3)                                 // 8
	w.Commit(ctx, line("d", "2", "m6", "r@1"))      // 9
	w.Reset(ctx, 7)                                 // 10
	w.Commit(ctx, line("e", "2", "m7", "r@1"))      // 11
	w.Publish(ctx, version.Fence, func(*version.Entry) {})
	return w, mem
}

func TestVerifyProvesAWholeHistory(t *testing.T) {
	w, _ := tangle(t)
	var last, total int
	r, err := Verify(t.Context(), w.Log, view(t, w, 12), VerifyOptions{Vectors: true, Progress: func(d, n int) { last, total = d, n }})
	if err != nil {
		t.Fatal(err)
	}
	want := Report{OK: true, Low: 1, Head: 12, Entries: 12, Deltas: 7, Digests: 12, State: 12, Records: 4, Vectors: 1, Problems: []Problem{}}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if last != 16 || total != 16 {
		t.Errorf("progress ended at %d of %d", last, total)
	}
	// From a version on another branch it is the same.
	if r, err = Verify(t.Context(), w.Log, view(t, w, 9), VerifyOptions{}); err != nil || !r.OK || r.Digests != 12 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestVerifyCountsFromTheStateWhenTheBeginningIsGone(t *testing.T) {
	w, _ := tangle(t)
	r := view(t, w, 11)
	if err := w.Log.Ledger().Retire(t.Context(), 4); err != nil {
		t.Fatal(err)
	}
	w.Reopen()
	got, err := Verify(t.Context(), w.Log, r, VerifyOptions{})
	// Versions 8 and 9 come from version 3, which is gone and not on the way here.
	want := Report{OK: true, Low: 4, Head: 12, Entries: 9, Deltas: 4, Digests: 7, Unproved: 2, State: 11, Records: 4, Problems: []Problem{}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestVerifyNamesWhatIsWrong(t *testing.T) {
	overwrite := func(t *testing.T, m *blob.Mem, key string, change func([]byte) []byte) {
		t.Helper()
		body, err := blob.ReadAll(t.Context(), m, key, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(m.Delete(t.Context(), key), m.Create(t.Context(), key, change(body))); err != nil {
			t.Fatal(err)
		}
	}
	flip := func(b []byte) []byte { b[len(b)/2] ^= 1; return b }
	for _, c := range []struct {
		name   string
		harm   func(t *testing.T, w *versiontest.World, m *blob.Mem)
		checks []string
	}{
		{"a flipped bit in an entry", func(t *testing.T, _ *versiontest.World, m *blob.Mem) { overwrite(t, m, entryKey(5), flip) }, []string{"chain 5"}},
		{"a missing entry", func(t *testing.T, _ *versiontest.World, m *blob.Mem) {
			if err := m.Delete(t.Context(), entryKey(5)); err != nil {
				t.Fatal(err)
			}
		}, []string{"chain 5"}},
		{"a flipped bit in a delta", func(t *testing.T, w *versiontest.World, m *blob.Mem) {
			e, err := w.Log.Read(t.Context(), 7)
			if err != nil {
				t.Fatal(err)
			}
			overwrite(t, m, e.Delta.Key, flip)
		}, []string{"delta 7"}},
		{"a missing delta", func(t *testing.T, w *versiontest.World, m *blob.Mem) {
			e, err := w.Log.Read(t.Context(), 2)
			if err != nil || m.Delete(t.Context(), e.Delta.Key) != nil {
				t.Fatal(err)
			}
		}, []string{"delta 2"}},
		{"an entry with a wrong digest", func(t *testing.T, w *versiontest.World, _ *blob.Mem) {
			w.Publish(t.Context(), version.Fence, func(e *version.Entry) { e.Collections[0].Digest = version.EmptyDigest() })
		}, []string{"digest 13"}},
		{"an entry with a wrong count", func(t *testing.T, w *versiontest.World, _ *blob.Mem) {
			w.Publish(t.Context(), version.Fence, func(e *version.Entry) { e.Collections[0].Records++ })
		}, []string{"digest 13"}},
		{"an entry that lacks a collection", func(t *testing.T, w *versiontest.World, _ *blob.Mem) {
			w.Publish(t.Context(), version.Fence, func(e *version.Entry) { e.Collections = nil })
		}, []string{"digest 13"}},
		{"an entry rewritten with a right checksum", func(t *testing.T, w *versiontest.World, m *blob.Mem) {
			other := versiontest.New(t, &blob.Mem{})
			other.Commit(t.Context(), line("forged", "1", "m", "r"))
			forged, err := blob.ReadAll(t.Context(), other.Store, entryKey(1), 1<<30)
			if err != nil {
				t.Fatal(err)
			}
			overwrite(t, m, entryKey(1), func([]byte) []byte { return forged })
		}, []string{"chain 2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, mem := tangle(t)
			r := view(t, w, 12)
			c.harm(t, w, mem)
			got, err := Verify(t.Context(), version.NewLog(mem, ledger.Options{}), r, VerifyOptions{})
			if err != nil {
				t.Fatal(err)
			}
			var checks []string
			for _, p := range got.Problems {
				if s := fmt.Sprintf("%s %d", p.Check, p.Version); !slices.Contains(checks, s) {
					checks = append(checks, s)
				}
			}
			if diff := cmp.Diff(c.checks, checks); diff != "" || got.OK || got.Found == 0 {
				t.Errorf("%+v (-want +got):\n%s", got, diff)
			}
		})
	}
}

func TestVerifyChecksTheLocalStateRecordByRecord(t *testing.T) {
	w, _ := tangle(t)
	s, err := state.Open(t.TempDir(), "test", w.Bases, state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.MoveTo(t.Context(), w.Log, 11); err != nil {
		t.Fatal(err)
	}
	// A write that the log does not know, with the sums carried along as if nothing were.
	forged := &version.Delta{Mutations: []version.Mutation{{Collection: "lines", ID: "b", Cause: -1, After: version.AppendRecord(nil, versiontest.Rec("b", "forged"))}}}
	if err := s.Apply(t.Context(), 12, forged, map[lockstep.Collection]*version.Tally{}); err != nil {
		t.Fatal(err)
	}
	r, err := s.Read()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := Verify(t.Context(), w.Log, r, VerifyOptions{})
	if err != nil || got.OK || got.Found != 2 || got.Problems[0].Check != "state" || got.Digests != 12 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestACancelledContextIsHonoured(t *testing.T) {
	w, _ := tangle(t)
	r := view(t, w, 12)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, list := List(ctx, w.Log, Options{})
	_, show := Show(ctx, w.Log, 1, change.Schema{})
	_, diff := Diff(ctx, w.Log, 1, 2, DiffOptions{})
	_, blame := Blame(ctx, w.Log, r, "lines", "a", BlameOptions{})
	_, verify := Verify(ctx, w.Log, r, VerifyOptions{})
	for i, err := range []error{list, show, diff, blame, verify} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("call %d: %v", i, err)
		}
	}
}
