package shadow

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// Answer is what one run of a handler on a unit gave. Mutations count only when Err is
// nil; they should have passed handler.CheckMutations, and an answer that did not belongs
// into Err.
type Answer struct {
	Mutations []lockstep.Mutation
	Err       error
	Took      time.Duration // 0: not measured
}

// Known is one record as it was before the unit, with its vector where it is at hand.
type Known struct {
	Collection lockstep.Collection
	Record     lockstep.Record
	Vector     []float32
}

// Trial is one unit with the answers to it.
type Trial struct {
	Unit string    // names it, the same in every process: shard and first sequence number
	Now  time.Time // the unit's clock; rules that end do so by it

	// View and Known are the records before the unit; Known wins, and needs to hold only
	// what View lacks. Reads is what View was asked for: a record that it covers and View
	// lacks did not exist. Of any other nothing is known, and a delete of it is then taken
	// to be different from leaving it alone.
	View  handler.View
	Reads handler.Reads
	Known []Known

	Stable    Answer
	Again     *Answer // stable once more; nil: not run, so that nothing is known about noise
	Candidate Answer
	// Derived states the records as the table says they must be, nil when nobody asked. A
	// record that it does not mention it leaves as it was.
	Derived *Answer
}

// place is one record of one collection.
type place struct {
	collection lockstep.Collection
	id         string
}

func (p place) compare(q place) int {
	if c := strings.Compare(string(p.collection), string(q.collection)); c != 0 {
		return c
	}
	return strings.Compare(p.id, q.id)
}

// existence is what is known about whether there is a record.
type existence uint8

const (
	untouched existence = iota // nothing is known but that it is as it was
	absent
	present
)

func (e existence) String() string {
	switch e {
	case untouched:
		return "untouched"
	case absent:
		return "absent"
	case present:
		return "present"
	}
	return fmt.Sprintf("existence(%d)", uint8(e))
}

// side is one record as an answer leaves it.
type side struct {
	exists existence
	record lockstep.Record
	vector vector
}

// before finds records as they were.
type before struct {
	trial *Trial
	known map[place]*Known
}

func newBefore(t *Trial) *before {
	b := &before{trial: t}
	if len(t.Known) > 0 {
		b.known = make(map[place]*Known, len(t.Known))
		for i := range t.Known {
			k := &t.Known[i]
			b.known[place{k.Collection, k.Record.ID}] = k
		}
	}
	return b
}

func (b *before) side(p place) side {
	if k, ok := b.known[p]; ok {
		return side{exists: present, record: k.Record, vector: vector{ref: k.Record.Vector, components: k.Vector}}
	}
	if r, ok := b.trial.View.Record(p.collection, p.id); ok {
		return side{exists: present, record: r, vector: vector{ref: r.Vector}}
	}
	if slices.ContainsFunc(b.trial.Reads.Records, func(r handler.RecordRange) bool {
		return r.Collection == p.collection && (r.ID == p.id || r.Prefix && strings.HasPrefix(p.id, r.ID))
	}) {
		return side{exists: absent}
	}
	return side{exists: untouched}
}

// effect is what an answer makes of the records before it.
type effect struct {
	before *before
	after  map[place]side
	err    error
}

func (b *before) apply(a Answer) effect {
	e := effect{before: b, err: a.Err}
	if a.Err != nil {
		return e
	}
	e.after = make(map[place]side, len(a.Mutations))
	for i := range a.Mutations {
		m := &a.Mutations[i]
		p := place{m.Collection, m.Record.ID}
		if m.Op == lockstep.Delete {
			e.after[p] = side{exists: absent}
			continue
		}
		s := side{exists: present, record: m.Record, vector: vector{components: m.Vector}}
		if m.Vector == nil {
			was := b.side(p)
			s.vector = was.vector
			s.vector.kept = was.exists == untouched
		}
		if !s.record.HasDocument {
			s.record.Document = ""
		}
		e.after[p] = s
	}
	return e
}

func (e effect) side(p place) side {
	if s, ok := e.after[p]; ok {
		return s
	}
	return e.before.side(p)
}

// places returns the places that any of the effects touches, in order.
func places(effects ...effect) []place {
	var out []place
	for _, e := range effects {
		for p := range e.after {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, place.compare)
	return slices.Compact(out)
}
