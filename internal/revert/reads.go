package revert

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"lockstep/internal/change"
	"lockstep/internal/compact"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// sortedPlaces returns the records that were written, so that ranges can be looked up.
func (t *trace) sortedPlaces() []place {
	out := make([]place, 0, len(t.places))
	for p := range t.places {
		out = append(out, p)
	}
	slices.SortFunc(out, comparePlaces)
	return out
}

func comparePlaces(a, b place) int {
	return cmp.Or(strings.Compare(string(a.collection), string(b.collection)), strings.Compare(a.id, b.id))
}

// cross returns the records among sorted that the ranges cover and another key than `at`
// wrote.
func (t *trace) cross(sorted []place, at int, reads handler.Reads) []place {
	var out []place
	add := func(c lockstep.Collection, id string, prefix bool) {
		i, _ := slices.BinarySearchFunc(sorted, place{c, id}, comparePlaces)
		for ; i < len(sorted) && sorted[i].collection == c; i++ {
			if in := sorted[i].id == id || prefix && strings.HasPrefix(sorted[i].id, id); !in {
				return
			}
			if slices.ContainsFunc(t.places[sorted[i]], func(w touch) bool { return w.key != at }) {
				out = append(out, sorted[i])
			}
		}
	}
	for _, r := range reads.Records {
		add(r.Collection, r.ID, r.Prefix)
	}
	for _, r := range reads.Items {
		add(lockstep.Table, lockstep.ItemKey{Partition: r.Partition, Sort: r.SortPrefix}.RecordID(), true)
	}
	return out
}

// unitsOf returns the messages of a version by key, in order of arrival, as the
// compactor forms its units.
func unitsOf(ctx context.Context, d *version.Delta, schema change.Schema, t *trace) ([][]lockstep.Message, error) {
	inputs, err := compact.ArchivedInputs(ctx, d, schema, t.replayable)
	if err != nil {
		return nil, err
	}
	byKey := map[string]int{}
	var out [][]lockstep.Message
	for i := range inputs {
		m := inputs[i].Message
		at, ok := byKey[m.Group]
		if !ok {
			at, byKey[m.Group] = len(out), len(out)
			out = append(out, nil)
		}
		out[at] = append(out[at], m)
	}
	return out, nil
}

// replayable says whether a message is handled again when its version is. Input that could
// not be read has no key; what a person gave up stays given up, from the start.
func (t *trace) replayable(m *version.Archived) bool {
	return m.Outcome != lockstep.BadInput && !t.given[m.ID]
}
