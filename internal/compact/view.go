package compact

import (
	"context"
	"maps"
	"slices"
	"strings"

	"lockstep/internal/change"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

// image is one stored record as the state holds it.
type image struct {
	id     string
	bytes  []byte // canonical record
	author lockstep.Author
}

// sight is everything one job has seen of the state: the handler's view, and
// behind it the exact bytes and authors that become images before.
type sight struct {
	view   handler.View
	asked  handler.Cover                   // the records in it are all there are of these
	images map[lockstep.Collection][]image // sorted by id, parallel to view.Records
	items  map[string]*mirrored
}

// mirrored is one item of the table as the job found it and as it leaves it.
type mirrored struct {
	before image // bytes nil: unknown to the mirror
	item   lockstep.MirrorItem
	cause  int // index of the job's last message about it, -1: untouched
}

// image returns what the job has seen of one record, and the vector it has.
func (s *sight) image(c lockstep.Collection, id string) (image, lockstep.VectorRef, bool) {
	list := s.images[c]
	i, ok := slices.BinarySearchFunc(list, id, func(im image, id string) int { return strings.Compare(im.id, id) })
	if !ok {
		return image{id: id}, lockstep.VectorRef{}, false
	}
	return list[i], s.view.Records[c][i].Vector, true
}

func (s *sight) itemIDs() []string { return slices.Sorted(maps.Keys(s.items)) }

// look reads what the handler asked for. The items are those of the mirror with
// the job's own changes on top.
func look(ctx context.Context, r *state.Reader, reads handler.Reads, s *sight) error {
	s.asked = handler.CoverOf(reads.Records)
	s.view.Records = map[lockstep.Collection][]lockstep.Record{}
	s.images = map[lockstep.Collection][]image{}
	for _, rr := range s.asked.Ranges() {
		if err := lookRecords(ctx, r, rr, s); err != nil {
			return err
		}
	}
	for _, ir := range reads.Items {
		if err := lookItems(ctx, r, ir, s); err != nil {
			return err
		}
	}
	s.view.Items = make([]lockstep.MirrorItem, 0, len(s.items))
	for _, m := range s.items {
		if m.item.ID != "" {
			s.view.Items = append(s.view.Items, m.item)
		}
	}
	slices.SortFunc(s.view.Items, func(a, b lockstep.MirrorItem) int { return strings.Compare(a.ID, b.ID) })
	return nil
}

func lookRecords(ctx context.Context, r *state.Reader, rr handler.RecordRange, s *sight) error {
	c := rr.Collection
	var author lockstep.Author
	add := func(row state.Row) error {
		author = row.AuthorLike(author) // neighbours mostly have the same
		im := image{id: string(row.ID), bytes: slices.Clone(row.Record), author: author}
		rec, err := version.DecodeShared(im.id, im.bytes)
		if err != nil {
			return err
		}
		s.images[c] = append(s.images[c], im)
		s.view.Records[c] = append(s.view.Records[c], rec)
		return nil
	}
	if rr.Prefix {
		return r.Scan(ctx, c, rr.ID, add)
	}
	_, err := r.Get(c, rr.ID, func(row state.Row) error {
		row.ID = []byte(rr.ID)
		return add(row)
	})
	return err
}

func lookItems(ctx context.Context, r *state.Reader, ir handler.ItemRange, s *sight) error {
	prefix := lockstep.ItemKey{Partition: ir.Partition, Sort: ir.SortPrefix}.RecordID()
	return r.Scan(ctx, lockstep.Table, prefix, func(row state.Row) error {
		if s.items[string(row.ID)] != nil {
			return nil // the job's own change is newer
		}
		m, err := mirroredFrom(row)
		if err != nil {
			return err
		}
		s.items[m.before.id] = m
		return nil
	})
}

func mirroredFrom(row state.Row) (*mirrored, error) {
	m := &mirrored{before: image{id: string(row.ID), bytes: slices.Clone(row.Record), author: row.Author()}, cause: -1}
	rec, err := version.DecodeShared(m.before.id, m.before.bytes)
	if err != nil {
		return nil, err
	}
	m.item, err = change.ParseMirror(rec)
	return m, err
}

// item returns the mirror's knowledge of one key, reading it when the job has not
// met the key yet.
func (s *sight) item(r *state.Reader, id string) (*mirrored, error) {
	if m := s.items[id]; m != nil {
		return m, nil
	}
	var m *mirrored
	found, err := r.Get(lockstep.Table, id, func(row state.Row) (err error) {
		row.ID = []byte(id)
		m, err = mirroredFrom(row)
		return err
	})
	if err != nil {
		return nil, err
	}
	if !found {
		m = &mirrored{before: image{id: id}, cause: -1}
	}
	s.items[id] = m
	return m, nil
}

// parkError marks an error that is the fault of a job's own messages.
type parkError struct{ error }

func (p parkError) Unwrap() error { return p.error }
