//go:build interop

package chroma

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"

	"lockstep/internal/follow"
	"lockstep/internal/lockstep"
)

const dimension = 16

// item is one record of a model.
type item struct {
	record lockstep.Record
	vector []float32
}

type coll struct {
	space   string
	records map[string]item
}

// model is a whole index in memory: what a follower should hold.
type model map[lockstep.Collection]coll

// vectorOf makes the same unit vector for the same seed, so that every space finds
// a record by its own vector.
func vectorOf(seed, dim int) []float32 {
	r := rand.New(rand.NewPCG(uint64(seed), 7))
	v := make([]float32, dim)
	var sum float64
	for i := range v {
		v[i] = float32(r.NormFloat64())
		sum += float64(v[i]) * float64(v[i])
	}
	for i := range v {
		v[i] /= float32(math.Sqrt(sum))
	}
	return v
}

func newColl(space string, n int, prefix string, dim int) coll {
	c := coll{space: space, records: map[string]item{}}
	for i := range n {
		id := fmt.Sprintf("%s-%05d", prefix, i)
		x := item{vector: vectorOf(i+1000*len(space), dim), record: lockstep.Record{
			ID: id, Document: fmt.Sprintf("item%d costs %d.%02d euro", i, i%17, i%100), HasDocument: i%5 != 4,
			Metadata: lockstep.MetadataOf(map[string]lockstep.Value{
				"text": lockstep.String(fmt.Sprintf("word %d", i%50)), "line": lockstep.Int(int64(i % 20)),
				"x": lockstep.Float(float64(i%8) / 4), "valid": lockstep.Bool(i%3 == 0), "image_id": lockstep.String("img"),
			}),
		}}
		if !x.record.HasDocument {
			x.record.Document = ""
		}
		c.records[id] = x
	}
	return c
}

// firstModel has a collection that stays in the queue and one that Chroma persists
// (more than sync_threshold records). Neither is below 100: there Chroma before 1.0.6
// answers queries wrongly after a delete, whoever wrote it (CHROMA 5.11, #4334).
func firstModel() model {
	m := model{"lines": newColl("l2", 140, "l", dimension), "words": newColl("cosine", 1300, "w", dimension)}
	return m
}

// set gives one key of one record another value.
func (m model) set(c lockstep.Collection, id, key string, v lockstep.Value) {
	x := m[c].records[id]
	x.record.Metadata = x.record.Metadata.With(key, v)
	m[c].records[id] = x
}

// listsBefore and listsAfter add lists to a first and a second model: a list that
// comes to go, one that becomes a string, one that takes a string's place.
func listsBefore(m model) model {
	m.set("lines", "l-00001", "tags", lockstep.Strings("b", "a", "b"))
	m.set("words", "w-00002", "line", lockstep.List([]lockstep.Value{lockstep.Int(3), lockstep.Int(1)}))
	return m
}

func listsAfter(m model) model {
	for c, id := range map[lockstep.Collection]string{"lines": "l-00009", "words": "w-00009"} {
		m.set(c, id, "text", lockstep.List([]lockstep.Value{lockstep.Bool(true), lockstep.Bool(false)}))
	}
	return m
}

// secondModel changes v1 in every way a step can.
func secondModel(v1 model) model {
	m := v1.clone()
	for name, prefix := range map[lockstep.Collection]string{"lines": "l", "words": "w"} {
		edit := func(i int, f func(*item)) {
			id := fmt.Sprintf("%s-%05d", prefix, i)
			x := m[name].records[id]
			f(&x)
			m[name].records[id] = x
		}
		edit(0, func(x *item) { x.record.Metadata = x.record.Metadata.With("text", lockstep.String("changed")) })
		edit(1, func(x *item) {
			x.record.Metadata = x.record.Metadata.Without(func(k string) bool { return k == "line" || k == "tags" })
		})
		edit(2, func(x *item) { x.record.Metadata = x.record.Metadata.With("line", lockstep.String("now a string")) })
		edit(3, func(x *item) { x.record.Metadata = x.record.Metadata.With("never_seen", lockstep.Float(2)) })
		edit(4, func(x *item) { x.record.Document, x.record.HasDocument = "a document appears", true })
		edit(5, func(x *item) { x.record.Document, x.record.HasDocument = "", false })
		edit(6, func(x *item) { x.record.Document = "another text entirely" })
		edit(7, func(x *item) { x.vector = vectorOf(5000, dimension) })
		edit(8, func(x *item) { x.record.Metadata = lockstep.Metadata{} })
		edit(10, func(x *item) { x.record.Document, x.record.HasDocument = "", true })
		for i := 20; i < 30; i++ {
			delete(m[name].records, fmt.Sprintf("%s-%05d", prefix, i))
		}
		for i := range 7 {
			id := fmt.Sprintf("%s-new-%d", prefix, i)
			m[name].records[id] = item{vector: vectorOf(9000+i, dimension), record: lockstep.Record{
				ID: id, Document: "fresh text", HasDocument: true,
				Metadata: lockstep.MetadataOf(map[string]lockstep.Value{"text": lockstep.String("new"), "n": lockstep.Int(1 << 60)}),
			}}
		}
	}
	m["added"] = newColl("ip", 130, "a", dimension)
	return m
}

