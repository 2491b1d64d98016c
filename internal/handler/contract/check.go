package contract

import (
	"context"
	"errors"
	"fmt"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// Options say how hard to look. The zero value works.
type Options struct {
	Seed   uint64 // decides which orders of arrival are tried
	Orders int    // how many are tried; 0: 30
}

const defaultOrders = 30

// Check is one thing that a handler must keep.
type Check struct {
	Name string // a sentence that is true of a good handler
	// Promised says that the check is only for a fixture that promises convergence.
	Promised bool

	run func(ctx context.Context, s subject) error
}

// subject is what a check looks at.
type subject struct {
	handler.Handler
	Fixture
	Options
}

// OrderName is the name of the check that tries other orders of arrival, which package
// handlertest replaces by one whose orders shrink.
const OrderName = "order and repetition do not matter"

// Checks lists all checks, the cheapest first.
func Checks() []Check {
	return []Check{
		{Name: "description is valid and stable", run: describes},
		{Name: "every unit is planned purely", run: plans},
		{Name: "a cancelled context ends the plan", run: cancels},
		{Name: "unknown entities cause nothing", run: ignores},
		{Name: "redelivery changes nothing", run: redelivers},
		{Name: "tombstones are handled", run: buries},
		{Name: "batches do not matter more than the clock", run: batches},
		{Name: OrderName, run: converges, Promised: true},
	}
}

// Applies says whether the check is for this fixture.
func (c Check) Applies(f Fixture) bool { return f.Convergent || !c.Promised }

// Run returns nil when h keeps the check on f, and otherwise an error that says what was
// seen: lockstep.ErrInvalid, also for a handler that panics and for a fixture without
// messages, which would prove nothing. When ctx ends first the error wraps ctx.Err() and
// says nothing about h. A handler that does not heed ctx holds Run up for as long as it
// likes.
func (c Check) Run(ctx context.Context, h handler.Handler, f Fixture, opts Options) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: %w: it panicked: %v", c.Name, lockstep.ErrInvalid, p)
		}
	}()
	if len(f.Messages) == 0 {
		return fmt.Errorf("%s: %w: the fixture has no messages, so nothing would be checked", c.Name, lockstep.ErrInvalid)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	err = c.run(ctx, subject{h, f, opts})
	switch {
	case ctx.Err() != nil: // whatever was seen may come from the end of ctx
		return fmt.Errorf("%s: %w", c.Name, ctx.Err())
	case err == nil:
		return nil
	case errors.Is(err, lockstep.ErrInvalid):
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	return fmt.Errorf("%s: %w: %w", c.Name, lockstep.ErrInvalid, err)
}
