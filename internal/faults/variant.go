package faults

import (
	"context"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/receipt"
)

// variant is receipts@2 under another name, with a mistake if it has one. Mistakes may
// break every rule of a handler: that is what they are for.
type variant struct {
	handler.Handler
	version  string
	describe func(*handler.Description)
	reads    func([]lockstep.Message, *handler.Reads)
	plan     func(*plan) error
}

// plan is an answer to one unit, to be spoilt.
type plan struct {
	ctx  context.Context //nolint:containedctx // it lives as long as one call, of which it is the argument
	unit *handler.Unit
	muts []lockstep.Mutation
}

var _ handler.Handler = variant{}

// Describe implements handler.Handler.
func (v variant) Describe() handler.Description {
	d := v.Handler.Describe()
	d.Version, d.Code = v.version, d.Code+v.version
	if v.describe != nil {
		v.describe(&d)
	}
	return d
}

// Reads implements handler.Handler.
func (v variant) Reads(messages []lockstep.Message) handler.Reads {
	r := v.Handler.Reads(messages)
	if v.reads != nil {
		v.reads(messages, &r)
	}
	return r
}

// Plan implements handler.Handler.
func (v variant) Plan(ctx context.Context, u handler.Unit) ([]lockstep.Mutation, error) {
	muts, err := v.Handler.Plan(ctx, u)
	if err != nil || v.plan == nil {
		return muts, err
	}
	p := plan{ctx, &u, slices.Clone(muts)}
	err = v.plan(&p)
	return p.muts, err
}

// good is receipts@2 under another name.
func good(version string) variant {
	return variant{Handler: receipt.V2(receipt.V2Config{}), version: version}
}

// spoilt returns what makes receipts@2 with a mistake.
func spoilt(version string, spoil func(*plan) error) func() handler.Handler {
	return func() handler.Handler {
		v := good(version)
		v.plan = spoil
		return v
	}
}

// steady is receipts@2 at a pace that can be measured on any machine, and beside which a
// program is not slow.
func steady(pace time.Duration) func() handler.Handler {
	return spoilt("steady", func(p *plan) error { return p.wait(pace) })
}

func (p *plan) wait(d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
}

// change is the change that caused a mutation.
func (p *plan) change(m *lockstep.Mutation) *lockstep.Change { return &p.unit.Messages[m.Cause].Change }

// before is the record that a mutation replaces.
func (p *plan) before(m *lockstep.Mutation) (lockstep.Record, bool) {
	return p.unit.View.Record(m.Collection, m.Record.ID)
}

// drop takes away the mutations for which gone is true.
func (p *plan) drop(gone func(*lockstep.Mutation) bool) {
	p.muts = slices.DeleteFunc(p.muts, func(m lockstep.Mutation) bool { return gone(&m) })
}

// upserts passes all upserts to edit.
func (p *plan) upserts(edit func(*lockstep.Mutation)) {
	for i := range p.muts {
		if p.muts[i].Op == lockstep.Upsert {
			edit(&p.muts[i])
		}
	}
}

// add appends a mutation unless its record has one already.
func (p *plan) add(m lockstep.Mutation) {
	if !slices.ContainsFunc(p.muts, func(o lockstep.Mutation) bool { return o.Collection == m.Collection && o.Record.ID == m.Record.ID }) {
		p.muts = append(p.muts, m)
	}
}

// any says whether a message of the unit fits.
func (p *plan) any(fits func(*lockstep.Change) bool) bool {
	return slices.ContainsFunc(p.unit.Messages, func(m lockstep.Message) bool { return fits(&m.Change) })
}

// set changes one metadata key; the zero Value removes it.
func set(m *lockstep.Mutation, key string, v lockstep.Value) {
	if v.Kind() == 0 {
		m.Record.Metadata = m.Record.Metadata.Without(func(k string) bool { return k == key })
		return
	}
	m.Record.Metadata = m.Record.Metadata.With(key, v)
}

// keep gives a key that would vanish the value it has.
func (p *plan) keep(m *lockstep.Mutation, keys ...string) {
	old, ok := p.before(m)
	if !ok {
		return
	}
	for _, k := range keys {
		if v, had := old.Metadata.Get(k); had {
			if _, has := m.Record.Metadata.Get(k); !has {
				set(m, k, v)
			}
		}
	}
}

// one is true for one in n of the texts, always the same ones.
func one(n uint64, text string) bool {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text)) // a hash accepts every write
	x := h.Sum64()
	x ^= x >> 29
	x *= 0xbf58476d1ce4e5b9
	return (x^x>>32)%n == 0
}

// first is the id of the unit's first message: a text that stands for the unit.
func (p *plan) first() string { return p.unit.Messages[0].ID }

func place(c *lockstep.Change) bool {
	return c.Entity == receipt.EntityPlace || c.Entity == receipt.EntityMetadata
}

func label(c *lockstep.Change) bool { return c.Entity == receipt.EntityLabel }

func imported(c *lockstep.Change) bool {
	return c.Entity == receipt.EntityRun && c.Event == lockstep.Insert
}

// emptied says whether a place has an attribute that is NULL.
func emptied(c *lockstep.Change) bool {
	if !place(c) {
		return false
	}
	for _, name := range []string{"merchant_name", "merchant_category", "formatted_address", "address", "phone_number"} {
		if c.New[name].Type == lockstep.AttrNull {
			return true
		}
	}
	return false
}

// wordOf returns the sort key of the word that a label belongs to.
func wordOf(c *lockstep.Change) string {
	word, _, _ := strings.Cut(c.Key.Sort, "#LABEL#")
	return word
}
