package receipt

import (
	"context"
	"strings"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// deriver recomputes the records of one partition.
type deriver struct {
	cfg       V2Config
	view      *handler.View
	partition string
	out       []lockstep.Mutation
}

// derive answers for the scopes, which are sorted by receipt: collection by
// collection, ordered by id.
func (d *deriver) derive(ctx context.Context, scopes []*scope) ([]lockstep.Mutation, error) {
	sheets := make([]sheet, len(scopes))
	for i, s := range scopes {
		sheets[i].prepare(d, s)
	}
	for _, c := range []lockstep.Collection{Lines, Words} {
		for i, s := range scopes {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			d.receipt(c, s, &sheets[i])
		}
	}
	return d.out, nil
}

// sheet is what is the same for all records of a receipt, computed once.
type sheet struct {
	place    patch
	sections sectionMap
}

func (sh *sheet) prepare(d *deriver, s *scope) {
	if s.whole || s.place != untouched || len(s.imports) > 0 {
		sh.place = placePatch(d.view, d.partition, s.receipt)
	}
	if s.whole || s.section != untouched || len(s.imports[Lines]) > 0 {
		sh.sections = sectionsOf(d.view, d.partition, s.receipt)
	}
}

// receipt walks the records there are and the records that arrive, in step.
func (d *deriver) receipt(c lockstep.Collection, s *scope, sh *sheet) {
	records := d.view.WithPrefix(c, recordID(d.partition, s.receipt)+"#")
	arrived := s.imports[c]
	if n := len(d.out) + max(len(records), len(arrived)); s.place != untouched && n > cap(d.out) {
		grown := make([]lockstep.Mutation, len(d.out), n+n/2)
		copy(grown, d.out)
		d.out = grown
	}
	i, j := 0, 0
	for i < len(records) || j < len(arrived) {
		order := -1
		switch {
		case i == len(records):
			order = 1
		case j < len(arrived):
			order = strings.Compare(records[i].ID, arrived[j].ID)
		}
		var old *lockstep.Record
		var e *embedded
		if order <= 0 {
			old = &records[i]
			i++
		}
		if order >= 0 {
			e = &arrived[j]
			j++
		}
		d.record(c, s, sh, old, e)
	}
}

// record decides one record: old is what there is, e what arrives; one may be nil.
func (d *deriver) record(c lockstep.Collection, s *scope, sh *sheet, old *lockstep.Record, e *embedded) {
	var id string
	var seq lockstep.Sequence
	if old != nil {
		id = old.ID
		if e != nil || s.whole || s.removal != untouched || len(s.removed) > 0 {
			seq = importSeq(old.Metadata)
		}
	} else {
		id = e.ID
	}
	k, ok := parseRecord(c, d.partition, id)
	if !ok {
		return // not ours: somebody else's record under our prefix
	}
	if e != nil && old != nil && e.seq.Compare(seq) < 0 {
		e = nil // an older import never overwrites
	}
	if e != nil {
		seq = e.seq
	}
	removal := s.removes(k)
	if e != nil || s.whole || removal != untouched {
		if gone := d.removedAt(k); gone != "" && seq.Compare(gone) <= 0 {
			if old != nil {
				d.out = append(d.out, lockstep.Mutation{Collection: c, Op: lockstep.Delete, Record: lockstep.Record{ID: id}, Cause: max(removal, causeOf(e), 0)})
			}
			return
		}
	}
	switch {
	case e != nil:
		d.imported(c, s, sh, k, old, e)
	case old != nil:
		d.updated(c, s, sh, k, old)
	}
}

func causeOf(e *embedded) int {
	if e == nil {
		return untouched
	}
	return e.cause
}

// imported writes a record anew: everything that is not owned is the import's.
func (d *deriver) imported(c lockstep.Collection, s *scope, sh *sheet, k sortKey, old *lockstep.Record, e *embedded) {
	next := lockstep.Record{ID: e.ID, Document: e.Document, HasDocument: e.HasDocument}
	stamp := patch{fields: []lockstep.Field{{Key: ImportSeqKey, Value: lockstep.String(string(e.seq))}}}
	next.Metadata, _ = stamp.apply(e.Metadata)
	next.Metadata, _ = sh.place.apply(next.Metadata)
	next.Metadata, _ = d.own(c, sh, k, next.Metadata)
	if old != nil && old.Document == next.Document && old.HasDocument == next.HasDocument &&
		old.Metadata.Equal(next.Metadata) && holds(old.Vector, e.Vector) {
		return
	}
	cause := max(e.cause, s.place, s.section, s.relabels(k), 0)
	d.out = append(d.out, lockstep.Mutation{Collection: c, Op: lockstep.Upsert, Record: next, Vector: e.Vector, Cause: cause})
}

// own lays over m what only one of the collections has.
func (d *deriver) own(c lockstep.Collection, sh *sheet, k sortKey, m lockstep.Metadata) (lockstep.Metadata, bool) {
	var p patch
	if c == Words {
		p = labelPatch(d.view, d.cfg.Labels, d.partition, k.word)
	} else {
		p = patch{fields: []lockstep.Field{{Key: keySection, Value: text(sh.sections.labelOf(m, k))}}}
	}
	return p.apply(m)
}

// updated recomputes the aspects that the scope names and leaves the rest.
func (d *deriver) updated(c lockstep.Collection, s *scope, sh *sheet, k sortKey, old *lockstep.Record) {
	m, cause, changed := old.Metadata, 0, false
	if s.whole || s.place != untouched {
		next, differs := sh.place.apply(m)
		if differs {
			m, cause, changed = next, max(cause, s.place), true
		}
	}
	own := s.section
	if c == Words {
		own = s.relabels(k)
	}
	if s.whole || own != untouched {
		next, differs := d.own(c, sh, k, m)
		if differs {
			m, cause, changed = next, max(cause, own), true
		}
	}
	if !changed {
		return
	}
	next := *old
	next.Metadata = m
	d.out = append(d.out, lockstep.Mutation{Collection: c, Op: lockstep.Upsert, Record: next, Cause: cause})
}

// removedAt returns the latest removal of the word, its line or its receipt.
func (d *deriver) removedAt(k sortKey) lockstep.Sequence {
	var last lockstep.Sequence
	for _, sort := range [...]string{k.receipt, k.line, k.word} {
		if sort == "" {
			continue
		}
		it, ok := d.view.Item(lockstep.ItemKey{Partition: d.partition, Sort: sort})
		if ok && it.Removed.Compare(last) > 0 {
			last = it.Removed
		}
	}
	return last
}

// importSeq reads which import set the record, "" when no import of ours did.
func importSeq(m lockstep.Metadata) lockstep.Sequence {
	v, _ := m.Get(ImportSeqKey)
	if s := lockstep.Sequence(v.Str()); s.Valid() {
		return s
	}
	return ""
}
