package faults

import (
	"strings"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/receipt"
	"lockstep/internal/receipt/synth"
)

// merchantKeys are the metadata keys that a place implies.
func merchantKeys() []string {
	return []string{"address", "canonical_merchant_name", "merchant_category", "merchant_name", "phone_number", "place_id"}
}

// metadataFaults lists what went wrong with the keys that places imply.
func metadataFaults() []Fault {
	return []Fault{
		{
			ID: "removal-survives", What: "The keys of a place that was removed stay on its records: the update merges.",
			Origin: "11.2", Kind: Builtin, Shadow: true, Catch: wrong(), Harm: HarmKeys,
			candidate: spoilt("removal-survives", func(p *plan) error {
				p.upserts(func(m *lockstep.Mutation) {
					if c := p.change(m); place(c) && c.Event == lockstep.Remove {
						p.keep(m, merchantKeys()...)
					}
				})
				return nil
			}),
		},
		{
			ID: "null-survives", What: "A key whose attribute became null keeps its old value.",
			Origin: "11.4", Kind: Builtin, Shadow: true, Catch: wrong(), Harm: HarmKeys,
			candidate: spoilt("null-survives", func(p *plan) error {
				p.upserts(func(m *lockstep.Mutation) {
					if c := p.change(m); place(c) && c.Event != lockstep.Remove {
						p.keep(m, merchantKeys()...)
					}
				})
				return nil
			}),
		},
		{
			ID: "null-overwrites", What: "A null attribute is stored as an empty text instead of nothing.",
			Origin: "2.4, 11.4", Kind: Builtin, Shadow: true, Catch: wrong(), Harm: HarmKeys,
			candidate: spoilt("null-overwrites", func(p *plan) error {
				p.upserts(func(m *lockstep.Mutation) {
					if !emptied(p.change(m)) {
						return
					}
					for _, k := range []string{"address", "merchant_category", "phone_number"} {
						if _, has := m.Record.Metadata.Get(k); !has {
							set(m, k, lockstep.String(""))
						}
					}
				})
				return nil
			}),
		},
		{
			ID: "unparseable-wipes", What: "A place with an attribute that it does not expect is taken for none, and all its keys are erased.",
			Origin: "11.38", Kind: Builtin, Shadow: true, Catch: wrong(), Harm: HarmKeys,
			candidate: spoilt("unparseable-wipes", func(p *plan) error {
				p.upserts(func(m *lockstep.Mutation) {
					if emptied(p.change(m)) {
						for _, k := range merchantKeys() {
							set(m, k, lockstep.Value{})
						}
					}
				})
				return nil
			}),
		},
		{
			ID: "value-form", What: "A change in a form that it does not know is acknowledged without effect.",
			Origin: "11.1", Kind: Builtin, Shadow: true, Catch: lossy(), Harm: HarmKeys,
			candidate: spoilt("value-form", func(p *plan) error {
				p.drop(func(m *lockstep.Mutation) bool { return emptied(p.change(m)) })
				return nil
			}),
		},
	}
}

