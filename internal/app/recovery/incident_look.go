package recovery

import (
	"context"
	"errors"
	"slices"
	"time"

	"lockstep/internal/incident"
	"lockstep/internal/lockstep"
	"lockstep/internal/release"
	"lockstep/internal/rollback"
)

// look asks the other ledgers about an incident, from where it was when they were asked last.
func (d *Desk) look(ctx context.Context, in incident.Incident) (sources, known, error) {
	m := d.take(in.ID)
	defer func() { d.put(in.ID, m) }()
	var src sources
	if err := d.follow(ctx, in, m, &src); err != nil {
		return src, known{}, err
	}
	if err := d.rollbacks(ctx, in, &src); err != nil {
		return src, known{}, err
	}
	m.linked = nil
	for i := range src.plans {
		m.linked = append(m.linked, src.plans[i].Plan.ID)
	}
	k := src.concludes(in)
	if err := d.count(ctx, in, m, &src); err != nil {
		return src, known{}, err
	}
	if m.affected != nil && (in.Affected == nil || src.trail.lost == 0) {
		k.affected = m.affected
	}
	return src, k.clean(d.redact), nil
}

// take takes what is remembered of an incident: who has it has it alone.
func (d *Desk) take(id string) *memory {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := d.memories[id]
	delete(d.memories, id)
	if m == nil {
		m = &memory{}
	}
	return m
}

func (d *Desk) put(id string, m *memory) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.memories[id] = m
}

// follow reads the attempt, and the versions up to now, or to the end of the incident.
func (d *Desk) follow(ctx context.Context, in incident.Incident, m *memory, src *sources) error {
	if s := in.Subject; s != nil {
		head, err := d.control.Releases.Head(ctx)
		if err != nil {
			return err
		}
		if m.attempt.release == nil || m.entry != head.Number() {
			if m.attempt, err = attemptOf(ctx, d.control.Releases, s.Release, s.Attempt); err != nil {
				return err
			}
			m.entry = head.Number()
		}
		a := m.attempt
		src.attempt = &a
		if m.trail == nil {
			m.trail = newTrail(&a)
		}
		m.trail.know(&a)
	} else if m.trail == nil {
		n, err := versionBefore(ctx, d.control.Log, in.OpenedAt)
		if err != nil {
			return err
		}
		m.trail = trailFrom(n)
	}
	head, err := d.control.Log.Head(ctx)
	if err != nil {
		return err
	}
	var end time.Time
	if in.Closed != nil {
		end = in.Closed.At
	}
	if err := m.trail.follow(ctx, d.control.Log, head.Number(), end); err != nil {
		return err
	}
	t := *m.trail
	src.trail = &t
	return nil
}

// count counts the affected records when that is worth it: at first, and once what is bad
// has come to its end.
func (d *Desk) count(ctx context.Context, in incident.Incident, m *memory, src *sources) error {
	a, t := src.attempt, src.trail
	switch {
	case a == nil || len(t.bad) == 0 || m.counted == t.last.version:
		return nil
	case a.end == nil && (in.Affected != nil || m.affected != nil):
		return nil
	case in.Affected != nil && in.Affected.FirstVersion == t.first.version && in.Affected.LastVersion == t.last.version:
		return nil
	}
	affected, err := t.affected(ctx, d.control.Log)
	if err != nil {
		return err
	}
	m.affected, m.counted = affected, t.last.version
	return nil
}

// planSeen is what of a plan says whether it belongs to an incident. It never changes.
type planSeen struct {
	incident, release, bad string
	undoes                 string
	at                     time.Time
}

// belongs says whether a plan belongs to an incident, of which the older ones are known.
func (p *planSeen) belongs(in incident.Incident, src *sources) bool {
	a := src.attempt
	switch {
	case p.undoes != "" && slices.ContainsFunc(src.plans, func(s rollback.State) bool { return s.Plan.ID == p.undoes }):
		return true
	case p.incident != "" || a == nil:
		return p.incident == in.ID
	case p.release != a.release.ID || p.at.Before(a.release.StartedAt):
		return false
	}
	return release.SameRevision(p.bad, a.release.Candidate) && (a.next.IsZero() || p.at.Before(a.next))
}

// rollbacks finds the plans that belong to an incident: those that name it, those that take
// back its release and name none, those that a person linked, and what undoes any of them.
func (d *Desk) rollbacks(ctx context.Context, in incident.Incident, src *sources) error {
	ids, err := d.journals.IDs(ctx)
	if err != nil {
		return err
	}
	for _, id := range slices.Backward(ids) { // oldest first
		linked := slices.ContainsFunc(in.Links, func(l incident.Link) bool { return l.Kind == incident.LinkPlan && l.To == id })
		seen := d.planOf(id)
		if seen != nil && !linked && !seen.belongs(in, src) {
			continue
		}
		s, err := d.plan(ctx, id)
		switch {
		case errors.Is(err, lockstep.ErrNotFound):
			continue // it is just being planned
		case err != nil && !linked && (errors.Is(err, lockstep.ErrCorrupt) || errors.Is(err, lockstep.ErrRefused)):
			continue // whatever it was about, "lockstep rollback status" says what is wrong with it
		case err != nil:
			return err
		}
		if linked || d.planOf(id).belongs(in, src) {
			src.plans = append(src.plans, s)
		}
	}
	return nil
}

func (d *Desk) planOf(id string) *planSeen {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.plans[id]
}

// plan reads a plan as it stands.
func (d *Desk) plan(ctx context.Context, id string) (rollback.State, error) {
	s, err := (&rollback.Engine{Journals: d.journals}).State(ctx, id)
	if err != nil {
		return s, err
	}
	p := &s.Plan
	d.mu.Lock()
	defer d.mu.Unlock()
	d.plans[id] = &planSeen{p.Incident, p.Release, p.Bad, p.Undoes, p.At}
	return s, nil
}
