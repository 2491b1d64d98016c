package ledger

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"lockstep/internal/blob"
	"lockstep/internal/blob/blobtest"
	"lockstep/internal/lockstep"
)

// script answers the creates of log entries by the given faults, then by none.
func script(faults ...blobtest.Fault) func(op, key string) blobtest.Fault {
	return func(op, key string) blobtest.Fault {
		if op != "create" || !strings.HasPrefix(key, "log/") || len(faults) == 0 {
			return blobtest.None
		}
		f := faults[0]
		faults = faults[1:]
		return f
	}
}

func TestAnAppendIsSettledByWhatIsInTheSlot(t *testing.T) {
	const (
		ok        = blobtest.None
		fail      = blobtest.FailBefore
		lost      = blobtest.LoseAnswer
		delay     = blobtest.Delay
		sendTwice = blobtest.SendTwice
	)
	for _, c := range []struct {
		name    string
		faults  []blobtest.Fault
		creates int
	}{
		{"all well", []blobtest.Fault{ok}, 1},
		{"answer lost", []blobtest.Fault{lost}, 1},
		{"taken, by our own retry", []blobtest.Fault{sendTwice}, 1},
		{"not landed, sent again", []blobtest.Fault{fail, fail, ok}, 3},
		{"not landed, sent again, answer lost", []blobtest.Fault{fail, lost}, 2},
		{"landed late, after it was sent again", []blobtest.Fault{delay, ok}, 2},
	} {
		for _, paranoid := range []bool{false, true} {
			store := blobtest.NewFaulty(new(blob.Mem), script(c.faults...))
			opts := options(newClock(), 1)
			opts.Paranoid = paranoid
			l := New(store, "log", opts)
			e, err := l.Append(t.Context(), Entry{}, []byte("x"))
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			if got := store.Calls("create"); got != c.creates {
				t.Errorf("%s: %d creates, want %d", c.name, got, c.creates)
			}
			_ = store.Flush(t.Context()) // what landed late finds the slot taken
			if got, err := l.Read(t.Context(), 1); err != nil || got.Hash != e.Hash {
				t.Errorf("%s: read %+v, %v; want what was appended", c.name, got, err)
			}
		}
	}
}

func TestASlotTakenByAnotherIsLost(t *testing.T) {
	for _, fault := range []blobtest.Fault{blobtest.None, blobtest.FailBefore, blobtest.LoseAnswer, blobtest.SendTwice} {
		mem := new(blob.Mem)
		rival := New(mem, "log", options(newClock(), 2))
		one := fill(t, rival, 1)[0]
		if _, err := rival.Append(t.Context(), one, []byte("theirs")); err != nil {
			t.Fatal(err)
		}
		l, _, _ := newLog(mem, script(fault))
		_, err := l.Append(t.Context(), one, []byte("ours"))
		if !errors.Is(err, ErrHeadMoved) || !errors.Is(err, lockstep.ErrConflict) {
			t.Errorf("fault %d: %v, want ErrHeadMoved", fault, err)
		}
	}
}

// The entry lands while its writer waits, and another has built on it by the time
// the writer looks (TRAPS 4.14, point 6).
func TestAnEntryThatLandedLateUnderAnothersNextEntryIsCommitted(t *testing.T) {
	mem := new(blob.Mem)
	l, store, c := newLog(mem, script(blobtest.Delay, blobtest.FailBefore))
	waits := 0
	l.opts.Wait = func(ctx context.Context, d time.Duration) error {
		if waits++; waits == 1 {
			if err := store.Flush(ctx); err != nil {
				return err
			}
			rival := New(mem, "log", options(newClock(), 2))
			head, err := rival.Head(ctx)
			if err != nil {
				return err
			}
			if _, err := rival.Append(ctx, head, []byte("theirs, on ours")); err != nil {
				return err
			}
		}
		return c.Wait(ctx, d)
	}
	e, err := l.Append(t.Context(), Entry{}, []byte("ours"))
	if err != nil {
		t.Fatalf("our entry is in the log, but: %v", err)
	}
	if next, err := l.Read(t.Context(), 2); err != nil || next.Prev != e.Hash {
		t.Errorf("entry 2: %+v, %v; want it to follow ours", next, err)
	}
}

