package notify

import (
	"context"
	"time"
)

const (
	defaultPoll = 5 * time.Second
	leastPause  = time.Second
)

// Run delivers until ctx ends, and returns ctx's error. It looks every poll for what
// others have put (0: 5 seconds), and sooner when an attempt is due. now gives the time;
// each round that did something, or could not, is told to say, which may be nil.
func (c *Courier) Run(ctx context.Context, poll time.Duration, now func() time.Time, say func(Round, error)) error {
	if poll <= 0 {
		poll = defaultPoll
	}
	for {
		r, err := c.Deliver(ctx, now())
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if say != nil && (err != nil || len(r.Sent)+len(r.Failed)+len(r.GivenUp) > 0) {
			say(r, err)
		}
		pause := poll
		if !r.Next.IsZero() && err == nil {
			pause = max(leastPause, min(poll, r.Next.Sub(now())))
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}
