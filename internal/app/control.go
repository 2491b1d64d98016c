package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"lockstep/internal/config"
	"lockstep/internal/ledger"
	"lockstep/internal/release"
)

// Control is the half of an index that decides about releases: the store, the revisions
// that can run here, and the ledger of releases. It needs no lock and no server.
type Control struct {
	*Store
	Revisions *Revisions
	Releases  *release.Log

	cfg      config.Config
	opts     Options
	guards   *guards
	calendar release.Calendar
}

// OpenControl opens it for one command, starting the configured programs. ErrNotFound
// when there is no store yet.
func OpenControl(ctx context.Context, cfg config.Config, opts Options) (*Control, error) {
	store, err := OpenStore(ctx, cfg, opts.Now)
	if err != nil {
		return nil, err
	}
	return newControl(ctx, store, cfg, opts)
}

func newControl(ctx context.Context, store *Store, cfg config.Config, opts Options) (*Control, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	calendar, err := calendarOf(cfg)
	if err != nil {
		return nil, err
	}
	revisions, err := OpenRevisions(ctx, cfg, opts)
	if err != nil {
		return nil, err
	}
	c := &Control{
		Store: store, Revisions: revisions, Releases: release.NewLog(store.Blobs, ledger.Options{Now: opts.Now}), cfg: cfg, opts: opts, calendar: calendar,
	}
	if c.guards, err = newGuards(store, cfg, opts); err != nil {
		return nil, errors.Join(err, revisions.Close())
	}
	return c, nil
}

// CheckCalendar finds the mistakes in the freeze windows of the configuration.
func CheckCalendar(cfg config.Config) error {
	_, err := calendarOf(cfg)
	return err
}

// calendarOf understands the freeze windows of the configuration.
func calendarOf(cfg config.Config) (release.Calendar, error) {
	rules := make([]release.Rule, len(cfg.Release.Freeze))
	for i, f := range cfg.Release.Freeze {
		rules[i] = release.Rule{Name: f.Name, Days: f.Days, From: f.From, To: f.To, Begin: f.Begin, End: f.End, Zone: f.Zone}
	}
	c, err := release.NewCalendar(rules)
	if err != nil {
		return c, fmt.Errorf("release.freeze: %w", err)
	}
	return c, nil
}

// Close ends the programs.
func (c *Control) Close() error { return c.Revisions.Close() }

func (c *Control) router() *router {
	return &router{releases: c.Releases, revisions: c.Revisions, forced: c.opts.Forced, veto: c.opts.Veto, log: c.opts.Log}
}

// Order is who asks for something, why, and now.
func (c *Control) Order(reason string) release.Order {
	return release.Order{Actor: c.opts.Actor, Reason: reason, At: c.opts.Now()}
}

// Command carries out an order against the newest state, beginning the ledger first with the
// revision that the configuration names when there is none yet.
func (c *Control) Command(ctx context.Context, order func(release.State) (release.Transition, error)) (release.Head, error) {
	if err := c.adopt(ctx); err != nil {
		return release.Head{}, err
	}
	for {
		head, err := c.Controller().Do(ctx, order)
		if !errors.Is(err, ledger.ErrHeadMoved) {
			return head, err
		}
		// Somebody else was first: the order is given again, to what is true now.
	}
}

// adopt begins the ledger of releases: what runs here until now is stable.
func (c *Control) adopt(ctx context.Context) error {
	head, err := c.Releases.Head(ctx)
	if err != nil || head.Number() > 0 {
		return err
	}
	index, err := c.Log.Head(ctx)
	if err != nil {
		return err
	}
	_, err = c.Controller().Do(ctx, func(s release.State) (release.Transition, error) {
		stable := release.Pair{Revision: c.Revisions.Initial().ID(), Version: index.Number()}
		return release.Adopt(s, c.Order("what the configuration names"), c.cfg.Environment, stable)
	})
	if errors.Is(err, ledger.ErrHeadMoved) {
		return nil // somebody else adopted it
	}
	return err
}
