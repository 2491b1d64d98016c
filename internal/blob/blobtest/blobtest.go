// Package blobtest is the contract of blob.Store as tests, and a store that
// breaks on command. Every adapter runs the suite; what passes it may carry a
// ledger.
package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/blob"
	"lockstep/internal/lockstep"
)

const (
	largeBytes  = 8 << 20
	racers      = 16
	raceRounds  = 8
	maxReadBack = largeBytes + 1
)

// Run checks the contract on stores made by open, which is called once per
// subtest and returns a store that holds nothing.
func Run(t *testing.T, open func(t *testing.T) blob.Store) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, s blob.Store)
	}{
		{"CreatedObjectIsReadBack", created},
		{"MissingObjectIsNotFound", missing},
		{"SecondCreateIsRefusedAndChangesNothing", second},
		{"ConcurrentCreatesHaveOneWinner", race},
		{"HalfObjectsAreNeverVisible", halves},
		{"KeysAreChecked", keys},
		{"ListHonoursPrefixAndAfter", list},
		{"ListStopsWhenAsked", listStops},
		{"DeleteIsIdempotentAndFreesTheKey", deletes},
		{"HintIsOverwritten", hints},
		{"CancelledContextIsHonoured", cancelled},
		{"BodiesAreNotShared", aliasing},
		{"ProbePasses", probe},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

func created(t *testing.T, s blob.Store) {
	for _, size := range []int{0, 1, 4096, largeBytes} {
		key := fmt.Sprintf("size/%d", size)
		body := pattern(size, byte(size))
		mustCreate(t, s, key, body)
		rc, meta, err := s.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		rc.Close()
		if meta.Key != key || meta.Size != int64(size) {
			t.Errorf("Get says key %q, size %d; want %q, %d", meta.Key, meta.Size, key, size)
		}
		wantBody(t, s, key, body)
	}
}

func missing(t *testing.T, s blob.Store) {
	mustCreate(t, s, "log/1", []byte("x"))
	for _, key := range []string{"none", "log", "log/2", "log/1/x"} {
		if _, _, err := s.Get(t.Context(), key); !errors.Is(err, lockstep.ErrNotFound) {
			t.Errorf("Get(%q) = %v, want ErrNotFound", key, err)
		}
	}
}

func second(t *testing.T, s blob.Store) {
	mustCreate(t, s, "log/1", []byte("first"))
	for _, body := range []string{"second", "first"} { // the same bytes are no excuse
		if err := s.Create(t.Context(), "log/1", []byte(body)); !errors.Is(err, blob.ErrExists) {
			t.Errorf("second create of %q = %v, want ErrExists", body, err)
		}
	}
	wantBody(t, s, "log/1", []byte("first"))
}

func race(t *testing.T, s blob.Store) {
	for round := range raceRounds {
		key := fmt.Sprintf("race/%d", round)
		errs := make([]error, racers)
		barrier := make(chan struct{})
		var wg sync.WaitGroup
		for i := range racers {
			wg.Go(func() {
				<-barrier
				errs[i] = s.Create(t.Context(), key, fmt.Appendf(nil, "racer %d", i))
			})
		}
		close(barrier)
		wg.Wait()
		var winners []int
		for i, err := range errs {
			switch {
			case err == nil:
				winners = append(winners, i)
			case !errors.Is(err, blob.ErrExists):
				t.Fatalf("racer %d: %v, want nil or ErrExists", i, err)
			}
		}
		if len(winners) != 1 {
			t.Fatalf("round %d: racers %v won, want exactly one", round, winners)
		}
		wantBody(t, s, key, fmt.Appendf(nil, "racer %d", winners[0]))
	}
}

// halves reads and lists while objects are being created.
func halves(t *testing.T, s blob.Store) {
	body := pattern(largeBytes, 7)
	const objects = 3
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(done)
		for i := range objects {
			if err := s.Create(t.Context(), fmt.Sprintf("half/%d", i), body); err != nil {
				t.Errorf("create %d: %v", i, err)
			}
		}
	})
	for finished := false; !finished; {
		select {
		case <-done:
			finished = true // and one more look
		default:
		}
		for i := range objects {
			got, err := blob.ReadAll(t.Context(), s, fmt.Sprintf("half/%d", i), maxReadBack)
			if err != nil && !errors.Is(err, lockstep.ErrNotFound) {
				t.Errorf("read while creating: %v", err)
			}
			if err == nil && !bytes.Equal(got, body) {
				t.Errorf("read %d bytes of an object of %d", len(got), len(body))
			}
		}
		for meta, err := range s.List(t.Context(), "half/", "") {
			if err != nil || meta.Size != largeBytes {
				t.Errorf("list while creating: %+v, %v", meta, err)
			}
		}
	}
	wg.Wait()
}

