package rollback

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lockstep/internal/blob"
	"lockstep/internal/lockstep"
)

// slow is a target whose Do takes its time. One that is deaf does not heed its context.
type slow struct {
	*mover

	takes   time.Duration
	deaf    bool
	refuses error // what the last Keep behind its time was answered
	mu      sync.Mutex
}

func (l *slow) Do(ctx context.Context, a At, keep Keeper) error {
	if !l.deaf {
		select {
		case <-time.After(l.takes):
		case <-ctx.Done():
			return ctx.Err()
		}
		return l.mover.Do(ctx, a, keep)
	}
	time.Sleep(l.takes)
	err := keep.Keep(context.WithoutCancel(ctx), json.RawMessage(`{"was":"too late"}`))
	keep.Say("still there", 1, 2)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refuses = err
	return err
}

func slowRig(takes time.Duration) (*rig, *slow) {
	r := newRig()
	l := &slow{mover: r.mover, takes: takes}
	r.Targets["slow"] = l
	return r, l
}

func slowly(s Step) Step {
	s.Target = "slow"
	return s
}

func TestAStepHasATimeOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := slowRig(time.Hour)
		r.world.set("a", "bad").set("b", "bad")
		a := slowly(move("a", "bad", "good"))
		a.Deadline = time.Minute
		began := time.Now()
		s := r.walk(t, planOf(a, move("b", "bad", "good")))
		if progress(s) != "a:failed b:done" || s.Steps[0].Error != "not done within 1m0s: context deadline exceeded" || time.Since(began) != time.Minute {
			t.Errorf("%s after %s: %+v", progress(s), time.Since(began), s.Steps[0])
		}
		if took := s.Steps[0].Ended.Sub(s.Steps[0].Began); took != time.Minute {
			t.Errorf("it says it took %s", took)
		}
	})
}

func TestAStepWithoutADeadlineHasTheUsualOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := slowRig(time.Hour)
		r.world.set("a", "bad")
		began := time.Now()
		if s := r.walk(t, planOf(slowly(move("a", "bad", "good")))); s.Steps[0].Progress != Failed || time.Since(began) != DefaultDeadline {
			t.Errorf("%s after %s", progress(s), time.Since(began))
		}
	})
}

func TestATargetThatIgnoresItsContextIsLeftBehindAndKeepsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, l := slowRig(time.Hour)
		l.deaf = true
		said := 0
		r.Say = func(string, string, int64, int64) { said++ }
		r.world.set("a", "bad").set("b", "bad")
		a := slowly(move("a", "bad", "good"))
		a.Deadline = time.Minute
		began := time.Now()
		s := r.walk(t, planOf(a, move("b", "bad", "good")))
		if progress(s) != "a:failed b:done" || !strings.Contains(s.Steps[0].Error, "not done within 1m0s: it does not end") || time.Since(began) != time.Minute+grace {
			t.Errorf("%s after %s: %+v", progress(s), time.Since(began), s.Steps[0])
		}
		heard, entries := said, len(r.history(t))
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		l.mu.Lock()
		defer l.mu.Unlock()
		if !errors.Is(l.refuses, errGivenUp) || said != heard || len(r.history(t)) != entries {
			t.Errorf("it went on: %v, said %d times, %v", l.refuses, said-heard, r.history(t))
		}
	})
}

func TestAKeepJustBehindTheTimeOfTheStepIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, l := slowRig(time.Minute + grace/2)
		l.deaf = true
		r.world.set("a", "bad")
		a := slowly(move("a", "bad", "good"))
		a.Deadline = time.Minute
		s := r.walk(t, planOf(a))
		if string(s.Steps[0].Kept) != `{"was":"too late"}` || l.refuses != nil {
			t.Errorf("%v %s", l.refuses, s.Steps[0].Kept)
		}
	})
}

// deafEye is a target whose Look does not end.
type deafEye struct{ *mover }

func (deafEye) Look(context.Context, At) (Sight, error) {
	time.Sleep(24 * time.Hour)
	return Sight{State: "good", Detail: "nobody waits for this"}, nil
}

func TestALookThatDoesNotEndIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig()
		r.world.set("b", "bad")
		r.Targets["deaf"] = deafEye{r.mover}
		a := move("a", "bad", "good")
		a.Target = "deaf"
		began := time.Now()
		s := r.walk(t, planOf(a, move("b", "bad", "good")))
		if progress(s) != "a:failed b:done" || !strings.Contains(s.Steps[0].Error, "look first: it does not end") || time.Since(began) != lookFor+grace {
			t.Errorf("%s after %s: %+v", progress(s), time.Since(began), s.Steps[0])
		}
		time.Sleep(25 * time.Hour) // what it says then is read by nobody
	})
}

func TestALookEndsWithTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig()
		r.world.set("a", "bad")
		r.Targets["patient"] = patientEye{r.mover}
		a := move("a", "bad", "good")
		a.Target = "patient"
		if _, err := r.Start(t.Context(), planOf(a)); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		s, err := r.Run(ctx, "dev-1")
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second || progress(s) != "a:waiting" {
			t.Errorf("%v after %s, %s", err, time.Since(began), progress(s))
		}
	})
}

// patientEye looks until its context ends.
type patientEye struct{ *mover }

func (patientEye) Look(ctx context.Context, _ At) (Sight, error) {
	<-ctx.Done()
	return Sight{}, ctx.Err()
}

func TestARunThatIsCancelledWaitsForADeafTargetNoLongerThanForAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, l := slowRig(time.Hour)
		l.deaf = true
		r.world.set("a", "bad")
		if _, err := r.Start(t.Context(), planOf(slowly(move("a", "bad", "good")))); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		began := time.Now()
		s, err := r.Run(ctx, "dev-1")
		if !errors.Is(err, context.Canceled) || progress(s) != "a:doing" || time.Since(began) != time.Second+grace {
			t.Errorf("%v, %s after %s", err, progress(s), time.Since(began))
		}
		time.Sleep(2 * time.Hour)
	})
}

func TestTwoThatWalkOnePlanDoEachStepOnce(t *testing.T) {
	for _, late := range []time.Duration{0, time.Millisecond, 100 * time.Millisecond, time.Second, 5 * time.Second, 40 * time.Second, 3 * time.Minute, 299 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			r, _ := slowRig(5 * time.Minute)
			r.world.set("a", "bad").set("b", "bad").set("c", "bad")
			if _, err := r.Start(t.Context(), planOf(slowly(move("a", "bad", "good")), move("b", "bad", "good"), slowly(move("c", "bad", "good")))); err != nil {
				t.Fatal(err)
			}
			var group sync.WaitGroup
			errs := make([]error, 2)
			for i := range errs {
				group.Go(func() {
					time.Sleep(time.Duration(i) * late)
					_, errs[i] = engineOf(r.store, r.Targets).Run(t.Context(), "dev-1")
				})
			}
			group.Wait()
			if one, other := errs[0], errs[1]; (one == nil) == (other == nil) || !errors.Is(errors.Join(one, other), ErrElsewhere) || late > 0 && one != nil {
				t.Errorf("%s later: %v, %v", late, one, other)
			}
			if err := errors.Join(errs...); lockstep.HintOf(err) == "" {
				t.Errorf("%v says not where to look", err)
			}
			s, err := r.State(t.Context(), "dev-1")
			if err != nil || s.Outcome() != Complete || r.world.once() != nil || s.Steps[0].Tries != 1 {
				t.Errorf("%s later: %v, %s, %v", late, err, progress(s), r.world.once())
			}
		})
	}
}

func TestOneThatWasKilledIsTakenOverAfterSomeBeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := slowRig(time.Minute)
		r.world.set("a", "bad")
		if _, err := r.Start(t.Context(), planOf(slowly(move("a", "bad", "good")))); err != nil {
			t.Fatal(err)
		}
		// It dies with all that it has: nothing of it reaches the store any more.
		proc := &process{}
		dying := engineOf(&mortal{r.store, proc}, map[string]Target{"slow": &slow{mover: &mover{world: r.world, proc: proc}, takes: time.Minute}})
		go func() { _, _ = dying.Run(t.Context(), "dev-1") }()
		time.Sleep(30 * time.Second)
		proc.mu.Lock()
		proc.dead = true
		proc.mu.Unlock()
		began := time.Now()
		s, err := r.Run(t.Context(), "dev-1")
		waited := time.Since(began) - time.Minute
		if err != nil || s.Outcome() != Complete || s.Steps[0].Tries != 2 || r.world.once() != nil || waited < beatsMissed*beatFirst || waited > beatsMissed*beatMax {
			t.Errorf("%v, %s, after %s", err, progress(s), waited)
		}
	})
}

// mortal is a store as a process sees it that may die.
type mortal struct {
	blob.Store

	proc *process
}

