package recovery

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"lockstep/internal/incident"
	"lockstep/internal/release"
)

// lookAgain is how long an incident that another process has opened or reopened may go
// unseen by Tick.
const lookAgain = time.Minute

// Tick is for whoever drives releases, at every look: it opens the incident of a release
// that guards have just taken back, which it returns with opened, and attends to those that
// are open. When nothing is new it reads a few entries and writes nothing. Errors are no
// reason to stop: the next Tick goes on from what is there.
func (d *Desk) Tick(ctx context.Context, s release.State) (in incident.Incident, opened bool, err error) {
	if r := s.Release; byVerdict(r) && !d.known(r) {
		if in, opened, err = d.OpenByVerdict(ctx, s); err != nil {
			return in, opened, err
		}
	}
	ids, err := d.openOnes(ctx)
	if err != nil || len(ids) == 0 {
		return in, opened, err
	}
	now, err := d.around(ctx)
	if err != nil {
		return in, opened, err
	}
	for _, id := range ids {
		if err := d.tick(ctx, id, now); err != nil {
			return in, opened, err
		}
	}
	return in, opened, nil
}

// openOnes returns the incidents that are open, as of a look that is not too old.
func (d *Desk) openOnes(ctx context.Context) ([]string, error) {
	now := d.Order().At
	d.mu.Lock()
	ids, old := d.open, d.looked.IsZero() || now.Sub(d.looked) >= lookAgain
	d.mu.Unlock()
	if !old {
		return ids, nil
	}
	all, err := d.book.List(ctx, d.cfg.Environment)
	if err != nil {
		return nil, err
	}
	ids = nil
	for _, in := range all {
		if in.Open() {
			ids = append(ids, in.ID)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open, d.looked = ids, now
	return ids, nil
}

// around is what there is besides the incidents: when it is the same as before, none of
// them can learn anything but from its own plans.
func (d *Desk) around(ctx context.Context) (string, error) {
	rel, err := d.control.Releases.Head(ctx)
	if err != nil {
		return "", err
	}
	index, err := d.control.Log.Head(ctx)
	if err != nil {
		return "", err
	}
	plans, err := d.journals.IDs(ctx)
	return fmt.Sprintf("%d %d %d", rel.Number(), index.Number(), len(plans)), err
}

// tick attends to an incident unless everything is as it was when that was done last.
func (d *Desk) tick(ctx context.Context, id, around string) error {
	head, err := d.book.Head(ctx, id)
	if err != nil {
		return err
	}
	if !head.Incident().Open() {
		d.over(id)
		return nil
	}
	stamp, err := d.stamp(ctx, id, fmt.Sprintf("%s, %d", around, head.Ledger.N))
	if err != nil || d.attended(id, stamp) {
		return err
	}
	if _, err := d.Attend(ctx, id); err != nil {
		return err
	}
	m := d.take(id)
	m.stamp = stamp
	d.put(id, m)
	return nil
}

// stamp adds how far the plans of an incident are.
func (d *Desk) stamp(ctx context.Context, id, around string) (string, error) {
	d.mu.Lock()
	var linked []string
	if m := d.memories[id]; m != nil {
		linked = m.linked
	}
	d.mu.Unlock()
	var b strings.Builder
	b.WriteString(around)
	for _, plan := range linked {
		j, err := d.journals.Open(plan)
		if err != nil {
			return "", err
		}
		head, err := j.Head(ctx)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, ", %s %d", plan, head.Ledger.N)
	}
	return b.String(), nil
}

func (d *Desk) attended(id, stamp string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := d.memories[id]
	return m != nil && m.stamp == stamp
}

// over forgets an incident that is closed.
func (d *Desk) over(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.memories, id)
	d.open = slices.DeleteFunc(slices.Clone(d.open), func(o string) bool { return o == id })
}