func (m model) clone() model {
	out := model{}
	for name, c := range m {
		out[name] = coll{c.space, maps.Clone(c.records)}
	}
	return out
}

func (m model) specs() []follow.Spec {
	var out []follow.Spec
	for _, name := range slices.Sorted(maps.Keys(m)) {
		out = append(out, follow.Spec{Name: name, Space: m[name].space})
	}
	return out
}

func markOf(version uint64, m model) follow.Mark {
	out := follow.Mark{Store: "store-1", Version: version, Digests: map[lockstep.Collection]string{}}
	for name, c := range m {
		out.Digests[name] = fmt.Sprintf("%08x", len(c.records))
	}
	return out
}

func (m model) full(version uint64) follow.Step {
	step := diffStep(model{}, m, 0, version)
	step.Full = true
	return step
}

// diffStep is the step from one model to another.
func diffStep(from, to model, a, b uint64) follow.Step {
	step := follow.Step{From: markOf(a, from), To: markOf(b, to), Collections: to.specs()}
	step.Changes = func(yield func(follow.Change, error) bool) {
		for _, name := range slices.Sorted(maps.Keys(to)) {
			old := from[name].records
			for _, id := range slices.Sorted(maps.Keys(old)) {
				if _, ok := to[name].records[id]; !ok {
					if !yield(follow.Change{Collection: name, Record: lockstep.Record{ID: id}, Delete: true}, nil) {
						return
					}
				}
			}
			for _, id := range slices.Sorted(maps.Keys(to[name].records)) {
				x := to[name].records[id]
				was, had := old[id]
				ch := follow.Change{Collection: name, Record: x.record, New: !had}
				if !had || !slices.Equal(was.vector, x.vector) {
					ch.Vector = x.vector
				}
				same := had && ch.Vector == nil && was.record.Metadata.Equal(x.record.Metadata) &&
					was.record.HasDocument == x.record.HasDocument && was.record.Document == x.record.Document
				if !same && !yield(ch, nil) {
					return
				}
			}
		}
	}
	return step
}

// expectation is what scripts/interop/check_directory.py compares with.
func (m model) expectation(before model) map[string]any {
	cols := map[string]any{}
	for name, c := range m {
		var records, gone []any
		for _, id := range slices.Sorted(maps.Keys(c.records)) {
			x := c.records[id]
			var document any
			if x.record.HasDocument {
				document = x.record.Document
			}
			metadata := map[string]any{}
			for k, v := range x.record.Metadata.All() {
				metadata[k] = jsonValue(v)
			}
			records = append(records, map[string]any{"id": id, "document": document, "metadata": metadata, "vector": x.vector})
		}
		for id, x := range before[name].records {
			if _, ok := c.records[id]; !ok {
				gone = append(gone, map[string]any{"id": id, "vector": x.vector})
			}
		}
		if records == nil {
			records = []any{}
		}
		cols[string(name)] = map[string]any{"records": records, "gone": gone}
	}
	return map[string]any{"collections": cols}
}

// exact is a number whose JSON keeps its kind: 2.0 must not become 2.
type exact string

func (e exact) MarshalJSON() ([]byte, error) { return []byte(e), nil }

func jsonValue(v lockstep.Value) any {
	switch v.Kind() {
	case lockstep.KindFloat:
		return exact(fmt.Sprintf("%.17e", v.Float()))
	case lockstep.KindList:
		var out []any
		for _, e := range v.Elems() {
			out = append(out, jsonValue(e))
		}
		return out
	case lockstep.KindString, lockstep.KindInt, lockstep.KindBool:
	}
	return v.Any()
}
