package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lockstep/internal/change"
	"lockstep/internal/compact"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/mapping"
	"lockstep/internal/receipt"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

// convergent says whether a handler promises that its records follow from the mirrored
// items alone, so that asking it again about an item that has not changed must change
// nothing. receipts@2 and mappings do, and their contract tests hold them to it. receipts@1
// does not: it applies differences and writes the time. A program may or may not; nobody
// has a promise of it, and a guess would roll releases back.
func convergent(h handler.Handler) bool {
	if s, ok := h.(specified); ok {
		h = s.Handler
	}
	if _, ok := h.(*mapping.Handler); ok {
		return true
	}
	d, v2 := h.Describe(), receipt.V2(receipt.V2Config{}).Describe()
	return d.Name == v2.Name && d.Code == v2.Code
}

// rederivation asks stable about items that the candidate has just decided about. It looks
// at one version of the local state, mirror and records together.
type rederivation struct {
	store  *Store
	view   *state.Reader
	stable handler.Handler
	now    time.Time
}

// wrong says whether stable would now change a record because of the item, and which.
// asked is false when the question cannot be put: the item is not there, or an import of
// it is not in the archive any more.
func (r *rederivation) wrong(ctx context.Context, it touchedItem) (which string, asked bool, err error) {
	item, ok, err := r.item(it.id)
	if err != nil || !ok {
		return "", false, err
	}
	unit := handler.Unit{Messages: []lockstep.Message{compact.Touch(it.message, item, it.event, r.now)}, Now: r.now}
	reads := r.stable.Reads(unit.Messages)
	unit.View.Imports, err = r.imports(ctx, it.message, reads.Imports)
	if errors.Is(err, lockstep.ErrNotFound) {
		return "", false, nil
	}
	if err == nil {
		// A unit sees the items that its messages are about, asked for or not.
		err = r.look(ctx, reads, map[string]lockstep.MirrorItem{it.id: item}, &unit.View)
	}
	if err != nil {
		return "", false, err
	}
	muts, err := r.stable.Plan(ctx, unit)
	if err != nil {
		return "", false, ctx.Err() // what stable cannot plan says nothing about the candidate
	}
	for i := range muts {
		if differs(&unit.View, &muts[i]) {
			return string(muts[i].Collection) + " " + muts[i].Record.ID, true, nil
		}
	}
	return "", true, nil
}

// differs says whether a mutation would change what is there.
func differs(v *handler.View, m *lockstep.Mutation) bool {
	old, known := v.Record(m.Collection, m.Record.ID)
	if m.Op == lockstep.Delete {
		return known
	}
	return !known || old.Document != m.Record.Document || old.HasDocument != m.Record.HasDocument ||
		!old.Metadata.Equal(m.Record.Metadata) || m.Vector != nil && version.RefOf(version.AppendVector(nil, m.Vector)) != old.Vector
}

func (r *rederivation) item(id string) (it lockstep.MirrorItem, ok bool, err error) {
	rec, _, ok, err := r.view.Record(lockstep.Table, id)
	if err != nil || !ok {
		return it, false, err
	}
	it, err = change.ParseMirror(rec)
	return it, err == nil, err
}

func (r *rederivation) imports(ctx context.Context, message string, refs []handler.ImportRef) ([]handler.Import, error) {
	var out []handler.Import
	for _, ref := range refs {
		d, err := archivedImport(ctx, r.store, message, ref)
		if err != nil {
			return nil, err
		}
		im := handler.Import{Ref: ref}
		for i := range d.Mutations {
			m := &d.Mutations[i]
			rec, err := version.DecodeRecord(m.ID, m.After)
			if err != nil {
				return nil, err
			}
			im.Embeddings = append(im.Embeddings, handler.Embedding{
				ID: m.ID, Document: rec.Document, HasDocument: rec.HasDocument, Metadata: rec.Metadata, Vector: version.VectorOf(m.VectorAfter),
			})
		}
		out = append(out, im)
	}
	return out, nil
}

// look reads what the handler asks for, beside the items that are known.
func (r *rederivation) look(ctx context.Context, reads handler.Reads, items map[string]lockstep.MirrorItem, v *handler.View) error {
	records := map[lockstep.Collection]map[string]lockstep.Record{}
	for _, rr := range reads.Records {
		if records[rr.Collection] == nil {
			records[rr.Collection] = map[string]lockstep.Record{}
		}
		into := records[rr.Collection]
		if !rr.Prefix {
			rec, _, ok, err := r.view.Record(rr.Collection, rr.ID)
			if err != nil {
				return err
			}
			if ok {
				into[rr.ID] = rec
			}
			continue
		}
		if err := r.scan(ctx, rr.Collection, rr.ID, func(rec lockstep.Record) error {
			into[rec.ID] = rec
			return nil
		}); err != nil {
			return err
		}
	}
	v.Records = map[lockstep.Collection][]lockstep.Record{}
	for c, byID := range records {
		for _, rec := range byID {
			v.Records[c] = append(v.Records[c], rec)
		}
		slices.SortFunc(v.Records[c], func(a, b lockstep.Record) int { return strings.Compare(a.ID, b.ID) })
	}
	for _, ir := range reads.Items {
		prefix := lockstep.ItemKey{Partition: ir.Partition, Sort: ir.SortPrefix}.RecordID()
		if err := r.scan(ctx, lockstep.Table, prefix, func(rec lockstep.Record) (err error) {
			items[rec.ID], err = change.ParseMirror(rec)
			return err
		}); err != nil {
			return err
		}
	}
	for _, it := range items {
		v.Items = append(v.Items, it)
	}
	slices.SortFunc(v.Items, func(a, b lockstep.MirrorItem) int { return strings.Compare(a.ID, b.ID) })
	return nil
}

func (r *rederivation) scan(ctx context.Context, c lockstep.Collection, prefix string, use func(lockstep.Record) error) error {
	return r.view.Scan(ctx, c, prefix, func(row state.Row) error {
		rec, err := version.DecodeRecord(string(row.ID), row.Record)
		if err != nil {
			return fmt.Errorf("collection %s: %w", c, err)
		}
		return use(rec)
	})
}