func keys(t *testing.T, s blob.Store) {
	long := string(bytes.Repeat([]byte("k"), blob.MaxSegmentBytes))
	for _, key := range []string{"a", "a.b_c-d=E/0", ".a", "x/" + long} {
		if err := s.Create(t.Context(), key, nil); err != nil {
			t.Errorf("Create(%.20q) = %v", key, err)
		}
	}
	for _, key := range []string{"", "/a", "a/", "a//b", ".", "..", "a/../b", "a b", "a~b", "ä", `a\b`, "a\x00", "../../etc/x", long + "k", long + "/" + long + "/" + long} {
		_, _, get := s.Get(t.Context(), key)
		for op, err := range map[string]error{
			"Create": s.Create(t.Context(), key, nil),
			"Get":    get,
			"Delete": s.Delete(t.Context(), key),
			"Hint":   s.Hint(t.Context(), blob.HintPrefix+key, nil),
		} {
			if !errors.Is(err, lockstep.ErrInvalid) {
				t.Errorf("%s(%.20q) = %v, want ErrInvalid", op, key, err)
			}
		}
	}
	if err := s.Create(t.Context(), "hint/x", nil); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("Create below hint/ = %v, want ErrInvalid: it could be overwritten", err)
	}
	if err := s.Hint(t.Context(), "log/1", nil); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("Hint outside hint/ = %v, want ErrInvalid: it would overwrite", err)
	}
}

func list(t *testing.T, s blob.Store) {
	for _, key := range []string{"a/1", "a/2", "a/3", "a/30/x", "a-low/1", "ab/1", "b"} {
		mustCreate(t, s, key, []byte(key))
	}
	for _, c := range []struct {
		prefix, after string
		want          []string
	}{
		{"a/", "", []string{"a/1", "a/2", "a/3", "a/30/x"}},
		{"a/", "a/2", []string{"a/3", "a/30/x"}},
		{"a/", "a/20", []string{"a/3", "a/30/x"}},
		{"a/3", "", []string{"a/3", "a/30/x"}},
		{"a/3", "a/3", []string{"a/30/x"}},
		{"a", "", []string{"a-low/1", "a/1", "a/2", "a/3", "a/30/x", "ab/1"}},
		{"a/", "a/zz", nil},
		{"a/30/x/", "", nil},
		{"c/", "", nil},
		{"../", "", nil},
		{"", "a/3", []string{"a/30/x", "ab/1", "b"}},
	} {
		if diff := cmp.Diff(c.want, listed(t, s, c.prefix, c.after)); diff != "" {
			t.Errorf("List(%q, %q) (-want +got):\n%s", c.prefix, c.after, diff)
		}
	}
	for meta := range s.List(t.Context(), "b", "") {
		if meta.Size != 1 {
			t.Errorf("List says %q has %d bytes, want 1", meta.Key, meta.Size)
		}
	}
}

func listStops(t *testing.T, s blob.Store) {
	for i := range 5 {
		mustCreate(t, s, fmt.Sprintf("x/%d", i), nil)
	}
	seen := 0
	for range s.List(t.Context(), "x/", "") {
		if seen++; seen == 2 {
			break
		}
	}
	if seen != 2 {
		t.Errorf("saw %d objects, want the loop to stop at 2", seen)
	}
}

