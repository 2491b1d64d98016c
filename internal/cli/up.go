package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"lockstep/internal/app"
	"lockstep/internal/app/recovery"
	"lockstep/internal/web"
)

func (c *session) up() *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use:     "up",
		GroupID: groupRun,
		Short:   "Run the compactor, the follower and the HTTP API until stopped",
		Long: `Runs everything in one process: takes changes in over HTTP, brings them into
versions, keeps the Chroma directory at the newest version.

  POST /v1/changes   a Lambda event, stream records or NDJSON of them; answers when
                     every record is in a version
  GET  /v1/status    where the index stands
  GET  /metrics      for Prometheus
  GET  /healthz      whether it works

No configuration is needed. It can be stopped and killed at any time.`,
		Example: `  lockstep up --data ./lockstep-data
  curl --data-binary @event.json http://127.0.0.1:8765/v1/changes`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.runUp(cmd.Context(), listen) },
	}
	cmd.Flags().StringVar(&listen, "listen", "", "address of the API (overrides the configuration)")
	return cmd
}

func (c *session) runUp(ctx context.Context, listen string) (err error) {
	cfg, err := c.settings()
	if err != nil {
		return err
	}
	if listen != "" {
		if cfg, err = cfg.WithListen(listen); err != nil {
			return usageError{err}
		}
	}
	token, err := app.Token(cfg)
	if err != nil {
		return err
	}
	a, err := app.Open(ctx, cfg, c.options())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", cfg.Listen, err)
	}
	s := app.NewServer(a)
	withdraw, err := app.Announce(cfg, app.Address{URL: "http://" + l.Addr().String(), PID: os.Getpid()})
	if err != nil {
		return errors.Join(err, l.Close())
	}
	defer func() { err = errors.Join(err, withdraw()) }()
	fmt.Fprintf(c.env.Stderr, "lockstep: listening on http://%s, data in %s, revision %s\n", l.Addr(), cfg.Data, a.Revision)
	if st := a.FollowerStatus(); st.Advice != "" {
		fmt.Fprintf(c.env.Stderr, "lockstep: follower %s: %s\n", st.State, st.Advice)
	}
	// The server outlives the surface: a request that was taken is still answered.
	engine, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.Run(engine) })
	attendant := c.attendant(s)
	g.Go(func() error { return attendant.Run(engine) })
	g.Go(func() error { return attendant.Drills(engine) })
	g.Go(func() error {
		defer stop()
		return web.Serve(gctx, l, web.Handler(s, web.Options{Now: c.env.Now, Token: token, Log: c.logger()}))
	})
	return g.Wait()
}

// attendant is what the server does about incidents.
func (c *session) attendant(s *app.Server) *recovery.Attendant {
	a := &recovery.Assembly{Control: s.Control, Config: s.Config, Workplace: recovery.Serving{Server: s}, Actor: c.who(), Now: c.env.Now, Getenv: c.env.Getenv}
	if s.FollowerStatus().Advice == "" {
		a.Position, a.Follow = s.FollowerPosition, s.Followed
	}
	return &recovery.Attendant{Assembly: a, Desk: recovery.NewDesk(s.Control, s.Config, a.Secrets()), Log: c.logger(), Every: max(s.Config.Release.Watch, time.Second)}
}
