package ledger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/blob"
	"lockstep/internal/blob/blobtest"
	"lockstep/internal/lockstep"
)

// clock is a clock that moves when something waits, or when a test says so.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: exampleAt} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Wait(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return ctx.Err()
}

// source is deterministic randomness.
func source(seed byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{seed}) }

func options(c *clock, seed byte) Options {
	return Options{Now: c.Now, Wait: c.Wait, Rand: source(seed)}
}

// newLog returns a log whose store does what decide says; nil: nothing breaks.
func newLog(store blob.Store, decide func(op, key string) blobtest.Fault) (*Log, *blobtest.Faulty, *clock) {
	f, c := blobtest.NewFaulty(store, decide), newClock()
	return New(f, "log", options(c, 1)), f, c
}

// fill appends entries with the bodies "1" to "n" and returns them.
func fill(t *testing.T, l *Log, n int) []Entry {
	t.Helper()
	var entries []Entry
	var prev Entry
	for i := range n {
		e, err := l.Append(t.Context(), prev, fmt.Append(nil, i+1))
		if err != nil {
			t.Fatal(err)
		}
		entries, prev = append(entries, e), e
	}
	return entries
}

func TestAppendedEntriesAreReadBack(t *testing.T) {
	l, _, _ := newLog(new(blob.Mem), nil)
	want := fill(t, l, 3)
	for i, w := range want {
		got, err := l.Read(t.Context(), uint64(i+1))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(w, got); diff != "" {
			t.Errorf("entry %d (-appended +read):\n%s", i+1, diff)
		}
		if i > 0 && got.Prev != want[i-1].Hash {
			t.Errorf("entry %d does not name the hash of the one before", i+1)
		}
	}
	head, err := l.Head(t.Context())
	if err != nil || head.N != 3 {
		t.Errorf("head is %d, %v; want 3", head.N, err)
	}
	if err := l.Verify(t.Context(), 1, 3); err != nil {
		t.Error(err)
	}
}

func TestAnEmptyLogHasNoHead(t *testing.T) {
	l, _, _ := newLog(new(blob.Mem), nil)
	if _, err := l.Head(t.Context()); !errors.Is(err, lockstep.ErrNotFound) {
		t.Errorf("Head = %v, want ErrNotFound", err)
	}
	for _, n := range []uint64{0, 1} {
		if _, err := l.Read(t.Context(), n); !errors.Is(err, lockstep.ErrNotFound) {
			t.Errorf("Read(%d) = %v, want ErrNotFound", n, err)
		}
	}
}

func TestTheHotPathIsOneCreateAndOneHint(t *testing.T) {
	l, f, _ := newLog(new(blob.Mem), nil)
	if _, err := l.Head(t.Context()); !errors.Is(err, lockstep.ErrNotFound) {
		t.Fatal(err)
	}
	gets := f.Calls("get")
	fill(t, l, 10)
	got := map[string]int{"create": f.Calls("create"), "hint": f.Calls("hint"), "get": f.Calls("get") - gets, "list": f.Calls("list"), "delete": f.Calls("delete")}
	want := map[string]int{"create": 10, "hint": 10, "get": 0, "list": 0, "delete": 0}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("calls of 10 appends (-want +got):\n%s", diff)
	}
}

func TestAFailedHintDoesNotFailTheAppend(t *testing.T) {
	l, _, _ := newLog(new(blob.Mem), func(op, _ string) blobtest.Fault {
		if op == "hint" {
			return blobtest.FailBefore
		}
		return blobtest.None
	})
	fill(t, l, 40)
	if head, err := l.Head(t.Context()); err != nil || head.N != 40 {
		t.Errorf("head is %d, %v; want 40 without any hint", head.N, err)
	}
}

func TestBodiesAreNotShared(t *testing.T) {
	l, _, _ := newLog(new(blob.Mem), nil)
	body := []byte("as given")
	e, err := l.Append(t.Context(), Entry{}, body)
	if err != nil {
		t.Fatal(err)
	}
	clear(body)
	got, err := l.Read(t.Context(), 1)
	if err != nil || string(got.Body) != "as given" || string(e.Body) != "as given" {
		t.Errorf("appended %q, read %q, %v", e.Body, got.Body, err)
	}
}

