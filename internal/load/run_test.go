package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/lockstep"
)

// server answers one request after the other, as one writer does.
type server struct {
	once    sync.Once
	turn    chan struct{} // the one writer; a channel, because a bubble's time stands still behind a mutex
	takes   time.Duration
	stallAt int // the request that stalls, from 1
	stall   time.Duration
	fail    func(n int) error
	seen    int
	changes int
	bodies  []byte
}

func (s *server) Send(ctx context.Context, lines []byte) (Answer, error) {
	s.once.Do(func() { s.turn = make(chan struct{}, 1) })
	select {
	case <-ctx.Done():
		return Answer{}, fmt.Errorf("send: %w: %w", lockstep.ErrUnavailable, ctx.Err())
	case s.turn <- struct{}{}:
	}
	defer func() { <-s.turn }()
	s.seen++
	wait := s.takes
	if s.seen == s.stallAt {
		wait = s.stall
	}
	sleep(ctx, wait)
	if err := ctx.Err(); err != nil {
		return Answer{}, fmt.Errorf("send: %w: %w", lockstep.ErrUnavailable, err)
	}
	if s.fail != nil {
		if err := s.fail(s.seen); err != nil {
			return Answer{}, err
		}
	}
	n := bytes.Count(lines, []byte("\n"))
	s.changes += n
	s.bodies = append(s.bodies, lines...)
	return Answer{Version: uint64(s.seen), Records: n, Changed: 2 * n, Outcomes: map[lockstep.Outcome]int{lockstep.Applied: n}}, nil
}

func small() Shape { return Shape{Seed: 1, Keys: 3, Lines: 2} }

// inBubble runs a load on a server in a time that passes at once.
func inBubble(t *testing.T, s *server, o Options) (res Result, took time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o.Now = time.Now
		start := time.Now()
		var err error
		if res, err = Run(t.Context(), s, traffic(t, small()), o); err != nil {
			t.Fatal(err)
		}
		took = time.Since(start)
	})
	return res, took
}

// TestAStallShowsInEverythingThatWasDueMeanwhile is the reason for open loops: of 2,000
// requests one stalls. Whoever waits for it before he sends the next, and measures from
// when he sent, finds one slow request in 2,000.
func TestAStallShowsInEverythingThatWasDueMeanwhile(t *testing.T) {
	for _, inFlight := range []int{1, 16, 1024} {
		s := &server{takes: 100 * time.Microsecond, stallAt: 500, stall: 300 * time.Millisecond}
		res, _ := inBubble(t, s, Options{Steps: []Step{{1000, 2 * time.Second}}, InFlight: inFlight, Arrivals: Constant})
		l := res.Steps[0].Latency
		if l.Samples != 2000 || l.P50 > time.Millisecond || l.P90 < 100*time.Millisecond || l.P99 < 250*time.Millisecond || l.Max < 300*time.Millisecond {
			t.Errorf("%d under way: %+v", inFlight, l)
		}
		if !res.Steps[0].Held || s.changes != 2000 {
			t.Errorf("%d under way: %d changes arrived: %s", inFlight, s.changes, res.Steps[0].Why)
		}
	}
}

func TestEveryChangeOfABatchCounts(t *testing.T) {
	s := &server{takes: time.Millisecond}
	res, _ := inBubble(t, s, Options{Steps: []Step{{1000, time.Second}}, Batch: 20, Arrivals: Constant})
	got := res.Steps[0]
	if got.Due != 1000 || got.Answered != 1000 || got.Latency.Samples != 1000 || got.Versions != 50 || got.Changed != 2000 || s.seen != 50 {
		t.Errorf("%d requests: %+v", s.seen, got)
	}
	if sent := got.Sent; sent.Edits+sent.Inserts+sent.Deletes != 1000 {
		t.Errorf("sent %+v", sent)
	}
}