func deletes(t *testing.T, s blob.Store) {
	mustCreate(t, s, "d/1", []byte("old"))
	for range 2 {
		if err := s.Delete(t.Context(), "d/1"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Delete(t.Context(), "never/was"); err != nil {
		t.Errorf("Delete of a missing object = %v, want nil", err)
	}
	if _, _, err := s.Get(t.Context(), "d/1"); !errors.Is(err, lockstep.ErrNotFound) {
		t.Errorf("Get after Delete = %v, want ErrNotFound", err)
	}
	if got := listed(t, s, "", ""); len(got) != 0 {
		t.Errorf("listed after Delete: %q", got)
	}
	mustCreate(t, s, "d/1", []byte("new"))
	wantBody(t, s, "d/1", []byte("new"))
}

func hints(t *testing.T, s blob.Store) {
	for _, body := range []string{"one", "three", "", "2"} {
		if err := s.Hint(t.Context(), "hint/log/head", []byte(body)); err != nil {
			t.Fatal(err)
		}
		wantBody(t, s, "hint/log/head", []byte(body))
	}
}

func cancelled(t *testing.T, s blob.Store) {
	mustCreate(t, s, "c/1", []byte("x"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, get := s.Get(ctx, "c/1")
	var listErr error
	for _, err := range s.List(ctx, "c/", "") {
		listErr = err
	}
	for op, err := range map[string]error{
		"Create": s.Create(ctx, "c/2", nil),
		"Get":    get,
		"List":   listErr,
		"Delete": s.Delete(ctx, "c/1"),
		"Hint":   s.Hint(ctx, "hint/c", nil),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a cancelled context = %v, want context.Canceled", op, err)
		}
	}
	wantBody(t, s, "c/1", []byte("x"))
	if _, _, err := s.Get(t.Context(), "c/2"); !errors.Is(err, lockstep.ErrNotFound) {
		t.Errorf("a create that was cancelled before it began took effect: %v", err)
	}
}

func aliasing(t *testing.T, s blob.Store) {
	want := []byte("as written")
	body, hint := bytes.Clone(want), bytes.Clone(want)
	mustCreate(t, s, "x", body)
	if err := s.Hint(t.Context(), "hint/x", hint); err != nil {
		t.Fatal(err)
	}
	clear(body)
	clear(hint)
	for _, key := range []string{"x", "hint/x"} {
		got, err := blob.ReadAll(t.Context(), s, key, maxReadBack)
		if err != nil {
			t.Fatal(err)
		}
		clear(got)
		wantBody(t, s, key, want)
	}
}

func probe(t *testing.T, s blob.Store) {
	v, err := blob.Probe(t.Context(), s, "contract")
	if err != nil || !v.Passed {
		t.Errorf("Probe = %+v, %v; want it passed", v, err)
	}
	if got := listed(t, s, "", ""); len(got) != 0 {
		t.Errorf("Probe left behind %q", got)
	}
}

func mustCreate(t *testing.T, s blob.Store, key string, body []byte) {
	t.Helper()
	if err := s.Create(t.Context(), key, body); err != nil {
		t.Fatal(err)
	}
}

func wantBody(t *testing.T, s blob.Store, key string, want []byte) {
	t.Helper()
	got, err := blob.ReadAll(t.Context(), s, key, maxReadBack)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s holds %d bytes %.40q, want %d bytes %.40q", key, len(got), got, len(want), want)
	}
}

func listed(t *testing.T, s blob.Store, prefix, after string) []string {
	t.Helper()
	var got []string
	for meta, err := range s.List(t.Context(), prefix, after) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, meta.Key)
	}
	slices.Sort(got)
	return got
}

// pattern makes a body in which a piece that is missing or misplaced shows.
func pattern(size int, seed byte) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i) ^ byte(i>>8) ^ byte(i>>16) ^ seed
	}
	return b
}
