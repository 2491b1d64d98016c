package base_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/base"
	"lockstep/internal/blob"
	"lockstep/internal/lockstep"
)

func TestABadRowIsRefusedAndTheBaseGoesOn(t *testing.T) {
	store := &blob.Mem{}
	rows := words("words", 3, 4)
	b := base.NewBuilder(store, testID, base.Options{PartRows: 1})
	for _, r := range rows[:2] {
		if err := b.Add(t.Context(), r.Row, r.vector); err != nil {
			t.Fatal(err)
		}
	}
	nan := []float32{1, float32(math.NaN()), 0, 0}
	for name, change := range map[string]func(*full){
		"id again":             func(r *full) { r.Record.ID = rows[1].Record.ID },
		"id before":            func(r *full) { r.Record.ID = rows[0].Record.ID },
		"no id":                func(r *full) { r.Record.ID = "" },
		"long id":              func(r *full) { r.Record.ID += strings.Repeat("x", lockstep.MaxIDBytes) },
		"collection before":    func(r *full) { r.Collection = "lines" },
		"bad collection":       func(r *full) { r.Collection = "x/y" },
		"no vector":            func(r *full) { r.vector = nil },
		"short vector":         func(r *full) { r.vector = r.vector[1:] },
		"other vector":         func(r *full) { r.vector = rows[0].vector },
		"vector with NaN":      func(r *full) { r.vector = nan; r.Record.Vector = hashOf(nan) },
		"vector without name":  func(r *full) { r.Record.Vector = lockstep.VectorRef{} },
		"hash without vector":  func(r *full) { r.vector = nil; r.Record.Vector.Dim = 0 },
		"id not UTF-8":         func(r *full) { r.Record.ID += "\xff" },
		"document not UTF-8":   func(r *full) { r.Record.Document = "\xff" },
		"metadata not UTF-8":   func(r *full) { r.Record.Metadata = lockstep.Metadata{{Key: "a", Value: lockstep.String("\xff")}} },
		"message not UTF-8":    func(r *full) { r.Author.Message = "\xff" },
		"metadata not sorted":  func(r *full) { r.Record.Metadata = append(r.Record.Metadata[1:2:2], r.Record.Metadata[0]) },
		"author of the future": func(r *full) { r.Author.Version = math.MaxUint64 },
		"too large":            func(r *full) { r.Author.Revision = strings.Repeat("r", 33<<20) },
	} {
		bad := rows[2]
		change(&bad)
		if err := b.Add(t.Context(), bad.Row, bad.vector); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	if err := b.Add(t.Context(), rows[2].Row, rows[2].vector); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Finish(t.Context(), sealOf("words")); err != nil {
		t.Fatal(err)
	}
	check(t.Context(), t, open(t, store), rows)
	if err := b.Add(t.Context(), rows[2].Row, rows[2].vector); !errors.Is(err, lockstep.ErrRefused) {
		t.Errorf("a row after the end: %v, want ErrRefused", err)
	}
	if _, err := b.Finish(t.Context(), sealOf("words")); !errors.Is(err, lockstep.ErrRefused) {
		t.Errorf("a second end: %v, want ErrRefused", err)
	}
}

func TestASealThatLacksOrContradictsIsRefused(t *testing.T) {
	store := &blob.Mem{}
	b := base.NewBuilder(store, testID, base.Options{})
	row := words("words", 1, 0)[0]
	if err := b.Add(t.Context(), row.Row, nil); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*base.Seal){
		"no digest":      func(s *base.Seal) { delete(s.Digests, "words") },
		"no sum":         func(s *base.Seal) { delete(s.Sums, "words") },
		"other digest":   func(s *base.Seal) { s.Digests["words"] = s.Head.Hash },
		"bad head":       func(s *base.Seal) { s.Head.Hash = "x" },
		"bad collection": func(s *base.Seal) { s.Digests["a/b"], s.Sums["a/b"] = s.Digests["words"], s.Sums["words"] },
	} {
		seal := sealOf("lines", "words")
		change(&seal)
		if _, err := b.Finish(t.Context(), seal); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
		if _, err := base.Open(t.Context(), store, testID.Version, testID.Unique); !errors.Is(err, lockstep.ErrNotFound) {
			t.Fatalf("%s: the base exists: %v", name, err)
		}
	}
	if _, err := b.Finish(t.Context(), sealOf("lines", "words")); err != nil {
		t.Error(err)
	}
}

