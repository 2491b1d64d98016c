package compact

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"lockstep/internal/base"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

// BaseDue says whether the deltas since the last base outweigh it so far that a new
// one is worth its bytes: with a factor of 1 everything is written about twice, and
// opening the index reads at most twice its size (TRAPS 4.5).
func (c *Compactor) BaseDue() bool {
	e := c.head.Entry
	if e == nil || e.Chain == 0 {
		return false
	}
	weight := int64(0)
	if e.Base != nil {
		weight = int64(c.opts.BaseFactor * float64(e.Base.Bytes))
	}
	if e.SinceBase >= max(weight, c.opts.BaseBytes) {
		return true
	}
	return e.Chain >= c.opts.BaseChain && e.SinceBase >= weight
}

// BaseJob says how a base is built.
type BaseJob struct {
	Unique string // tells it from other bases of the same version
	Parts  base.Options
	// Pace is called every few hundred rows, written or read back, and may wait: a base
	// is never urgent, and what is being committed is. Nil: as fast as it goes.
	Pace func(context.Context) error
}

// pacedRows is how many rows lie between two calls of BaseJob.Pace: some milliseconds.
const pacedRows = 256

func (j *BaseJob) pace(ctx context.Context, row int64) error {
	if j.Pace == nil || row%pacedRows != 0 {
		return nil
	}
	return j.Pace(ctx)
}

// BuildBase writes a base of the version that the view shows, reads it back, and
// returns its name. It publishes nothing: AdoptBase does. It runs beside commits. On
// error it leaves orphans, which retention removes.
func BuildBase(ctx context.Context, log *version.Log, view *state.Reader, job BaseJob) (version.BaseRef, error) {
	n := view.Version()
	head, err := log.At(ctx, n)
	if err != nil {
		return version.BaseRef{}, err
	}
	id := base.ID{Version: n, Unique: job.Unique}
	b := base.NewBuilder(log.Store(), id, job.Parts)
	seal := base.Seal{
		Head:    base.Head{Hash: hex.EncodeToString(head.Ledger.Hash[:]), At: head.Entry.At},
		Digests: map[lockstep.Collection]string{}, Sums: map[lockstep.Collection][]byte{},
	}
	names := view.Collections()
	slices.SortFunc(names, func(a, b lockstep.Collection) int { return strings.Compare(string(a), string(b)) })
	for _, name := range names {
		t := view.Tally(name)
		seal.Digests[name], seal.Sums[name] = t.Sum.Digest(), t.Sum.Bytes()
		if err := job.addAll(ctx, b, view, name); err != nil {
			return version.BaseRef{}, fmt.Errorf("base of version %d: %s: %w", n, name, err)
		}
	}
	m, err := b.Finish(ctx, seal)
	if err != nil {
		return version.BaseRef{}, fmt.Errorf("base of version %d: %w", n, err)
	}
	return version.BaseRef{Version: n, Unique: job.Unique, Bytes: m.Bytes()}, job.check(ctx, log, id, view)
}

func (j *BaseJob) addAll(ctx context.Context, b *base.Builder, view *state.Reader, name lockstep.Collection) (err error) {
	vectors, err := view.Vectors(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, vectors.Close()) }()
	var author lockstep.Author
	var vector []float32
	rows := int64(0)
	return view.Scan(ctx, name, "", func(row state.Row) error {
		rows++
		if err := j.pace(ctx, rows); err != nil {
			return err
		}
		rec, err := version.DecodeRecord(string(row.ID), row.Record)
		if err != nil {
			return err
		}
		vector = vector[:0]
		if rec.Vector.Dim > 0 {
			v, err := vectors.Next(ctx, rec.ID)
			if err != nil {
				return err
			}
			vector = version.AppendVectorOf(vector, v)
		}
		author = row.AuthorLike(author)
		return b.Add(ctx, base.Row{Collection: name, Record: rec, Author: author}, vector)
	})
}

// check recomputes the sums from the written files: what is adopted is what is
// really there (TRAPS T32).
func (j *BaseJob) check(ctx context.Context, log *version.Log, id base.ID, view *state.Reader) error {
	b, err := base.Open(ctx, log.Store(), id.Version, id.Unique)
	if err != nil {
		return fmt.Errorf("check the base of version %d: %w", id.Version, err)
	}
	var h version.Hasher
	var buf []byte
	for _, c := range b.Manifest().Collections {
		var t version.Tally
		for row, err := range b.Rows(ctx, c.Name) {
			if err != nil {
				return fmt.Errorf("check the base of version %d: %w", id.Version, err)
			}
			buf = version.AppendRecord(buf[:0], &row.Record)
			h.Add(&t.Sum, row.Record.ID, buf)
			t.Records++
			if err := j.pace(ctx, t.Records); err != nil {
				return err
			}
		}
		if t != view.Tally(c.Name) {
			return fmt.Errorf("check the base of version %d: %w: %s reads back with another digest", id.Version, lockstep.ErrCorrupt, c.Name)
		}
	}
	return nil
}

// AdoptBase publishes an entry that names the base, if it lies on the line of the
// newest state; if a reset has left that line meanwhile, nothing is published.
func (c *Compactor) AdoptBase(ctx context.Context, ref version.BaseRef) error {
	for {
		if err := c.CatchUp(ctx); err != nil {
			return err
		}
		path, err := c.log.Path(ctx, ref.Version, c.head.Number())
		if err != nil || len(path.Undo) > 0 {
			return err
		}
		since, chain := int64(0), 0
		for _, n := range path.Apply {
			e, err := c.log.Read(ctx, n)
			if err != nil {
				return err
			}
			if e.Delta != nil {
				since, chain = since+e.Delta.Size, chain+1
			}
		}
		prev := c.head.Entry
		e := &version.Entry{
			Kind: version.BaseSet, Parent: c.head.Number(), Base: &ref, SinceBase: since, Chain: chain,
			Collections: prev.Collections, Backlog: prev.Backlog, At: c.opts.Now().UTC(), Cause: version.Cause{Actor: c.opts.Actor, Command: "base"},
		}
		head, err := c.log.Publish(ctx, c.head, e, nil)
		if errors.Is(err, ledger.ErrHeadMoved) {
			c.fresh = false
			continue
		}
		if err != nil {
			c.fresh = false
			return err
		}
		c.moved(head)
		if err := c.state.Apply(ctx, head.Number(), nil, nil); err != nil {
			return err
		}
		return c.state.Rebase(ref)
	}
}
