package base_test

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/zeebo/blake3"

	"lockstep/internal/base"
	"lockstep/internal/blob"
	"lockstep/internal/lockstep"
)

// readings are all the ways to read a base whose first collection is words.
func readings(b *base.Base, id string) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"rows": func(ctx context.Context) error {
			for _, err := range b.Rows(ctx, "words") {
				if err != nil {
					return err
				}
			}
			return nil
		},
		"vectors": func(ctx context.Context) error {
			for _, err := range b.Vectors(ctx, "words") {
				if err != nil {
					return err
				}
			}
			return nil
		},
		"vector": func(ctx context.Context) error { _, err := b.Vector(ctx, "words", id); return err },
		"verify": b.Verify,
	}
}

// reads says which part a reading depends on.
func reads(name, part string) bool {
	return name == "verify" || (name == "rows") == strings.Contains(part, ".records-")
}

func TestDamageInAnyPartIsFound(t *testing.T) {
	rows := words("words", 40, 8)
	for _, damage := range []struct {
		name string
		want error
		do   func([]byte) []byte
	}{
		{"flipped bit", lockstep.ErrCorrupt, func(b []byte) []byte { b[len(b)/2] ^= 1; return b }},
		{"first byte", lockstep.ErrCorrupt, func(b []byte) []byte { b[0] ^= 0x80; return b }},
		{"cut short", lockstep.ErrCorrupt, func(b []byte) []byte { return b[:len(b)-1] }},
		{"empty", lockstep.ErrCorrupt, func([]byte) []byte { return nil }},
		{"grown", lockstep.ErrCorrupt, func(b []byte) []byte { return append(b, 0) }},
		{"gone", lockstep.ErrNotFound, nil},
	} {
		for part := range 2 {
			store := &blob.Mem{}
			m := build(t, store, base.Options{}, rows, "words")
			key := m.Keys()[part]
			if damage.do == nil {
				if err := store.Delete(t.Context(), key); err != nil {
					t.Fatal(err)
				}
			} else {
				replace(t, store, key, damage.do(body(t, store, key)))
			}
			for name, read := range readings(open(t, store), rows[20].Record.ID) {
				err := read(t.Context())
				if !reads(name, key) {
					if err != nil {
						t.Errorf("%s of %s: %s: %v", damage.name, key, name, err)
					}
					continue
				}
				if !errors.Is(err, damage.want) || !strings.Contains(err.Error(), key) {
					t.Errorf("%s of %s: %s: %v, want %v with the key", damage.name, key, name, err, damage.want)
				}
			}
		}
	}
}

// forge puts body in the place of a part and makes the manifest agree with it.
func forge(t *testing.T, store blob.Store, m base.Manifest, p *base.Part, body []byte) {
	t.Helper()
	h := blake3.Sum256(body)
	p.Size, p.Hash = int64(len(body)), hex.EncodeToString(h[:])
	id := m.ID()
	replace(t, store, id.String()+"/"+p.Name, body)
	text, err := base.EncodeManifest(&m)
	if err != nil {
		t.Fatal(err)
	}
	replace(t, store, id.ManifestKey(), text)
}

func TestAPartWithTheRightHashAndTheWrongContentIsCorrupt(t *testing.T) {
	rows := words("words", 40, 8)
	other := words("words", 40, 8)
	for i := range other {
		other[i].Record.Document += "!"
		other[i].vector[3]++
		other[i].Record.Vector = hashOf(other[i].vector)
	}
	others := &blob.Mem{}
	om := build(t, others, base.Options{}, other, "words")
	fewer := &blob.Mem{}
	build(t, fewer, base.Options{}, rows[:39], "words")
	vectors := om.Keys()[1]
	records := om.Keys()[0]
	for _, c := range []struct {
		name  string
		which func(*base.Contents) *base.Part
		body  []byte
		only  string // the reading that finds it; "" all
	}{
		{"records where vectors belong", firstVectors, body(t, others, records), ""},
		{"vectors where records belong", firstRecords, body(t, others, vectors), ""},
		{"no Parquet at all", firstRecords, []byte("PAR1 nothing PAR1"), ""},
		{"fewer records", firstRecords, body(t, fewer, records), ""},
		{"fewer vectors", firstVectors, body(t, fewer, vectors), ""},
		{"other vectors", firstVectors, body(t, others, vectors), "verify"},
		{"records of other vectors", firstRecords, body(t, others, records), "verify"},
	} {
		store := &blob.Mem{}
		m := build(t, store, base.Options{}, rows, "words")
		part := c.which(&m.Collections[0])
		forge(t, store, m, part, c.body)
		for name, read := range readings(open(t, store), rows[20].Record.ID) {
			want := reads(name, part.Name) && (c.only == "" || c.only == name)
			if err := read(t.Context()); want != errors.Is(err, lockstep.ErrCorrupt) || !want && err != nil {
				t.Errorf("%s: %s: %v; corrupt expected: %v", c.name, name, err, want)
			}
		}
	}
}

func firstRecords(c *base.Contents) *base.Part { return &c.Records[0] }
func firstVectors(c *base.Contents) *base.Part { return &c.Vectors[0] }

