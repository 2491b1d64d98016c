package revert

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"lockstep/internal/branch"
	"lockstep/internal/compact"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// Outcome is a revert that was published.
type Outcome struct {
	Plan
	Version uint64 `json:"version"` // the newest version, with the revert in it
	Tries   int    `json:"tries"`   // how often it was worked out, because the log went on
}

// maxTries is how often a revert is worked out while the log goes on under it.
const maxTries = 16

// Do works a revert out and publishes it as one version. Given the compactor to itself it
// needs one try; beside other compactors it may need more. ErrConflict after many: pause
// the writers. On any error the index is as it was.
func Do(ctx context.Context, c *compact.Compactor, from branch.Origin, req Request) (Outcome, error) {
	for try := 1; try <= maxTries; try++ {
		p, err := Work(ctx, from, req)
		if err != nil {
			return Outcome{}, err
		}
		head, err := p.Publish(ctx, c, from.Log, req)
		if errors.Is(err, lockstep.ErrConflict) {
			continue
		}
		if err != nil {
			return Outcome{}, err
		}
		return Outcome{Plan: *p, Version: head.Number(), Tries: try}, nil
	}
	return Outcome{}, lockstep.Hint(fmt.Errorf("revert %s: %w: the log went on %d times while it was worked out", req.Bad, lockstep.ErrConflict, maxTries),
		"pause the writers, or stop the other compactors, and try again")
}

// Publish makes the plan one version behind the newest. ErrConflict: what was published
// since it was worked out concerns it; nothing was published, and it must be worked out anew.
func (p *Plan) Publish(ctx context.Context, c *compact.Compactor, log *version.Log, req Request) (version.Head, error) {
	c.Poll()
	if err := c.CatchUp(ctx); err != nil {
		return version.Head{}, err
	}
	if err := p.untouched(ctx, log, c.Head().Number(), req.Good.Handler); err != nil {
		return version.Head{}, err
	}
	if err := p.imports.Adopt(ctx, version.ImportPrefix); err != nil {
		return version.Head{}, fmt.Errorf("keep the imports of a revert: %w", err)
	}
	return c.Correct(ctx, compact.Correction{
		Kind: version.Revert, Reverts: &p.reverted, Delta: p.delta,
		Cause: version.Cause{Command: "revert " + p.Bad.String(), Actor: req.Actor, Reason: req.Reason},
	})
}

// untouched makes sure that the versions published since the plan was worked out have
// nothing to do with it: no message of a key of the closure, no write of one of its
// records, and no key that read one.
func (p *Plan) untouched(ctx context.Context, log *version.Log, head uint64, good handler.Handler) error {
	path, err := log.Path(ctx, p.Head, head)
	if err != nil {
		return err
	}
	if len(path.Undo) > 0 {
		return fmt.Errorf("a reset has left version %d: %w", p.Head, lockstep.ErrConflict)
	}
	schema := good.Describe().Key
	for _, n := range path.Apply {
		d, err := log.Delta(ctx, n)
		if err != nil || d == nil {
			if err != nil {
				return err
			}
			continue
		}
		for i := range d.Messages {
			if at, ok := p.closure.t.index[d.Messages[i].Group]; ok && p.closure.t.keys[at].from != never {
				return fmt.Errorf("version %d has a message of key %q: %w", n, d.Messages[i].Group, lockstep.ErrConflict)
			}
		}
		for i := range d.Mutations {
			if p.concerns(place{d.Mutations[i].Collection, d.Mutations[i].ID}) {
				return fmt.Errorf("version %d has written %s %q: %w", n, d.Mutations[i].Collection, d.Mutations[i].ID, lockstep.ErrConflict)
			}
		}
		units, err := unitsOf(ctx, d, schema, p.closure.t)
		if err != nil {
			return err
		}
		for _, u := range units {
			if p.readsFrom(good.Reads(u)) {
				return fmt.Errorf("version %d has read what is taken back: %w", n, lockstep.ErrConflict)
			}
		}
	}
	return nil
}

func (p *Plan) concerns(at place) bool {
	_, ok := p.closure.restore[at]
	return ok || p.written()[at]
}

// written returns the records that the plan writes.
func (p *Plan) written() map[place]bool {
	if p.wrote == nil {
		p.wrote = make(map[place]bool, len(p.delta.Mutations))
		for i := range p.delta.Mutations {
			p.wrote[place{p.delta.Mutations[i].Collection, p.delta.Mutations[i].ID}] = true
		}
	}
	return p.wrote
}

// readsFrom says whether the ranges cover a record that the plan writes.
func (p *Plan) readsFrom(reads handler.Reads) bool {
	if p.sorted == nil {
		for at := range p.written() {
			p.sorted = append(p.sorted, at)
		}
		slices.SortFunc(p.sorted, comparePlaces)
	}
	covers := func(c lockstep.Collection, id string, prefix bool) bool {
		i, exact := slices.BinarySearchFunc(p.sorted, place{c, id}, comparePlaces)
		return exact || prefix && i < len(p.sorted) && p.sorted[i].collection == c && strings.HasPrefix(p.sorted[i].id, id)
	}
	for _, r := range reads.Records {
		if covers(r.Collection, r.ID, r.Prefix) {
			return true
		}
	}
	for _, r := range reads.Items {
		if covers(lockstep.Table, lockstep.ItemKey{Partition: r.Partition, Sort: r.SortPrefix}.RecordID(), true) {
			return true
		}
	}
	return false
}
