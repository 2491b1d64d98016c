package mapping

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"lockstep/internal/handler"
	"lockstep/internal/handler/handlertest"
	"lockstep/internal/lockstep"

	"github.com/google/go-cmp/cmp"
)

const products = "../../examples/mapping/products.yaml"

func example(t testing.TB) *Handler {
	t.Helper()
	f, err := os.Open(products)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h, err := Load(f, "products.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// stream builds changes of one table in stream order.
type stream struct {
	seq      int
	messages []lockstep.Message
	items    map[lockstep.ItemKey]lockstep.Item
}

func (s *stream) put(partition, sort string, it lockstep.Item) {
	key := lockstep.ItemKey{Partition: partition, Sort: sort}
	event := lockstep.Modify
	if s.items[key] == nil {
		event = lockstep.Insert
	}
	s.change(key, event, it)
}

func (s *stream) remove(partition, sort string) {
	s.change(lockstep.ItemKey{Partition: partition, Sort: sort}, lockstep.Remove, nil)
}

func (s *stream) change(key lockstep.ItemKey, event lockstep.Event, it lockstep.Item) {
	if s.items == nil {
		s.items = map[lockstep.ItemKey]lockstep.Item{}
	}
	s.seq++
	entity := map[string]string{"SKU": "VARIANT", "PRICE": "PRICE", "EMBEDDINGS": "EMBEDDINGS"}[strings.Split(key.Sort, "#")[0]]
	s.messages = append(s.messages, lockstep.Message{
		ID: fmt.Sprintf("m%d", s.seq), Group: key.Partition, Source: "test",
		Change: lockstep.Change{
			Key: key, Event: event, Entity: entity, Seq: lockstep.Sequence(fmt.Sprint(s.seq * 100)),
			Old: s.items[key], New: it, At: time.Unix(int64(s.seq), 0).UTC(),
		},
	})
	s.items[key] = it
}

func text(s string) lockstep.Attr   { return lockstep.Attr{Type: lockstep.AttrS, Text: s} }
func number(s string) lockstep.Attr { return lockstep.Attr{Type: lockstep.AttrN, Text: s} }

func variant(title string) lockstep.Item {
	return lockstep.Item{
		"title": text(title), "description": text("about " + title), "stock": number("3"),
		"maker": {Type: lockstep.AttrM, Map: lockstep.Item{"brand": text("Acme")}},
		"tags":  {Type: lockstep.AttrSS, Set: []string{"red", "blue"}},
	}
}

func price(amount string) lockstep.Item {
	return lockstep.Item{"amount": number(amount), "currency": text("EUR"), "on_sale": {Type: lockstep.AttrBool, Truth: true}}
}

func embeddings(location string) lockstep.Item { return lockstep.Item{"location": text(location)} }

// source answers a location such as "P1:a,b" with embeddings of those variants; the
// vector says which location it came from.
func source(ref handler.ImportRef) (handler.Import, error) {
	im := handler.Import{Ref: ref}
	head, skus, _ := strings.Cut(ref.Location, ":")
	product, build, _ := strings.Cut(head, "/")
	for sku := range strings.SplitSeq(skus, ",") {
		im.Embeddings = append(im.Embeddings, handler.Embedding{
			ID: "PRODUCT#" + product + "#SKU#" + sku, Document: "embedded", HasDocument: true,
			Vector: []float32{1, 2, float32(len(build))},
			Metadata: lockstep.MetadataOf(map[string]lockstep.Value{
				"title": lockstep.String("old title"), "model": lockstep.String("m" + build),
			}),
		})
	}
	return im, nil
}

func story() []lockstep.Message {
	var s stream
	s.put("PRODUCT#1", "SKU#a", variant("Apple"))
	s.put("PRODUCT#1", "EMBEDDINGS#0001", embeddings("1/x:a,b"))
	s.put("PRODUCT#1", "PRICE#a", price("1.50"))
	s.put("PRODUCT#1", "SKU#a", variant("Red apple"))
	s.put("PRODUCT#2", "SKU#a", variant("Pear"))
	s.put("PRODUCT#1", "SKU#b", variant("Banana"))
	s.remove("PRODUCT#1", "SKU#b")
	s.put("PRODUCT#2", "EMBEDDINGS#0001", embeddings("2/x:a"))
	s.put("PRODUCT#1", "SKU#b", variant("Banana again"))
	s.put("PRODUCT#2", "PRICE#a", price("2"))
	s.remove("PRODUCT#2", "PRICE#a")
	s.put("PRODUCT#1", "EMBEDDINGS#0002", embeddings("1/xx:b"))
	s.put("PRODUCT#1", "PRICE#a", lockstep.Item{"amount": {Type: lockstep.AttrNull}, "currency": text("")})
	s.remove("PRODUCT#1", "EMBEDDINGS#0001")
	s.put("PRODUCT#2", "SKU#c", variant("Cherry"))
	s.put("SHOP#9", "X", lockstep.Item{})
	return s.messages
}

func TestTheExampleKeepsTheContract(t *testing.T) {
	handlertest.Run(t, example(t), handlertest.Fixture{Messages: story(), Source: source, Convergent: true})
}

func fold(t *testing.T, messages []lockstep.Message) map[string]handlertest.Entry {
	t.Helper()
	x := handlertest.NewIndex(example(t), source)
	for _, m := range messages {
		if _, err := x.Apply(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if len(x.Parked) > 0 {
		t.Fatalf("%d messages parked", len(x.Parked))
	}
	return x.State().Records["products"]
}

func TestTheExampleDerivesRecords(t *testing.T) {
	got := map[string]any{}
	for id, e := range fold(t, story()) {
		m := e.Record.Metadata.Map()
		m["(document)"], m["(vector)"] = e.Record.Document, e.Vector
		got[id] = m
	}
	want := map[string]any{
		"PRODUCT#1#SKU#a": map[string]any{
			"title": "Red apple", "brand": "Acme", "stock": int64(3), "tags": []any{"blue", "red"},
			"on_sale": false, "model": "mx", ImportSeqKey: "200", "(document)": "about Red apple", "(vector)": []float32{1, 2, 1},
		},
		"PRODUCT#1#SKU#b": map[string]any{
			"title": "Banana again", "brand": "Acme", "stock": int64(3), "tags": []any{"blue", "red"},
			"model": "mxx", ImportSeqKey: "1200", "(document)": "about Banana again", "(vector)": []float32{1, 2, 2},
		},
		"PRODUCT#2#SKU#a": map[string]any{
			"title": "Pear", "brand": "Acme", "stock": int64(3), "tags": []any{"blue", "red"},
			"model": "mx", ImportSeqKey: "800", "(document)": "about Pear", "(vector)": []float32{1, 2, 1},
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestARemovedItemThatIsBackNeedsANewImport(t *testing.T) {
	var s stream
	s.put("PRODUCT#1", "SKU#a", variant("A"))
	s.put("PRODUCT#1", "EMBEDDINGS#1", embeddings("1/x:a"))
	s.remove("PRODUCT#1", "SKU#a")
	s.put("PRODUCT#1", "SKU#a", variant("A"))
	if got := fold(t, s.messages); len(got) != 0 {
		t.Errorf("the record is there without a new vector: %v", got)
	}
	s.put("PRODUCT#1", "EMBEDDINGS#2", embeddings("1/y:a"))
	if got := fold(t, s.messages); len(got) != 1 {
		t.Errorf("the new import made %d records", len(got))
	}
}

func TestAnOlderImportThatArrivesLateChangesNothing(t *testing.T) {
	var s stream
	s.put("PRODUCT#1", "EMBEDDINGS#1", embeddings("1/x:a"))
	s.put("PRODUCT#1", "EMBEDDINGS#2", embeddings("1/yy:a"))
	late := []lockstep.Message{s.messages[1], s.messages[0]}
	if d := cmp.Diff(fold(t, s.messages), fold(t, late)); d != "" {
		t.Error(d)
	}
}

func TestWhatParksAUnit(t *testing.T) {
	h := example(t)
	imported := func(id string) handlertest.ImportSource {
		return func(ref handler.ImportRef) (handler.Import, error) {
			return handler.Import{Ref: ref, Embeddings: []handler.Embedding{{ID: id, Vector: []float32{1, 2, 3}}}}, nil
		}
	}
	wrong := variant("A")
	wrong["stock"] = text("many")
	for _, tc := range []struct {
		name   string
		build  func(*stream)
		source handlertest.ImportSource
	}{
		{"attribute of another type", func(s *stream) {
			s.put("PRODUCT#1", "EMBEDDINGS#1", embeddings("1/x:a"))
			s.put("PRODUCT#1", "SKU#a", wrong)
		}, source},
		{"import without a location", func(s *stream) { s.put("PRODUCT#1", "EMBEDDINGS#1", lockstep.Item{"x": text("y")}) }, source},
		{"import of another partition", func(s *stream) { s.put("PRODUCT#1", "EMBEDDINGS#1", embeddings("2/x:a")) }, source},
		{"import of an id that is none", func(s *stream) { s.put("PRODUCT#1", "EMBEDDINGS#1", embeddings("x")) }, imported("PRODUCT#1#SKU#a#b")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var s stream
			tc.build(&s)
			x := handlertest.NewIndex(h, tc.source)
			for _, m := range s.messages {
				if _, err := x.Apply(t.Context(), m); err != nil {
					t.Fatal(err)
				}
			}
			if len(x.Parked) != 1 {
				t.Errorf("%d messages parked, want the last", len(x.Parked))
			}
		})
	}
}

func TestReadsAsksForWhatTheKeysName(t *testing.T) {
	var s stream
	s.put("PRODUCT#1", "PRICE#a", price("1"))
	s.put("PRODUCT#1", "EMBEDDINGS#1", embeddings("1/x:a"))
	got := example(t).Reads(s.messages)
	want := handler.Reads{
		Records: []handler.RecordRange{
			{Collection: "products", ID: "PRODUCT#1#SKU#a"},
			{Collection: "products", ID: "PRODUCT#1#SKU#", Prefix: true},
		},
		Items:   []handler.ItemRange{{Partition: "PRODUCT#1", SortPrefix: "PRICE#"}, {Partition: "PRODUCT#1", SortPrefix: "SKU#"}},
		Imports: []handler.ImportRef{{Collection: "products", Location: "1/x:a", Message: 1}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestTheRevisionFollowsTheMeaningNotTheLayout(t *testing.T) {
	body, err := os.ReadFile(products)
	if err != nil {
		t.Fatal(err)
	}
	hash := func(text string) string {
		h, err := Load(strings.NewReader(text), "p")
		if err != nil {
			t.Fatal(err)
		}
		return handler.NewRevision(h).Hash
	}
	plain := hash(string(body))
	if hash("# a comment\n"+string(body)) != plain {
		t.Error("a comment made another revision")
	}
	if hash(strings.Replace(string(body), "on_remove: delete", "on_remove: unset", 1)) == plain {
		t.Error("another meaning has the same revision")
	}
}
