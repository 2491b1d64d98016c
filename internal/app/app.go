// Package app puts the parts together: configuration in, running system out.
//
// It is the only package that names adapters, chooses one for each port in one
// switch, and starts goroutines: everything else is told what to use and when to
// stop. It promises that Open leaves nothing running, that Run ends when its
// context does or when a part fails, and that Close waits for all of it.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"lockstep/internal/adapter/embedding"
	"lockstep/internal/adapter/local"
	"lockstep/internal/compact"
	"lockstep/internal/config"
	"lockstep/internal/durable"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/state"
)

// Options are what a configuration file does not say.
type Options struct {
	Now      func() time.Time             // required
	LookPath func(string) (string, error) // finds the chroma command; nil finds nothing
	Log      *slog.Logger                 // default: discard
	Actor    string
	Handlers []handler.Handler   // further builtin revisions: of a demo, of a test
	Forced   string              // LOCKSTEP_REVISION: the revision that decides about every key here
	Veto     Veto                // nil: nobody but the ledger of releases decides about keys
	Getenv   func(string) string // finds secrets that the configuration names; nil finds none
}

// App is an index being worked on: the store, the local state and a compactor. One
// process has it at a time, which a lock on the data directory sees to.
type App struct {
	*Control
	Config    config.Config
	Revision  handler.Revision // of the configuration; stable until a release says otherwise
	Compactor *compact.Compactor
	State     *state.State
	// Private says that another process has the data directory, and that the local
	// state is one of our own.
	Private bool

	opts     Options
	stateDir string
	follower *followed
	metrics  *metrics
	release  func() error
}

// ErrBusy says that another process has the data directory.
var ErrBusy = fmt.Errorf("the data directory is in use: %w", lockstep.ErrRefused)

// busyError is a refused lock, which names the holder, as ErrBusy.
type busyError struct{ error }

func (b busyError) Unwrap() error   { return b.error }
func (busyError) Is(err error) bool { return err == ErrBusy }

// OpenReader opens the index for looking: at its newest version, changing nothing in
// the store. When another process has the local state, a private one is built from
// the store in a temporary directory, which costs time but needs nobody's help.
func OpenReader(ctx context.Context, cfg config.Config, opts Options) (*App, error) {
	if _, err := OpenStore(ctx, cfg, opts.Now); err != nil {
		return nil, err
	}
	a, err := Open(ctx, cfg, opts)
	if errors.Is(err, ErrBusy) {
		a, err = openPrivate(ctx, cfg, opts)
	}
	if err != nil {
		return nil, err
	}
	if err := a.Compactor.CatchUp(ctx); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

func openPrivate(ctx context.Context, cfg config.Config, opts Options) (*App, error) {
	dir, err := os.MkdirTemp("", "lockstep-state-")
	if err != nil {
		return nil, fmt.Errorf("make a private local state: %w", err)
	}
	a := &App{Config: cfg, opts: opts, stateDir: dir, Private: true, release: func() error { return os.RemoveAll(dir) }}
	if a.opts.Log == nil {
		a.opts.Log = slog.New(slog.DiscardHandler)
	}
	if err := a.open(ctx); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// Open opens everything under the configured data directory, making what is missing.
// ErrBusy, which is ErrRefused, when another process has it.
func Open(ctx context.Context, cfg config.Config, opts Options) (*App, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if err := durable.MkdirAll(cfg.Data); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	release, err := local.Lock(filepath.Join(cfg.Data, "lock"))
	if errors.Is(err, lockstep.ErrRefused) {
		return nil, busyError{err}
	}
	if err != nil {
		return nil, err
	}
	a := &App{Config: cfg, opts: opts, stateDir: filepath.Join(cfg.Data, "state"), release: release}
	if err := a.open(ctx); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

func (a *App) open(ctx context.Context) error {
	store, err := InitStore(ctx, a.Config, a.opts.Now)
	if err != nil {
		return err
	}
	if a.Control, err = newControl(ctx, store, a.Config, a.opts); err != nil {
		return err
	}
	a.Revision = a.Revisions.Initial()
	if a.State, err = state.Open(a.stateDir, a.Format.Store, state.NewBases(a.Blobs), state.Options{}); err != nil {
		return err
	}
	a.Compactor, err = compact.New(a.Log, a.State, a.router(), importerOf(a.Config), compact.Options{
		Actor: a.opts.Actor, Now: a.opts.Now, BaseFactor: a.Config.Compact.BaseFactor, Log: a.opts.Log,
		CandidateBudget: a.Config.Release.Budget,
	})
	if err != nil {
		return err
	}
	a.metrics = newMetrics()
	a.guards.state = a.State
	a.follower, err = newFollowed(a)
	return err
}

func importerOf(cfg config.Config) *embedding.Importer {
	return embedding.New(embedding.Dir(cfg.Imports.Directory), embedding.Options{Bucket: cfg.Imports.Bucket})
}

// Close closes the state and gives the data directory free. It is called once, after
// Run has returned.
func (a *App) Close() error {
	var errs []error
	if a.State != nil {
		errs = append(errs, a.State.Close())
	}
	if a.Control != nil {
		errs = append(errs, a.Control.Close())
	}
	return errors.Join(append(errs, a.release())...)
}

// Commit brings inputs into versions without a loop: for one command in one process.
func (a *App) Commit(ctx context.Context, inputs []compact.Input) (compact.Result, error) {
	start := a.opts.Now()
	res, err := a.Compactor.Commit(ctx, inputs)
	a.metrics.committed(res, err, a.opts.Now().Sub(start))
	if err != nil {
		return res, err
	}
	return res, a.maintain(ctx)
}
