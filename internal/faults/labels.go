package faults

import (
	"slices"
	"strings"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/receipt"
)

const (
	validArray   = "valid_labels_array"
	invalidArray = "invalid_labels_array"
)

// labelFaults lists what went wrong with the keys that labels imply.
func labelFaults() []Fault {
	return []Fault{
		{
			ID: "label-survives", What: "A label that was removed or renamed stays on its word.",
			Origin: "11.3, 4.6", Kind: Builtin, Shadow: true, Catch: wrong(), Harm: HarmKeys,
			candidate: spoilt("label-survives", func(p *plan) error {
				p.words(func(m *lockstep.Mutation) {
					if old, ok := p.before(m); ok && label(p.change(m)) {
						for _, k := range []string{validArray, invalidArray} {
							unite(m, k, old.Metadata)
						}
					}
				})
				return nil
			}),
		},
		{
			ID: "label-removal-wipes", What: "The removal of one label of a word takes all the others with it.",
			Origin: "11.3, 10.2 (never fixed)", Kind: Builtin, Shadow: true, Catch: wrong(), Harm: HarmKeys,
			candidate: spoilt("label-removal-wipes", func(p *plan) error {
				p.words(func(m *lockstep.Mutation) {
					if c := p.change(m); label(c) && c.Event == lockstep.Remove {
						m.Record.Metadata = m.Record.Metadata.Without(func(k string) bool { return strings.HasPrefix(k, "label_") || k == validArray || k == invalidArray })
					}
				})
				return nil
			}),
		},
		{
			ID: "label-inserts-lost", What: "A label that is added does not arrive before it is changed.",
			Origin: "2.3, 10.2 (never fixed)", Kind: Builtin, Shadow: true, Catch: lossy(), Harm: HarmKeys,
			candidate: spoilt("label-inserts-lost", func(p *plan) error {
				p.drop(func(m *lockstep.Mutation) bool {
					c := p.change(m)
					return label(c) && c.Event == lockstep.Insert
				})
				return nil
			}),
		},
		{
			ID: "relabel-lost", What: "Removals go first in a batch, and what is pending for the same word is dropped as a duplicate.",
			Origin: "11.35, 3.3", Kind: Builtin, Shadow: true, Catch: lossy(), Harm: HarmKeys,
			candidate: spoilt("relabel-lost", func(p *plan) error {
				removed := map[string]bool{}
				for i := range p.unit.Messages {
					if c := &p.unit.Messages[i].Change; label(c) && c.Event == lockstep.Remove {
						removed[wordOf(c)] = true
					}
				}
				p.drop(func(m *lockstep.Mutation) bool {
					c := p.change(m)
					return label(c) && c.Event != lockstep.Remove && removed[wordOf(c)]
				})
				return nil
			}),
		},
	}
}

// labelForms lists in what wrong form labels were written.
func labelForms() []Fault {
	return []Fault{
		{
			ID: "label-order", What: "The labels of a word are in another order.",
			Origin: "11.6", Kind: Builtin, Shadow: true, Catch: wrong(), Harm: HarmKeys,
			candidate: spoilt("label-order", func(p *plan) error {
				p.words(func(m *lockstep.Mutation) {
					for _, k := range []string{validArray, invalidArray} {
						if v, ok := m.Record.Metadata.Get(k); ok {
							names := slices.Clone(v.Elems())
							slices.Reverse(names)
							set(m, k, lockstep.List(names))
						}
					}
				})
				return nil
			}),
		},
		{
			ID: "labels-as-text", What: "The labels are text with commas, while it says that they are lists.",
			Origin: "11.29, 10.3 2f1c74408, a1d8da274", Kind: Builtin, Shadow: true, Catch: wrong(), Harm: HarmKeys,
			candidate: func() handler.Handler {
				text := receipt.V2(receipt.V2Config{Labels: receipt.LabelsCSV})
				v := variant{Handler: text, version: "labels-as-text"}
				v.describe = func(d *handler.Description) { d.WritesFormat = good("").Describe().WritesFormat }
				return v
			},
		},
		{
			ID: "labels-in-both", What: "A label that is valid is listed as invalid as well.",
			Origin: "10.3 67ef87bbe", Kind: Builtin, Shadow: true, Catch: wrong(), Harm: HarmKeys,
			candidate: spoilt("labels-in-both", func(p *plan) error {
				p.words(func(m *lockstep.Mutation) {
					if v, ok := m.Record.Metadata.Get(validArray); ok {
						set(m, invalidArray, v)
					}
				})
				return nil
			}),
		},
		{
			ID: "stale-label-keys", What: "Who proposed a label and when it was validated stays after the label has gone.",
			Origin: "11.33", Kind: Builtin, Shadow: true, Catch: wrong(), Harm: HarmKeys,
			candidate: spoilt("stale-label-keys", func(p *plan) error {
				p.words(func(m *lockstep.Mutation) {
					if label(p.change(m)) {
						p.keep(m, "label_proposed_by", "label_validated_at")
					}
				})
				return nil
			}),
		},
		{
			ID: "label-errors-acked", What: "One label change in twenty fails inside, and is acknowledged.",
			Origin: "11.32", Kind: Builtin, Shadow: true, Catch: lossy(), Harm: HarmKeys,
			candidate: spoilt("label-errors-acked", func(p *plan) error {
				p.drop(func(m *lockstep.Mutation) bool { return label(p.change(m)) && one(20, p.unit.Messages[m.Cause].ID) })
				return nil
			}),
		},
		{
			ID: "labels-on-lines", What: "A label of a word is written to its line as well.",
			Origin: "11.34", Kind: Builtin, Shadow: true, Catch: wrong(), Harm: HarmKeys,
			candidate: func() handler.Handler {
				v := good("labels-on-lines")
				v.reads = everyRecord
				v.plan = func(p *plan) error { return p.labelLines() }
				return v
			},
		},
	}
}

// words passes the upserts of words to edit.
func (p *plan) words(edit func(*lockstep.Mutation)) {
	p.upserts(func(m *lockstep.Mutation) {
		if m.Collection == receipt.Words {
			edit(m)
		}
	})
}

// unite adds what a list held before.
func unite(m *lockstep.Mutation, key string, old lockstep.Metadata) {
	was, ok := old.Get(key)
	if !ok {
		return
	}
	var names []string
	now, _ := m.Record.Metadata.Get(key)
	for _, v := range slices.Concat(now.Elems(), was.Elems()) {
		names = append(names, v.Str())
	}
	slices.Sort(names)
	set(m, key, lockstep.Strings(slices.Compact(names)...))
}

func (p *plan) labelLines() error {
	for _, m := range p.muts {
		status, ok := m.Record.Metadata.Get("label_status")
		if m.Collection != receipt.Words || m.Op != lockstep.Upsert || !ok || !label(p.change(&m)) {
			continue
		}
		line, ok := p.unit.View.Record(receipt.Lines, lineOf(m.Record.ID))
		if !ok {
			continue
		}
		next := lockstep.Mutation{Collection: receipt.Lines, Op: lockstep.Upsert, Record: line, Cause: m.Cause}
		set(&next, "label_status", status)
		p.add(next)
	}
	return nil
}

// lineOf is the record of the line that a word is on.
func lineOf(word string) string {
	line, _, _ := strings.Cut(word, "#WORD#")
	return line
}
