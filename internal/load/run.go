package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"lockstep/internal/lockstep"
)

// Options say how traffic is sent. Steps and Now are required.
type Options struct {
	Steps     []Step
	Now       func() time.Time
	Batch     int           // changes per request; 0: 1
	InFlight  int           // requests under way at most; 0: 256
	Arrivals  Arrivals      // "": Poisson
	Timeout   time.Duration // of one request; 0: 30 s
	Drain     time.Duration // how long after a step its changes are waited for; 0: 10 s
	Objective Conditions    // what a step has to keep to be held
	Stop      Conditions    // what ends the run at once
	Progress  func(Progress)
}

// Progress is how far a run is.
type Progress struct {
	Due, Expected int     // changes, over all steps
	Rate          float64 // of the step under way
}

// Limits of a run.
const (
	MaxBatch    = 1000
	MaxInFlight = 10_000
)

const (
	lookEvery  = 100 * time.Millisecond
	lookBefore = 100 // changes: fewer say nothing about a stop
)

func (o Options) complete() (Options, error) {
	if o.Batch == 0 {
		o.Batch = 1
	}
	if o.InFlight == 0 {
		o.InFlight = 256
	}
	if o.Arrivals == "" {
		o.Arrivals = Poisson
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Drain == 0 {
		o.Drain = 10 * time.Second
	}
	switch {
	case len(o.Steps) == 0:
		return o, fmt.Errorf("load: %w: no steps", lockstep.ErrInvalid)
	case o.Batch < 1 || o.Batch > MaxBatch:
		return o, fmt.Errorf("load: %w batch %d: want 1 to %d", lockstep.ErrInvalid, o.Batch, MaxBatch)
	case o.InFlight < 1 || o.InFlight > MaxInFlight:
		return o, fmt.Errorf("load: %w: %d requests under way: want 1 to %d", lockstep.ErrInvalid, o.InFlight, MaxInFlight)
	case o.Timeout < 0 || o.Drain < 0:
		return o, fmt.Errorf("load: %w: a negative time to wait", lockstep.ErrInvalid)
	}
	if o.Stop.speaksOf(figureHeld) {
		return o, fmt.Errorf("load: %w stop: %s is known at the end only", lockstep.ErrInvalid, figureHeld)
	}
	for _, s := range o.Steps {
		if !(s.Rate > 0 && s.Rate <= MaxRate) || s.For <= 0 {
			return o, fmt.Errorf("load: %w step: %g changes per second for %s", lockstep.ErrInvalid, s.Rate, s.For)
		}
	}
	return o, nil
}

// Run sends traffic step by step. It ends with the first step that is not held: what
// lies above it is slower still. The result is complete for the steps that ran, also
// together with an error.
//
// ErrInvalid: the options are out of range, and nothing was sent. The error of ctx when
// that ended first. What the server refuses is a figure of the result and no error.
func Run(ctx context.Context, target Target, traffic *Traffic, opts Options) (Result, error) {
	opts, err := opts.complete()
	if err != nil {
		return Result{}, err
	}
	r := runner{
		Options: opts, target: target, traffic: traffic,
		rng: rand.New(rand.NewPCG(traffic.shape.Seed, arrivalStream)),
	}
	for _, s := range opts.Steps {
		r.progress.Expected += int(s.Rate * s.For.Seconds())
	}
	res := resultOf(traffic.shape, opts)
	for _, s := range opts.Steps {
		step, err := r.step(ctx, s)
		if err != nil {
			res.judge(opts)
			return res, fmt.Errorf("load: at %g changes per second: %w", s.Rate, err)
		}
		res.Steps = append(res.Steps, step)
		if !step.Held {
			break
		}
	}
	res.judge(opts)
	return res, nil
}

type runner struct {
	Options
	target   Target
	traffic  *Traffic
	rng      *rand.Rand // of arrivals
	progress Progress
}

// step sends what is due in one step and waits for the answers.
func (r *runner) step(ctx context.Context, s Step) (StepResult, error) {
	start, before := r.Now(), r.traffic.Done()
	cutoff, cancel := context.WithTimeout(ctx, s.For+r.Drain)
	defer cancel()
	t := newTally(start.Add(s.For))
	f := flight{runner: r, tally: t, slots: make(chan struct{}, r.InFlight)}
	stopped, looked := "", start
	r.progress.Rate = s.Rate
	for offset := range r.Arrivals.times(r.rng, s.Rate/float64(r.Batch), s.For) {
		due := start.Add(offset)
		t.expect(r.Batch)
		f.launch(cutoff, due)
		if ctx.Err() != nil {
			break
		}
		now := r.Now()
		if now.Sub(looked) < lookEvery {
			continue
		}
		looked = now
		r.report(t)
		if stopped = r.stop(t, start, now); stopped != "" {
			t.cut(now)
			time.AfterFunc(r.Drain, cancel)
			break
		}
	}
	f.wait()
	if err := ctx.Err(); err != nil {
		return StepResult{}, err
	}
	res := t.result(start)
	r.progress.Due += res.Due
	r.report(nil)
	res.Rate, res.Sent = s.Rate, r.traffic.Done().since(before)
	if stopped == "" {
		stopped = r.Stop.reached(&res)
	}
	res.judge(stopped, r.Objective)
	return res, nil
}

func (r *runner) stop(t *tally, start, now time.Time) string {
	s := t.soFar(start, now)
	if s.Answered+s.Failed < lookBefore {
		return ""
	}
	// What still waits is no error yet.
	s.Due = s.Answered + s.Failed + s.Unsent
	return r.Stop.reached(&s)
}

func (r *runner) report(t *tally) {
	if r.Progress == nil {
		return
	}
	p := r.progress
	if t != nil {
		t.mu.Lock()
		p.Due += t.due
		t.mu.Unlock()
	}
	r.Progress(p)
}

// flight is the requests of one step that are under way.
type flight struct {
	*runner
	tally *tally
	slots chan struct{}
	group sync.WaitGroup
}

// launch sends one request when it is due, or as soon after as one of the slots is
// free. It returns when the request has left, or was given up because ctx ended.
func (f *flight) launch(ctx context.Context, due time.Time) {
	if ctx.Err() != nil {
		f.tally.gaveUp(due, f.Now(), f.Batch)
		return
	}
	lines := f.traffic.Batch(nil, f.Batch, due) // made before it is due, so that making it delays nothing
	sleep(ctx, due.Sub(f.Now()))
	select {
	case <-ctx.Done():
		f.tally.gaveUp(due, f.Now(), f.Batch)
		return
	case f.slots <- struct{}{}:
	}
	f.group.Go(func() {
		defer func() { <-f.slots }()
		f.send(ctx, due, lines)
	})
}

func (f *flight) send(ctx context.Context, due time.Time, lines []byte) {
	ctx, cancel := context.WithTimeout(ctx, f.Timeout)
	defer cancel()
	a, err := f.target.Send(ctx, lines)
	if err != nil {
		f.tally.failedAt(due, f.Now(), f.Batch, err)
		return
	}
	f.tally.took(due, f.Now(), f.Batch, a)
}

func (f *flight) wait() { f.group.Wait() }

func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
