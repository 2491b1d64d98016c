package faults

import (
	"context"
	"errors"
	"math/rand/v2"

	"golang.org/x/sync/errgroup"

	"lockstep/internal/app"
	"lockstep/internal/compact"
)

// surroundings lists what must be held against no candidate: each goes with a good one,
// which must be promoted, and the index must be what it would have been without.
func surroundings() []Fault {
	return []Fault{
		{
			ID: "redelivery", What: "Every batch is delivered twice: a failure was answered with the wrong identifier.",
			Origin: "11.16", Kind: Environment, Harm: HarmNone,
			deliver: func(ctx context.Context, w *world, in []compact.Input) error {
				return errors.Join(w.submit(ctx, in), w.submit(ctx, in))
			},
		},
		{
			ID: "any-order", What: "The messages of a batch arrive in any order: the queue is no longer first in, first out.",
			Origin: "11.35, 10.3 8bea3462a", Kind: Environment, Harm: HarmNone,
			deliver: func(ctx context.Context, w *world, in []compact.Input) error {
				rng := rand.New(rand.NewPCG(w.opts.Seed, uint64(w.oracle.batches))) //nolint:gosec // a test's dice
				rng.Shuffle(len(in), func(i, j int) { in[i], in[j] = in[j], in[i] })
				return w.submit(ctx, in)
			},
		},
		{
			ID: "second-writer", What: "Another compactor writes the same index, and no lock keeps the two apart.",
			Origin: "11.12 to 11.14, 11.30, 10.2 (never fixed)", Kind: Environment, Harm: HarmNone,
			deliver: func(ctx context.Context, w *world, in []compact.Input) error { return w.both(ctx, in) },
		},
		{
			ID: "restart", What: "The server is stopped and started again after every fortieth batch.",
			Origin: "10.3 (deployments, time-outs)", Kind: Environment, Harm: HarmNone,
			deliver: func(ctx context.Context, w *world, in []compact.Input) error {
				if w.oracle.batches%40 == 0 {
					if err := errors.Join(w.halt(), w.run(ctx)); err != nil {
						return err
					}
				}
				return w.submit(ctx, in)
			},
		},
		{
			ID: "missing-import", What: "Runs announce embeddings that are not there: bad data, which fails with both revisions.",
			Origin: "11.8, 11.9, 4.7", Kind: Environment, Harm: HarmNone, Held: "parked-keys",
			deliver: func(ctx context.Context, w *world, in []compact.Input) error {
				return w.submit(ctx, append(in, w.lostRun()))
			},
		},
	}
}

// both submits one half of the keys to the server and the other half to a compactor of
// another process, at the same time.
func (w *world) both(ctx context.Context, in []compact.Input) error {
	if w.other == nil {
		var err error
		if w.other, err = app.OpenReader(ctx, w.cfg, w.options()); err != nil {
			return err
		}
	}
	var mine, theirs []compact.Input
	for _, i := range in {
		if one(2, i.Message.Group) {
			mine = append(mine, i)
		} else {
			theirs = append(theirs, i)
		}
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return w.submit(gctx, mine) })
	g.Go(func() error {
		w.other.Compactor.Poll()
		_, err := w.other.Commit(gctx, theirs)
		return err
	})
	return g.Wait()
}

// lostRun is a run of a receipt that nobody else speaks of.
func (w *world) lostRun() compact.Input {
	w.lost++
	e, err := w.ghosts.Edit(w.lost%w.ghosts.Len(), "re-embedded")
	if err != nil {
		panic(err) // the kind and the receipt exist
	}
	return compact.Input{Message: e.Events[0].Message()}
}
