package receipt

import (
	"context"
	"embed"
	"slices"
	"strings"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// The files that decide what receipts@1 does; a test keeps the list complete.
//
//go:embed receipt.go key.go patch.go rules.go ranges.go
//go:embed v1.go v1watch.go v1labels.go v1sheet.go
var v1Sources embed.FS

// V1Config configures receipts@1. The zero value is complete.
type V1Config struct {
	Dimension int    `json:"dimension"` // components per vector; 0: taken from the first import
	Space     string `json:"space"`     // "" is "l2"
}

type v1 struct {
	desc handler.Description
}

// V1 returns receipts@1: what the legacy compactor makes of the changes that the
// legacy stream processor lets through (DOMAIN 2 and 4, column L of 11). Its flaws
// are part of it; those of the transport around it (queues, locks, snapshots, a
// second run spoiling the first one's files) are not, for a handler has none.
//
// It trusts the order of arrival, so it is not convergent.
func V1(cfg V1Config) handler.Handler {
	if cfg.Space == "" {
		cfg.Space = "l2"
	}
	return &v1{desc: handler.Description{
		Name:         "receipts",
		Version:      "1",
		ReadsFormat:  formatCSV,
		WritesFormat: formatCSV,
		Code:         handler.SourceHash(v1Sources),
		Config:       canonical(cfg),
		Collections:  collections(cfg.Dimension, cfg.Space),
		Entities:     legacyRules(),
	}}
}

// Describe implements handler.Handler.
func (h *v1) Describe() handler.Description { return h.desc }

// Reads implements handler.Handler.
func (*v1) Reads(messages []lockstep.Message) handler.Reads {
	var a ask
	for i := range messages {
		c := &messages[i].Change
		k, ok := parseSort(c.Key.Sort)
		if !ok {
			continue
		}
		a.partition = c.Key.Partition
		switch c.Entity {
		case EntityRun:
			refs := runImports(&messages[i], i)
			if len(refs) == 0 {
				continue
			}
			a.reads.Imports = append(a.reads.Imports, refs...)
			a.under(Lines, k.receipt)
			a.under(Words, k.receipt)
		case EntityMetadata:
			if metadataMessage(c) == nil {
				continue
			}
			a.under(Lines, k.receipt)
			a.under(Words, k.receipt)
			a.items(k.receipt + "#LINE#")
		case EntityLabel:
			if k.word == "" || !labelMessage(c) {
				continue
			}
			a.record(Words, k.word)
			a.items(k.word + "#LABEL#")
		}
	}
	return a.done()
}

// Plan implements handler.Handler. The steps have the compactor's order, whatever
// the order of the messages: deltas, then metadata, then labels (DOMAIN 4.1).
func (*v1) Plan(ctx context.Context, unit handler.Unit) ([]lockstep.Mutation, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s := sheetV1{unit: &unit, drafts: map[lockstep.Collection]map[string]*draft{Lines: {}, Words: {}}}
	for i := range unit.View.Imports {
		if err := s.delta(&unit.View.Imports[i]); err != nil {
			return nil, err
		}
	}
	for i := range unit.Messages {
		c := &unit.Messages[i].Change
		if k, ok := parseSort(c.Key.Sort); ok && c.Entity == EntityMetadata {
			if m := metadataMessage(c); m != nil {
				s.metadata(i, c, k, m)
			}
		}
	}
	for i := range unit.Messages {
		c := &unit.Messages[i].Change
		if k, ok := parseSort(c.Key.Sort); ok && c.Entity == EntityLabel && k.word != "" && labelMessage(c) {
			s.labels(i, c, k)
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.mutations(), nil
}

// metadata applies one message of RECEIPT_METADATA to the embedded lines and words
// that the table has (DOMAIN 4.3, 4.4).
func (s *sheetV1) metadata(cause int, c *lockstep.Change, k sortKey, m *metadataEdit) {
	for _, it := range s.unit.View.ItemsWithPrefix(c.Key.Partition, k.receipt+"#LINE#") {
		if it.Image == nil {
			continue
		}
		switch it.Entity {
		case EntityLine:
			s.update(Lines, recordID(c.Key.Partition, it.Key.Sort), cause, s.metadataKeys(m))
		case EntityWord:
			s.update(Words, recordID(c.Key.Partition, it.Key.Sort), cause, s.metadataKeys(m))
		}
	}
}

// metadataKeys are the keys that reach Chroma's update. A key that the compactor
// took out of its dict is not among them, and update merges: it survives.
func (s *sheetV1) metadataKeys(m *metadataEdit) []lockstep.Field {
	if m.removed {
		return []lockstep.Field{{Key: clockMetadataRemoved, Value: s.now()}}
	}
	set := make([]lockstep.Field, 0, len(m.set)+1)
	for _, f := range m.set {
		set = append(set, lockstep.Field{Key: f.name, Value: lockstep.String(f.value)})
	}
	return append(set, lockstep.Field{Key: clockMetadata, Value: s.now()})
}

// labels applies one message of RECEIPT_WORD_LABEL to its word (DOMAIN 4.5, 4.6).
func (s *sheetV1) labels(cause int, c *lockstep.Change, k sortKey) {
	id := recordID(c.Key.Partition, k.word)
	if c.Event == lockstep.Remove {
		s.update(Words, id, cause, []lockstep.Field{{Key: clockLabelsRemoved, Value: s.now()}})
		return
	}
	set, ok := reconstruct(s.unit.View.ItemsWithPrefix(c.Key.Partition, k.word+"#LABEL#"))
	if !ok {
		return // the query raised; the message was acknowledged
	}
	s.update(Words, id, cause, append(set, lockstep.Field{Key: clockLabel, Value: s.now()}))
}

// now is the time of the unit as Python's isoformat writes it.
func (s *sheetV1) now() lockstep.Value {
	t := s.unit.Now.UTC()
	layout := "2006-01-02T15:04:05-07:00"
	if t.Nanosecond()/1000 != 0 {
		layout = "2006-01-02T15:04:05.000000-07:00"
	}
	return lockstep.String(t.Format(layout))
}

// mutations are the drafts, ordered by collection and id. Every record for which
// update was called counts, changed or not: that is what the legacy counted, and
// whether anything changed depends on the clock.
func (s *sheetV1) mutations() []lockstep.Mutation {
	var out []lockstep.Mutation
	for _, c := range []lockstep.Collection{Lines, Words} {
		start := len(out)
		for _, d := range s.drafts[c] {
			out = append(out, lockstep.Mutation{Collection: c, Op: lockstep.Upsert, Record: d.next, Vector: d.vector, Cause: d.cause})
		}
		slices.SortFunc(out[start:], func(a, b lockstep.Mutation) int { return strings.Compare(a.Record.ID, b.Record.ID) })
	}
	return out
}
