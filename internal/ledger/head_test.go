package ledger

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lockstep/internal/blob"
	"lockstep/internal/blob/blobtest"
	"lockstep/internal/lockstep"
)

func TestHeadIsFoundWhateverTheHintSays(t *testing.T) {
	for _, entries := range []int{1, 2, 3, 7, 8, 9, 64, 100} {
		for _, retired := range []uint64{0, 2, uint64(entries)} {
			if retired > uint64(entries) {
				continue
			}
			store := new(blob.Mem)
			l, f, _ := newLog(store, nil)
			fill(t, l, entries)
			if retired > 0 {
				if err := l.Retire(t.Context(), retired); err != nil {
					t.Fatal(err)
				}
			}
			lists := f.Calls("list")
			for _, hint := range []string{
				"-", "", "garbage", "00000000000000000000", "00000000000000000001",
				fmt.Sprintf("%020d", entries-1), fmt.Sprintf("%020d", entries), fmt.Sprintf("%020d", entries+1),
				"00000000000000001000", "18446744073709551615", "18446744073709551614", "99999999999999999999", "0000000000000000001x",
			} {
				setHint(t, store, hint)
				head, err := New(f, "log", options(newClock(), 1)).Head(t.Context())
				if err != nil || head.N != uint64(entries) {
					t.Errorf("%d entries, %d retired, hint %q: head is %d, %v", entries, retired, hint, head.N, err)
				}
			}
			if f.Calls("list") != lists {
				t.Error("Head listed")
			}
		}
	}
}

func setHint(t *testing.T, store blob.Store, hint string) {
	t.Helper()
	err := store.Hint(t.Context(), "hint/log/head", []byte(hint))
	if hint == "-" {
		err = store.Delete(t.Context(), "hint/log/head")
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestARightHintMakesHeadCheap(t *testing.T) {
	l, f, _ := newLog(new(blob.Mem), nil)
	fill(t, l, 1000)
	before := f.Calls("get")
	if _, err := l.Head(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := f.Calls("get") - before; got > 5 {
		t.Errorf("Head took %d gets, want at most 5", got)
	}
}

func TestGallopFindsTheLastOfAStretch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lo := rapid.Uint64Range(0, 1<<63).Draw(t, "lo")
		last := lo + rapid.Uint64Range(0, 1<<62).Draw(t, "length")
		calls := 0
		got, err := gallop(lo, func(n uint64) (bool, error) {
			calls++
			return lo <= n && n <= last, nil
		})
		if err != nil || got != last || calls > 128 {
			t.Fatalf("gallop = %d, %v after %d calls; want %d", got, err, calls, last)
		}
	})
}

func TestHeadPassesOnWhatTheStoreSays(t *testing.T) {
	l, _, _ := newLog(new(blob.Mem), func(op, _ string) blobtest.Fault {
		if op == "get" {
			return blobtest.FailBefore
		}
		return blobtest.None
	})
	if _, err := l.Head(t.Context()); !errors.Is(err, lockstep.ErrUnavailable) {
		t.Errorf("Head = %v, want ErrUnavailable", err)
	}
}

func TestRetireDeletesOldestFirstAndOnlyAfterRaisingLow(t *testing.T) {
	var steps []string
	l, _, _ := newLog(new(blob.Mem), func(op, key string) blobtest.Fault {
		if op == "create" || op == "delete" {
			steps = append(steps, op+" "+key)
		}
		return blobtest.None
	})
	fill(t, l, 4)
	steps = nil
	for range 2 { // the second finds nothing to do
		if err := l.Retire(t.Context(), 3); err != nil {
			t.Fatal(err)
		}
	}
	want := "[create log-low/00000000000000000001 delete log/00000000000000000001 delete log/00000000000000000002]"
	if got := fmt.Sprint(steps); got != want {
		t.Errorf("steps\n%s, want\n%s", got, want)
	}
	if low, err := l.Low(t.Context()); err != nil || low != 3 {
		t.Errorf("low is %d, %v; want 3", low, err)
	}
	if err := l.Retire(t.Context(), 5); !errors.Is(err, lockstep.ErrRefused) {
		t.Errorf("Retire beyond the head = %v, want ErrRefused", err)
	}
	if err := l.Verify(t.Context(), 3, 4); err != nil {
		t.Error(err)
	}
	if err := l.Verify(t.Context(), 1, 4); !errors.Is(err, lockstep.ErrNotFound) {
		t.Errorf("Verify of retired entries = %v, want ErrNotFound", err)
	}
}

