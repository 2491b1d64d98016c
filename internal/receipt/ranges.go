package receipt

import (
	"cmp"
	"slices"
	"strings"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// ask collects what a unit needs to see.
type ask struct {
	partition string
	reads     handler.Reads
}

// record asks for the record of one line or word.
func (a *ask) record(c lockstep.Collection, sort string) {
	a.reads.Records = append(a.reads.Records, handler.RecordRange{Collection: c, ID: recordID(a.partition, sort)})
}

// under asks for the records of c below a receipt or a line.
func (a *ask) under(c lockstep.Collection, sort string) {
	a.reads.Records = append(a.reads.Records, handler.RecordRange{Collection: c, ID: recordID(a.partition, sort) + "#", Prefix: true})
}

// items asks for the items whose sort key begins with prefix.
func (a *ask) items(prefix string) {
	a.reads.Items = append(a.reads.Items, handler.ItemRange{Partition: a.partition, SortPrefix: prefix})
}

// done returns the reads, sorted, without what another range covers.
func (a *ask) done() handler.Reads {
	if len(a.reads.Records) > 1 {
		slices.SortFunc(a.reads.Records, func(x, y handler.RecordRange) int {
			return cmp.Or(cmp.Compare(x.Collection, y.Collection), strings.Compare(x.ID, y.ID), boolOrder(x.Prefix, y.Prefix))
		})
		a.reads.Records = compact(a.reads.Records, func(by, r handler.RecordRange) bool {
			return by.Collection == r.Collection && (by == r || by.Prefix && strings.HasPrefix(r.ID, by.ID))
		})
	}
	if len(a.reads.Items) > 1 {
		slices.SortFunc(a.reads.Items, func(x, y handler.ItemRange) int {
			return cmp.Or(strings.Compare(x.Partition, y.Partition), strings.Compare(x.SortPrefix, y.SortPrefix))
		})
		a.reads.Items = compact(a.reads.Items, func(by, r handler.ItemRange) bool {
			return by.Partition == r.Partition && strings.HasPrefix(r.SortPrefix, by.SortPrefix)
		})
	}
	return a.reads
}

// boolOrder puts true first: a prefix before the single record of the same name.
func boolOrder(x, y bool) int {
	switch {
	case x == y:
		return 0
	case x:
		return -1
	}
	return 1
}

// compact drops from a sorted list what the last kept range covers. In this order a
// range that covers another stands before it, with only covered ones between.
func compact[T any](list []T, covers func(by, r T) bool) []T {
	out := list[:1]
	for _, r := range list[1:] {
		if !covers(out[len(out)-1], r) {
			out = append(out, r)
		}
	}
	return out
}
