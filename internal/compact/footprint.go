package compact

import (
	"strings"

	"lockstep/internal/lockstep"
)

// Two plans of which neither reads or writes what the other writes give the same
// result in either order. What a plan reads is in its ranges, what it writes in its
// mutations.

// span is one record, or all records whose id begins with id.
type span struct {
	c      lockstep.Collection
	id     string
	prefix bool
}

func (s span) covers(c lockstep.Collection, id string) bool {
	return s.c == c && (s.id == id || s.prefix && strings.HasPrefix(id, s.id))
}

// extent is the interval of ids that a plan may concern in one collection.
type extent struct {
	c      lockstep.Collection
	lo, hi string // hi inclusive; as a prefix when open
}

func (p *planned) extents() []extent {
	out := make([]extent, 0, 4)
	add := func(c lockstep.Collection, lo, hi string) {
		for i := range out {
			if out[i].c == c {
				out[i].lo, out[i].hi = min(out[i].lo, lo), max(out[i].hi, hi)
				return
			}
		}
		out = append(out, extent{c, lo, hi})
	}
	for _, s := range p.ranges {
		hi := s.id
		if s.prefix {
			hi += "\xff\xff\xff\xff"
		}
		add(s.c, s.id, hi)
	}
	for i := range p.mutations {
		add(p.mutations[i].Collection, p.mutations[i].ID, p.mutations[i].ID)
	}
	return out
}