func TestRecordsAndVectorsThatDoNotMatchAreFound(t *testing.T) {
	with := words("words", 6, 2)
	without := slices.Clone(with)
	without[5].vector, without[5].Record.Vector = nil, lockstep.VectorRef{}
	for name, c := range map[string]struct{ base, donor []full }{
		"a record lacks its vector":    {without, with},
		"a vector belongs to nobody":   {with, without},
		"the base that is not changed": {with, with},
	} {
		store, donor := &blob.Mem{}, &blob.Mem{}
		m := build(t, store, base.Options{PartRows: 2}, c.base, "words")
		dm := build(t, donor, base.Options{PartRows: 2}, c.donor, "words")
		part := &m.Collections[0].Records[2]
		forge(t, store, m, part, body(t, donor, dm.ID().String()+"/"+part.Name))
		err := open(t, store).Verify(t.Context())
		if same := &c.base[0] == &c.donor[0]; same != (err == nil) || !same && !errors.Is(err, lockstep.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestABaseWithoutManifestDoesNotExist(t *testing.T) {
	store := &blob.Mem{}
	m := build(t, store, base.Options{}, words("words", 3, 2), "words")
	if err := store.Delete(t.Context(), m.ID().ManifestKey()); err != nil {
		t.Fatal(err)
	}
	if _, err := base.Open(t.Context(), store, 42, "k3"); !errors.Is(err, lockstep.ErrNotFound) {
		t.Errorf("%v, want ErrNotFound", err)
	}
	if ids, err := base.Find(t.Context(), store, 42); err != nil || len(ids) != 0 {
		t.Errorf("found %v, %v", ids, err)
	}
}

func TestAManifestInTheWrongPlaceIsCorrupt(t *testing.T) {
	store := &blob.Mem{}
	m := build(t, store, base.Options{}, words("words", 3, 2), "words")
	elsewhere := base.ID{Version: 43, Unique: "k3"}
	if err := store.Create(t.Context(), elsewhere.ManifestKey(), body(t, store, m.ID().ManifestKey())); err != nil {
		t.Fatal(err)
	}
	if _, err := base.Open(t.Context(), store, 43, "k3"); !errors.Is(err, lockstep.ErrCorrupt) || !strings.Contains(err.Error(), elsewhere.ManifestKey()) {
		t.Errorf("%v, want ErrCorrupt with the key", err)
	}
}

func TestAnUnknownCollectionOrIDIsNotFound(t *testing.T) {
	store := &blob.Mem{}
	rows := words("words", 9, 2)
	rows[4].vector, rows[4].Record.Vector = nil, lockstep.VectorRef{}
	build(t, store, base.Options{PartRows: 2}, rows, "words")
	b := open(t, store)
	for _, err := range b.Rows(t.Context(), "lines") {
		if !errors.Is(err, lockstep.ErrNotFound) {
			t.Errorf("rows of lines: %v", err)
		}
	}
	for _, err := range b.Vectors(t.Context(), "lines") {
		if !errors.Is(err, lockstep.ErrNotFound) {
			t.Errorf("vectors of lines: %v", err)
		}
	}
	for _, id := range []string{"", "A", rows[4].Record.ID, rows[4].Record.ID + "x", rows[8].Record.ID + "x"} {
		if _, err := b.Vector(t.Context(), "words", id); !errors.Is(err, lockstep.ErrNotFound) {
			t.Errorf("vector of %q: %v", id, err)
		}
	}
}

func TestAVectorMayBeChangedByWhoGotIt(t *testing.T) {
	store := &blob.Mem{}
	rows := words("words", 3, 2)
	build(t, store, base.Options{}, rows, "words")
	b := open(t, store)
	v, err := b.Vector(t.Context(), "words", rows[1].Record.ID)
	if err != nil {
		t.Fatal(err)
	}
	clear(v)
	if again, err := b.Vector(t.Context(), "words", rows[1].Record.ID); err != nil || !slices.Equal(again, rows[1].vector) {
		t.Errorf("%v, %v; want %v", again, err, rows[1].vector)
	}
}

func TestACancelledContextIsHonoured(t *testing.T) {
	store := &blob.Mem{}
	rows := words("words", 9, 2)
	build(t, store, base.Options{PartRows: 2}, rows, "words")
	ctx := cancelled(t)
	calls := readings(open(t, store), rows[2].Record.ID)
	calls["open"] = func(ctx context.Context) error { _, err := base.Open(ctx, store, 42, "k3"); return err }
	calls["find"] = func(ctx context.Context) error { _, err := base.Find(ctx, store, 42); return err }
	fresh := base.NewBuilder(&blob.Mem{}, testID, base.Options{})
	calls["add"] = func(ctx context.Context) error { return fresh.Add(ctx, rows[0].Row, rows[0].vector) }
	calls["finish"] = func(ctx context.Context) error { _, err := fresh.Finish(ctx, sealOf()); return err }
	for name, call := range calls {
		if err := call(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", name, err)
		}
	}
	if err := fresh.Add(t.Context(), rows[0].Row, rows[0].vector); err != nil {
		t.Errorf("a cancelled call broke the builder: %v", err)
	}
}

func TestALoopStopsWhenItsContextIsCancelled(t *testing.T) {
	store := &blob.Mem{}
	build(t, store, base.Options{PartRows: 2}, words("words", 40, 2), "words")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n, last := 0, error(nil)
	for _, err := range open(t, store).Rows(ctx, "words") {
		cancel()
		n++
		last = err
	}
	if n > 3 || !errors.Is(last, context.Canceled) {
		t.Errorf("%d rows after the end, then %v", n, last)
	}
}

func TestALoopMayBeLeftEarly(t *testing.T) {
	store := &blob.Mem{}
	build(t, store, base.Options{PartRows: 2}, words("words", 40, 2), "words")
	b := open(t, store)
	for range b.Rows(t.Context(), "words") {
		break
	}
	for range b.Vectors(t.Context(), "words") {
		break
	}
	if err := b.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}
