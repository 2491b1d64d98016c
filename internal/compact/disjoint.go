package compact

import (
	"cmp"
	"slices"
	"strings"

	"lockstep/internal/lockstep"
)

// independent splits plans into those that can be published together as they are
// and those that must wait, because an earlier plan of the same batch writes what
// they read or write, or reads what they write. The waiting ones are planned again
// on the next version, where they see the earlier ones' effect.
func independent(plans []*planned) (keep, wait []*planned) {
	if disjointExtents(plans) {
		return plans, nil
	}
	waits := make([]bool, len(plans))
	all := writesOf(plans)
	for i := 1; i < len(all); i++ {
		if all[i].c == all[i-1].c && all[i].id == all[i-1].id {
			waits[all[i].plan] = true // sorted by plan last, so this is the later one
		}
	}
	for p := range plans {
		for _, r := range plans[p].ranges {
			for i := firstIn(all, r); i < len(all) && r.covers(all[i].c, all[i].id); i++ {
				if all[i].plan != p {
					waits[max(p, all[i].plan)] = true
				}
			}
		}
	}
	for p, w := range waits {
		if w {
			wait = append(wait, plans[p])
		} else {
			keep = append(keep, plans[p])
		}
	}
	return keep, wait
}

// write is one record that a plan writes.
type write struct {
	c    lockstep.Collection
	id   string
	plan int
}

func writesOf(plans []*planned) []write {
	var all []write
	for p := range plans {
		for i := range plans[p].mutations {
			all = append(all, write{plans[p].mutations[i].Collection, plans[p].mutations[i].ID, p})
		}
	}
	slices.SortFunc(all, func(a, b write) int {
		return cmp.Or(strings.Compare(string(a.c), string(b.c)), strings.Compare(a.id, b.id), cmp.Compare(a.plan, b.plan))
	})
	return all
}

func firstIn(all []write, r span) int {
	i, _ := slices.BinarySearchFunc(all, r, func(w write, r span) int {
		return cmp.Or(strings.Compare(string(w.c), string(r.c)), strings.Compare(w.id, r.id))
	})
	return i
}

// meetsAny says which of the plans read or write a record of writes, whose plan
// field is ignored: what a foreign version touched.
func meetsAny(p *planned, writes []write) bool {
	meets := func(r span) bool {
		i := firstIn(writes, r)
		return i < len(writes) && r.covers(writes[i].c, writes[i].id)
	}
	for i := range p.mutations {
		if meets(span{c: p.mutations[i].Collection, id: p.mutations[i].ID}) {
			return true
		}
	}
	return slices.ContainsFunc(p.ranges, meets)
}

// disjointExtents is the cheap test that settles the common case: keys that embed
// their partition make intervals that never overlap.
func disjointExtents(plans []*planned) bool {
	var all []extent
	for _, p := range plans {
		all = append(all, p.extents()...)
	}
	slices.SortFunc(all, func(a, b extent) int {
		return cmp.Or(strings.Compare(string(a.c), string(b.c)), strings.Compare(a.lo, b.lo))
	})
	for i := 1; i < len(all); i++ {
		if all[i].c == all[i-1].c && all[i].lo <= all[i-1].hi {
			return false
		}
	}
	return true
}
