package compact

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// rebase follows the log to its new head and says which plans still hold there:
// those whose records no foreign version touched keep their images, because an
// image depends on its record alone. The others are planned again. When a foreign
// version left our state's line (a reset) or is a fence, nothing holds.
func (c *Compactor) rebase(ctx context.Context, keep, wait []*planned) (still, again []*planned, err error) {
	from := c.state.Version()
	c.fresh = false
	head, err := c.log.Head(ctx)
	if err != nil {
		return nil, nil, err
	}
	// The state must stop at this head: what is published between two looks at the
	// log would be in the state and not among the foreign writes.
	c.moved(head)
	c.fresh = true
	path, err := c.log.Path(ctx, from, head.Number())
	if err != nil {
		return nil, nil, err
	}
	foreign, err := c.foreignWrites(ctx, path)
	if err != nil {
		return nil, nil, err
	}
	if err := c.CatchUp(ctx); err != nil {
		return nil, nil, err
	}
	if err := c.readParked(ctx); err != nil {
		return nil, nil, err
	}
	fenced, err := c.barred(ctx, from, head.Number())
	if err != nil {
		return nil, nil, err
	}
	if err := c.route(ctx); err != nil {
		return nil, nil, err
	}
	left := len(path.Undo) > 0 || fenced
	dims := c.dims()
	for _, p := range keep {
		if left || meetsAny(p, foreign) || p.outdated(c, dims) {
			again = append(again, p)
		} else {
			still = append(still, p)
		}
	}
	return still, append(again, wait...), nil
}

// barred says whether a fence was put up since version from.
func (c *Compactor) barred(ctx context.Context, from, to uint64) (bool, error) {
	for n := from + 1; n <= to; n++ {
		e, err := c.log.Read(ctx, n)
		if err != nil || e.Kind == version.Fence {
			return err == nil, err
		}
	}
	return false, nil
}

// outdated says whether the plan rests on something besides records that changed:
// its group has come to wait, or a dimension was fixed otherwise.
func (p *planned) outdated(c *Compactor, dims map[lockstep.Collection]int) bool {
	if p.job.retry == nil && c.parked[p.job.group] {
		return true
	}
	for name, d := range p.dims {
		if dims[name] != 0 && dims[name] != d {
			return true
		}
	}
	return false
}

func (c *Compactor) foreignWrites(ctx context.Context, path version.Path) ([]write, error) {
	var out []write
	for _, list := range [2][]uint64{path.Undo, path.Apply} {
		for _, n := range list {
			d, err := c.log.Delta(ctx, n)
			if err != nil {
				return nil, err
			}
			if d == nil {
				continue
			}
			for i := range d.Mutations {
				out = append(out, write{c: d.Mutations[i].Collection, id: d.Mutations[i].ID})
			}
		}
	}
	slices.SortFunc(out, func(a, b write) int {
		return cmp.Or(strings.Compare(string(a.c), string(b.c)), strings.Compare(a.id, b.id))
	})
	return out, nil
}
