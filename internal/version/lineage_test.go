package version_test

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lockstep/internal/blob"
	"lockstep/internal/version"
	"lockstep/internal/version/versiontest"
)

// tree returns the log of
//
//	0 - 1 - 2 - 3
//	    |   `-- 7 - 8      (7 resets to 2)
//	    `-- 4 - 5 - 6      (4 resets to 1)
//	0 - 9                  (9 resets to the empty index)
func tree(t testing.TB) *versiontest.World {
	t.Helper()
	ctx := t.Context()
	w := versiontest.New(t, new(blob.Mem))
	put := func(id, document string, vector ...float32) versiontest.Write {
		return versiontest.Write{Collection: "lines", ID: id, Record: versiontest.Rec(id, document), Vector: vector, Message: "m-" + document, Revision: "r@1"}
	}
	drop := func(id string) versiontest.Write { return versiontest.Write{Collection: "lines", ID: id} }
	w.Commit(ctx, put("a", "1", 1, 1), put("b", "1", 1, 1))
	w.Commit(ctx, put("a", "2"), drop("b"))
	w.Commit(ctx, put("a", "3", 3, 3))
	w.Reset(ctx, 1)
	w.Commit(ctx, drop("a"))
	w.CommitLarge(ctx, put("a", "6"))
	w.Reset(ctx, 2)
	w.Commit(ctx, put("b", "1", 1, 1), put("c", "8", 8))
	w.Reset(ctx, 0)
	return w
}

func TestTheWayThroughTheTreeOfStates(t *testing.T) {
	w := tree(t)
	for _, c := range []struct {
		from, to    uint64
		undo, apply []uint64
	}{
		{3, 3, nil, nil},
		{0, 3, nil, []uint64{1, 2, 3}},
		{3, 0, []uint64{3, 2, 1}, nil},
		{3, 6, []uint64{3, 2}, []uint64{4, 5, 6}},
		{6, 8, []uint64{6, 5, 4}, []uint64{2, 7, 8}},
		{3, 8, []uint64{3}, []uint64{7, 8}},
		{8, 2, []uint64{8, 7}, nil},
		{8, 9, []uint64{8, 7, 2, 1}, []uint64{9}},
		{9, 4, []uint64{9}, []uint64{1, 4}},
	} {
		p, err := w.Log.Path(t.Context(), c.from, c.to)
		if err != nil || !slices.Equal(p.Undo, c.undo) || !slices.Equal(p.Apply, c.apply) {
			t.Errorf("from %d to %d: undo %d, apply %d, %v; want %d and %d", c.from, c.to, p.Undo, p.Apply, err, c.undo, c.apply)
		}
		if line, err := w.Log.Line(t.Context(), c.from, c.to); err != nil || !slices.Equal(line, c.apply) {
			t.Errorf("line from %d to %d: %d, %v", c.from, c.to, line, err)
		}
	}
}

// tb is what testing.T and rapid.T have in common.
type tb interface {
	versiontest.TB
	Context() context.Context
}

func nets(t tb, w *versiontest.World, from, to uint64) []version.Net {
	t.Helper()
	p, err := w.Log.Path(t.Context(), from, to)
	if err != nil {
		t.Fatalf("way from %d to %d: %v", from, to, err)
	}
	out, err := w.Log.NetChanges(t.Context(), p)
	if err != nil {
		t.Fatalf("changes from %d to %d: %v", from, to, err)
	}
	return out
}

func TestNetChangesNameOnlyWhatDiffers(t *testing.T) {
	w := tree(t)
	ids := func(from, to uint64) (out []string) {
		for _, n := range nets(t, w, from, to) {
			how := "~"
			if n.Before == nil {
				how = "+"
			} else if n.After == nil {
				how = "-"
			}
			out = append(out, how+n.ID)
		}
		return out
	}
	for _, c := range []struct {
		from, to uint64
		want     []string
	}{
		{0, 3, []string{"+a"}}, // b came and went
		{1, 4, nil},            // a reset
		{2, 1, []string{"~a", "+b"}},
		{3, 6, []string{"~a", "+b"}},
		{1, 8, []string{"~a", "+c"}}, // b was removed and came back as it was
		{8, 9, []string{"-a", "-b", "-c"}},
	} {
		if got := ids(c.from, c.to); !slices.Equal(got, c.want) {
			t.Errorf("from %d to %d: %q, want %q", c.from, c.to, got, c.want)
		}
	}
}

