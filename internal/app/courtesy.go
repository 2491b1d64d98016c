package app

import (
	"context"
	"sync/atomic"
	"time"
)

// courtesy lets the building of a base stand back while changes are being committed. At
// full rate a base is due almost all the time; without this it takes half of two
// processors, with it a quarter of one, and the deltas outweigh the base somewhat longer.
type courtesy struct {
	now       func() time.Time
	committed atomic.Int64 // when the last commit ended, in Unix nanoseconds
	begun     time.Time    // when the present piece of work began; the builder's own
}

const (
	// busyFor is how long after a commit the next one is expected.
	busyFor = 100 * time.Millisecond
	// standBack is how long the builder rests for each moment that it works.
	standBack = 3
	// longestRest bounds one rest: the longest piece is the encoding of one part.
	longestRest = 2 * time.Second
)

func (c *courtesy) noteCommit() { c.committed.Store(c.now().UnixNano()) }

// wait rests as long as courtesy asks for. It returns the error of ctx.
func (c *courtesy) wait(ctx context.Context) error {
	now := c.now()
	rest := min(standBack*now.Sub(c.begun), longestRest)
	if c.begun.IsZero() || now.UnixNano()-c.committed.Load() > int64(busyFor) {
		c.begun = now
		return ctx.Err()
	}
	t := time.NewTimer(rest)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
	}
	c.begun = c.now()
	return nil
}
