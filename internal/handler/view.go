package handler

import (
	"slices"
	"strings"

	"lockstep/internal/lockstep"
)

// View is what a unit may look at: plain data, so that it can be handed to
// another process as it is. All slices are sorted; a handler must not change them.
type View struct {
	Records map[lockstep.Collection][]lockstep.Record // by id
	Items   []lockstep.MirrorItem                     // by ID
	Imports []Import                                  // in the order of Reads.Imports
}

// Record returns one record and whether it exists.
func (v View) Record(c lockstep.Collection, id string) (lockstep.Record, bool) {
	rs := v.Records[c]
	i, ok := slices.BinarySearchFunc(rs, id, func(r lockstep.Record, id string) int { return strings.Compare(r.ID, id) })
	if !ok {
		return lockstep.Record{}, false
	}
	return rs[i], true
}

// WithPrefix returns the records of c whose id begins with prefix.
func (v View) WithPrefix(c lockstep.Collection, prefix string) []lockstep.Record {
	rs := v.Records[c]
	lo, _ := slices.BinarySearchFunc(rs, prefix, func(r lockstep.Record, id string) int { return strings.Compare(r.ID, id) })
	hi := lo
	for hi < len(rs) && strings.HasPrefix(rs[hi].ID, prefix) {
		hi++
	}
	return rs[lo:hi]
}

// Item returns one mirrored item, tombstones included, and whether the mirror
// knows its key.
func (v View) Item(key lockstep.ItemKey) (lockstep.MirrorItem, bool) {
	i, ok := slices.BinarySearchFunc(v.Items, key.RecordID(), compareItem)
	if !ok {
		return lockstep.MirrorItem{}, false
	}
	return v.Items[i], true
}

// ItemsWithPrefix returns the mirrored items of one partition whose sort key
// begins with sortPrefix.
func (v View) ItemsWithPrefix(partition, sortPrefix string) []lockstep.MirrorItem {
	prefix := lockstep.ItemKey{Partition: partition, Sort: sortPrefix}.RecordID()
	lo, _ := slices.BinarySearchFunc(v.Items, prefix, compareItem)
	hi := lo
	for hi < len(v.Items) && strings.HasPrefix(v.Items[hi].ID, prefix) {
		hi++
	}
	return v.Items[lo:hi]
}

func compareItem(it lockstep.MirrorItem, id string) int {
	return strings.Compare(it.ID, id)
}
