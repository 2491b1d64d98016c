package handler

import (
	"fmt"

	"lockstep/internal/lockstep"
)

// CheckMutations returns lockstep.ErrInvalid, naming the record and the rule, when
// muts are not an answer that the handler described by desc may give to unit:
// every mutation is of a declared collection and of a record that the unit asked
// for, can be stored by Chroma, names a message of the unit, and is the only one of
// its record.
//
// dims holds the dimension of each collection that has vectors already; where it
// has none, the declared dimension counts, and where that is 0 the first vector of
// the answer sets it.
func CheckMutations(desc Description, unit Unit, asked Cover, muts []lockstep.Mutation, dims map[lockstep.Collection]int) error {
	c := checker{desc: &desc, unit: &unit, asked: asked, dims: dims}
	// Most answers hold few records, or hold them in order; only an answer that
	// is out of order pays for a map.
	ordered := true
	for i := range muts {
		if err := c.mutation(&muts[i]); err != nil {
			return fmt.Errorf("mutation %d: %s of %.200q in %s: %w", i, muts[i].Op, muts[i].Record.ID, muts[i].Collection, err)
		}
		if i > 0 && !before(&muts[i-1], &muts[i]) {
			ordered = false
		}
	}
	if ordered {
		return nil
	}
	return checkUnique(muts)
}

func before(a, b *lockstep.Mutation) bool {
	if a.Collection != b.Collection {
		return a.Collection < b.Collection
	}
	return a.Record.ID < b.Record.ID
}

func checkUnique(muts []lockstep.Mutation) error {
	type key struct {
		c  lockstep.Collection
		id string
	}
	seen := make(map[key]int, len(muts))
	for i := range muts {
		k := key{muts[i].Collection, muts[i].Record.ID}
		if first, ok := seen[k]; ok {
			return fmt.Errorf("%w: mutations %d and %d are both of record %.200q in %s; a record has at most one", lockstep.ErrInvalid, first, i, k.id, k.c)
		}
		seen[k] = i
	}
	return nil
}

type checker struct {
	desc  *Description
	unit  *Unit
	asked Cover
	dims  map[lockstep.Collection]int
	spec  *CollectionSpec // of the last mutation
	seen  map[lockstep.Collection]int
}

func (c *checker) mutation(m *lockstep.Mutation) error {
	if c.spec == nil || c.spec.Name != m.Collection {
		if c.spec = c.declared(m.Collection); c.spec == nil {
			return fmt.Errorf("%w: the handler does not declare this collection", lockstep.ErrInvalid)
		}
	}
	if m.Collection.Builtin() {
		return fmt.Errorf("%w: the collection is Lockstep's own", lockstep.ErrInvalid)
	}
	if m.Cause < 0 || m.Cause >= len(c.unit.Messages) {
		return fmt.Errorf("%w: cause %d, but the unit has %d messages", lockstep.ErrInvalid, m.Cause, len(c.unit.Messages))
	}
	switch m.Op {
	case lockstep.Delete:
		if m.Record.ID == "" || len(m.Record.ID) > lockstep.MaxIDBytes {
			return fmt.Errorf("%w: id of %d bytes, want 1 to %d", lockstep.ErrInvalid, len(m.Record.ID), lockstep.MaxIDBytes)
		}
	case lockstep.Upsert:
		if err := c.upsert(m); err != nil {
			return err
		}
		if m.Vector == nil {
			return nil // it is in the view, which holds nothing else
		}
	default:
		return fmt.Errorf("%w: operation %d is neither upsert nor delete", lockstep.ErrInvalid, m.Op)
	}
	if !c.asked.Has(m.Collection, m.Record.ID) {
		return fmt.Errorf("%w: the unit did not ask for this record, and nobody knows what is there", lockstep.ErrInvalid)
	}
	return nil
}

func (c *checker) upsert(m *lockstep.Mutation) error {
	if err := m.Record.Check(); err != nil {
		return err
	}
	if m.Vector == nil {
		if _, known := c.unit.View.Record(m.Collection, m.Record.ID); !known {
			return fmt.Errorf("%w: a new record without a vector, which Chroma cannot store", lockstep.ErrInvalid)
		}
		return nil
	}
	if err := lockstep.CheckVector(m.Vector); err != nil {
		return err
	}
	want := c.dimension(m.Collection)
	if want == 0 {
		if c.seen == nil {
			c.seen = map[lockstep.Collection]int{}
		}
		c.seen[m.Collection] = len(m.Vector)
		return nil
	}
	if len(m.Vector) != want {
		return fmt.Errorf("%w: a vector of %d components, the collection has %d", lockstep.ErrInvalid, len(m.Vector), want)
	}
	return nil
}

func (c *checker) declared(name lockstep.Collection) *CollectionSpec {
	for i := range c.desc.Collections {
		if c.desc.Collections[i].Name == name {
			return &c.desc.Collections[i]
		}
	}
	return nil
}

func (c *checker) dimension(name lockstep.Collection) int {
	if d := c.dims[name]; d != 0 {
		return d
	}
	if c.spec.Dimension != 0 {
		return c.spec.Dimension
	}
	return c.seen[name]
}
