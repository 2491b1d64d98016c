package contract

import (
	"context"
	"maps"
	"math/big"
	"slices"
	"time"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// witness stands before a handler and watches that it is pure: it asks everything
// twice, compares what it handed over with a copy, and asks again at another time.
type witness struct {
	handler.Handler
	complaints

	clockKeys []string
	mutations int
}

func (w *witness) Reads(messages []lockstep.Message) handler.Reads {
	kept := copyMessages(messages)
	first, second := w.Handler.Reads(messages), w.Handler.Reads(messages)
	if diff := difference(first, second); diff != "" {
		w.add("Reads answers differently (first / second): %s", diff)
	}
	if diff := difference(kept, messages); diff != "" {
		w.add("Reads changed its messages (before / after): %s", diff)
	}
	for _, ref := range first.Imports {
		if ref.Message < 0 || ref.Message >= len(messages) {
			w.add("import of %s names message %d of %d", ref.Location, ref.Message, len(messages))
		}
	}
	return first
}

func (w *witness) Plan(ctx context.Context, u handler.Unit) ([]lockstep.Mutation, error) {
	kept := copyUnit(u)
	first, err := w.Handler.Plan(ctx, u)
	second, err2 := w.Handler.Plan(ctx, u)
	if (err == nil) != (err2 == nil) {
		w.add("Plan is not sure: %v, then %v", err, err2)
	}
	if diff := difference(kept, u); diff != "" {
		w.add("Plan changed its unit (before / after): %s", diff)
	}
	if diff := difference(first, second); diff != "" {
		w.add("Plan answers differently (first / second): %s", diff)
	}
	w.mutations += len(first)
	later := u
	later.Now = u.Now.Add(26*time.Hour + time.Minute + time.Second)
	third, err3 := w.Handler.Plan(ctx, later)
	if (err == nil) != (err3 == nil) {
		w.add("Plan fails at one time and not at another: %v now, %v later", err, err3)
	}
	if diff := difference(w.timeless(first), w.timeless(third)); diff != "" {
		w.add("more than the clock keys %v follow the clock (now / later): %s", w.clockKeys, diff)
	}
	return first, err
}

// timeless returns muts without the clock keys.
func (w *witness) timeless(muts []lockstep.Mutation) []lockstep.Mutation {
	out := slices.Clone(muts)
	for i := range out {
		out[i].Record.Metadata = out[i].Record.Metadata.Without(func(key string) bool { return slices.Contains(w.clockKeys, key) })
	}
	return out
}

func copyUnit(u handler.Unit) handler.Unit {
	c := handler.Unit{Messages: copyMessages(u.Messages), Now: u.Now}
	if u.View.Records != nil {
		c.View.Records = map[lockstep.Collection][]lockstep.Record{}
	}
	for name, records := range u.View.Records {
		out := slices.Clone(records)
		for i := range out {
			out[i].Metadata = copyMetadata(out[i].Metadata)
		}
		c.View.Records[name] = out
	}
	c.View.Items = slices.Clone(u.View.Items)
	for i := range c.View.Items {
		c.View.Items[i].Image = copyItem(c.View.Items[i].Image)
	}
	c.View.Imports = slices.Clone(u.View.Imports)
	for i := range c.View.Imports {
		es := slices.Clone(c.View.Imports[i].Embeddings)
		for j := range es {
			es[j].Metadata = copyMetadata(es[j].Metadata)
			es[j].Vector = slices.Clone(es[j].Vector)
		}
		c.View.Imports[i].Embeddings = es
	}
	return c
}

func copyMessages(ms []lockstep.Message) []lockstep.Message {
	out := slices.Clone(ms)
	for i := range out {
		out[i].Change.Old, out[i].Change.New = copyItem(out[i].Change.Old), copyItem(out[i].Change.New)
		out[i].Body = slices.Clone(out[i].Body)
	}
	return out
}

func copyMetadata(m lockstep.Metadata) lockstep.Metadata {
	out := slices.Clone(m)
	for i, f := range out {
		if f.Value.Kind() == lockstep.KindList {
			out[i].Value = lockstep.List(slices.Clone(f.Value.Elems()))
		}
	}
	return out
}

func copyItem(it lockstep.Item) lockstep.Item {
	if it == nil {
		return nil
	}
	out := make(lockstep.Item, len(it))
	for k, a := range it {
		out[k] = copyAttr(a)
	}
	return out
}

func copyAttr(a lockstep.Attr) lockstep.Attr {
	a.Map, a.Set, a.List = copyItem(a.Map), slices.Clone(a.Set), slices.Clone(a.List)
	for i := range a.List {
		a.List[i] = copyAttr(a.List[i])
	}
	return a
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// highest returns the greatest sequence number among the messages.
func highest(ms []lockstep.Message) lockstep.Sequence {
	var top lockstep.Sequence
	for _, m := range ms {
		if m.Change.Seq.Compare(top) > 0 {
			top = m.Change.Seq
		}
	}
	return top
}

// next returns the sequence number after s, which may be of any size.
func next(s lockstep.Sequence) lockstep.Sequence {
	n, ok := new(big.Int).SetString(string(s), 10)
	if !ok {
		n = new(big.Int)
	}
	return lockstep.Sequence(n.Add(n, big.NewInt(1)).String())
}
