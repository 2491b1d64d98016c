package compact

import (
	"strings"

	"lockstep/internal/lockstep"
)

// footprint is what a plan depends on and what it writes. Two plans whose
// footprints do not meet give the same result in either order.
type footprint struct {
	ranges []span // read
	writes []span // single records
}

// span is one record, or all records whose id begins with id.
type span struct {
	c      lockstep.Collection
	id     string
	prefix bool
}

func (s span) covers(c lockstep.Collection, id string) bool {
	return s.c == c && (s.id == id || s.prefix && strings.HasPrefix(id, s.id))
}

// extent is the interval of ids that a footprint may concern in one collection.
type extent struct {
	c      lockstep.Collection
	lo, hi string // hi inclusive; as a prefix when open
}

func (f *footprint) extents() []extent {
	byName := map[lockstep.Collection]*extent{}
	order := make([]lockstep.Collection, 0, 4)
	for _, list := range [2][]span{f.ranges, f.writes} {
		for _, s := range list {
			hi := s.id
			if s.prefix {
				hi += "\xff\xff\xff\xff"
			}
			e := byName[s.c]
			if e == nil {
				byName[s.c] = &extent{s.c, s.id, hi}
				order = append(order, s.c)
				continue
			}
			e.lo, e.hi = min(e.lo, s.id), max(e.hi, hi)
		}
	}
	out := make([]extent, len(order))
	for i, c := range order {
		out[i] = *byName[c]
	}
	return out
}