// TestAVectorThatWentAwayLeavesNothingBehind: changed, removed with its record, and
// the record made anew without one. The change in between must not be what is left.
func TestAVectorThatWentAwayLeavesNothingBehind(t *testing.T) {
	w := versiontest.New(t, new(blob.Mem))
	put := func(document string, vector ...float32) versiontest.Write {
		return versiontest.Write{Collection: "lines", ID: "a", Record: versiontest.Rec("a", document), Vector: vector}
	}
	w.Commit(t.Context(), put("1", 1))
	w.Commit(t.Context(), put("2", 2))
	w.Commit(t.Context(), versiontest.Write{Collection: "lines", ID: "a"})
	w.Commit(t.Context(), put("4"))
	if got := nets(t, w, 1, 4); len(got) != 1 || got[0].Vector != nil {
		t.Errorf("forward: %+v", got)
	}
	if got := nets(t, w, 4, 1); len(got) != 1 || !bytes.Equal(got[0].Vector, version.AppendVector(nil, []float32{1})) {
		t.Errorf("backward: %+v", got)
	}
}

// apply takes the changes strictly: what they say was before must be there.
func apply(t versiontest.TB, rows map[versiontest.Key]versiontest.Row, changes []version.Net) map[versiontest.Key]versiontest.Row {
	t.Helper()
	rows = maps.Clone(rows)
	for i, n := range changes {
		if i > 0 && (changes[i-1].Collection > n.Collection || changes[i-1].Collection == n.Collection && changes[i-1].ID >= n.ID) {
			t.Fatalf("changes are out of order: %s %q", n.Collection, n.ID)
		}
		k := versiontest.Key{Collection: n.Collection, ID: n.ID}
		old, had := rows[k]
		if had != (n.Before != nil) || !bytes.Equal(old.Image, n.Before) {
			t.Fatalf("%s %q: before %x, but there is %x", n.Collection, n.ID, n.Before, old.Image)
		}
		if n.After == nil {
			delete(rows, k)
			continue
		}
		row := versiontest.Row{Image: n.After, Vector: old.Vector, Author: n.Author}
		rec, err := version.DecodeRecord(n.ID, n.After)
		if err != nil {
			t.Fatalf("%v", err)
		}
		if version.RefOf(old.Vector) != rec.Vector {
			row.Vector = n.Vector
		}
		rows[k] = row
	}
	return rows
}

func differs(want, got map[versiontest.Key]versiontest.Row) string {
	content := cmp.Transformer("content", func(r versiontest.Row) [2]string { return [2]string{string(r.Image), string(r.Vector)} })
	return cmp.Diff(want, got, content)
}

func TestNetChangesLeadFromEveryStateToEveryOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := versiontest.New(t, new(blob.Mem))
		w.Grow(t.Context(), rapid.IntRange(1, 9).Draw(t, "versions"), func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "pick") })
		w.Reopen()
		for from := range w.Head() + 1 {
			for to := range w.Head() + 1 {
				there := nets(t, w, from, to)
				got := apply(t, w.State(from), there)
				if diff := differs(w.State(to), got); diff != "" {
					t.Fatalf("from %d to %d (-want +got):\n%s", from, to, diff)
				}
				for _, n := range there {
					if want, ok := w.State(to)[versiontest.Key{Collection: n.Collection, ID: n.ID}]; ok && n.Author != want.Author {
						t.Fatalf("from %d to %d: %q is by %+v, want %+v", from, to, n.ID, n.Author, want.Author)
					}
				}
				if diff := differs(w.State(from), apply(t, got, nets(t, w, to, from))); diff != "" {
					t.Fatalf("from %d to %d and back (-want +got):\n%s", from, to, diff)
				}
			}
		}
	})
}
