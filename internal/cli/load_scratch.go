package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sync/errgroup"

	"lockstep/internal/app"
	"lockstep/internal/config"
	"lockstep/internal/web"
)

// scratchServer runs a server on a directory of its own for as long as use takes, and
// removes it. It works as the configured one would, without followers and programs.
func (c *session) scratchServer(ctx context.Context, cfg config.Config, use func(ctx context.Context, cfg config.Config, url string) error) (err error) {
	dir, err := os.MkdirTemp("", "lockstep-load-")
	if err != nil {
		return fmt.Errorf("make a scratch store: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	own := app.DemoConfig(config.Default(), dir)
	own.Compact, own.Receipts, own.Environment = cfg.Compact, cfg.Receipts, cfg.Environment
	own.Follower.Chroma.Enabled = "off"
	a, err := app.Open(ctx, own, c.options())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for the scratch server: %w", err)
	}
	s := app.NewServer(a)
	// The server outlives the run: a request that was taken is still answered.
	engine, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	g, gctx := errgroup.WithContext(engine)
	g.Go(func() error { return s.Run(gctx) })
	g.Go(func() error { return web.Serve(gctx, l, web.Handler(s, web.Options{Now: c.env.Now, Log: c.logger()})) })
	err = use(ctx, own, "http://"+l.Addr().String())
	stop()
	return errors.Join(err, g.Wait())
}
