package receipt

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// WholeReads asks for everything that Derive may look at in one partition, apart
// from imports: which there are only the run items can say.
func WholeReads(partition string) handler.Reads {
	a := ask{partition: partition}
	a.under(Lines, "RECEIPT")
	a.under(Words, "RECEIPT")
	a.items("RECEIPT#")
	return a.done()
}

// Derive recomputes every record of one partition from the mirrored items and the
// imports in the view, as receipts@2 with cfg would have, and returns what differs
// from the records in the view, with Cause 0. It needs no message: that is what
// makes reconciliation and rebuild the same function as the daily work.
//
// The view must hold what WholeReads asks for. Import.Ref.Location says which run
// an import belongs to, Ref.Message does not count; an import that no run names is
// lockstep.ErrInvalid. Without the imports, records keep vector, document and the
// keys that no item implies, and records that are missing stay missing.
func Derive(ctx context.Context, cfg V2Config, view handler.View, partition string) ([]lockstep.Mutation, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	var scopes []*scope
	for _, c := range []lockstep.Collection{Lines, Words} {
		for _, r := range view.WithPrefix(c, partition+"#RECEIPT#") {
			if k, ok := parseRecord(c, partition, r.ID); ok {
				scopeOf(&scopes, k.receipt)
			}
		}
	}
	for i := range view.Imports {
		im := &view.Imports[i]
		run, ok := announces(&view, partition, im)
		if !ok {
			return nil, fmt.Errorf("import %s: %w: no run of %s names it", im.Ref.Location, lockstep.ErrInvalid, partition)
		}
		k, _ := parseSort(run.Key.Sort) // announces has parsed it
		seq := run.First
		if seq == "" {
			seq = run.Seq
		}
		if err := scopeOf(&scopes, k.receipt).add(im, partition, seq, untouched); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(scopes, func(a, b *scope) int { return strings.Compare(a.receipt, b.receipt) })
	for _, s := range scopes {
		s.whole = true
	}
	d := deriver{cfg: cfg, view: &view, partition: partition}
	return d.derive(ctx, scopes)
}

// announces finds the run that names the import.
func announces(v *handler.View, partition string, im *handler.Import) (lockstep.MirrorItem, bool) {
	attr := attrLinesPrefix
	if im.Ref.Collection == Words {
		attr = attrWordsPrefix
	}
	for _, it := range v.ItemsWithPrefix(partition, "RECEIPT#") {
		if it.Entity != EntityRun || it.Image.Str(attr) != im.Ref.Location {
			continue
		}
		if _, ok := parseSort(it.Key.Sort); ok {
			return it, true
		}
	}
	return lockstep.MirrorItem{}, false
}
