package release

import "time"

// Clock adds up time and can be stopped. The zero Clock stands at zero.
type Clock struct {
	Ran   time.Duration `json:"ran_ns"`         // up to Since, or in all when it stands
	Since time.Time     `json:"since,omitzero"` // zero while it stands
}

// Elapsed returns the time the clock shows at now. A now before Since counts as
// Since: clocks of different machines differ, and time is never given back.
func (c Clock) Elapsed(now time.Time) time.Duration {
	if c.Since.IsZero() {
		return c.Ran
	}
	return c.Ran + max(0, now.Sub(c.Since))
}

// Run returns the clock running from now on; one that runs already is unchanged.
func (c Clock) Run(now time.Time) Clock {
	if c.Since.IsZero() {
		c.Since = now
	}
	return c
}

// Stand returns the clock stopped at now.
func (c Clock) Stand(now time.Time) Clock {
	return Clock{Ran: c.Elapsed(now)}
}
