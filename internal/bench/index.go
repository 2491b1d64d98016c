package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"lockstep/internal/app"
	"lockstep/internal/compact"
	"lockstep/internal/config"
	"lockstep/internal/handler"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
	"lockstep/internal/receipt/synth"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

// settings is the configuration of an index in dir: the default, without a follower,
// which has figures of its own and would take its share of the two cores.
func settings(dir string) config.Config {
	cfg := config.Default().WithData(dir)
	cfg.Handler = config.HandlerReceipts2
	cfg.Follower.Chroma.Enabled = "off"
	return cfg
}

// stateDir is where package app keeps the local state of a data directory.
func stateDir(dir string) string { return filepath.Join(dir, "state") }

// index is an index without the process around it: a store whose bytes are counted,
// the local state and a compactor, in the places where package app keeps them.
type index struct {
	*compact.Compactor
	blobs *counting
	log   *version.Log
	state *state.State
	now   func() time.Time
}

// openIndex opens the index in dir and makes it when there is none. imports is only
// needed while it is loaded.
func openIndex(ctx context.Context, dir string, imports compact.Importer, now func() time.Time) (*index, error) {
	return openIndexFor(ctx, dir, imports, now, nil)
}

// openIndexFor is openIndex with a router of the caller's; nil: the revision decides.
func openIndexFor(ctx context.Context, dir string, imports compact.Importer, now func() time.Time, router compact.Router) (*index, error) {
	cfg := settings(dir)
	store, err := app.InitStore(ctx, cfg, now)
	if err != nil {
		return nil, err
	}
	ix := &index{blobs: &counting{Store: store.Blobs}, now: now}
	ix.log = version.NewLog(ix.blobs, ledger.Options{Now: now})
	if ix.state, err = state.Open(stateDir(dir), store.Format.Store, state.NewBases(ix.blobs), state.Options{}); err != nil {
		return nil, err
	}
	rev, err := app.Revision(cfg)
	if router == nil {
		router = compact.Only(rev)
	}
	if err == nil {
		ix.Compactor, err = compact.New(ix.log, ix.state, router, imports, compact.Options{Actor: "bench", Now: now})
	}
	if err == nil {
		err = ix.CatchUp(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, ix.state.Close())
	}
	return ix, nil
}

func (ix *index) close() error { return ix.state.Close() }

// digest is that of the newest version.
func (ix *index) digest() string { return version.IndexDigest(ix.Head().Entry.Digests()) }

// commit brings messages into versions. Each of them must have an effect.
func (ix *index) commit(ctx context.Context, ms []lockstep.Message) (compact.Result, error) {
	res, err := ix.Commit(ctx, inputsOf(ms))
	if err != nil {
		return res, err
	}
	return res, each(res, lockstep.Applied)
}

func inputsOf(ms []lockstep.Message) []compact.Input {
	inputs := make([]compact.Input, len(ms))
	for i := range ms {
		inputs[i].Message = ms[i]
	}
	return inputs
}

// each wants one of the outcomes for every message: a figure for work that was not
// done is no figure.
func each(res compact.Result, want ...lockstep.Outcome) error {
	for _, o := range res.Outcomes {
		if !slices.Contains(want, o.Outcome) {
			return fmt.Errorf("bench: %w: a message is %s (%s), want %v", lockstep.ErrCorrupt, o.Outcome, o.Reason, want)
		}
	}
	return nil
}

// rebase writes a base of the newest version and adopts it.
func (ix *index) rebase(ctx context.Context) (ref version.BaseRef, err error) {
	view, err := ix.state.Read()
	if err != nil {
		return ref, err
	}
	ref, err = compact.BuildBase(ctx, ix.log, view, compact.BaseJob{Unique: "bench"})
	if err = errors.Join(err, view.Close()); err != nil {
		return ref, err
	}
	return ref, ix.AdoptBase(ctx, ref)
}

// invented imports what the generator embeds, without files between.
type invented struct{ gen *synth.Generator }

// Import implements compact.Importer. The generator holds no edits, so that several
// may ask at once.
func (i invented) Import(ctx context.Context, ref handler.ImportRef) (handler.Import, error) {
	if err := ctx.Err(); err != nil {
		return handler.Import{}, err
	}
	return i.gen.Import(ref)
}

// none imports nothing: changes of places and labels announce nothing.
type none struct{}

// Import implements compact.Importer.
func (none) Import(_ context.Context, ref handler.ImportRef) (handler.Import, error) {
	return handler.Import{}, fmt.Errorf("embeddings at %q: %w", ref.Location, lockstep.ErrNotFound)
}
