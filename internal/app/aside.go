package app

import (
	"maps"
	"time"

	"lockstep/internal/compact"
	"lockstep/internal/handler"
	"lockstep/internal/ledger"
	"lockstep/internal/release"
	"lockstep/internal/state"
)

// Aside returns the control half of another store, such as a branch of this one, with the
// revisions that run here and more. They are the same processes: the control half that is
// returned need not be closed, and is of no use after c is. No calendar freezes it, nobody's
// veto counts, and no environment variable chooses who decides.
func (c *Control) Aside(store *Store, more ...handler.Handler) (*Control, error) {
	all := make([]handler.Handler, 0, len(c.Revisions.All())+len(more))
	for _, rev := range c.Revisions.All() {
		all = append(all, rev.Handler)
	}
	r := &Revisions{initial: c.Revisions.initial, broken: c.Revisions.broken, origins: maps.Clone(c.Revisions.origins)}
	for _, h := range more {
		r.origins[handler.NewRevision(h).Hash] = "builtin"
	}
	var err error
	if r.registry, err = handler.NewRegistry(append(all, more...)); err != nil {
		return nil, err
	}
	out := &Control{Store: store, Revisions: r, Releases: release.NewLog(store.Blobs, ledger.Options{Now: c.opts.Now}), cfg: c.cfg, opts: c.opts}
	out.opts.Forced, out.opts.Veto = "", nil
	out.guards, err = newGuards(store, out.cfg, out.opts)
	return out, err
}

// Compactor returns a compactor on a local state of this store, whose keys are decided as
// the ledger of releases says. Now is its clock. It builds no bases.
func (c *Control) Compactor(st *state.State, now func() time.Time) (*compact.Compactor, error) {
	return compact.New(c.Log, st, c.router(), importerOf(c.cfg), compact.Options{
		Actor: c.opts.Actor, Now: now, Log: c.opts.Log, CandidateBudget: c.cfg.Release.Budget,
	})
}
