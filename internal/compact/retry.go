package compact

import (
	"context"
	"errors"
	"fmt"

	"lockstep/internal/lockstep"
)

// Retried says what became of parked messages that were tried again.
type Retried struct {
	Version  uint64                   `json:"version"`
	Outcomes map[lockstep.Outcome]int `json:"outcomes"`
	Changed  int                      `json:"changed"`
}

// Retry tries the parked messages of the groups again, in their order; of all groups
// when none is named. What fails stays parked with its new reason. ErrNotFound when a
// named group has no parked message.
func (c *Compactor) Retry(ctx context.Context, groups []string) (Retried, error) {
	jobs, n, err := c.parkedJobs(ctx, groups)
	if err != nil {
		return Retried{}, err
	}
	return c.retried(ctx, jobs, n)
}

// Drop gives one parked message up, for a reason that the archive keeps, and tries
// those behind it. ErrNotFound when no such message is parked.
func (c *Compactor) Drop(ctx context.Context, id, reason string) (Retried, error) {
	if reason == "" {
		return Retried{}, fmt.Errorf("drop parked message %s: %w: a reason is needed", id, lockstep.ErrInvalid)
	}
	jobs, n, err := c.parkedJobs(ctx, nil)
	if err != nil {
		return Retried{}, err
	}
	for _, j := range jobs {
		if _, ok := j.retry.slots[id]; ok {
			j.retry.drop[id] = reason
			return c.retried(ctx, []*job{j}, n)
		}
	}
	return Retried{}, lockstep.Hint(fmt.Errorf("parked message %s: %w", id, lockstep.ErrNotFound), `"lockstep parked" lists them`)
}

func (c *Compactor) parkedJobs(ctx context.Context, groups []string) ([]*job, int, error) {
	if err := c.Refresh(ctx); err != nil {
		return nil, 0, err
	}
	r, err := c.state.Read()
	if err != nil {
		return nil, 0, err
	}
	jobs, n, err := parkedJobs(ctx, r, c.schema(), groups)
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, 0, err
	}
	have := map[string]bool{}
	for _, j := range jobs {
		have[j.group] = true
	}
	for _, g := range groups {
		if !have[g] {
			return nil, 0, lockstep.Hint(fmt.Errorf("parked messages of key %q: %w", g, lockstep.ErrNotFound), `"lockstep parked" lists them`)
		}
	}
	return jobs, n, nil
}

// retried commits the jobs, whose slots are below n.
func (c *Compactor) retried(ctx context.Context, jobs []*job, n int) (Retried, error) {
	out := Retried{Version: c.head.Number(), Outcomes: map[lockstep.Outcome]int{}}
	if len(jobs) == 0 {
		return out, nil
	}
	res := newResult(n)
	if err := c.work(ctx, jobs, nil, res); err != nil {
		return out, err
	}
	for _, o := range res.Outcomes {
		if o.Outcome != "" { // of another group, or settled by another compactor meanwhile
			out.Outcomes[o.Outcome]++
		}
	}
	out.Version, out.Changed = res.Version, res.Changed
	return out, nil
}