func TestTheSameSeedSendsTheSameBytes(t *testing.T) {
	bodies := func(seed uint64) (out []byte) {
		synctest.Test(t, func(t *testing.T) {
			s := &server{}
			shape := small()
			shape.Seed = seed
			if _, err := Run(t.Context(), s, traffic(t, shape), Options{Steps: []Step{{200, time.Second}}, InFlight: 1, Now: time.Now}); err != nil {
				t.Fatal(err)
			}
			out = s.bodies
		})
		return out
	}
	first := bodies(1)
	if len(first) == 0 || !bytes.Equal(first, bodies(1)) {
		t.Error("the same seed sends other bytes")
	}
	if bytes.Equal(first, bodies(2)) {
		t.Error("another seed sends the same bytes")
	}
}

func TestWhatIsNeverAnsweredIsInThePercentiles(t *testing.T) {
	s := &server{takes: time.Hour}
	res, took := inBubble(t, s, Options{Steps: []Step{{100, time.Second}}, InFlight: 10, Arrivals: Constant, Drain: 2 * time.Second})
	got := res.Steps[0]
	if got.Due != 100 || got.Answered != 0 || got.Failed != 10 || got.Unsent != 90 || got.Backlog != 100 || got.Held {
		t.Errorf("%+v", got)
	}
	if got.Latency.Samples != 100 || got.Latency.P50 < 2*time.Second || got.Errors[classTimeout] != 10 {
		t.Errorf("%+v, %v", got.Latency, got.Errors)
	}
	if took != 3*time.Second {
		t.Errorf("it took %s, want the step and its drain", took)
	}
	if res.Held != 0 || !strings.Contains(got.Why, "never sent") {
		t.Errorf("held %g: %s", res.Held, got.Why)
	}
}

func TestARampEndsAtTheFirstRateThatIsNotHeld(t *testing.T) {
	steps, err := Range{100, 1000}.Steps(10*5*time.Second, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{takes: 2 * time.Millisecond} // 500 a second
	res, _ := inBubble(t, s, Options{Steps: steps, Arrivals: Constant, Objective: conditions(t, "held>=400")})
	if res.Held != 500 || len(res.Steps) != 6 || !res.Passed {
		t.Errorf("held %g after %d steps: %+v", res.Held, len(res.Steps), res.Steps[len(res.Steps)-1])
	}
	last := res.Steps[5]
	// A second in every five is more than there is time for.
	if last.Held || last.Backlog < 400 || last.Behind < time.Second || last.Achieved > 505 {
		t.Errorf("at %g/s: %+v", last.Rate, last)
	}
}

func TestAStopEndsTheRunAtOnce(t *testing.T) {
	refuse := func(n int) error {
		if n > 300 {
			return fmt.Errorf("send: %w", lockstep.ErrUnavailable)
		}
		return nil
	}
	s := &server{fail: refuse}
	res, took := inBubble(t, s, Options{Steps: []Step{{1000, time.Hour}, {2000, time.Hour}}, Arrivals: Constant, Stop: conditions(t, "p99>1s,errors>50%")})
	got := res.Steps[0]
	if len(res.Steps) != 1 || !strings.HasPrefix(got.Stopped, "errors>50%") || got.Held || took > 2*time.Second {
		t.Errorf("after %s: %+v", took, got)
	}
	if got.Errors[lockstep.ErrUnavailable.Error()] != got.Failed || got.Failed == 0 || got.For > 2*time.Second || got.Backlog != 0 || got.Example == "" {
		t.Errorf("%+v", got)
	}
	// What waits is stopped by its time, not by being no answer yet.
	slow := &server{takes: 10 * time.Millisecond}
	res, took = inBubble(t, slow, Options{Steps: []Step{{1000, time.Hour}}, Arrivals: Constant, InFlight: 10_000, Stop: conditions(t, "p90>1s,errors>50%"), Drain: time.Second})
	if got := res.Steps[0]; !strings.HasPrefix(got.Stopped, "p90>1s") || took > 4*time.Second {
		t.Errorf("after %s: %+v", took, got)
	}
}

func TestAFastRefusalDoesNotImproveTheLatency(t *testing.T) {
	s := &server{takes: time.Millisecond, fail: func(n int) error {
		if n%2 == 0 {
			return fmt.Errorf("send: %w", lockstep.ErrConflict)
		}
		return nil
	}}
	res, _ := inBubble(t, s, Options{Steps: []Step{{100, time.Second}}, Arrivals: Constant})
	if got := res.Steps[0]; got.Latency.Samples != 50 || got.Failed != 50 || got.Errors["conflict"] != 50 || got.Held {
		t.Errorf("%+v", got)
	}
}

func TestARunThatIsCancelledSaysWhatItKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(1500*time.Millisecond, cancel)
		res, err := Run(ctx, &server{}, traffic(t, small()), Options{Steps: []Step{{10, time.Second}, {10, time.Second}}, Now: time.Now, Arrivals: Constant})
		if !errors.Is(err, context.Canceled) || len(res.Steps) != 1 || res.Held != 10 {
			t.Errorf("%v, %+v", err, res)
		}
	})
}

