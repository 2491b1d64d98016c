package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"lockstep/internal/app"
	"lockstep/internal/lockstep"
)

// ColdResult is a start with nothing but the store: the local state is made from the
// newest base and the deltas behind it, and its sums are compared with the log's.
type ColdResult struct {
	Records int64         `json:"records"`
	Deltas  int           `json:"deltas"` // behind the base
	Ready   time.Duration `json:"ready_ns"`
	First   time.Duration `json:"first_commit_ns"` // of one change, after that
	Memory  int64         `json:"memory_bytes"`    // peak of the process
	Samples int           `json:"samples"`
}

// coldFound is what one cold start found.
type coldFound struct {
	Ready, First time.Duration
	Deltas       int
	Memory       int64
}

func (c coldSpec) do(ctx context.Context, now func() time.Time) (out coldFound, err error) {
	start := now()
	a, err := app.Open(ctx, settings(c.Dir), app.Options{Now: now, Actor: "bench"})
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	if err := a.Compactor.CatchUp(ctx); err != nil {
		return out, err
	}
	out.Ready = now().Sub(start)
	out.Deltas, out.Memory = a.Compactor.Head().Entry.Chain, peakMemory()
	e := newTable(generator(1), 1, now()).renamed(0)
	start = now()
	res, err := a.Submit(ctx, inputsOf([]lockstep.Message{e.Message()}))
	if err != nil {
		return out, err
	}
	out.First = now().Sub(start)
	return out, each(res, lockstep.Applied)
}

// coldStarts starts on the middle index again and again, each time in a new process
// and without the local state.
func (r *run) coldStarts(ctx context.Context) (ColdResult, error) {
	out := ColdResult{Records: r.middle.Records, Samples: max(1, r.Repeats/3)}
	r.say("starting on %s records from the store alone", thousands(out.Records))
	if err := r.coldDeltas(ctx); err != nil {
		return out, err
	}
	var ready, first []time.Duration
	for range out.Samples {
		if err := os.RemoveAll(stateDir(r.middle.Dir)); err != nil {
			return out, fmt.Errorf("bench: %w", err)
		}
		var f coldFound
		if err := r.stage(ctx, stageSpec{Cold: &coldSpec{Dir: r.middle.Dir}}, &f); err != nil {
			return out, err
		}
		ready, first = append(ready, f.Ready), append(first, f.First)
		out.Memory, out.Deltas = max(out.Memory, f.Memory), f.Deltas
	}
	out.Ready, out.First = median(ready), median(first)
	return out, nil
}

// coldCommits is how many deltas lie behind the base when the start is measured.
const coldCommits = 20

// coldDeltas puts deltas behind the base, as an index in use has them.
func (r *run) coldDeltas(ctx context.Context) (err error) {
	ix, err := openIndex(ctx, r.middle.Dir, none{}, r.Now)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ix.close()) }()
	t := newTable(generator(r.middle.Receipts), r.middle.Receipts, r.Now())
	for i := range coldCommits {
		if _, err := ix.commit(ctx, []lockstep.Message{t.renamed(i % r.middle.Receipts).Message()}); err != nil {
			return err
		}
	}
	return nil
}
