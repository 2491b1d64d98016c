package synth

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"lockstep/internal/lockstep"
)

// Edit is one thing that somebody does to the table: one event or several that
// belong together, such as a relabel.
type Edit struct {
	Kind    string // one of Kinds
	Receipt int    // index of the receipt
	Events  []Event
}

// Kinds of edits, each with how often it is chosen, in per cent.
var editKinds = []struct {
	name   string
	weight int
	make   func(*editor) []Event
}{
	{"place", 25, (*editor).place},
	{"null", 8, (*editor).null},
	{"place-removed", 5, (*editor).unplace},
	{"label-added", 14, (*editor).addLabel},
	{"validated", 14, (*editor).validate},
	{"relabel", 8, (*editor).relabel},
	{"label-removed", 8, (*editor).removeLabel},
	{"word-deleted", 5, (*editor).deleteWord},
	{"line-deleted", 2, (*editor).deleteLine},
	{"receipt-deleted", 1, (*editor).deleteReceipt},
	{"section", 3, (*editor).section},
	{"run-completed", 4, (*editor).complete},
	{"re-embedded", 3, (*editor).embedAgain},
}

// Kinds lists the kinds of edits.
func Kinds() []string {
	names := make([]string, len(editKinds))
	for i, k := range editKinds {
		names[i] = k.name
	}
	return names
}

// Edits makes n edits of receipts chosen at random and returns them in stream
// order. Their sequence numbers follow those of all creations and earlier edits.
// The same seed and the same calls give the same edits.
func (g *Generator) Edits(n int) []Edit {
	total := 0
	for _, k := range editKinds {
		total += k.weight
	}
	edits := make([]Edit, 0, n)
	for range n {
		pick := g.rng.IntN(total)
		for _, k := range editKinds {
			if pick -= k.weight; pick < 0 {
				edits = append(edits, g.edit(g.rng.IntN(g.opts.Receipts), k.name, k.make))
				break
			}
		}
	}
	return edits
}

// Edit makes one edit of the given kind on receipt i. A kind that does not exist
// and a receipt that does not are lockstep.ErrInvalid. Where the receipt has
// nothing of the kind left to edit, the edit is a change of its place.
func (g *Generator) Edit(i int, kind string) (Edit, error) {
	if i < 0 || i >= g.opts.Receipts {
		return Edit{}, fmt.Errorf("%w receipt %d, want 0 to %d", lockstep.ErrInvalid, i, g.opts.Receipts-1)
	}
	for _, k := range editKinds {
		if k.name == kind {
			return g.edit(i, k.name, k.make), nil
		}
	}
	return Edit{}, fmt.Errorf("%w edit %q, want one of %v", lockstep.ErrInvalid, kind, Kinds())
}

func (g *Generator) edit(i int, kind string, do func(*editor) []Event) Edit {
	r := g.edited[i]
	if r == nil {
		r = g.fresh(i)
		g.edited[i] = r
	}
	e := &editor{g: g, r: r}
	events := do(e)
	if len(events) == 0 {
		kind, events = "place", e.place()
	}
	return Edit{Kind: kind, Receipt: i, Events: events}
}

// editor edits one receipt.
type editor struct {
	g *Generator
	r *Receipt
}

// event makes the record of one change; either image may be missing.
func (e *editor) event(key lockstep.ItemKey, before, after lockstep.Item) Event {
	e.g.edits++
	c := lockstep.Change{
		Key: key, Event: lockstep.Modify, Old: before, New: after,
		Seq: lockstep.Sequence(fmt.Sprintf("200000000%015d", e.g.edits)),
		At:  e.g.opts.Start.Add(time.Duration(e.g.opts.Receipts)*time.Minute + time.Duration(e.g.edits)*time.Second),
	}
	switch {
	case before == nil:
		c.Event = lockstep.Insert
	case after == nil:
		c.Event = lockstep.Remove
	}
	return Event{ID: "edit-" + strconv.FormatUint(e.g.edits, 10), Change: c}
}

// between makes the records that lead from one list of items to another.
func (e *editor) between(before, after []tableItem) []Event {
	var events []Event
	old := map[string]lockstep.Item{}
	for _, it := range before {
		old[it.key.Sort] = it.image
	}
	for _, it := range after {
		events = append(events, e.event(it.key, old[it.key.Sort], it.image))
		delete(old, it.key.Sort)
	}
	for _, sort := range slices.Sorted(maps.Keys(old)) {
		key := lockstep.ItemKey{Partition: e.r.Partition(), Sort: sort}
		events = append(events, e.event(key, old[sort], nil))
	}
	return events
}

func (e *editor) places() []tableItem { return e.r.places(e.g.opts.Place) }

func (e *editor) place() []Event {
	before := e.places()
	e.r.HasPlace, e.r.Merchant = true, merchant(e.g.rng)
	return e.between(before, e.places())
}

// null empties an attribute, which the table keeps as NULL.
func (e *editor) null() []Event {
	if !e.r.HasPlace {
		return nil
	}
	before := e.places()
	m := &e.r.Merchant
	field := []*string{&m.Category, &m.Address, &m.Phone}[e.g.rng.IntN(3)]
	if *field == "" {
		return nil
	}
	*field = ""
	return e.between(before, e.places())
}

func (e *editor) unplace() []Event {
	before := e.places()
	e.r.HasPlace = false
	return e.between(before, nil)
}

func (e *editor) section() []Event {
	if len(e.r.Sections) == 0 {
		return nil
	}
	s := &e.r.Sections[e.g.rng.IntN(len(e.r.Sections))]
	before := e.r.sectionItem(s)
	s.Status = []string{"VALID", "PENDING", "INVALID"}[e.g.rng.IntN(3)]
	s.Confidence = float64(e.g.rng.IntN(5)) / 4
	return e.between([]tableItem{before}, []tableItem{e.r.sectionItem(s)})
}

// complete is what the legacy compactor does to a run: it marks it (DOMAIN 1.5).
func (e *editor) complete() []Event {
	if e.r.Merged {
		return nil
	}
	before := e.r.runItem()
	e.r.Merged = true
	return e.between([]tableItem{before}, []tableItem{e.r.runItem()})
}

// embedAgain is a new run over what the receipt holds now.
func (e *editor) embedAgain() []Event {
	if len(e.r.Lines) == 0 {
		return nil
	}
	e.r.Edition++
	e.r.Merged = false
	e.r.RunID = uuid(^e.g.seed, uint64(e.r.Index)<<8|uint64(e.r.Edition))
	snapshot := e.r.clone()
	e.g.runs[e.r.RunID] = &run{receipt: snapshot}
	return e.between(nil, []tableItem{e.r.runItem()})
}

// clone copies what edits change in place.
func (r *Receipt) clone() *Receipt {
	c := *r
	c.Lines = slices.Clone(r.Lines)
	for i := range c.Lines {
		c.Lines[i].Words = slices.Clone(c.Lines[i].Words)
	}
	return &c
}
