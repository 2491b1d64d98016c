package version_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/blob"
	"lockstep/internal/blob/blobtest"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

var epoch = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

func newLog(store blob.Store) *version.Log {
	return version.NewLog(store, ledger.Options{
		Now: func() time.Time { return epoch }, Settle: time.Second,
		Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	})
}

// delta encodes one message with a body of n bytes that do not compress, and one mutation.
func delta(t testing.TB, id string, n int) (*version.Delta, []byte) {
	t.Helper()
	f, err := version.NewFramer()
	if err != nil {
		t.Fatal(err)
	}
	body := make([]byte, n)
	for i, x := 0, uint32(1); i < n; i++ {
		x = x*1664525 + 1013904223
		body[i] = byte(x >> 24)
	}
	d := &version.Delta{
		Messages:  []version.Archived{{ID: id, Group: "g", Source: "test", Outcome: lockstep.Applied, Body: body}},
		Mutations: []version.Mutation{{Collection: "lines", ID: id, After: []byte{0, 0}}},
	}
	b, err := f.EncodeDelta(d)
	if err != nil {
		t.Fatal(err)
	}
	return d, b
}

func entry() *version.Entry {
	return &version.Entry{Kind: version.Compact, At: epoch, Collections: []version.CollectionState{}}
}

func withDelta() *version.Entry {
	e := entry()
	e.Delta = &version.DeltaRef{Messages: 1, Mutations: 1}
	return e
}

func publish(t testing.TB, l *version.Log, prev version.Head, e *version.Entry, b []byte) version.Head {
	t.Helper()
	e.Parent = prev.Number()
	h, err := l.Publish(t.Context(), prev, e, b)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func keys(t testing.TB, s blob.Store, prefix string) (out []string) {
	t.Helper()
	for m, err := range s.List(t.Context(), prefix, "") {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, m.Key)
	}
	return out
}

func TestASmallDeltaIsInlineAndALargeOneAnObject(t *testing.T) {
	store := new(blob.Mem)
	l := newLog(store)
	if h, err := l.Head(t.Context()); err != nil || h.Number() != 0 || h.Entry != nil {
		t.Fatalf("head of an empty log: %+v, %v", h, err)
	}
	small, smallBytes := delta(t, "a", 10)
	first := publish(t, l, version.Head{}, withDelta(), smallBytes)
	if d := first.Entry.Delta; d.Key != "" || d.Size != int64(len(smallBytes)) || d.Hash != version.HashOf(smallBytes) || len(keys(t, store, "delta/")) != 0 {
		t.Errorf("small delta: %+v, objects %q", d, keys(t, store, "delta/"))
	}
	large, largeBytes := delta(t, "b", version.InlineBytes)
	second := publish(t, l, first, withDelta(), largeBytes)
	if d := second.Entry.Delta; d.Key != version.DeltaKey(version.HashOf(largeBytes)) || !cmp.Equal(keys(t, store, "delta/"), []string{d.Key}) {
		t.Errorf("large delta: %+v, objects %q", d, keys(t, store, "delta/"))
	}
	third := publish(t, l, second, entry(), nil)
	for name, l := range map[string]*version.Log{"the writer": l, "another": newLog(store)} {
		for n, want := range map[uint64]*version.Delta{1: small, 2: large, 3: nil} {
			if got, err := l.Delta(t.Context(), n); err != nil || !cmp.Equal(got, want) {
				t.Errorf("%s reads another delta of version %d (%v)", name, n, err)
			}
		}
		h, err := l.Head(t.Context())
		if err != nil || h.Ledger.Hash != third.Ledger.Hash || !cmp.Equal(h.Entry, third.Entry) {
			t.Errorf("%s: head %+v, %v", name, h, err)
		}
		if at, err := l.At(t.Context(), 2); err != nil || at.Ledger.Hash != second.Ledger.Hash || !cmp.Equal(at.Entry, second.Entry) {
			t.Errorf("%s: version 2 is %+v, %v", name, at, err)
		}
		if _, err := l.Read(t.Context(), 4); !errors.Is(err, lockstep.ErrNotFound) || errors.Is(err, version.ErrRetired) || lockstep.HintOf(err) == "" {
			t.Errorf("%s: version 4: %v, hint %q", name, err, lockstep.HintOf(err))
		}
	}
}

