package faults

import (
	"slices"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/receipt"
)

// deltaFaults lists what went wrong with imports.
func deltaFaults() []Fault {
	return []Fault{
		{
			ID: "delta-mixed-up", What: "The records of an import get each other's vectors: two runs share a working directory.",
			Origin: "11.7", Kind: Builtin, Shadow: true, Catch: wrong(), Harm: HarmKeys,
			candidate: spoilt("delta-mixed-up", func(p *plan) error {
				last := []float32(nil)
				p.upserts(func(m *lockstep.Mutation) {
					if m.Vector != nil {
						last, m.Vector = m.Vector, or(last, m.Vector)
					}
				})
				return nil
			}),
		},
		{
			ID: "delta-skipped", What: "Every import is acknowledged and none is done.",
			Origin: "11.8", Kind: Builtin, Shadow: true, Catch: lossy(), Harm: HarmKeys,
			candidate: spoilt("delta-skipped", func(p *plan) error {
				p.drop(func(m *lockstep.Mutation) bool { return imported(p.change(m)) })
				return nil
			}),
		},
		{
			ID: "delta-failed-acked", What: "One import in four fails inside, and its run is called complete.",
			Origin: "11.9, 10.2 dbbb9fe19", Kind: Builtin, Shadow: true, Catch: lossy(), Harm: HarmKeys,
			candidate: spoilt("delta-failed-acked", func(p *plan) error {
				p.drop(func(m *lockstep.Mutation) bool { return imported(p.change(m)) && one(4, p.unit.Messages[m.Cause].ID) })
				return nil
			}),
		},
		{
			ID: "delta-crashes", What: "Every import ends in a panic of the logger.",
			Origin: "11.37, 10.3 d75da35a6", Kind: Builtin, Shadow: true, Catch: failing(), Harm: HarmNone,
			candidate: spoilt("delta-crashes", func(p *plan) error {
				if len(p.unit.View.Imports) > 0 {
					panic("not all arguments converted during string formatting")
				}
				return nil
			}),
		},
		{
			ID: "delta-resets-metadata", What: "An import puts the keys back that its records had when they were embedded.",
			Origin: "4.7", Kind: Builtin, Shadow: true, Catch: wrong(), Harm: HarmKeys,
			candidate: spoilt("delta-resets-metadata", func(p *plan) error {
				p.upserts(func(m *lockstep.Mutation) {
					for _, im := range p.unit.View.Imports {
						for _, e := range im.Embeddings {
							if im.Ref.Collection != m.Collection || e.ID != m.Record.ID {
								continue
							}
							for _, k := range []string{"label_status", "merchant_name"} {
								if v, ok := e.Metadata.Get(k); ok {
									set(m, k, v)
								}
							}
						}
					}
				})
				return nil
			}),
		},
		{
			ID: "delta-empties", What: "An import that fails leaves its receipt without records, and is called complete.",
			Origin: "10.3 097af74ad", Kind: Builtin, Shadow: true, Catch: append(lossy(), "records-shrinking"), Harm: HarmKeys,
			candidate: spoilt("delta-empties", func(p *plan) error {
				if len(p.unit.View.Imports) == 0 {
					return nil
				}
				for i := range p.muts {
					m := &p.muts[i]
					m.Op, m.Vector, m.Record = lockstep.Delete, nil, lockstep.Record{ID: m.Record.ID}
				}
				return nil
			}),
		},
	}
}

func or(v, otherwise []float32) []float32 {
	if v == nil {
		return otherwise
	}
	return v
}

// domainFaults lists the rest of what went wrong in the receipt domain.
func domainFaults() []Fault {
	return []Fault{
		{
			ID: "acknowledges-all", What: "The collection cannot be opened: every change is acknowledged without effect.",
			Origin: "11.25, 10.2 1bfeee0a0", Kind: Builtin, Shadow: true, Catch: lossy(), Harm: HarmKeys,
			candidate: spoilt("acknowledges-all", func(p *plan) error {
				p.muts = nil
				return nil
			}),
		},
		{
			ID: "orphans-stay", What: "The records of deleted receipts, lines and words stay.",
			Origin: "11.36", Kind: Builtin, Shadow: true, Catch: lossy(), Harm: HarmKeys,
			candidate: spoilt("orphans-stay", func(p *plan) error {
				p.drop(func(m *lockstep.Mutation) bool { return m.Op == lockstep.Delete })
				return nil
			}),
		},
		{
			ID: "tombstone-resurrected", What: "A word that was deleted comes back with the next change of its receipt.",
			Origin: "3.3, 4.8", Kind: Builtin, Shadow: true, Catch: wrong(), Harm: HarmKeys,
			candidate: func() handler.Handler {
				v := good("tombstone-resurrected")
				v.reads = func(messages []lockstep.Message, r *handler.Reads) {
					everyRecord(messages, r)
					r.Items = append(r.Items, handler.ItemRange{Partition: messages[0].Change.Key.Partition, SortPrefix: "RECEIPT#"})
				}
				v.plan = func(p *plan) error { return p.resurrect() }
				return v
			},
		},
		{
			ID: "error-path-crashes", What: "It panics on its error path: the logger has no such method.",
			Origin: "11.37, 10.2 2c72b7083", Kind: Builtin, Shadow: true, Catch: failing(), Harm: HarmNone,
			candidate: spoilt("error-path-crashes", func(p *plan) error {
				if p.any(emptied) {
					panic("'OperationLogger' object has no attribute 'exception'")
				}
				return nil
			}),
		},
		{
			ID: "sections-lost", What: "An edit of a section is taken for one of a summary, and moves nothing.",
			Origin: "1.7, 2.2, 10.3 400c46068", Kind: Builtin, Shadow: true, Catch: lossy(), Harm: HarmKeys,
			candidate: spoilt("sections-lost", func(p *plan) error {
				p.drop(func(m *lockstep.Mutation) bool { return p.change(m).Entity == receipt.EntitySection })
				return nil
			}),
		},
	}
}

// resurrect writes a record for every word of which only the tombstone is left.
func (p *plan) resurrect() error {
	for _, it := range p.unit.View.Items {
		id := it.Key.Partition + "#" + it.Key.Sort
		if it.Entity != receipt.EntityWord || it.Image != nil {
			continue
		}
		if slices.ContainsFunc(p.unit.Messages, func(m lockstep.Message) bool { return m.Change.Key == it.Key }) {
			continue // it goes with this very unit
		}
		if _, there := p.unit.View.Record(receipt.Words, id); !there {
			vector := make([]float32, dimension)
			vector[0] = 1
			p.add(lockstep.Mutation{Collection: receipt.Words, Op: lockstep.Upsert, Record: lockstep.Record{ID: id, Document: "?", HasDocument: true}, Vector: vector})
		}
	}
	return nil
}
