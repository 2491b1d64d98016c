package load

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lockstep/internal/change"
	"lockstep/internal/lockstep"
)

func traffic(t testing.TB, s Shape) *Traffic {
	t.Helper()
	tr, err := NewTraffic(s)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// everything is all that a traffic says: its receipts, their embeddings, 200 changes.
func everything(t testing.TB, s Shape) []byte {
	tr := traffic(t, s)
	var out []byte
	for i, events := range tr.Receipts() {
		for _, o := range tr.Objects(i) {
			out = append(append(append(out, o.Key...), '\n'), o.Body...)
		}
		for _, e := range events {
			out = append(e.AppendJSON(out), '\n')
		}
	}
	return tr.Batch(out, 200, time.Unix(1_800_000_000, 0))
}

func TestTheSameSeedMakesTheSameTraffic(t *testing.T) {
	shape := Shape{Seed: 3, Keys: 9, Skew: 0.8, Lines: 4, Epoch: 1000}
	first := everything(t, shape)
	if !bytes.Equal(first, everything(t, shape)) {
		t.Error("the same shape makes other traffic")
	}
	other := shape
	other.Seed = 4
	if bytes.Equal(first, everything(t, other)) {
		t.Error("another seed makes the same traffic")
	}
	later := shape
	later.Epoch = 5000
	moved := everything(t, later)
	if bytes.Equal(first, moved) {
		t.Error("a later run has the numbers of the first")
	}
	// Only the numbers differ: how many bytes they take does not.
	if len(first) != len(moved) {
		t.Errorf("%d bytes, and %d in a later run", len(first), len(moved))
	}
}

// TestAllTrafficIsReadableAndUnderItsPrefix reads the traffic as a server does.
func TestAllTrafficIsReadableAndUnderItsPrefix(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		shape := Shape{
			Seed: rapid.Uint64().Draw(rt, "seed"), Keys: rapid.IntRange(1, 10).Draw(rt, "keys"), Lines: rapid.IntRange(1, 4).Draw(rt, "lines"),
			Mix: rapid.SampledFrom([]Mix{{}, {100, 0, 0}, {0, 100, 0}, {0, 0, 100}}).Draw(rt, "mix"), Epoch: 1_000_000,
		}
		tr, err := NewTraffic(shape)
		if err != nil {
			rt.Fatal(err)
		}
		var lines []byte
		receipts := 0
		for i, events := range tr.Receipts() {
			if i != receipts {
				rt.Fatalf("receipt %d follows %d", i, receipts-1)
			}
			receipts++
			for _, e := range events {
				lines = append(e.AppendJSON(lines), '\n')
			}
			for _, o := range tr.Objects(i) {
				if !strings.Contains(o.Key, "/delta/"+marker) {
					rt.Fatalf("an object is called %s", o.Key)
				}
				for line := range strings.Lines(string(o.Body)) {
					if !strings.HasPrefix(line, `{"id":"`+KeyPrefix) {
						rt.Fatalf("an embedding is %.100s", line)
					}
				}
				if announced := strings.TrimSuffix(o.Key, "delta.ndjson"); !bytes.Contains(lines, []byte(`"`+announced+`"`)) {
					rt.Fatalf("no run announces %s", announced)
				}
			}
		}
		n := rapid.IntRange(0, 60).Draw(rt, "changes")
		lines = tr.Batch(lines, n, time.Unix(1_800_000_000, 0))
		if receipts != tr.Shape().Keys {
			rt.Fatalf("%d receipts, want %d", receipts, tr.Shape().Keys)
		}
		seq, ids := lockstep.Sequence("1000000"), map[string]bool{}
		opts := change.Options{Received: time.Unix(1_800_000_001, 0)}
		for d, err := range change.Decode(t.Context(), bytes.NewReader(lines), "load", opts) {
			if err != nil || d.Bad != nil {
				rt.Fatalf("%v, %+v", err, d.Bad)
			}
			c := d.Message.Change
			if !strings.HasPrefix(c.Key.Partition, KeyPrefix) {
				rt.Fatalf("key %q", c.Key.Partition)
			}
			for _, image := range []lockstep.Item{c.Old, c.New} {
				if image != nil && (image.Str("PK") != c.Key.Partition || image.Str("SK") != c.Key.Sort) {
					rt.Fatalf("the image of %v is of %q %q", c.Key, image.Str("PK"), image.Str("SK"))
				}
			}
			if c.Seq.Compare(seq) <= 0 || ids[d.Message.ID] {
				rt.Fatalf("change %s has number %s, after %s", d.Message.ID, c.Seq, seq)
			}
			seq, ids[d.Message.ID] = c.Seq, true
		}
		if d := tr.Done(); d.Inserts+d.Edits+d.Deletes != n {
			rt.Fatalf("%+v of %d changes", d, n)
		}
	})
}