func TestAppendRefusesNonsense(t *testing.T) {
	l, f, _ := newLog(new(blob.Mem), nil)
	one := fill(t, l, 1)[0]
	creates := f.Calls("create")
	for name, c := range map[string]struct {
		log  *Log
		prev Entry
		body []byte
	}{
		"body too large":       {l, one, make([]byte, MaxBodyBytes+1)},
		"number without hash":  {l, Entry{N: 1}, nil},
		"hash without number":  {l, Entry{Hash: one.Hash}, nil},
		"no number left":       {l, Entry{N: 1<<64 - 1, Hash: one.Hash}, nil},
		"bad prefix":           {New(f, "a b", Options{}), Entry{}, nil},
		"prefix of the hints":  {New(f, "hint/log", Options{}), Entry{}, nil},
		"prefix with a slash":  {New(f, "log/", Options{}), Entry{}, nil},
		"prefix without a key": {New(f, "", Options{}), Entry{}, nil},
	} {
		if _, err := c.log.Append(t.Context(), c.prev, c.body); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	if f.Calls("create") != creates {
		t.Error("something was sent to the store")
	}
}

func TestACancelledContextIsHonoured(t *testing.T) {
	l, f, _ := newLog(new(blob.Mem), nil)
	one := fill(t, l, 1)[0]
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	creates := f.Calls("create")
	errs := map[string]error{"Verify": l.Verify(ctx, 1, 1), "Retire": l.Retire(ctx, 1)}
	_, errs["Append"] = l.Append(ctx, one, nil)
	_, errs["Head"] = l.Head(ctx)
	_, errs["Read"] = l.Read(ctx, 1)
	_, errs["Low"] = l.Low(ctx)
	for _, err := range l.Range(ctx, 1, 1) {
		errs["Range"] = err
	}
	for op, err := range errs {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s = %v, want context.Canceled", op, err)
		}
		if errors.Is(err, ErrUnknown) {
			t.Errorf("%s = %v: nothing was sent, so nothing is unknown", op, err)
		}
	}
	if f.Calls("create") != creates {
		t.Error("a create was sent after the context ended")
	}
}

func TestTheZeroOptionsWork(t *testing.T) {
	l := New(new(blob.Mem), "log", Options{})
	entries := fill(t, l, 3)
	if entries[0].PutID == entries[1].PutID {
		t.Error("two appends have one put id")
	}
	if err := l.Verify(t.Context(), 1, 3); err != nil {
		t.Error(err)
	}
}

func TestTwoRacingWritersLoseNothing(t *testing.T) {
	const each = 200
	for _, seed := range []uint64{1, 2, 3} {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			// Decide is called under the Faulty's lock, so one source will do.
			dice := rand.New(rand.NewPCG(seed, 0))
			mem := new(blob.Mem)
			store := blobtest.NewFaulty(mem, func(op, _ string) blobtest.Fault {
				if dice.IntN(10) > 0 {
					return blobtest.None
				}
				if op == "create" {
					return []blobtest.Fault{blobtest.FailBefore, blobtest.LoseAnswer, blobtest.SendTwice}[dice.IntN(3)]
				}
				return blobtest.FailBefore
			})
			var wg sync.WaitGroup
			for w := range 2 {
				wg.Go(func() {
					l := New(store, "log", options(newClock(), byte(w)))
					for i := range each {
						appendUntilDone(t, l, fmt.Sprintf("writer %d entry %d", w, i))
					}
				})
			}
			wg.Wait()
			if t.Failed() {
				return
			}
			wantEachOnce(t, New(mem, "log", options(newClock(), 9)), each)
		})
	}
}

// appendUntilDone appends body, once, against rivals and faults.
func appendUntilDone(t *testing.T, l *Log, body string) {
	for {
		prev, err := l.Head(t.Context())
		switch {
		case errors.Is(err, lockstep.ErrUnavailable):
			continue
		case err != nil && !errors.Is(err, lockstep.ErrNotFound):
			t.Errorf("head: %v", err)
			return
		}
		_, err = l.Append(t.Context(), prev, []byte(body))
		if err == nil {
			return
		}
		if !errors.Is(err, ErrHeadMoved) {
			t.Errorf("append: %v", err)
			return
		}
	}
}

func wantEachOnce(t *testing.T, l *Log, each int) {
	t.Helper()
	var got, want []string
	for n := uint64(1); ; n++ {
		e, err := l.Read(t.Context(), n)
		if errors.Is(err, lockstep.ErrNotFound) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(e.Body))
	}
	for w := range 2 {
		for i := range each {
			want = append(want, fmt.Sprintf("writer %d entry %d", w, i))
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if err := l.Verify(t.Context(), 1, uint64(len(got))); err != nil {
		t.Error(err)
	}
}