func (m *mortal) Create(ctx context.Context, key string, body []byte) error {
	if err := m.proc.live("before " + key); err != nil {
		return err
	}
	return errors.Join(m.Store.Create(ctx, key, body), m.proc.live("behind "+key))
}

func (m *mortal) Hint(ctx context.Context, key string, body []byte) error {
	m.proc.mu.Lock()
	dead := m.proc.dead
	m.proc.mu.Unlock()
	if dead {
		return errKilled
	}
	return m.Store.Hint(ctx, key, body)
}

func TestPeopleWriteWhileAPlanIsWalked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := slowRig(time.Minute)
		for _, n := range []string{"a", "b", "c", "d"} {
			r.world.set(n, "bad")
		}
		ctx := t.Context()
		p := planOf(moveBadly("refused", "a", "bad", "good"), slowly(move("b", "bad", "good")), move("c", "bad", "good", "a"), move("d", "bad", "good"))
		if _, err := r.Start(ctx, p); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() {
			_, err := r.Run(ctx, "dev-1")
			ended <- err
		}()
		time.Sleep(time.Second)
		if s, err := r.State(ctx, "dev-1"); err != nil || progress(s) != "a:failed b:doing c:waiting d:waiting" {
			t.Fatalf("%v %s", err, progress(s))
		}
		if _, err := r.Sign(ctx, "dev-1", ItemCustomers, "anna", "asked support"); err != nil {
			t.Error(err)
		}
		if _, err := r.Skip(ctx, "dev-1", "d", "anna", "not needed"); err != nil {
			t.Error(err)
		}
		r.world.set("a", "good")
		if _, err := r.Retry(ctx, "dev-1"); err != nil { // as "resume" does
			t.Error(err)
		}
		if _, err := engineOf(r.store, r.Targets).Run(ctx, "dev-1"); !errors.Is(err, ErrElsewhere) {
			t.Errorf("the one who resumes is told %v", err)
		}
		if err := <-ended; err != nil {
			t.Errorf("the walk was broken off: %v", err)
		}
		s, err := r.State(ctx, "dev-1")
		if err != nil || progress(s) != "a:done b:done c:done d:skipped" || s.Outcome() != Complete || len(s.Signatures) != 1 || r.world.once() != nil {
			t.Errorf("%v %s %v %v", err, progress(s), s.Signatures, r.world.once())
		}
	})
}

func TestAStepThatIsLeftOutUnderneathEndsTheWalk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := slowRig(time.Minute)
		r.world.set("a", "bad")
		if _, err := r.Start(t.Context(), planOf(slowly(move("a", "bad", "good")))); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Second, func() { _, _ = r.Skip(t.Context(), "dev-1", "a", "bert", "it hangs") })
		s, err := r.Run(t.Context(), "dev-1")
		if !errors.Is(err, ErrElsewhere) || !strings.Contains(err.Error(), `"step a skipped", is by bert`) {
			t.Errorf("%v, %s", err, progress(s))
		}
		if s, err := r.Run(t.Context(), "dev-1"); err != nil || s.Outcome() != Complete || progress(s) != "a:skipped" {
			t.Errorf("%v, %s", err, progress(s))
		}
	})
}

func TestAPlanThatIsTakenBackUnderneathEndsTheWalk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := slowRig(time.Minute)
		r.world.set("a", "bad").set("b", "bad")
		if _, err := r.Start(t.Context(), planOf(slowly(move("a", "bad", "good")), move("b", "bad", "good"))); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Second, func() { _, _ = r.MarkUndone(t.Context(), "dev-1", "dev-2") })
		if s, err := r.Run(t.Context(), "dev-1"); !errors.Is(err, lockstep.ErrRefused) || r.world.get("b").State != "bad" {
			t.Errorf("%v, %s", err, progress(s))
		}
		if _, err := r.Run(t.Context(), "dev-1"); !errors.Is(err, lockstep.ErrRefused) || lockstep.HintOf(err) == "" {
			t.Error(err)
		}
		if _, err := r.Retry(t.Context(), "dev-1"); !errors.Is(err, lockstep.ErrRefused) {
			t.Error(err)
		}
		if s, err := r.UnmarkUndone(t.Context(), "dev-1"); err != nil || s.Outcome() != Running {
			t.Errorf("%v, %s", err, s.Outcome())
		}
		if s, err := r.Run(t.Context(), "dev-1"); err != nil || s.Outcome() != Complete {
			t.Errorf("%v, %s", err, progress(s))
		}
	})
}

