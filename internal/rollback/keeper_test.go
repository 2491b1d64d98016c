package rollback

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/lockstep"
)

func TestWhatIsKeptIsStoredBeforeTheStepEndsAndHandedToAResumedDo(t *testing.T) {
	r := newRig()
	r.world.set("a", "bad")
	ctx, cancel := context.WithCancel(t.Context())
	var handed []string
	r.mover.before = func(doing context.Context, a At, keep Keeper) error {
		handed = append(handed, string(a.Kept))
		if len(handed) > 1 {
			return nil
		}
		if err := keep.Keep(doing, json.RawMessage(`{ "was": "bad" }`)); err != nil {
			return err
		}
		s, err := r.State(doing, "dev-1")
		if err != nil || string(s.Steps[0].Kept) != `{"was":"bad"}` || s.Steps[0].Progress != Doing {
			return fmt.Errorf("in the journal: %w %+v", err, s.Steps)
		}
		cancel()
		return ctx.Err()
	}
	if _, err := r.Start(t.Context(), planOf(move("a", "bad", "good"))); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Run(ctx, "dev-1"); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	s, err := r.Run(t.Context(), "dev-1")
	if diff := cmp.Diff([]string{"", `{"was":"bad"}`}, handed); err != nil || s.Outcome() != Complete || diff != "" {
		t.Errorf("%v %s %s", err, progress(s), diff)
	}
}

func TestTooMuchIsNotKept(t *testing.T) {
	r := newRig()
	text := func(n int) json.RawMessage { return json.RawMessage(`"` + strings.Repeat("x", n-2) + `"`) }
	var said []error
	r.mover.before = func(ctx context.Context, a At, keep Keeper) error {
		said = append(said, keep.Keep(ctx, text(MaxKept+1)), keep.Keep(ctx, json.RawMessage(`{"was":`)), keep.Keep(ctx, nil), keep.Keep(ctx, text(MaxKept)))
		r.world.set(a.Step.ID, "good")
		return nil
	}
	var steps []Step
	for i := range maxKeptAll/MaxKept + 1 {
		steps = append(steps, moveBadly("lazy", fmt.Sprintf("a%d", i), "", "good"))
	}
	s := r.walk(t, planOf(steps...))
	for i := range s.Steps {
		last := i == len(s.Steps)-1
		now := said[4*i:][:4]
		for j, err := range now {
			if want := j < 3 || last; errors.Is(err, lockstep.ErrInvalid) != want || (err != nil) != want {
				t.Errorf("step %d, %d: %v", i, j, err)
			}
		}
		if kept := len(s.Steps[i].Kept); s.Steps[i].Progress != Done || last != (kept == 0) {
			t.Errorf("step %d: %s, keeps %d bytes", i, s.Steps[i].Progress, kept)
		}
	}
	if err := said[0]; lockstep.HintOf(err) == "" || !strings.Contains(err.Error(), "step a0 keeps 262145 bytes") {
		t.Error(err)
	}
}

func TestProgressIsPassedOnNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig()
		r.world.set("a", "bad")
		var heard []string
		r.Say = func(step, text string, done, total int64) {
			heard = append(heard, fmt.Sprintf("%s %s %d/%d", step, text, done, total))
		}
		clock := time.Now()
		r.Now = func() time.Time { return clock }
		r.mover.before = func(_ context.Context, _ At, keep Keeper) error {
			for i := range int64(50) { // 10 ms each: half a second
				keep.Say("known", i+1, 50)
				clock = clock.Add(10 * time.Millisecond)
			}
			keep.Say("known", 50, 50) // again
			for range 50 {
				keep.Say("unknown", 0, 0)
				clock = clock.Add(10 * time.Millisecond)
			}
			clock = clock.Add(-time.Hour)
			keep.Say("set back", 0, 0)
			return nil
		}
		r.walk(t, planOf(moveBadly("lazy", "a", "bad", "good")))
		want := []string{
			"a known 1/50", "a known 11/50", "a known 21/50", "a known 31/50", "a known 41/50", "a known 50/50",
			"a unknown 0/0", "a unknown 0/0", "a unknown 0/0", "a unknown 0/0", "a unknown 0/0", "a set back 0/0",
		}
		if diff := cmp.Diff(want, heard); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
