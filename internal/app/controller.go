package app

import (
	"context"
	"errors"
	"time"

	"lockstep/internal/compact"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
	"lockstep/internal/release"
	"lockstep/internal/retention"
)

// hands carry out what a release asks for outside of its ledger.
type hands struct {
	store *Store
	actor string
	now   func() time.Time
}

var (
	_ release.Fencer = (*hands)(nil)
	_ release.Pinner = (*hands)(nil)
)

// Fence implements release.Fencer.
func (h *hands) Fence(ctx context.Context, e release.Effect) error {
	_, err := compact.PutFence(ctx, h.store.Log, compact.FenceRequest{
		Trial: e.Name(), Revision: e.Pair.Revision, Actor: e.By, Reason: e.Reason, Now: h.now(),
	})
	return err
}

// Pin implements release.Pinner.
func (h *hands) Pin(ctx context.Context, e release.Effect) error {
	return retention.SetPin(ctx, h.store.Log, retention.Pin{
		Name: e.Name(), Version: e.Pair.Version, Holder: h.actor, Reason: e.Reason, At: h.now().UTC(),
	})
}

// Unpin implements release.Pinner.
func (h *hands) Unpin(ctx context.Context, e release.Effect) error {
	err := retention.RemovePin(ctx, h.store.Log, e.Name(), h.actor, h.now())
	if errors.Is(err, lockstep.ErrNotFound) {
		return nil
	}
	return err
}

// Controller returns what drives releases on this store. Any number of them may
// work at once, in any process.
func (c *Control) Controller() *release.Controller {
	h := &hands{store: c.Store, actor: c.opts.Actor, now: c.opts.Now}
	return &release.Controller{Name: c.opts.Actor, Log: c.Releases, Fencer: h, Pinner: h, Observer: c.observer(), Calendar: c.calendar}
}

func (c *Control) observer() *observer {
	return &observer{store: c.Store, releases: c.Releases, revisions: c.Revisions, guards: c.guards, now: c.opts.Now, preflight: c.preflight, compared: c.shadowed, elsewhere: c.quarantinedElsewhere}
}

// runController looks at the release in progress again and again until ctx ends. What
// another controller did first is no failure; what cannot be done now is tried again.
func (s *Server) runController(ctx context.Context) error {
	c := s.Controller()
	tick := time.NewTicker(s.Config.Release.Watch)
	defer tick.Stop()
	for {
		if err := s.drive(ctx, c); err != nil && ctx.Err() == nil {
			s.opts.Log.WarnContext(ctx, "the release cannot be driven now", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// maxTicks bounds the steps that are taken in one go.
const maxTicks = 32

// drive ticks as long as something is done.
func (s *Server) drive(ctx context.Context, c *release.Controller) error {
	return tickAll(ctx, c, s.opts.Now, func(d release.Decision) {
		s.opts.Log.InfoContext(ctx, "release", "kind", string(d.Transition.Entry.Kind), "reason", d.Why)
	})
}

func tickAll(ctx context.Context, c *release.Controller, now func() time.Time, done func(release.Decision)) error {
	for range maxTicks {
		d, err := c.Tick(ctx, now())
		if errors.Is(err, ledger.ErrHeadMoved) {
			continue
		}
		if err != nil || d.Transition == nil {
			return err
		}
		done(d)
	}
	return nil
}
