package compact

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"lockstep/internal/lockstep"
	"lockstep/internal/state"
)

// planAll plans the jobs, which do not see each other, on the state as it is. The
// result is in the order of the jobs, whatever goroutine planned which.
func (c *Compactor) planAll(ctx context.Context, jobs []*job) ([]*planned, error) {
	if err := c.readParked(ctx); err != nil {
		return nil, err
	}
	out := make([]*planned, len(jobs))
	now, dims := c.opts.Now(), c.dims()
	var next atomic.Int64
	run := func(ctx context.Context, worker int) (err error) {
		r, err := c.state.Read()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, r.Close()) }()
		p := &planner{
			reader: r, arms: c.arms, arm: c.arms.stable, clock: c.opts.Now, schema: c.schema(), importer: c.importer,
			store: c.log.Store(), framer: c.framers[worker], dims: dims, parked: c.parked, now: now,
		}
		for {
			i := int(next.Add(1)) - 1
			if i >= len(jobs) {
				return nil
			}
			if out[i], err = p.plan(ctx, jobs[i]); err != nil {
				return fmt.Errorf("plan %s: %w", jobs[i].name(), err)
			}
		}
	}
	workers := min(c.opts.Workers, len(jobs))
	if workers <= 1 {
		return out, run(ctx, 0) // in this goroutine, so that a simulation can follow it
	}
	g, gctx := errgroup.WithContext(ctx)
	for w := range workers {
		g.Go(func() error { return run(gctx, w) })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return out, nil
}

func (j *job) name() string {
	if j.bad != nil {
		return "malformed input " + j.bad.ID
	}
	return fmt.Sprintf("key %q", j.group)
}

// dims returns the dimension of every published collection that has one.
func (c *Compactor) dims() map[lockstep.Collection]int {
	out := map[lockstep.Collection]int{}
	for _, s := range c.arms.collections() {
		if s.Dimension > 0 {
			out[s.Name] = s.Dimension
		}
	}
	if c.head.Entry != nil {
		for _, s := range c.head.Entry.Collections {
			if s.Dimension > 0 {
				out[s.Name] = s.Dimension
			}
		}
	}
	return out
}

// readParked finds the groups that wait, once per version.
func (c *Compactor) readParked(ctx context.Context) error {
	if c.parked != nil && c.parkedAt == c.state.Version() {
		return nil
	}
	r, err := c.state.Read()
	if err != nil {
		return err
	}
	parked := map[string]bool{}
	if r.Tally(lockstep.Parked).Records > 0 {
		err = r.Scan(ctx, lockstep.Parked, "", func(row state.Row) error {
			pk, err := parkedFrom(row, c.schema())
			parked[pk.Message.Group] = true
			return err
		})
	}
	if err := errors.Join(err, r.Close()); err != nil {
		return err
	}
	c.parked, c.parkedAt = parked, c.state.Version()
	return nil
}