func TestARetireThatDiedIsTakenUpAgain(t *testing.T) {
	broken := true
	mem := new(blob.Mem)
	l, _, _ := newLog(mem, func(op, key string) blobtest.Fault {
		if broken && op == "delete" && key == "log/00000000000000000003" {
			return blobtest.FailBefore
		}
		return blobtest.None
	})
	fill(t, l, 6)
	if err := l.Retire(t.Context(), 5); !errors.Is(err, lockstep.ErrUnavailable) {
		t.Fatalf("Retire = %v, want ErrUnavailable", err)
	}
	setHint(t, mem, "-")
	if head, err := l.Head(t.Context()); err != nil || head.N != 6 {
		t.Errorf("head is %d, %v; want 6", head.N, err)
	}
	broken = false
	if err := l.Retire(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	for n := range uint64(5) {
		if _, err := l.Read(t.Context(), n); !errors.Is(err, lockstep.ErrNotFound) {
			t.Errorf("Read(%d) = %v, want ErrNotFound", n, err)
		}
	}
}

// TRAPS 4.14, point 20: the slot the writer aims at was written by another and
// retired while the writer slept.
func TestAStalledWriterThatResumesAfterLowPassedIsTold(t *testing.T) {
	for _, c := range []struct {
		name  string
		nap   time.Duration
		tweak func(*Options)
	}{
		{"slept for a day", 24 * time.Hour, func(*Options) {}},
		{"clock set back", -24 * time.Hour, func(*Options) {}},
		{"no clock", 0, func(o *Options) { o.Now = nil }},
		{"paranoid", 0, func(o *Options) { o.Paranoid = true }},
	} {
		t.Run(c.name, func(t *testing.T) {
			mem, clk := new(blob.Mem), newClock()
			opts := options(clk, 1)
			c.tweak(&opts)
			sleeper := New(mem, "log", opts)
			old := fill(t, sleeper, 2)[1]

			rival := New(mem, "log", options(newClock(), 2))
			head := old
			for range 4 {
				var err error
				if head, err = rival.Append(t.Context(), head, []byte("theirs")); err != nil {
					t.Fatal(err)
				}
			}
			if err := rival.Retire(t.Context(), 5); err != nil {
				t.Fatal(err)
			}
			if err := clk.Wait(t.Context(), c.nap); err != nil {
				t.Fatal(err)
			}
			_, err := sleeper.Append(t.Context(), old, []byte("late"))
			if !errors.Is(err, ErrRetired) || !errors.Is(err, lockstep.ErrConflict) {
				t.Fatalf("Append = %v, want ErrRetired", err)
			}
			// It deletes nothing; what it left misleads nobody, not even by a stale hint.
			if _, err := sleeper.Read(t.Context(), 3); err != nil {
				t.Errorf("the late entry was deleted: %v", err)
			}
			for _, hint := range []string{"-", "00000000000000000002", "00000000000000000003"} {
				setHint(t, mem, hint)
				if got, err := rival.Head(t.Context()); err != nil || got.N != head.N {
					t.Errorf("hint %q: head is %d, %v; want %d", hint, got.N, err, head.N)
				}
			}
			if err := rival.Retire(t.Context(), 5); err != nil {
				t.Fatal(err)
			}
			if _, err := sleeper.Read(t.Context(), 3); !errors.Is(err, lockstep.ErrNotFound) {
				t.Errorf("the next retirement leaves the late entry: %v", err)
			}
		})
	}
}

func TestAnAppendOfUnknownRetirementIsUnknown(t *testing.T) {
	mem := new(blob.Mem)
	old := fill(t, New(mem, "log", options(newClock(), 1)), 1)[0]
	l, _, _ := newLog(mem, func(op, _ string) blobtest.Fault {
		if op == "get" {
			return blobtest.FailBefore
		}
		return blobtest.None
	})
	if _, err := l.Append(t.Context(), old, nil); !errors.Is(err, ErrUnknown) {
		t.Errorf("Append = %v, want ErrUnknown", err)
	}
}

// The log grows and is retired past the hint while Head looks around there.
func TestHeadStartsOverWhenEntriesAreRetiredUnderIt(t *testing.T) {
	mem := new(blob.Mem)
	rival := New(mem, "log", options(newClock(), 2))
	two := fill(t, rival, 2)[1]
	done := false
	l, _, _ := newLog(mem, func(op, key string) blobtest.Fault {
		if op != "get" || key != "log/00000000000000000002" || done {
			return blobtest.None
		}
		done = true // Head knows that entry 3 is missing, and is about to look at entry 2
		head := two
		for range 4 {
			var err error
			if head, err = rival.Append(t.Context(), head, nil); err != nil {
				t.Error(err)
			}
		}
		if err := rival.Retire(t.Context(), 5); err != nil {
			t.Error(err)
		}
		return blobtest.None
	})
	if head, err := l.Head(t.Context()); err != nil || head.N != 6 || !done {
		t.Errorf("head is %d, %v; want 6", head.N, err)
	}

	// The same a moment later: entry 2 was found, and is gone when it is read.
	mem = new(blob.Mem)
	rival = New(mem, "log", options(newClock(), 2))
	two = fill(t, rival, 2)[1]
	gets := 0
	l, _, _ = newLog(mem, func(op, key string) blobtest.Fault {
		if op != "get" || key != "log/00000000000000000002" {
			return blobtest.None
		}
		if gets++; gets == 2 {
			head, err := rival.Append(t.Context(), two, nil)
			if err != nil {
				t.Error(err)
			}
			if err := rival.Retire(t.Context(), head.N); err != nil {
				t.Error(err)
			}
		}
		return blobtest.None
	})
	if head, err := l.Head(t.Context()); err != nil || head.N != 3 || gets < 2 {
		t.Errorf("head is %d, %v after %d looks at entry 2; want 3", head.N, err, gets)
	}
}

func TestALogWithoutItsLowestEntryIsDamaged(t *testing.T) {
	mem := new(blob.Mem)
	l := New(mem, "log", options(newClock(), 1))
	fill(t, l, 4)
	if err := l.Retire(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"hint/log/head", "log/00000000000000000003"} {
		if err := mem.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Head(t.Context()); !errors.Is(err, lockstep.ErrCorrupt) {
		t.Errorf("Head = %v, want ErrCorrupt", err)
	}
}
