package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"lockstep/internal/app"
	"lockstep/internal/compact"
	"lockstep/internal/web"
)

// serving runs an index as "lockstep up" does, the API on a free loopback port, for
// as long as use takes.
func serving(ctx context.Context, dir string, now func() time.Time, use func(ctx context.Context, s *app.Server, url string) error) (err error) {
	a, err := app.Open(ctx, settings(dir), app.Options{Now: now, Actor: "bench"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("bench: listen: %w", err)
	}
	s := app.NewServer(a)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.Run(gctx) })
	g.Go(func() error { return web.Serve(gctx, l, web.Handler(s, web.Options{Now: now})) })
	err = use(gctx, s, "http://"+l.Addr().String())
	cancel()
	return errors.Join(err, g.Wait())
}

// settle waits until no base is due or being built, so that one measurement does not
// pay for what the one before left.
func settle(ctx context.Context, s *app.Server) error {
	for {
		due, err := baseDue(ctx, s)
		if err != nil || !due {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// baseDue says whether a base is due or being built.
func baseDue(ctx context.Context, s *app.Server) (due bool, err error) {
	err = s.Do(ctx, func(_ context.Context, c *compact.Compactor) error {
		due = c.BaseDue()
		return nil
	})
	return due, err
}
