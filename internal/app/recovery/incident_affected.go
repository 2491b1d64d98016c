package recovery

import (
	"context"
	"errors"
	"fmt"

	"lockstep/internal/incident"
	"lockstep/internal/lockstep"
	"lockstep/internal/release"
	"lockstep/internal/version"
)

// Bounds of a count. What lies behind them is said and not guessed.
const (
	maxDeltas  = 512     // that are read
	maxRecords = 200_000 // that are told apart
)

// affected counts the records that the candidate has written, each once, in the deltas of
// its versions, and shows some of them. nil: there are none.
func (t *trail) affected(ctx context.Context, log *version.Log) (*incident.Affected, error) {
	if len(t.bad) == 0 {
		return nil, nil //nolint:nilnil // nobody asks what nothing was counted from
	}
	h := harm{candidate: t.candidate, records: map[touched]bool{}, keys: map[string]bool{}, counts: map[lockstep.Collection]uint64{}}
	read, gone := 0, 0
	for _, b := range t.bad {
		if read >= maxDeltas || len(h.records) >= maxRecords {
			break
		}
		d, err := log.Delta(ctx, b.version)
		if err != nil && !errors.Is(err, version.ErrRetired) {
			return nil, fmt.Errorf("count what %s wrote: %w", t.candidate, err)
		}
		if read++; d == nil {
			gone++
			continue
		}
		h.add(d)
	}
	a := &incident.Affected{FirstVersion: t.first.version, LastVersion: t.last.version, KeyCount: uint64(len(h.keys)), IDs: h.ids, Keys: h.some}
	for c, n := range h.counts {
		a.Counts = append(a.Counts, incident.Count{Collection: string(c), Records: n})
	}
	a.Source = t.counted(read, gone)
	return a, nil
}

// counted says how it was counted, and what was not.
func (t *trail) counted(read, gone int) string {
	s := fmt.Sprintf("the deltas of its %d versions", len(t.bad))
	if len(t.bad) == 1 {
		s = fmt.Sprintf("the delta of version %d", t.first.version)
	}
	if gone > 0 {
		s += fmt.Sprintf(", %d of which are not kept any more", gone)
	}
	if left := t.bad[read:]; len(left) > 0 {
		n := 0
		for _, b := range left {
			n += b.mutations
		}
		s += fmt.Sprintf("; the last %d of them were not looked into, and hold %d mutations more", len(left), n)
	}
	if t.lost > 0 {
		s += fmt.Sprintf("; %d versions before them are not kept any more", t.lost)
	}
	return s
}

type touched struct {
	collection lockstep.Collection
	id         string
}

// harm is what a candidate has written, record by record.
type harm struct {
	candidate string
	records   map[touched]bool
	counts    map[lockstep.Collection]uint64
	keys      map[string]bool
	ids, some []string // the first records and keys
}

func (h *harm) add(d *version.Delta) {
	for i := range d.Mutations {
		m := &d.Mutations[i]
		if m.Collection.Builtin() || !release.SameRevision(m.Revision, h.candidate) {
			continue
		}
		if r := (touched{m.Collection, m.ID}); !h.records[r] {
			h.records[r] = true
			h.counts[m.Collection]++
			if len(h.ids) < incident.MaxIDs {
				h.ids = append(h.ids, m.ID)
			}
		}
		if m.Cause < 0 || m.Cause >= len(d.Messages) {
			continue
		}
		if key := d.Messages[m.Cause].Group; key != "" && !h.keys[key] {
			h.keys[key] = true
			if len(h.some) < incident.MaxKeys {
				h.some = append(h.some, key)
			}
		}
	}
}
