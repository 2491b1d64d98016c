package ledger

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"lockstep/internal/blob"
	"lockstep/internal/lockstep"
)

func TestRangeYieldsEntriesInOrder(t *testing.T) {
	mem := new(blob.Mem)
	fill(t, New(mem, "log", options(newClock(), 1)), 50)
	for _, prefetch := range []int{0, 1, 3, 100} {
		opts := options(newClock(), 1)
		opts.Prefetch = prefetch
		l := New(mem, "log", opts)
		for _, r := range [][2]uint64{{1, 50}, {1, 1}, {50, 50}, {7, 20}} {
			n := r[0]
			for e, err := range l.Range(t.Context(), r[0], r[1]) {
				if err != nil || e.N != n || string(e.Body) != fmt.Sprint(n) {
					t.Fatalf("prefetch %d: got entry %d %q, %v; want %d", prefetch, e.N, e.Body, err, n)
				}
				n++
			}
			if n != r[1]+1 {
				t.Errorf("prefetch %d: range %v ended before %d", prefetch, r, n)
			}
		}
		for e := range l.Range(t.Context(), 1, 50) {
			if e.N == 5 {
				break
			}
		}
		seen, last := 0, error(nil)
		for _, err := range l.Range(t.Context(), 41, 1<<64-1) {
			seen, last = seen+1, err
		}
		if seen != 11 || !errors.Is(last, lockstep.ErrNotFound) {
			t.Errorf("prefetch %d: %d steps past the head, then %v; want 10 entries, then ErrNotFound", prefetch, seen-1, last)
		}
	}
}

func TestRangeRefusesNoRange(t *testing.T) {
	l := New(new(blob.Mem), "log", Options{})
	for _, r := range [][2]uint64{{0, 5}, {5, 4}} {
		if err := l.Verify(t.Context(), r[0], r[1]); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("Verify(%v) = %v, want ErrInvalid", r, err)
		}
	}
}

func TestVerifyNamesTheFirstBrokenLink(t *testing.T) {
	key := func(n int) string { return fmt.Sprintf("log/%020d", n) }
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, mem *blob.Mem, entries []Entry)
		want   string // in the message
		class  error
	}{
		{"untouched", func(*testing.T, *blob.Mem, []Entry) {}, "", nil},
		{"overwritten slot", func(t *testing.T, mem *blob.Mem, e []Entry) {
			replace(t, mem, key(4), encode(4, e[2].Hash, [16]byte{9}, exampleAt, []byte("forged")))
		}, "entry 5", lockstep.ErrCorrupt},
		{"overwritten by another number", func(t *testing.T, mem *blob.Mem, e []Entry) {
			replace(t, mem, key(4), encode(6, e[2].Hash, [16]byte{9}, exampleAt, nil))
		}, "entry 4", lockstep.ErrCorrupt},
		{"first entry with a predecessor", func(t *testing.T, mem *blob.Mem, e []Entry) {
			replace(t, mem, key(1), encode(1, e[3].Hash, [16]byte{9}, exampleAt, nil))
		}, "entry 1", lockstep.ErrCorrupt},
		{"bit flip", func(t *testing.T, mem *blob.Mem, e []Entry) {
			o := encode(4, e[2].Hash, [16]byte{9}, exampleAt, []byte("x"))
			o[bodyAt] ^= 1
			replace(t, mem, key(4), o)
		}, "entry 4", lockstep.ErrCorrupt},
		{"hole", func(t *testing.T, mem *blob.Mem, _ []Entry) {
			if err := mem.Delete(t.Context(), key(4)); err != nil {
				t.Fatal(err)
			}
		}, "entry 4", lockstep.ErrCorrupt},
		{"last entry gone", func(t *testing.T, mem *blob.Mem, _ []Entry) {
			if err := mem.Delete(t.Context(), key(8)); err != nil {
				t.Fatal(err)
			}
		}, "entry 8", lockstep.ErrNotFound},
	} {
		t.Run(c.name, func(t *testing.T) {
			mem := new(blob.Mem)
			l := New(mem, "log", options(newClock(), 1))
			c.damage(t, mem, fill(t, l, 8))
			err := l.Verify(t.Context(), 1, 8)
			if !errors.Is(err, c.class) || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("Verify = %v, want %v naming %q", err, c.class, c.want)
			}
		})
	}
}

func replace(t *testing.T, mem *blob.Mem, key string, body []byte) {
	t.Helper()
	if err := mem.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if err := mem.Create(t.Context(), key, body); err != nil {
		t.Fatal(err)
	}
}

func FuzzDecodeLow(f *testing.F) {
	for _, seed := range []string{`{"format":1,"low":42}`, `{"format":2,"low":1}`, `{"low":-1}`, `[]`, ``} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		low, err := decodeLow(body)
		if err == nil && low == 0 {
			t.Error("accepted 0")
		}
		if err != nil && !errors.Is(err, lockstep.ErrCorrupt) && !errors.Is(err, lockstep.ErrRefused) {
			t.Errorf("error %v has no class", err)
		}
	})
}
