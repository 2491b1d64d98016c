package compact

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

// Correction is a version that no message asked for: records are put right.
type Correction struct {
	Kind    version.Kind
	Cause   version.Cause
	Reverts *version.Reverted
	Delta   version.Delta
	// Alone gives up what waits in the backlog: on a branch, which is not to repeat what
	// its parent will.
	Alone bool
}

// Correct publishes a correction behind the newest version that the compactor knows, with
// the local state following. ErrConflict: an image before is not the record as it is, or
// another version came first (ledger.ErrHeadMoved); nothing was published then, and the
// correction must be worked out anew.
func (c *Compactor) Correct(ctx context.Context, k Correction) (version.Head, error) {
	if err := c.CatchUp(ctx); err != nil {
		return version.Head{}, err
	}
	if err := c.route(ctx); err != nil {
		return version.Head{}, err
	}
	if err := c.checkBefore(&k.Delta); err != nil {
		return version.Head{}, err
	}
	d := &draft{delta: k.Delta, tallies: map[lockstep.Collection]*version.Tally{}, revisions: map[string]int{}, outcomes: map[lockstep.Outcome]int{}}
	var h version.Hasher
	d.tallies = k.Delta.Sums(&h)
	for i := range k.Delta.Messages {
		d.outcomes[k.Delta.Messages[i].Outcome]++
	}
	for i := range k.Delta.Mutations {
		if m := &k.Delta.Mutations[i]; m.Revision != "" {
			d.revisions[m.Revision]++
		}
	}
	e := c.entry(d, nil)
	e.Kind, e.Cause, e.Reverts = k.Kind, k.Cause, k.Reverts
	if k.Alone {
		e.Backlog = nil
	}
	bytes, err := c.encode(d, e)
	if err != nil {
		return version.Head{}, err
	}
	step, head, err := c.publishBeside(ctx, d, e, bytes)
	if err != nil {
		c.fresh = false
		return version.Head{}, err
	}
	c.moved(head)
	if err := step.Commit(); err != nil {
		c.fresh = false
		return head, fmt.Errorf("version %d is published; %w", head.Number(), err)
	}
	return head, nil
}

// checkBefore compares every image before with the record: what is put right must be what
// was looked at.
func (c *Compactor) checkBefore(d *version.Delta) error {
	r, err := c.state.Read()
	if err != nil {
		return err
	}
	for i := range d.Mutations {
		m := &d.Mutations[i]
		same := m.Before == nil
		_, err := r.Get(m.Collection, m.ID, func(row state.Row) error {
			same = m.Before != nil && slices.Equal(row.Record, m.Before)
			return nil
		})
		if err == nil && !same {
			err = fmt.Errorf("correct %s %q: %w: it is not what it was when the correction was worked out", m.Collection, m.ID, lockstep.ErrConflict)
		}
		if err != nil {
			return errors.Join(err, r.Close())
		}
	}
	return r.Close()
}

// Now is what the compactor's clock says.
func (c *Compactor) Now() time.Time { return c.opts.Now() }

// Stable returns the revision that decides about the keys which no candidate has.
func (c *Compactor) Stable(ctx context.Context) (handler.Revision, error) {
	if err := c.route(ctx); err != nil {
		return handler.Revision{}, err
	}
	return c.arms.stable.rev, nil
}