// slowEye is a target that takes a while to look.
type slowEye struct{ *mover }

func (e slowEye) Look(ctx context.Context, a At) (Sight, error) {
	time.Sleep(10 * time.Second)
	return e.mover.Look(ctx, a)
}

func TestAWalkStopsWhenAnotherHasBegunAnotherStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := slowRig(time.Minute)
		r.Targets["eye"] = slowEye{r.mover}
		r.world.set("a", "strange").set("b", "bad")
		b := move("b", "bad", "good")
		b.Target = "eye"
		if _, err := r.Start(t.Context(), planOf(slowly(move("a", "bad", "good")), b)); err != nil {
			t.Fatal(err)
		}
		first := make(chan error, 1)
		go func() {
			_, err := r.Run(t.Context(), "dev-1")
			first <- err
		}()
		time.Sleep(time.Second) // it looks at b; nothing is being done
		r.world.set("a", "bad")
		if _, err := r.Retry(t.Context(), "dev-1"); err != nil {
			t.Fatal(err)
		}
		s, err := engineOf(r.store, r.Targets).Run(t.Context(), "dev-1")
		if err != nil || s.Outcome() != Complete || r.world.once() != nil {
			t.Errorf("the second one: %v, %s, %v", err, progress(s), r.world.once())
		}
		if err := <-first; !errors.Is(err, ErrElsewhere) || !strings.Contains(err.Error(), `"begin a"`) {
			t.Errorf("the first one: %v", err)
		}
	})
}

func TestWhoLeavesAStepInOrderMakesNobodyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := slowRig(time.Minute)
		r.world.set("a", "bad")
		if _, err := r.Start(t.Context(), planOf(slowly(move("a", "bad", "good")))); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if s, err := r.Run(ctx, "dev-1"); !errors.Is(err, context.DeadlineExceeded) || progress(s) != "a:doing" {
			t.Fatalf("%v, %s", err, progress(s))
		}
		began := time.Now()
		if s, err := r.Run(t.Context(), "dev-1"); err != nil || s.Outcome() != Complete || time.Since(began) != time.Minute {
			t.Errorf("%v, %s after %s", err, progress(s), time.Since(began))
		}
	})
}

func TestADoEndsWhenNothingCanBeKeptAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := slowRig(time.Hour)
		r.world.set("a", "bad")
		proc := &process{}
		var again error
		r.mover.before = func(ctx context.Context, _ At, keep Keeper) error {
			proc.mu.Lock()
			proc.dead = true
			proc.mu.Unlock()
			_ = keep.Keep(ctx, json.RawMessage(`1`)) // and goes on all the same
			<-ctx.Done()
			again = keep.Keep(ctx, json.RawMessage(`2`))
			return nil
		}
		opts := quickly()
		opts.Settle = 1
		r.Journals = NewJournals(&mortal{r.store, proc}, opts)
		if _, err := r.Start(t.Context(), planOf(moveBadly("lazy", "a", "bad", "good"))); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		s, err := r.Run(t.Context(), "dev-1")
		if !errors.Is(err, lockstep.ErrUnavailable) || !errors.Is(again, lockstep.ErrUnavailable) || progress(s) != "a:doing" || time.Since(began) > time.Second {
			t.Errorf("%v, then %v, %s after %s", err, again, progress(s), time.Since(began))
		}
	})
}

func TestAStepThatIsTriedAgainBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig()
		r.world.set("a", "bad")
		s := r.walk(t, planOf(moveBadly("refused", "a", "bad", "good")))
		first := s.Steps[0]
		time.Sleep(time.Hour)
		if _, err := r.Retry(t.Context(), "dev-1"); err != nil {
			t.Fatal(err)
		}
		again := time.Now()
		r.mover.before = func(ctx context.Context, _ At, _ Keeper) error {
			s, err := r.State(ctx, "dev-1")
			if x := s.Steps[0]; err != nil || x.Error != "" || x.Hint != "" || !x.Ended.IsZero() || !x.Began.Equal(again) || x.Tries != 2 || !s.Began.Equal(first.Began) {
				t.Errorf("%v %+v", err, x)
			}
			return nil
		}
		if s, err := r.Run(t.Context(), "dev-1"); err != nil || s.Steps[0].Error != first.Error || s.Steps[0].Ended.Sub(s.Steps[0].Began) != 0 {
			t.Errorf("%v %+v", err, s.Steps[0])
		}
	})
}
