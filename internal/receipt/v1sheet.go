package receipt

import (
	"fmt"
	"slices"
	"strings"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// sheetV1 is the open collection of one unit: later steps see earlier ones.
type sheetV1 struct {
	unit   *handler.Unit
	drafts map[lockstep.Collection]map[string]*draft
}

// draft is one record while the unit works on it.
type draft struct {
	next   lockstep.Record
	vector []float32 // nil: the one it has
	cause  int
}

// open returns the draft of a record, nil when Chroma has none of this id.
func (s *sheetV1) open(c lockstep.Collection, id string) *draft {
	if d, ok := s.drafts[c][id]; ok {
		return d
	}
	r, ok := s.unit.View.Record(c, id)
	if !ok {
		return nil
	}
	d := &draft{next: r}
	s.drafts[c][id] = d
	return d
}

// update is Chroma's update of one record: the given keys overwrite, all others
// survive (DOMAIN 4.2). A record that is not embedded is passed over.
func (s *sheetV1) update(c lockstep.Collection, id string, cause int, set []lockstep.Field) {
	d := s.open(c, id)
	if d == nil {
		return
	}
	d.next.Metadata = overwrite(d.next.Metadata, set)
	d.cause = cause
}

// delta merges one delta as the compactor did (DOMAIN 4.7): upsert of everything,
// vectors and documents overwrite, metadata is merged over what is there, so that
// embed-time values come back.
func (s *sheetV1) delta(im *handler.Import) error {
	if im.Ref.Message < 0 || im.Ref.Message >= len(s.unit.Messages) {
		return fmt.Errorf("import %s: %w: it belongs to no message", im.Ref.Location, lockstep.ErrInvalid)
	}
	key := s.unit.Messages[im.Ref.Message].Change.Key
	k, _ := parseSort(key.Sort)
	if err := checkImport(im, key.Partition, k.receipt); err != nil {
		return err
	}
	for i := range im.Embeddings {
		e := &im.Embeddings[i]
		d := s.open(im.Ref.Collection, e.ID)
		if d == nil {
			d = &draft{next: lockstep.Record{ID: e.ID}}
			s.drafts[im.Ref.Collection][e.ID] = d
		}
		d.next.Document, d.next.HasDocument = e.Document, e.HasDocument
		d.next.Metadata = overwrite(d.next.Metadata, e.Metadata)
		d.vector, d.cause = e.Vector, im.Ref.Message
	}
	return nil
}

// overwrite lays set, in any order, over m.
func overwrite(m lockstep.Metadata, set []lockstep.Field) lockstep.Metadata {
	sorted := slices.SortedFunc(slices.Values(set), func(a, b lockstep.Field) int { return strings.Compare(a.Key, b.Key) })
	p := patch{fields: sorted}
	m, _ = p.apply(m)
	return m
}
