package base_test

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lockstep/internal/base"
	"lockstep/internal/blob"
	"lockstep/internal/lockstep"
)

// check compares what a base yields with rows, in all the ways it can be read.
func check(ctx context.Context, t rapid.TB, b *base.Base, rows []full) {
	t.Helper()
	var i int
	for _, c := range b.Manifest().Collections {
		from := i
		for row, err := range b.Rows(ctx, c.Name) {
			if err != nil {
				t.Fatal(err)
			}
			if i == len(rows) {
				t.Fatalf("a surplus row %v", row)
			}
			if diff := cmp.Diff(rows[i].Row, row); diff != "" {
				t.Fatalf("row %d: %s", i, diff)
			}
			i++
		}
		var with []full
		for _, r := range rows[from:i] {
			if r.vector != nil {
				with = append(with, r)
			}
		}
		n := 0
		for v, err := range b.Vectors(ctx, c.Name) {
			if err != nil {
				t.Fatal(err)
			}
			if n == len(with) || v.ID != with[n].Record.ID || !slices.Equal(v.Vector, with[n].vector) {
				t.Fatalf("vector %d of %s is %v", n, c.Name, v)
			}
			n++
		}
		if n != len(with) {
			t.Fatalf("%d vectors of %s, want %d", n, c.Name, len(with))
		}
		for _, r := range rows[from:i] {
			v, err := b.Vector(ctx, c.Name, r.Record.ID)
			if (r.vector == nil) != errors.Is(err, lockstep.ErrNotFound) || !slices.Equal(v, r.vector) {
				t.Fatalf("vector of %q is %v, %v; want %v", r.Record.ID, v, err, r.vector)
			}
		}
	}
	if i != len(rows) {
		t.Fatalf("%d rows, want %d", i, len(rows))
	}
	if err := b.Verify(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestABaseYieldsTheRowsItWasGiven(t *testing.T) {
	outer := t
	rapid.Check(t, func(t *rapid.T) {
		rows := anyRows(t)
		opts := base.Options{
			PartBytes:  rapid.SampledFrom([]int{1, 300, 2000, 0}).Draw(t, "part bytes"),
			PartRows:   rapid.SampledFrom([]int{1, 3, 0}).Draw(t, "part rows"),
			GroupBytes: rapid.SampledFrom([]int{1, 200, 0}).Draw(t, "group bytes"),
		}
		store := &blob.Mem{}
		b := base.NewBuilder(store, testID, opts)
		for _, r := range rows {
			if err := b.Add(outer.Context(), r.Row, r.vector); err != nil {
				t.Fatal(err)
			}
		}
		m, err := b.Finish(outer.Context(), sealOf("lines", "table", "words", "empty"))
		if err != nil {
			t.Fatal(err)
		}
		opened := open(outer, store)
		if diff := cmp.Diff(m, opened.Manifest()); diff != "" {
			t.Fatalf("the manifest read is another than the one written: %s", diff)
		}
		check(outer.Context(), t, opened, rows)
	})
}

func anyRows(t *rapid.T) []full {
	text := rapid.StringN(1, 6, 60)
	value := rapid.OneOf(
		rapid.Map(rapid.String(), lockstep.String), rapid.Map(rapid.Int64(), lockstep.Int), rapid.Map(rapid.Bool(), lockstep.Bool),
		rapid.Map(rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64), lockstep.Float),
		rapid.Map(rapid.SliceOfN(text, 1, 3), func(ss []string) lockstep.Value { return lockstep.Strings(ss...) }),
	)
	metadata := rapid.MapOfN(text.Filter(func(s string) bool { return s != "" }), value, 0, 4)
	component := rapid.Float32Range(-math.MaxFloat32, math.MaxFloat32)
	var rows []full
	for _, c := range []lockstep.Collection{"lines", "table", "words"} {
		ids := rapid.MapOfN(text, rapid.Just(true), 0, 12).Draw(t, string(c))
		for _, id := range slices.Sorted(maps.Keys(ids)) {
			r := lockstep.Record{ID: id}
			if m := lockstep.MetadataOf(metadata.Draw(t, "metadata")); len(m) > 0 {
				r.Metadata = m
			}
			if rapid.Bool().Draw(t, "document?") {
				r.HasDocument, r.Document = true, rapid.String().Draw(t, "document")
			}
			var vector []float32
			if rapid.Bool().Draw(t, "vector?") {
				vector = rapid.SliceOfN(component, 1, 9).Draw(t, "vector")
			}
			r.Vector = hashOf(vector)
			a := lockstep.Author{Version: uint64(rapid.Int64Range(0, math.MaxInt64).Draw(t, "version")), Message: rapid.String().Draw(t, "message"), Revision: text.Draw(t, "revision")}
			rows = append(rows, full{base.Row{Collection: c, Record: r, Author: a}, vector})
		}
	}
	return rows
}

func TestPartsRotateAtTheirBounds(t *testing.T) {
	store := &blob.Mem{}
	rows := append(words("lines", 1000, 64), words("words", 2500, 0)...)
	m := build(t, store, base.Options{PartBytes: 64 << 10, PartRows: 700, GroupBytes: 16 << 10}, rows, "lines", "words")
	for _, c := range m.Collections {
		if len(c.Records) < 4 {
			t.Errorf("%s: %d parts of records", c.Name, len(c.Records))
		}
		for _, p := range append(slices.Clone(c.Records), c.Vectors...) {
			// A footer and page headers come on top of the rows, compression off them.
			if p.Rows > 700 || p.Size > 80<<10 {
				t.Errorf("%s: %d rows, %d bytes", p.Name, p.Rows, p.Size)
			}
		}
	}
	lines, _ := m.Collection("lines")
	if got, want := len(lines.Vectors), 1000/((64<<10)/(4*64+70)); got < want {
		t.Errorf("%d parts of vectors, want at least %d", got, want)
	}
	check(t.Context(), t, open(t, store), rows)
}

func TestRowsOfManyGroupsKeepTheirOrder(t *testing.T) {
	store := &blob.Mem{}
	rows := words("words", 20_000, 2)
	build(t, store, base.Options{GroupBytes: 1 << 20}, rows, "words")
	check(t.Context(), t, open(t, store), rows)
}

func TestMinusZeroIsZero(t *testing.T) {
	store := &blob.Mem{}
	rows := words("words", 1, 0)
	rows[0].vector = []float32{float32(math.Copysign(0, -1)), 1}
	rows[0].Record.Vector = hashOf(rows[0].vector)
	build(t, store, base.Options{}, rows, "words")
	b := open(t, store)
	v, err := b.Vector(t.Context(), "words", rows[0].Record.ID)
	if err != nil || math.Signbit(float64(v[0])) {
		t.Errorf("%v, %v", v, err)
	}
	if err := b.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAnEmptyIndexHasABase(t *testing.T) {
	store := &blob.Mem{}
	m := build(t, store, base.Options{}, nil)
	if len(m.Collections) != 0 || m.Bytes() != 0 {
		t.Errorf("%+v", m)
	}
	check(t.Context(), t, open(t, store), nil)
}
