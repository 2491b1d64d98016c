package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"lockstep/internal/compact"
)

// Server is an App that runs: submissions share commits, the follower follows, bases
// are built when they are due.
type Server struct {
	*App
	loop    *compact.Loop
	baseDue chan struct{} // asks for a base; one request may wait

	courtesy courtesy
	vitals   *vitals
}

// NewServer returns the server of an app. Nothing runs until Run.
func NewServer(a *App) *Server {
	s := &Server{App: a, baseDue: make(chan struct{}, 1), courtesy: courtesy{now: a.opts.Now}, vitals: newVitals(a.opts.Now)}
	s.guards.vitals, s.guards.shown = s.vitals, s.metrics.releases
	s.guards.testing = len(a.Config.Checks.Tests) > 0 && a.Config.Checks.Every > 0
	s.metrics.registry.MustRegister(s.vitals)
	s.loop = compact.NewLoop(a.Compactor, compact.Bounds{
		Messages: a.Config.Compact.MaxMessages, Bytes: int(a.Config.Compact.MaxBytes), Delay: 0,
	}, compact.Hooks{Committed: s.committed, After: s.after})
	return s
}

// Submit brings inputs into a version; it returns when they are in one.
func (s *Server) Submit(ctx context.Context, inputs []compact.Input) (compact.Result, error) {
	defer s.vitals.submitted(len(inputs))()
	return s.loop.Submit(ctx, inputs)
}

// Do runs a task with the compactor between two commits.
func (s *Server) Do(ctx context.Context, do func(context.Context, *compact.Compactor) error) error {
	return s.loop.Do(ctx, do)
}

func (s *Server) committed(res compact.Result, err error, took time.Duration) {
	s.courtesy.noteCommit()
	s.metrics.committed(res, err, took)
	s.vitals.committed(res, err, took)
}

func (s *Server) after(context.Context) error {
	s.metrics.at(s.App)
	if s.Compactor.BaseDue() {
		select {
		case s.baseDue <- struct{}{}:
		default: // one is being built, or asked for already
		}
	}
	return nil
}

// Run works until ctx ends or a part fails, and returns when all parts have ended.
// The end of ctx is not an error. It begins with a probe of the store, and ends there
// with ErrRefused when the store does not keep create-if-absent.
func (s *Server) Run(ctx context.Context) error {
	if err := s.Probe(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.loop.Run(gctx) })
	g.Go(func() error { return s.runFollower(gctx) })
	g.Go(func() error { return s.runBases(gctx) })
	g.Go(func() error { return s.runController(gctx) })
	g.Go(func() error { return s.runShadow(gctx) })
	g.Go(func() error { return s.runTests(gctx) })
	err := g.Wait()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("lockstep has stopped: %w", err)
	}
	return nil
}