func TestPublishRefusesWhatNobodyCouldRead(t *testing.T) {
	store := new(blob.Mem)
	l := newLog(store)
	_, small := delta(t, "a", 10)
	for name, c := range map[string]struct {
		e     *version.Entry
		delta []byte
	}{
		"a delta without a reference": {entry(), small},
		"a reference without a delta": {withDelta(), nil},
		"bytes that are no delta":     {withDelta(), []byte("{}")},
		"a delta that is cut short":   {withDelta(), small[:len(small)-1]},
		"a parent that is to come":    {&version.Entry{Kind: version.Reset, Parent: 1, At: epoch}, nil},
		"a base that is to come":      {&version.Entry{Kind: version.BaseSet, Base: &version.BaseRef{Version: 1, Unique: "a"}, At: epoch}, nil},
	} {
		if _, err := l.Publish(t.Context(), version.Head{}, c.e, c.delta); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	if found := keys(t, store, ""); len(found) != 0 {
		t.Errorf("something was written: %q", found)
	}
}

func TestTheLoserOfANumberIsTold(t *testing.T) {
	store := new(blob.Mem)
	a, b := newLog(store), newLog(store)
	_, x := delta(t, "x", 10)
	_, y := delta(t, "y", version.InlineBytes)
	winner := publish(t, a, version.Head{}, withDelta(), x)
	if _, err := b.Publish(t.Context(), version.Head{}, withDelta(), y); !errors.Is(err, ledger.ErrHeadMoved) {
		t.Fatalf("%v, want ErrHeadMoved", err)
	}
	head, err := b.Head(t.Context())
	if err != nil || head.Ledger.Hash != winner.Ledger.Hash {
		t.Fatalf("the loser sees %+v, %v", head, err)
	}
	publish(t, b, head, withDelta(), y) // its delta object is there already
}

func TestALostAnswerIsSettled(t *testing.T) {
	for _, fault := range []blobtest.Fault{blobtest.LoseAnswer, blobtest.SendTwice} {
		for _, prefix := range []string{"delta/", version.LogPrefix + "/"} {
			inner := new(blob.Mem)
			l := newLog(blobtest.NewFaulty(inner, func(op, key string) blobtest.Fault {
				if op == "create" && strings.HasPrefix(key, prefix) {
					return fault
				}
				return blobtest.None
			}))
			want, b := delta(t, "x", version.InlineBytes)
			publish(t, l, version.Head{}, withDelta(), b)
			if got, err := newLog(inner).Delta(t.Context(), 1); err != nil || !cmp.Equal(got, want) {
				t.Errorf("fault %d of %s: delta differs (%v)", fault, prefix, err)
			}
		}
	}
}

func TestAStoreThatDoesNotAnswerIsNotSuccess(t *testing.T) {
	for _, prefix := range []string{"delta/", version.LogPrefix + "/"} {
		inner := new(blob.Mem)
		l := newLog(blobtest.NewFaulty(inner, func(_, key string) blobtest.Fault {
			if strings.HasPrefix(key, prefix) {
				return blobtest.FailBefore
			}
			return blobtest.None
		}))
		_, b := delta(t, "x", version.InlineBytes)
		if h, err := l.Publish(t.Context(), version.Head{}, withDelta(), b); !errors.Is(err, lockstep.ErrUnavailable) {
			t.Errorf("%s: %+v, %v, want ErrUnavailable", prefix, h, err)
		}
		if found := keys(t, inner, "log/"); len(found) != 0 {
			t.Errorf("%s: %q were written", prefix, found)
		}
	}
}

// damaged answers Get of one prefix with other bytes.
type damaged struct {
	blob.Store
	prefix string
}

func (d damaged) Get(ctx context.Context, key string) (io.ReadCloser, blob.Meta, error) {
	rc, meta, err := d.Store.Get(ctx, key)
	if err != nil || !strings.HasPrefix(key, d.prefix) {
		return rc, meta, err
	}
	defer rc.Close()
	b, err := io.ReadAll(rc)
	if err != nil {
		return nil, meta, err
	}
	b[len(b)/2] ^= 1
	return io.NopCloser(bytes.NewReader(b)), meta, nil
}

func TestAMissingDeltaIsRetiredAndADamagedOneCorrupt(t *testing.T) {
	store := new(blob.Mem)
	l := newLog(store)
	_, b := delta(t, "x", version.InlineBytes)
	head := publish(t, l, version.Head{}, withDelta(), b)
	if _, err := newLog(damaged{store, "delta/"}).Delta(t.Context(), 1); !errors.Is(err, lockstep.ErrCorrupt) {
		t.Errorf("damaged delta: %v", err)
	}
	if _, err := newLog(damaged{store, "log/"}).Delta(t.Context(), 1); !errors.Is(err, lockstep.ErrCorrupt) {
		t.Errorf("damaged entry: %v", err)
	}
	if err := store.Delete(t.Context(), head.Entry.Delta.Key); err != nil {
		t.Fatal(err)
	}
	_, other := delta(t, "y", version.InlineBytes)
	if err := store.Create(t.Context(), head.Entry.Delta.Key, other); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Delta(t.Context(), 1); !errors.Is(err, lockstep.ErrCorrupt) {
		t.Errorf("a sound delta that is another one: %v", err)
	}
	if err := store.Delete(t.Context(), head.Entry.Delta.Key); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Delta(t.Context(), 1); !errors.Is(err, version.ErrRetired) || !errors.Is(err, lockstep.ErrNotFound) {
		t.Errorf("missing delta: %v", err)
	}
}

// TestADeltaObjectOfOtherBytesIsNotTakenForOurs: the name is taken by what does not
// have the hash that is its name.
func TestADeltaObjectOfOtherBytesIsNotTakenForOurs(t *testing.T) {
	store := new(blob.Mem)
	_, b := delta(t, "x", version.InlineBytes)
	if err := store.Create(t.Context(), version.DeltaKey(version.HashOf(b)), []byte("something else")); err != nil {
		t.Fatal(err)
	}
	if _, err := newLog(store).Publish(t.Context(), version.Head{}, withDelta(), b); !errors.Is(err, blob.ErrExists) {
		t.Errorf("%v, want ErrExists", err)
	}
}

func TestEntriesAreReadOnce(t *testing.T) {
	inner := new(blob.Mem)
	var head version.Head
	for range 5 {
		head = publish(t, newLog(inner), head, entry(), nil)
	}
	f := blobtest.NewFaulty(inner, nil)
	l := newLog(f)
	for round := range 3 {
		for n := uint64(1); n <= 5; n++ {
			if e, err := l.Read(t.Context(), n); err != nil || e.Number != n {
				t.Fatalf("version %d: %+v, %v", n, e, err)
			}
		}
		if got := f.Calls("get"); got != 5 {
			t.Errorf("after round %d: %d reads, want 5", round, got)
		}
	}
}

func TestRetiredVersionsAreSaidToBeRetired(t *testing.T) {
	store := new(blob.Mem)
	l := newLog(store)
	var head version.Head
	for i := range 5 {
		_, b := delta(t, fmt.Sprint("x", i), 10)
		head = publish(t, l, head, withDelta(), b)
	}
	if err := l.Ledger().Retire(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	fresh := newLog(store)
	for n, retired := range map[uint64]bool{1: true, 2: true, 3: false, 5: false} {
		_, err := fresh.Read(t.Context(), n)
		if errors.Is(err, version.ErrRetired) != retired || retired && !strings.Contains(lockstep.HintOf(err), "from 3 on") {
			t.Errorf("version %d: %v, hint %q", n, err, lockstep.HintOf(err))
		}
		if _, err := l.Delta(t.Context(), n); errors.Is(err, version.ErrRetired) != retired {
			t.Errorf("delta of version %d by a log that read it before: %v", n, err)
		}
	}
	if _, err := fresh.Path(t.Context(), 5, 1); !errors.Is(err, version.ErrRetired) {
		t.Errorf("way to a retired version: %v", err)
	}
}

// TestAnEntryUnderAnotherNumberIsCorrupt writes the body of version 2 as entry 1.
func TestAnEntryUnderAnotherNumberIsCorrupt(t *testing.T) {
	store := new(blob.Mem)
	e := entry()
	e.Format, e.MinReader, e.Number = 1, 1, 2
	b, err := version.EncodeEntry(e, nil)
	if err != nil {
		t.Fatal(err)
	}
	l := newLog(store)
	if _, err := l.Ledger().Append(t.Context(), ledger.Entry{}, b); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Head(t.Context()); !errors.Is(err, lockstep.ErrCorrupt) {
		t.Errorf("%v, want ErrCorrupt", err)
	}
}

func TestCancelledContextsAreHonoured(t *testing.T) {
	store := new(blob.Mem)
	l := newLog(store)
	_, b := delta(t, "x", 10)
	head := publish(t, l, version.Head{}, withDelta(), b)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	calls := map[string]func() error{
		"Head":    func() error { _, err := l.Head(ctx); return err },
		"Read":    func() error { _, err := l.Read(ctx, 1); return err },
		"At":      func() error { _, err := l.At(ctx, 1); return err },
		"Delta":   func() error { _, err := l.Delta(ctx, 1); return err },
		"Publish": func() error { _, err := l.Publish(ctx, head, entry(), nil); return err },
		"Path":    func() error { _, err := l.Path(ctx, 1, 0); return err },
		"Line":    func() error { _, err := l.Line(ctx, 0, 1); return err },
		"NetChanges": func() error {
			_, err := l.NetChanges(ctx, version.Path{Undo: []uint64{1}})
			return err
		},
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", name, err)
		}
	}
}
