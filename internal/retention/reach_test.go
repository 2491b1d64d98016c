package retention

import (
	"errors"
	"testing"

	"lockstep/internal/version"
)

func TestMessagesThatWaitToBeReplayedStayAndDiscardedOnesDoNot(t *testing.T) {
	for _, c := range []struct {
		name string
		span version.Span
		keep bool
	}{
		{"replayed", version.Span{From: 2, To: 4, Mode: version.Replay}, true},
		{"held", version.Span{From: 2, To: 4, Mode: version.Hold}, true},
		{"discarded", version.Span{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, _ := newWorld(t)
			ctx := t.Context()
			for _, doc := range []string{"1", "2", "3", "4"} {
				w.CommitLarge(ctx, put("a", doc))
			}
			var backlog []version.Span
			if c.keep {
				backlog = append(backlog, c.span)
			}
			w.Reset(ctx, 2, backlog...) // 5
			w.Base(ctx, 5)              // 6
			w.CommitLarge(ctx, put("b", "5"))
			w.Base(ctx, 7) // 8
			w.Clock = w.Clock.Add(20 * day)
			w.Commit(ctx, put("b", "6"))
			d := collect(t, w, Policy{})
			if kept := d.Low <= 3; kept != c.keep {
				t.Errorf("lowest version %d", d.Low)
			}
			_, err := w.Log.Delta(ctx, 4)
			if (err == nil) != c.keep {
				t.Errorf("delta of version 4: %v", err)
			}
			if e, err := w.Log.Ledger().Head(ctx); err != nil || e.N != 9 {
				t.Errorf("head %d, %v", e.N, err)
			}
		})
	}
}

func TestFromAPinnedVersionOfAnotherLineThereIsAWayToTheHead(t *testing.T) {
	w, _ := newWorld(t)
	ctx := t.Context()
	for _, doc := range []string{"1", "2", "3"} {
		w.Commit(ctx, put("a", doc))
	}
	w.Base(ctx, 3)               // 4
	w.Commit(ctx, put("a", "5")) // 5
	w.Commit(ctx, put("a", "6")) // 6
	w.Reset(ctx, 2)              // 7
	w.Commit(ctx, put("a", "8")) // 8
	w.Base(ctx, 8)               // 9
	w.Commit(ctx, put("b", "9")) // 10
	w.Base(ctx, 10)              // 11
	w.Clock = w.Clock.Add(20 * day)
	w.Commit(ctx, put("b", "12"))
	if err := SetPin(ctx, w.Log, Pin{Name: "good", Version: 6, Holder: "test"}); err != nil {
		t.Fatal(err)
	}
	// To rebuild version 6, its base and versions 4 to 6 would do.
	if d := collect(t, w, Policy{}); d.Low != 3 {
		t.Errorf("lowest version %d, want 3: the two lines part behind version 2", d.Low)
	}
	w.Reopen()
	if _, err := w.Log.Path(ctx, w.Head(), 6); err != nil {
		t.Error(err)
	}
	s := newState(t, w)
	rebuild(t, w, s, 6)
	rebuild(t, w, s, w.Head())
	if err := RemovePin(ctx, w.Log, "good", "test", w.Clock); err != nil {
		t.Fatal(err)
	}
	if d := collect(t, w, Policy{}); d.Low != 9 {
		t.Errorf("lowest version %d without the pin, want 9", d.Low)
	}
	w.Reopen()
	if _, err := w.Log.Path(ctx, 12, 6); !errors.Is(err, version.ErrRetired) {
		t.Errorf("way to a retired version: %v", err)
	}
}