func TestTheMixIsWhatIsSent(t *testing.T) {
	for _, c := range []struct {
		mix  Mix
		most func(Done) int
	}{
		{Mix{100, 0, 0}, func(d Done) int { return d.Edits }},
		{Mix{0, 0, 100}, func(d Done) int { return d.Inserts }},
		{Mix{0, 100, 0}, func(d Done) int { return d.Deletes }},
	} {
		tr := traffic(t, Shape{Seed: 1, Keys: 200, Mix: c.mix})
		tr.Batch(nil, 500, time.Unix(1, 0))
		// A receipt without a place gets one by an edit, and one without labels loses none.
		if got := c.most(tr.Done()); got < 450 {
			t.Errorf("%s: %+v", c.mix, tr.Done())
		}
	}
}

func TestTrafficGoesOnWhenThereIsNothingLeftToDelete(t *testing.T) {
	tr := traffic(t, Shape{Seed: 1, Keys: 1, Lines: 1, Mix: Mix{0, 100, 0}})
	if lines := tr.Batch(nil, 2000, time.Unix(1, 0)); bytes.Count(lines, []byte("\n")) != 2000 {
		t.Error("it ended")
	}
}

func TestAShapeOutOfRangeIsInvalid(t *testing.T) {
	for _, s := range []Shape{
		{Keys: -1},
		{Keys: MaxKeys + 1},
		{Skew: -1},
		{Skew: math.NaN()},
		{Skew: math.Inf(1)},
		{Lines: -1},
		{Lines: 1 << 20},
		{Dimension: -1},
		{Dimension: lockstep.MaxDimension + 1},
		{Epoch: math.MaxUint64},
	} {
		if _, err := NewTraffic(s); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%+v: %v", s, err)
		}
	}
	if diff := cmp.Diff(Shape{Keys: 50, Lines: 12, Dimension: 8, Mix: DefaultMix()}, traffic(t, Shape{}).Shape()); diff != "" {
		t.Errorf("the zero shape (-want +got):\n%s", diff)
	}
}

func TestRemovalsAreNewerThanWhatTheyRemove(t *testing.T) {
	items := []lockstep.MirrorItem{
		{Key: lockstep.ItemKey{Partition: "a", Sort: "1"}, Seq: "5", Image: lockstep.Item{"PK": text("a")}},
		{Key: lockstep.ItemKey{Partition: "a", Sort: "2"}, Seq: "99999999999999999999999"},
	}
	for _, epoch := range []uint64{1, math.MaxUint64} {
		ids := map[string]bool{}
		for i, e := range Removals(items, epoch) {
			if e.Change.Key != items[i].Key || e.Change.Event != lockstep.Remove || e.Change.Seq.Compare(items[1].Seq) <= 0 {
				t.Errorf("epoch %d: %+v", epoch, e)
			}
			ids[e.ID] = true
			line := e.AppendJSON(nil)
			for d, err := range change.Decode(t.Context(), bytes.NewReader(line), "load", change.Options{Received: time.Unix(1, 0)}) {
				if err != nil || d.Bad != nil {
					t.Errorf("%s: %v, %+v", line, err, d.Bad)
				}
			}
		}
		if len(ids) != 2 {
			t.Errorf("ids %v", ids)
		}
	}
	if got := Removals(nil, 1); len(got) != 0 {
		t.Errorf("%v", got)
	}
}