func TestProgressGoesUpToWhatIsExpected(t *testing.T) {
	var seen []Progress
	inBubble(t, &server{}, Options{Steps: []Step{{100, time.Second}, {200, time.Second}}, Arrivals: Constant, Progress: func(p Progress) { seen = append(seen, p) }})
	for i := 1; i < len(seen); i++ {
		if seen[i].Due < seen[i-1].Due {
			t.Errorf("%+v follows %+v", seen[i], seen[i-1])
		}
	}
	if last := seen[len(seen)-1]; last != (Progress{Due: 300, Expected: 300, Rate: 200}) || len(seen) < 10 {
		t.Errorf("%d reports, at the end %+v", len(seen), last)
	}
}

func TestOptionsOutOfRangeSendNothing(t *testing.T) {
	one := []Step{{1, time.Second}}
	for _, o := range []Options{
		{},
		{Steps: []Step{{0, time.Second}}},
		{Steps: []Step{{1, 0}}},
		{Steps: []Step{{MaxRate + 1, time.Second}}},
		{Steps: one, Batch: -1},
		{Steps: one, Batch: MaxBatch + 1},
		{Steps: one, InFlight: -1},
		{Steps: one, InFlight: MaxInFlight + 1},
		{Steps: one, Timeout: -1},
		{Steps: one, Drain: -1},
		{Steps: one, Stop: Conditions{{figureHeld, ">", 1}}},
	} {
		s := &server{}
		o.Now = time.Now
		if _, err := Run(t.Context(), s, traffic(t, small()), o); !errors.Is(err, lockstep.ErrInvalid) || s.seen > 0 {
			t.Errorf("%+v: %v, %d requests", o, err, s.seen)
		}
	}
}

func TestErrorsAreCountedByClass(t *testing.T) {
	for want, err := range map[string]error{
		"timeout": fmt.Errorf("%w: %w", lockstep.ErrUnavailable, context.DeadlineExceeded), "unavailable": lockstep.ErrUnavailable, "not found": lockstep.ErrNotFound,
		"refused": lockstep.ErrRefused, "conflict": lockstep.ErrConflict, "invalid": lockstep.ErrInvalid, "corrupt": lockstep.ErrCorrupt, "other": errors.New("x"),
	} {
		if got := className(fmt.Errorf("send: %w", err)); got != want {
			t.Errorf("%v is counted as %s, want %s", err, got, want)
		}
	}
	for status, want := range map[int]error{400: lockstep.ErrInvalid, 401: lockstep.ErrRefused, 403: lockstep.ErrRefused, 404: lockstep.ErrNotFound, 409: lockstep.ErrConflict, 413: lockstep.ErrInvalid, 500: lockstep.ErrUnavailable, 503: lockstep.ErrUnavailable} {
		if got := classOf(status); !errors.Is(got, want) {
			t.Errorf("%d is %v, want %v", status, got, want)
		}
	}
	if diff := cmp.Diff(0.0, share(1, 0)); diff != "" {
		t.Error(diff)
	}
}
