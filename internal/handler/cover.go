package handler

import (
	"cmp"
	"slices"
	"strings"

	"lockstep/internal/lockstep"
)

// Cover is the records that a unit has asked to see. Only these it may change: of any other
// nobody has looked what is there, so that the change could not be undone.
type Cover struct{ ranges []RecordRange }

// CoverOf returns the records of some ranges.
func CoverOf(ranges []RecordRange) Cover {
	rs := slices.Clone(ranges)
	slices.SortFunc(rs, func(a, b RecordRange) int {
		if c := compareStart(a, b.Collection, b.ID); c != 0 || a.Prefix == b.Prefix {
			return c
		}
		if a.Prefix {
			return -1
		}
		return 1
	})
	out := rs[:0]
	for _, r := range rs {
		if n := len(out); n == 0 || !out[n-1].Has(r.Collection, r.ID) {
			out = append(out, r)
		}
	}
	return Cover{out}
}

func compareStart(r RecordRange, c lockstep.Collection, id string) int {
	return cmp.Or(strings.Compare(string(r.Collection), string(c)), strings.Compare(r.ID, id))
}

// Has says whether a record is in the range.
func (r RecordRange) Has(c lockstep.Collection, id string) bool {
	return r.Collection == c && (r.ID == id || r.Prefix && strings.HasPrefix(id, r.ID))
}

// Ranges returns the ranges in order, none within another one.
func (c Cover) Ranges() []RecordRange { return c.ranges }

// Has says whether a record is among them. What begins with a prefix follows it without a
// gap, so that of the ranges in order only the last one that does not begin behind the
// record can hold it.
func (c Cover) Has(name lockstep.Collection, id string) bool {
	i, found := slices.BinarySearchFunc(c.ranges, id, func(r RecordRange, id string) int { return compareStart(r, name, id) })
	return found || i > 0 && c.ranges[i-1].Has(name, id)
}