func TestAnOutcomeThatCannotBeSettledIsUnknown(t *testing.T) {
	silent := func(ops ...string) func(op, key string) blobtest.Fault {
		return func(op, _ string) blobtest.Fault {
			if slices.Contains(ops, op) {
				return blobtest.FailBefore
			}
			return blobtest.None
		}
	}
	for _, ops := range [][]string{{"create"}, {"create", "get"}} {
		l, _, c := newLog(new(blob.Mem), silent(ops...))
		_, err := l.Append(t.Context(), Entry{}, nil)
		if !errors.Is(err, ErrUnknown) || !errors.Is(err, lockstep.ErrUnavailable) {
			t.Errorf("%v silent: %v, want ErrUnknown", ops, err)
		}
		if took := c.Now().Sub(exampleAt); took < defaultSettle || took > defaultSettle+maxPause {
			t.Errorf("%v silent: gave up after %v, want about %v", ops, took, defaultSettle)
		}
	}
}

func TestACancelledAppendIsUnknownOnceItWasSent(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l, _, _ := newLog(new(blob.Mem), func(op, _ string) blobtest.Fault {
		if op == "create" {
			cancel()
			return blobtest.LoseAnswer
		}
		return blobtest.None
	})
	_, err := l.Append(ctx, Entry{}, nil)
	if !errors.Is(err, ErrUnknown) || !errors.Is(err, context.Canceled) {
		t.Errorf("Append = %v, want ErrUnknown and context.Canceled", err)
	}

	ctx, cancel = context.WithCancel(t.Context())
	l, _, c := newLog(new(blob.Mem), script(blobtest.FailBefore, blobtest.FailBefore))
	l.opts.Wait = func(ctx context.Context, d time.Duration) error {
		cancel()
		return c.Wait(ctx, d)
	}
	if _, err = l.Append(ctx, Entry{}, nil); !errors.Is(err, ErrUnknown) || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled while waiting: %v, want ErrUnknown and context.Canceled", err)
	}
}

// refusing answers every create with an error of its own.
type refusing struct {
	*blob.Mem
	err     error
	creates int
}

func (r *refusing) Create(context.Context, string, []byte) error {
	r.creates++
	return r.err
}

func TestARefusedCreateIsNotSentAgain(t *testing.T) {
	r := &refusing{Mem: new(blob.Mem), err: lockstep.ErrRefused}
	_, err := New(r, "log", options(newClock(), 1)).Append(t.Context(), Entry{}, nil)
	if !errors.Is(err, lockstep.ErrRefused) || errors.Is(err, ErrUnknown) || r.creates != 1 {
		t.Errorf("Append = %v after %d creates, want ErrRefused after one", err, r.creates)
	}
}

func TestASlotThatHoldsGarbageIsReportedAsDamage(t *testing.T) {
	for body, want := range map[string]error{"garbage": lockstep.ErrCorrupt, "LSL2" + strings.Repeat("x", 80): lockstep.ErrRefused} {
		mem := new(blob.Mem)
		if err := mem.Create(t.Context(), "log/00000000000000000001", []byte(body)); err != nil {
			t.Fatal(err)
		}
		l, _, _ := newLog(mem, nil)
		if _, err := l.Append(t.Context(), Entry{}, nil); !errors.Is(err, want) || errors.Is(err, ErrUnknown) {
			t.Errorf("Append onto %.8q = %v, want %v", body, err, want)
		}
	}
}

func TestSettlingEndsWithoutAClockToo(t *testing.T) {
	l, _, _ := newLog(new(blob.Mem), func(op, _ string) blobtest.Fault {
		if op == "create" {
			return blobtest.FailBefore
		}
		return blobtest.None
	})
	l.opts.Now = nil
	var waited time.Duration
	l.opts.Wait = func(ctx context.Context, d time.Duration) error {
		if waited += d; waited > 2*defaultSettle {
			return errors.New("waited far too long")
		}
		return ctx.Err()
	}
	if _, err := l.Append(t.Context(), Entry{}, nil); !errors.Is(err, ErrUnknown) || waited > defaultSettle+maxPause {
		t.Errorf("Append = %v after waiting %v, want ErrUnknown after about %v", err, waited, defaultSettle)
	}
}
