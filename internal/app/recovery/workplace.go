package recovery

import (
	"context"
	"sync"

	"lockstep/internal/app"
	"lockstep/internal/branch"
	"lockstep/internal/compact"
	"lockstep/internal/config"
)

// Workplace is where work on the index is done: a compactor, and what branches are taken
// from.
type Workplace interface {
	Work(ctx context.Context, do func(context.Context, *compact.Compactor, branch.Origin) error) error
}

// Serving is a running server as a workplace: work is done between two commits.
type Serving struct{ *app.Server }

// Work implements Workplace.
func (s Serving) Work(ctx context.Context, do func(context.Context, *compact.Compactor, branch.Origin) error) error {
	return s.Do(ctx, func(ctx context.Context, c *compact.Compactor) error { return do(ctx, c, s.Origin()) })
}

// Opened is an index of this process that nobody else works on.
type Opened struct{ *app.App }

// Work implements Workplace.
func (o Opened) Work(ctx context.Context, do func(context.Context, *compact.Compactor, branch.Origin) error) error {
	return o.Do(ctx, func(ctx context.Context, c *compact.Compactor) error { return do(ctx, c, o.Origin()) })
}

// Own is a workplace of this process, opened when it is first needed: with the local state
// of the data directory when no server has it, else with one built from the store. Close it.
type Own struct {
	Config  config.Config
	Options app.Options

	mu  sync.Mutex // guards everything below
	app *app.App
}

// Work implements Workplace.
func (o *Own) Work(ctx context.Context, do func(context.Context, *compact.Compactor, branch.Origin) error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.app == nil {
		a, err := app.OpenWorker(ctx, o.Config, o.Options)
		if err != nil {
			return err
		}
		o.app = a
	}
	o.app.Compactor.Poll()
	return do(ctx, o.app.Compactor, o.app.Origin())
}

// Follow brings the follower to the newest version.
func (o *Own) Follow(ctx context.Context) error {
	return o.Work(ctx, func(ctx context.Context, c *compact.Compactor, _ branch.Origin) error {
		if err := c.CatchUp(ctx); err != nil {
			return err
		}
		_, err := o.app.Follow(ctx)
		return err
	})
}

// Position says where the follower stands.
func (o *Own) Position(ctx context.Context) (st app.FollowerStatus, err error) {
	err = o.Work(ctx, func(ctx context.Context, c *compact.Compactor, _ branch.Origin) error {
		st, err = o.app.FollowerPosition(ctx)
		return err
	})
	return st, err
}

// Close gives the data directory free.
func (o *Own) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.app == nil {
		return nil
	}
	err := o.app.Close()
	o.app = nil
	return err
}
