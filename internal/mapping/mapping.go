// Package mapping answers how the items of any table become records, from a
// description in YAML instead of Go: key patterns to record ids, attributes to
// metadata keys, removal to unset or delete. The language is in docs/mapping.md.
//
// It promises what receipts@2 promises: a record's owned keys are recomputed from
// all mirrored items that feed it, so the order, the grouping and the repetition of
// changes do not matter. Three rules of the language carry that promise and are
// checked here: a record id follows from an item's key alone, which never changes;
// a metadata key of a collection has one rule; and an id leads back to the one
// partition its items are in, so that no two groups write one record.
//
// It does not make vectors. They come by import, announced by an item of the same
// partition.
package mapping

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io"

	"lockstep/internal/config"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// ImportSeqKey is the metadata key that holds the sequence number of the import a
// record's vector came from, in decimal. A newer import wins; a removal deletes
// records imported before it. Handlers share the key, so that one can follow another.
const ImportSeqKey = "lockstep_import_seq"

//go:embed *.go
var sources embed.FS

// Handler is a mapping at work. It does not change and may be used concurrently.
type Handler struct {
	spec     spec
	rules    []rule // in the order of classification
	desc     handler.Description
	owned    map[lockstep.Collection]map[string]bool
	prefixes []string // of the sort keys of all feeding items
	owners   map[lockstep.Collection]owner
}

var _ handler.Handler = (*Handler)(nil)

// Load reads a mapping file; name is what problems call it. The error is a
// *config.Problems that lists every mistake, or the wrapped error of r.
func Load(r io.Reader, name string) (*Handler, error) {
	root, err := config.Parse(r, name)
	if err != nil {
		return nil, err
	}
	return Decode(root)
}

// Decode reads a mapping that is part of a file, such as config.Mapping.Inline.
// The error is a *config.Problems with every mistake of that file found so far.
func Decode(n *config.Node) (*Handler, error) {
	h := decode(n)
	if err := n.Err(); err != nil {
		return nil, err
	}
	canonical, err := json.Marshal(h.spec)
	if err != nil {
		return nil, fmt.Errorf("encode mapping %s: %w", h.spec.Name, err)
	}
	h.desc = h.spec.description(handler.SourceHash(sources), canonical)
	if err := h.desc.Check(); err != nil {
		n.Reject("%v", err)
		return nil, n.Err()
	}
	return h, nil
}

// Describe implements handler.Handler. Both formats are the mapping's own, so a
// release between two mappings has to prove that one reads what the other wrote.
func (h *Handler) Describe() handler.Description { return h.desc }

// Reads implements handler.Handler: the records that the messages' keys name or
// their imports may write, and all items of the partition that may feed a record.
func (h *Handler) Reads(messages []lockstep.Message) handler.Reads {
	var reads handler.Reads
	needs := false
	for i, m := range messages {
		t, ok := h.match(m)
		if !ok {
			continue
		}
		for _, r := range t.rule.records {
			reads.Records = append(reads.Records, handler.RecordRange{Collection: r.collection, ID: r.id.fill(t.groups)})
			needs = true
		}
		for _, im := range t.rule.imports {
			location := im.location(m.Change)
			if location == "" {
				continue // Plan refuses an insert without one
			}
			reads.Imports = append(reads.Imports, handler.ImportRef{Collection: im.collection, Location: location, Message: i})
			reads.Records = append(reads.Records, handler.RecordRange{Collection: im.collection, ID: im.ids.fill(t.groups), Prefix: true})
			needs = true
		}
	}
	if needs {
		for _, prefix := range h.prefixes {
			reads.Items = append(reads.Items, handler.ItemRange{Partition: messages[0].Change.Key.Partition, SortPrefix: prefix})
		}
	}
	return reads
}

// Plan implements handler.Handler. It refuses a unit, which parks it, when an
// attribute has another type than the mapping says, when an import has no location,
// and when an id is not one of the unit's partition.
func (h *Handler) Plan(ctx context.Context, unit handler.Unit) ([]lockstep.Mutation, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p := planner{h: h, unit: unit, work: map[recordKey]*work{}}
	if err := p.gather(ctx); err != nil {
		return nil, err
	}
	return p.mutations(ctx)
}