// scopeFaults lists how the wrong records were meant, or the wrong form.
func scopeFaults() []Fault {
	return []Fault{
		{
			ID: "place-unknown", What: "The entity that holds the merchant has a new name, and its changes are ignored by rule.",
			Origin: "6.5, 10.3 bbf091b4b", Kind: Builtin, Shadow: true, Catch: append(lossy(), "candidate-vs-stable"), Harm: HarmKeys,
			candidate: func() handler.Handler {
				v := good("place-unknown")
				v.describe = func(d *handler.Description) { d.Entities = without(d.Entities, receipt.EntityPlace) }
				return v
			},
		},
		{
			ID: "wrong-classification", What: "Labels are taken for the words that they belong to, so that their changes move nothing.",
			Origin: "2.2", Kind: Builtin, Shadow: true, Catch: lossy(), Harm: HarmKeys,
			candidate: func() handler.Handler {
				v := good("wrong-classification")
				v.describe = func(d *handler.Description) {
					word := handler.EntityRule{Entity: receipt.EntityWord, Partition: `IMAGE#.+`, Sort: `RECEIPT#[0-9]+#LINE#[0-9]+#WORD#[0-9]+.*`}
					d.Entities = append([]handler.EntityRule{word}, d.Entities...)
				}
				return v
			},
		},
		{
			ID: "wrong-receipt", What: "A place is laid over every receipt of its image: the query lacks the second condition.",
			Origin: "10.3 3bf370d60", Kind: Builtin, Shadow: true, Catch: wrong(), Harm: HarmKeys,
			candidate: func() handler.Handler {
				v := good("wrong-receipt")
				v.reads = everyRecord
				v.plan = func(p *plan) error { return p.overImage() }
				return v
			},
		},
		{
			ID: "clock-in-record", What: "Every record of the receipt is written again with the time, whether anything changed or not.",
			Origin: "10.2 85db88e1a", Kind: Builtin, Shadow: true, Catch: wrong(), Harm: HarmKeys,
			candidate: func() handler.Handler {
				v := good("clock-in-record")
				v.reads = everyRecord
				v.plan = func(p *plan) error { return p.stamp() }
				return v
			},
		},
		{
			ID: "unstorable-metadata", What: "One record in ten gets a value that the store refuses.",
			Origin: "11.24, 10.2 6745c14ee", Kind: Builtin, Shadow: true, Catch: failing(), Harm: HarmNone,
			candidate: spoilt("unstorable-metadata", func(p *plan) error {
				p.upserts(func(m *lockstep.Mutation) {
					if one(10, p.first()+m.Record.ID) {
						set(m, "chroma:size", lockstep.Int(1))
					}
				})
				return nil
			}),
		},
		{
			ID: "legacy", What: "The legacy code comes back over the new one, with all its flaws at once.",
			Origin: "6.5, 11.2 to 11.4, 11.33, 11.36", Kind: Builtin, Shadow: true, Catch: wrong(), Harm: HarmKeys,
			places: synth.MetadataItems, risks: []string{"new-reads-old"},
			candidate: func() handler.Handler {
				return variant{Handler: receipt.V1(receipt.V1Config{}), version: "legacy"}
			},
		},
		{
			ID: "format-unread", What: "It writes a record format that stable does not read.",
			Origin: "11.29, 10.3 79ba17299, 2f1c74408", Kind: Builtin, Catch: []string{preflight}, Harm: HarmNone,
			candidate: func() handler.Handler {
				v := good("format-unread")
				v.describe = func(d *handler.Description) { d.ReadsFormat, d.WritesFormat = d.WritesFormat, "receipts/9" }
				return v
			},
		},
	}
}

func without(rules []handler.EntityRule, entity string) []handler.EntityRule {
	var out []handler.EntityRule
	for _, r := range rules {
		if r.Entity != entity {
			out = append(out, r)
		}
	}
	return out
}

// everyRecord asks for all records of the image.
func everyRecord(messages []lockstep.Message, r *handler.Reads) {
	for _, c := range []lockstep.Collection{receipt.Lines, receipt.Words} {
		r.Records = append(r.Records, handler.RecordRange{Collection: c, ID: messages[0].Change.Key.Partition + "#", Prefix: true})
	}
}

// untouched passes the records of the view that no mutation is of to use.
func (p *plan) untouched(use func(lockstep.Collection, lockstep.Record)) {
	for _, c := range []lockstep.Collection{receipt.Lines, receipt.Words} {
		taken := map[string]bool{}
		for _, m := range p.muts {
			if m.Collection == c {
				taken[m.Record.ID] = true
			}
		}
		for _, r := range p.unit.View.Records[c] {
			if !taken[r.ID] {
				use(c, r)
			}
		}
	}
}

func (p *plan) overImage() error {
	name := ""
	for i := range p.unit.Messages {
		if c := &p.unit.Messages[i].Change; place(c) && c.New != nil {
			name = c.New.Str("merchant_name")
		}
	}
	if name == "" {
		return nil
	}
	p.untouched(func(c lockstep.Collection, r lockstep.Record) {
		m := lockstep.Mutation{Collection: c, Op: lockstep.Upsert, Record: r}
		set(&m, "merchant_name", lockstep.String(name))
		p.muts = append(p.muts, m)
	})
	return nil
}

func (p *plan) stamp() error {
	receiptID := strings.Join(strings.SplitN(p.unit.Messages[0].Change.Key.RecordID(), "#", 3)[:2], "#")
	p.untouched(func(c lockstep.Collection, r lockstep.Record) {
		if strings.HasPrefix(r.ID, receiptID) {
			p.muts = append(p.muts, lockstep.Mutation{Collection: c, Op: lockstep.Upsert, Record: r})
		}
	})
	p.upserts(func(m *lockstep.Mutation) {
		set(m, "touched_at", lockstep.String(p.unit.Now.Format("15:04:05.000000")))
	})
	return nil
}
