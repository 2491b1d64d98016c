package simtest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"lockstep/internal/change"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// messages judges the archive of a version: what was sent, and each effect once on a
// line (invariant 2).
func (x *witness) messages(s *seen) error {
	if s.delta == nil {
		return nil
	}
	for i := range s.delta.Messages {
		a := &s.delta.Messages[i]
		if a.Outcome == lockstep.Rederived && s.entry.Kind == version.Revert {
			continue // a mark
		}
		m := x.w.feed.byID[a.ID]
		if m == nil {
			return fmt.Errorf("nobody sent message %s", a.ID)
		}
		if m.bad != nil != (a.Outcome == lockstep.BadInput) {
			return fmt.Errorf("%s is archived as %s", m.name(), a.Outcome)
		}
		if m.bad == nil && !bytes.Equal(a.Body, m.Body) {
			return fmt.Errorf("%s is archived with another body", m.name())
		}
		switch a.Outcome {
		case lockstep.Applied, lockstep.Unchanged:
			if n, twice := s.effects[a.ID]; twice {
				return fmt.Errorf("%s has its effect again, after version %d", m.name(), n)
			}
			s.effects[a.ID] = s.n
		case lockstep.ParkedAway:
			if !slices.Contains(s.parkedIDs(), a.ID) || slices.Contains(s.parent.parkedIDs(), a.ID) {
				return fmt.Errorf("%s is archived as parked, and is not, or was", m.name())
			}
			if !x.moves(s, a.ID) {
				return fmt.Errorf("%s is parked although it has been handled", m.name())
			}
		case lockstep.Duplicate, lockstep.Stale, lockstep.Ignored, lockstep.Rederived:
			return fmt.Errorf("%s is archived as %s", m.name(), a.Outcome)
		case lockstep.BadInput:
			if _, kept := s.rows[rowKey{lockstep.Malformed, a.ID}]; !kept {
				return fmt.Errorf("%s is archived and not kept", m.name())
			}
		case lockstep.ResolvedOut:
		default:
			return fmt.Errorf("%s is archived with the outcome %q", m.name(), a.Outcome)
		}
	}
	return nil
}

// order wants the messages of a key to wait behind a parked one, and a parked message to
// go only for a reason.
func (x *witness) order(s *seen) error {
	if s.delta == nil {
		return nil
	}
	outcome := map[string]lockstep.Outcome{}
	for i := range s.delta.Messages {
		outcome[s.delta.Messages[i].ID] = s.delta.Messages[i].Outcome
	}
	before := s.parent.parkedIDs()
	waiting := map[string]bool{}
	for _, id := range before {
		waiting[x.w.feed.byID[id].Group] = true
	}
	for id, o := range outcome {
		m := x.w.feed.byID[id]
		if (o == lockstep.Applied || o == lockstep.Unchanged) && waiting[m.Group] && !slices.Contains(before, id) {
			return fmt.Errorf("%s passed a parked message of its key", m.name())
		}
	}
	still := s.parkedIDs()
	for _, id := range before {
		if slices.Contains(still, id) {
			continue
		}
		x.w.count.unparked++
		if _, had := outcome[id]; !had && x.moves(s, id) {
			return fmt.Errorf("%s is not parked any more and has no effect", x.w.feed.byID[id].name())
		}
	}
	return nil
}

// moves says whether the message would still change the mirror of the version before,
// with the messages of this version on top.
func (x *witness) moves(s *seen, id string) bool {
	m := x.w.feed.byID[id]
	it := s.parent.model.Items[m.Change.Key.RecordID()]
	for i := range s.delta.Messages {
		if a := &s.delta.Messages[i]; a.Outcome == lockstep.Applied || a.Outcome == lockstep.Unchanged {
			it, _ = merged(it, x.w.feed.byID[a.ID], m.Change.Key)
		}
	}
	_, moved := merged(it, m, m.Change.Key)
	return moved
}

// derived feeds the model with the messages that had an effect, and compares: the whole
// state of every version is what the good handler makes of them (invariants 1, 2 and 8).
func (x *witness) derived(s *seen) error {
	if s.entry.Kind == version.Revert {
		return x.reverted(s)
	}
	fed := x.fed(s)
	if len(fed) == 0 {
		return nil
	}
	if x.w.reverting {
		return x.ringed(s)
	}
	s.model = s.model.Clone()
	outcomes, err := s.model.Apply(x.w.ctx, fed...)
	if err != nil {
		return fmt.Errorf("model: %w", err)
	}
	for i, o := range outcomes {
		if o != lockstep.Applied && o != lockstep.Unchanged {
			return fmt.Errorf("%s had an effect and should be %s", x.w.feed.byID[fed[i].ID].name(), o)
		}
	}
	return x.sameAsModel(s)
}

func (x *witness) sameAsModel(s *seen) error {
	n := 0
	for _, c := range slices.Sorted(maps.Keys(s.model.Records)) {
		records := s.model.Records[c]
		for _, id := range slices.Sorted(maps.Keys(records)) {
			n++
			e := records[id]
			if want := version.AppendRecord(nil, &e.Record); !bytes.Equal(want, s.rows[rowKey{c, id}].image) {
				return fmt.Errorf("%s %q is not what the messages make of it: want %.300q, is %.300q", c, id, want, s.rows[rowKey{c, id}].image)
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(s.model.Items)) {
		n++
		rec := change.MirrorRecord(s.model.Items[id])
		if want := version.AppendRecord(nil, &rec); !bytes.Equal(want, s.rows[rowKey{lockstep.Table, id}].image) {
			return fmt.Errorf("item %q is not what the messages make of it: want %.300q, is %.300q", id, want, s.rows[rowKey{lockstep.Table, id}].image)
		}
	}
	for k := range s.rows {
		if k.c != lockstep.Parked && k.c != lockstep.Malformed {
			n--
		}
	}
	if n != 0 {
		return fmt.Errorf("the model has %+d records more", n)
	}
	return nil
}
