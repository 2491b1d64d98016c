package notify

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lockstep/internal/lockstep"
)

func TestRunDeliversWhatOthersPutUntilItIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := outbox(t)
		slack := &receiver{fails: []error{lockstep.ErrUnavailable, lockstep.ErrUnavailable}}
		c := courier(o, map[string]Sender{"slack": slack})
		ctx, cancel := context.WithCancel(t.Context())
		var mu sync.Mutex // guards rounds
		var rounds []Round
		said := func() []Round {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(rounds)
		}
		ended := make(chan error, 1)
		go func() {
			ended <- c.Run(ctx, time.Minute, time.Now, func(r Round, err error) {
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				rounds = append(rounds, r)
			})
		}()
		synctest.Wait()
		if err := o.Put(ctx, "anna", message("a"), []string{"slack"}, time.Now()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if got := said(); len(got) == 0 || len(got[0].Failed) != 1 {
			t.Fatalf("after a minute: %+v", got)
		}
		// The attempts that follow do not wait for the poll: their windows are 5 and 10 seconds.
		time.Sleep(16 * time.Second)
		synctest.Wait()
		if got := slack.seen(); len(got) != 1 || len(said()) != 3 {
			t.Errorf("it got %v in %d rounds", got, len(said()))
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
}

func TestRunGoesOnWhenTheStoreIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := NewOutbox(down{}, impatient(), nil)
		ctx, cancel := context.WithTimeout(t.Context(), 63*time.Second)
		defer cancel()
		failures := 0
		err := courier(o, nil).Run(ctx, 0, time.Now, func(_ Round, err error) {
			if err != nil {
				failures++
			}
		})
		if !errors.Is(err, context.DeadlineExceeded) || failures != 13 {
			t.Errorf("%d failures, %v", failures, err)
		}
	})
}
