package mapping

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

type recordKey struct {
	collection lockstep.Collection
	id         string
}

// work is one record that the unit concerns.
type work struct {
	cause     int // the last message that concerns it
	embedding *handler.Embedding
	seq       lockstep.Sequence // of the import that brought embedding
}

// feed is one mirrored item, tombstone or not, with the rule by which it feeds.
type feed struct {
	item lockstep.MirrorItem
	rule *recordRule
}

type planner struct {
	h     *Handler
	unit  handler.Unit
	work  map[recordKey]*work
	feeds map[recordKey][]feed
}

// gather finds the records that the messages and their imports concern.
func (p *planner) gather(ctx context.Context) error {
	for i, m := range p.unit.Messages {
		t, ok := p.h.match(m)
		if !ok {
			continue
		}
		for _, r := range t.rule.records {
			id := r.id.fill(t.groups)
			if err := p.h.checkOwner(r.collection, id, m.Change.Key.Partition); err != nil {
				return fmt.Errorf("item %s: %w", m.Change.Key.RecordID(), err)
			}
			p.at(recordKey{r.collection, id}, i)
		}
		for _, im := range t.rule.imports {
			if m.Change.Event == lockstep.Insert && im.location(m.Change) == "" {
				return fmt.Errorf("item %s: %w: attribute %s is not a text that says what to import", m.Change.Key.RecordID(), lockstep.ErrInvalid, im.name)
			}
		}
	}
	for _, im := range p.unit.View.Imports {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := p.importOne(im); err != nil {
			return fmt.Errorf("import %s: %w", im.Ref.Location, err)
		}
	}
	return nil
}

func (p *planner) at(k recordKey, message int) *work {
	w := p.work[k]
	if w == nil {
		w = &work{cause: message}
		p.work[k] = w
	}
	w.cause = max(w.cause, message)
	return w
}

func (p *planner) importOne(im handler.Import) error {
	c := p.unit.Messages[im.Ref.Message].Change
	t, ok := p.h.match(p.unit.Messages[im.Ref.Message])
	if !ok {
		return nil
	}
	prefix := ""
	for _, r := range t.rule.imports {
		if r.collection == im.Ref.Collection {
			prefix = r.ids.fill(t.groups)
		}
	}
	for i := range im.Embeddings {
		e := &im.Embeddings[i]
		if !strings.HasPrefix(e.ID, prefix) {
			return fmt.Errorf("%w record id %.200q: the ids of this import begin with %q", lockstep.ErrInvalid, e.ID, prefix)
		}
		if err := p.h.checkOwner(im.Ref.Collection, e.ID, c.Key.Partition); err != nil {
			return err
		}
		w := p.at(recordKey{im.Ref.Collection, e.ID}, im.Ref.Message)
		if w.embedding == nil || c.Seq.Compare(w.seq) > 0 {
			w.embedding, w.seq = e, c.Seq
		}
	}
	return nil
}

// mutations recomputes every record of the work, in order of collection and id.
func (p *planner) mutations(ctx context.Context) ([]lockstep.Mutation, error) {
	if len(p.work) == 0 {
		return nil, nil
	}
	p.indexFeeds()
	keys := make([]recordKey, 0, len(p.work))
	for k := range p.work {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b recordKey) int {
		return cmp.Or(cmp.Compare(a.collection, b.collection), cmp.Compare(a.id, b.id))
	})
	var out []lockstep.Mutation
	for _, k := range keys {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		m, changed, err := p.record(k, p.work[k])
		if err != nil {
			return nil, fmt.Errorf("record %s of %s: %w", k.id, k.collection, err)
		}
		if changed {
			out = append(out, m)
		}
	}
	return out, nil
}

// indexFeeds notes which items feed which record, each list in order of sort key.
func (p *planner) indexFeeds() {
	p.feeds = map[recordKey][]feed{}
	for _, it := range p.unit.View.Items {
		t, ok := p.h.classify(it.Key)
		if !ok {
			continue
		}
		for i := range t.rule.records {
			r := &t.rule.records[i]
			k := recordKey{r.collection, r.id.fill(t.groups)}
			if p.work[k] != nil {
				p.feeds[k] = append(p.feeds[k], feed{it, r})
			}
		}
	}
}

