package revert

import (
	"context"
	"fmt"

	"lockstep/internal/change"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// place is one record of one collection.
type place struct {
	collection lockstep.Collection
	id         string
}

// touch is one write of one record. Versions are indices into the era.
type touch struct {
	version int
	key     int // index of the partition key whose message caused it
}

// unit is what one partition key had in one version.
type unit struct {
	version int
	cross   []place // records that its handler reads and other keys wrote in the era
}

// key is one partition key in the era.
type key struct {
	name    string
	bad     int // first version with a message that the bad one decided, never: none
	from    int // from here on it is handled again; never: not at all
	writes  []keyed
	units   []unit
	marks   []int // versions that handled it again: reverts and rebuilds
	rebuilt int   // the first version that rebuilt it; never: none
}

// keyed is one write, seen from its key.
type keyed struct {
	version int
	place   place
}

const never = int(^uint(0) >> 1)

// trace is what happened in an era, by record and by key.
type trace struct {
	era    *era
	bad    Bad
	places map[place][]touch // oldest first
	keys   []*key
	index  map[string]int
	given  map[string]bool // ids of messages that a person gave up
}

func (t *trace) key(name string) int {
	if i, ok := t.index[name]; ok {
		return i
	}
	t.index[name] = len(t.keys)
	t.keys = append(t.keys, &key{name: name, bad: never, from: never, rebuilt: never})
	return len(t.keys) - 1
}

// follow reads the deltas of the era. ErrRetired when one is gone.
func follow(ctx context.Context, log *version.Log, x *era, bad Bad) (*trace, error) {
	t := &trace{era: x, bad: bad, places: map[place][]touch{}, index: map[string]int{}, given: map[string]bool{}}
	for i, e := range x.entries {
		if e.Delta == nil {
			continue
		}
		d, err := log.Delta(ctx, e.Number)
		if err != nil {
			return nil, err
		}
		if err := t.add(i, e, d); err != nil {
			return nil, fmt.Errorf("version %d: %w", e.Number, err)
		}
	}
	return t, nil
}

func (t *trace) add(i int, e *version.Entry, d *version.Delta) error {
	unsettled := e.Number > t.era.settled
	for j := range d.Messages {
		m := &d.Messages[j]
		if m.Outcome == lockstep.BadInput {
			continue
		}
		k := t.keys[t.key(m.Group)]
		switch m.Outcome {
		case lockstep.Rederived:
			k.marks = append(k.marks, i)
			if e.Kind == version.Rebuild {
				k.rebuilt = min(k.rebuilt, i)
			}
		case lockstep.ResolvedOut:
			t.given[m.ID] = true
		case lockstep.Applied, lockstep.Unchanged, lockstep.Duplicate, lockstep.Stale, lockstep.Ignored, lockstep.ParkedAway, lockstep.BadInput:
		}
		if unsettled && t.bad.decided(e.Number, m) {
			k.bad = min(k.bad, i)
		}
	}
	for j := range d.Mutations {
		m := &d.Mutations[j]
		owner, known, err := ownerOf(d, m)
		if err != nil {
			return err
		}
		if !known {
			continue
		}
		at, p := t.key(owner), place{m.Collection, m.ID}
		t.places[p] = append(t.places[p], touch{i, at})
		t.keys[at].writes = append(t.keys[at].writes, keyed{i, p})
	}
	return nil
}

// ownerOf returns the partition key that a mutation belongs to. What is written about a
// parked message names no cause, and input that could not be read belongs to no key.
func ownerOf(d *version.Delta, m *version.Mutation) (owner string, known bool, err error) {
	if m.Collection == lockstep.Malformed {
		return "", false, nil
	}
	if m.Cause >= 0 {
		return d.Messages[m.Cause].Group, true, nil
	}
	if m.Collection != lockstep.Parked {
		return "", false, fmt.Errorf("%s %q was written for no message: %w", m.Collection, m.ID, lockstep.ErrRefused)
	}
	image := m.After
	if image == nil {
		image = m.Before
	}
	rec, err := version.DecodeRecord(m.ID, image)
	if err != nil {
		return "", false, err
	}
	return change.ParkedGroup(rec), true, nil
}

// look asks the good revision what the units of every version read, and keeps of it what
// other keys wrote in the era: only there can one key depend on another.
func (t *trace) look(ctx context.Context, log *version.Log, good handler.Handler, schema change.Schema) error {
	sorted := t.sortedPlaces()
	for i, e := range t.era.entries {
		if e.Delta == nil || e.Delta.Messages == 0 {
			continue
		}
		d, err := log.Delta(ctx, e.Number)
		if err != nil {
			return err
		}
		units, err := unitsOf(ctx, d, schema, t)
		if err != nil {
			return fmt.Errorf("version %d: %w", e.Number, err)
		}
		for _, messages := range units {
			at := t.key(messages[0].Group)
			cross := t.cross(sorted, at, good.Reads(messages))
			t.keys[at].units = append(t.keys[at].units, unit{i, cross})
		}
	}
	return nil
}