func TestABaseThatNobodyCanNameIsRefused(t *testing.T) {
	for _, id := range []base.ID{{Version: 0, Unique: "a"}, {Version: 1}, {Version: 1, Unique: "A"}, {Version: 1, Unique: "a/b"}, {Version: 1, Unique: strings.Repeat("a", 65)}} {
		row := words("words", 1, 0)[0]
		if err := base.NewBuilder(&blob.Mem{}, id, base.Options{}).Add(t.Context(), row.Row, nil); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%+v: add: %v, want ErrInvalid", id, err)
		}
		if _, err := base.Open(t.Context(), &blob.Mem{}, id.Version, id.Unique); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%+v: open: %v, want ErrInvalid", id, err)
		}
	}
}

func TestManyBasesOfOneVersionMayExist(t *testing.T) {
	store := &blob.Mem{}
	rows := words("words", 2, 2)
	build(t, store, base.Options{}, rows, "words")
	b := base.NewBuilder(store, base.ID{Version: 42, Unique: "a1"}, base.Options{})
	if _, err := b.Finish(t.Context(), sealOf()); err != nil {
		t.Fatal(err)
	}
	orphan := base.NewBuilder(store, base.ID{Version: 42, Unique: "orphan"}, base.Options{PartRows: 1})
	if err := orphan.Add(t.Context(), rows[0].Row, rows[0].vector); err != nil {
		t.Fatal(err)
	}
	ids, err := base.Find(t.Context(), store, 42)
	if diff := cmp.Diff([]base.ID{{Version: 42, Unique: "a1"}, testID}, ids); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if ids, err := base.Find(t.Context(), store, 4); err != nil || len(ids) != 0 {
		t.Errorf("bases of another version: %v, %v", ids, err)
	}
}

// flaky is a store whose Create takes effect, or not, and then says it does not know.
type flaky struct {
	blob.Mem
	effect bool
}

func (f *flaky) Create(ctx context.Context, key string, body []byte) error {
	if f.effect {
		if err := f.Mem.Create(ctx, key, body); err != nil {
			return err
		}
	}
	return lockstep.ErrUnavailable
}

func TestACreateWithUnknownOutcomeIsSettledByReading(t *testing.T) {
	rows := words("words", 5, 3)
	store := &flaky{effect: true}
	build(t, store, base.Options{PartRows: 2}, rows, "words")
	check(t.Context(), t, open(t, &store.Mem), rows)

	// Built again under the same name, every object is taken and is the same.
	build(t, store, base.Options{PartRows: 2}, rows, "words")

	b := base.NewBuilder(&flaky{}, testID, base.Options{PartRows: 1})
	if err := b.Add(t.Context(), rows[0].Row, rows[0].vector); !errors.Is(err, lockstep.ErrUnavailable) {
		t.Errorf("%v, want ErrUnavailable", err)
	}
	if _, err := b.Finish(t.Context(), sealOf("words")); !errors.Is(err, lockstep.ErrUnavailable) {
		t.Errorf("a base with a hole was finished: %v", err)
	}
}

func TestANameTakenByOtherContentIsAConflict(t *testing.T) {
	store := &blob.Mem{}
	rows := words("words", 2, 3)
	build(t, store, base.Options{}, rows[:1], "words")
	b := base.NewBuilder(store, testID, base.Options{PartRows: 1})
	if err := b.Add(t.Context(), rows[1].Row, rows[1].vector); !errors.Is(err, blob.ErrExists) || lockstep.HintOf(err) == "" {
		t.Errorf("%v, want ErrExists with a hint", err)
	}
	check(t.Context(), t, open(t, store), rows[:1])
}
