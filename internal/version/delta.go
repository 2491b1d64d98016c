package version

import (
	"fmt"

	"lockstep/internal/lockstep"
)

// ErrDeltaEncoding says that bytes are not one delta.
var ErrDeltaEncoding = fmt.Errorf("delta encoding: %w", lockstep.ErrCorrupt)

// Delta is what one version changes, and why.
type Delta struct {
	Messages  []Archived
	Mutations []Mutation
}

// Archived is one message as the archive keeps it: enough to be handled again.
type Archived struct {
	ID      string
	Group   string
	Source  string
	Outcome lockstep.Outcome
	Reason  string // for what was parked, malformed or dropped
	// Revision is who decided about it, whether or not that changed anything: what a
	// revision failed to write is as much its doing as what it wrote. "": nobody did.
	Revision string
	Body     []byte // the stream record as JSON
}

// Mutation is one record's change, with the image before and the image after as
// canonical record bytes. Exactly one of them may be nil: a new or a deleted record.
type Mutation struct {
	Collection lockstep.Collection
	ID         string
	Cause      int    // index into Delta.Messages, -1 for a mutation without one
	Revision   string // who decided it; "" for Lockstep's own collections
	Before     []byte
	After      []byte
	// Author is who wrote the image before.
	Author lockstep.Author
	// VectorBefore and VectorAfter are set when the mutation changes the vector, as
	// AppendVector makes them; nil when the image has none or keeps the one it had.
	VectorBefore []byte
	VectorAfter  []byte
}

// AuthorAfter returns the provenance of the image after, for a delta that became
// version n.
func (d *Delta) AuthorAfter(i int, n uint64) lockstep.Author {
	a := lockstep.Author{Version: n, Revision: d.Mutations[i].Revision}
	if c := d.Mutations[i].Cause; c >= 0 {
		a.Message = d.Messages[c].ID
	}
	return a
}

// Sums returns, per collection, what the delta adds to and removes from the sum.
func (d *Delta) Sums(h *Hasher) map[lockstep.Collection]*Tally {
	out := map[lockstep.Collection]*Tally{}
	for i := range d.Mutations {
		m := &d.Mutations[i]
		t := out[m.Collection]
		if t == nil {
			t = &Tally{}
			out[m.Collection] = t
		}
		t.Count(h, m)
	}
	return out
}

// Tally is the sum and the number of records of a collection, or a change of both.
type Tally struct {
	Sum     Sum
	Records int64
}

// Count adds the effect of one mutation.
func (t *Tally) Count(h *Hasher, m *Mutation) {
	if m.Before != nil {
		h.Sub(&t.Sum, m.ID, m.Before)
		t.Records--
	}
	if m.After != nil {
		h.Add(&t.Sum, m.ID, m.After)
		t.Records++
	}
}

// Add adds another tally.
func (t *Tally) Add(u *Tally) {
	t.Sum.Add(&u.Sum)
	t.Records += u.Records
}

// Sub takes another tally away.
func (t *Tally) Sub(u *Tally) {
	t.Sum.Sub(&u.Sum)
	t.Records -= u.Records
}