// record states one record as it follows from its vector's import and its items.
func (p *planner) record(k recordKey, w *work) (lockstep.Mutation, bool, error) {
	before, exists := p.unit.View.Record(k.collection, k.id)
	seq := importSeq(before)
	fresh := w.embedding != nil && (!exists || w.seq.Compare(seq) > 0)
	if fresh {
		seq = w.seq
	}
	switch {
	case !exists && !fresh:
		return lockstep.Mutation{}, false, nil // mirrored; the import will find the items
	case p.removedSince(k, seq):
		m := lockstep.Mutation{Collection: k.collection, Op: lockstep.Delete, Record: lockstep.Record{ID: k.id}, Cause: w.cause}
		return m, exists, nil
	}
	after := before
	m := lockstep.Mutation{Collection: k.collection, Op: lockstep.Upsert, Cause: w.cause}
	if fresh {
		e := w.embedding
		after = lockstep.Record{ID: k.id, Document: e.Document, HasDocument: e.HasDocument, Metadata: e.Metadata}
		m.Vector = e.Vector
	}
	if err := p.derive(k, &after); err != nil {
		return m, false, err
	}
	if fresh {
		after.Metadata = after.Metadata.With(ImportSeqKey, lockstep.String(string(seq)))
	}
	m.Record = after
	same := !fresh && after.HasDocument == before.HasDocument && after.Document == before.Document && after.Metadata.Equal(before.Metadata)
	return m, !same, nil
}

func importSeq(r lockstep.Record) lockstep.Sequence {
	v, _ := r.Metadata.Get(ImportSeqKey)
	if s := lockstep.Sequence(v.Str()); s.Valid() {
		return s
	}
	return ""
}

// removedSince says whether an item whose removal deletes the record was removed
// after the record's import. That it may be back does not matter: its vector is
// of before.
func (p *planner) removedSince(k recordKey, imported lockstep.Sequence) bool {
	return slices.ContainsFunc(p.feeds[k], func(f feed) bool {
		return f.rule.deletes && f.item.Removed != "" && imported.Compare(f.item.Removed) <= 0
	})
}

// derive replaces the owned keys, and the document where the mapping owns it, by
// what the living items say. Where several items of one rule feed one record, the
// first by sort key that has a value gives it.
func (p *planner) derive(k recordKey, r *lockstep.Record) error {
	owned := p.h.owned[k.collection]
	values := map[string]lockstep.Value{}
	ownsDocument := p.h.ownsDocument(k.collection)
	if ownsDocument {
		r.Document, r.HasDocument = "", false
	}
	for _, f := range p.feeds[k] {
		if f.item.Image == nil {
			continue
		}
		for _, field := range f.rule.fields {
			if _, set := values[field.key]; set {
				continue
			}
			v, ok, err := field.value(f.item.Image)
			if err != nil {
				return fmt.Errorf("item %s: %w", f.item.ID, err)
			}
			if ok {
				values[field.key] = v
			}
		}
		if f.rule.document == nil || r.HasDocument {
			continue
		}
		switch a, ok := f.rule.document.find(f.item.Image); {
		case !ok:
		case a.Type == lockstep.AttrS:
			r.Document, r.HasDocument = a.Text, true
		default:
			return fmt.Errorf("item %s: %w: attribute %s for the document: want text, found %s", f.item.ID, lockstep.ErrInvalid, strings.Join(f.rule.document, "."), a.Type)
		}
	}
	fields := make(lockstep.Metadata, 0, len(r.Metadata)+len(values))
	for _, f := range r.Metadata {
		if !owned[f.Key] {
			fields = append(fields, f)
		}
	}
	for key, v := range values {
		fields = append(fields, lockstep.Field{Key: key, Value: v})
	}
	slices.SortFunc(fields, func(a, b lockstep.Field) int { return strings.Compare(a.Key, b.Key) })
	r.Metadata = fields
	return nil
}

// ownsDocument says whether any rule sets the document of the collection's records.
func (h *Handler) ownsDocument(c lockstep.Collection) bool {
	for _, r := range h.rules {
		for _, rr := range r.records {
			if rr.collection == c && rr.document != nil {
				return true
			}
		}
	}
	return false
}
