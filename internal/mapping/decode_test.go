package mapping

import (
	"errors"
	"os"
	"strings"
	"testing"

	"lockstep/internal/config"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"

	"github.com/google/go-cmp/cmp"
)

// TestMistakes changes one place of the example and expects one sentence.
func TestMistakes(t *testing.T) {
	body, err := os.ReadFile(products)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, old, new, want string }{
		{"misspelt key", "on_remove: delete", "on_remov: delete", `unknown key "on_remov"; did you mean "on_remove"?`},
		{"misspelt value", "on_remove: delete", "on_remove: delet", `did you mean "delete"?`},
		{"version as a number", `version: "1"`, "version: 1.10", "put it in quotes"},
		{"name with a space", "name: products", "name: our products", "want 1 to 63 of a-z"},
		{"unknown collection", "collection: products\n        attribute", "collection: product\n        attribute", `did you mean "products"?`},
		{"unknown group", "SKU#{sort.sku}'\n        metadata:\n          title", "SKU#{sort.sk}'\n        metadata:\n          title", "{sort.sk} is not a group of the pattern; there are: partition, sort, partition.product, sort.sku"},
		{"open brace", "partition: 'PRODUCT#{product}'", "partition: 'PRODUCT#{product'", "a brace that is not closed"},
		{"empty reference", "partition: 'PRODUCT#{product}'", "partition: 'PRODUCT#{}'", "is not a reference"},
		{"bad pattern", "sort: 'PRICE#(?P<sku>[^#]+)'", "sort: 'PRICE#(?P<sku>[^#+)'", "want a regular expression"},
		{"group named twice", "sort: 'PRICE#(?P<sku>[^#]+)'", "sort: 'PRICE#(?P<sku>[^#]+)(?P<sku>x)?'", `the group "sku" is named twice`},
		{"key of two rules", "currency: {", "title: {", `the metadata key "title" of products is set by another rule already`},
		{"key of ours", "currency: {", ImportSeqKey + ": {", "is kept by Lockstep"},
		{"key of Chroma", "currency: {", "'chroma:x': {", "belong to Chroma"},
		{"same entity twice", "entity: PRICE", "entity: VARIANT", `entity "VARIANT" is described twice`},
		{"default of another type", "default: 0", "default: none", `want an integer from`},
		{"default of a list", "tags: {attribute: tags, type: list}", "tags: {attribute: tags, type: list, default: [a]}", "a list has no default"},
		{"element type of text", "{attribute: title, type: string}", "{attribute: title, type: string, of: int}", "only a list has an element type"},
		{"empty number", "{attribute: stock, type: int, default: 0}", "{attribute: stock, type: int, omit_empty: true}", "only text can be empty"},
		{"attribute path", "attribute: maker.brand", "attribute: maker..brand", "single dots between them"},
		{"missing type", "{attribute: title, type: string}", "{attribute: title}", `key "type" is missing`},
		{"built-in collection", "  products:\n    dim", "  table: {dimension: 3, id: {pattern: x, partition: y}}\n  products:\n    dim", "one of Lockstep's own"},
		{"no sort key", "key: {partition: PK, sort: SK}", "key: {partition: PK}", "the table has no sort key"},
		{"alias", "name: products", "name: *products", "alias"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if !strings.Contains(string(body), tc.old) {
				t.Fatalf("the example has no %q", tc.old)
			}
			_, err := Load(strings.NewReader(strings.Replace(string(body), tc.old, tc.new, 1)), "p.yaml")
			var p *config.Problems
			if tc.name == "alias" && err != nil {
				return // the library's own words
			}
			if !errors.As(err, &p) || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("want %q in: %v", tc.want, err)
			}
			for _, q := range p.List {
				if q.Line == 0 {
					t.Errorf("no place: %+v", q)
				}
			}
		})
	}
}

func TestAnEmptyMappingSaysWhatIsMissing(t *testing.T) {
	_, err := Load(strings.NewReader(""), "p.yaml")
	for _, key := range []string{"name", "version", "collections", "entities"} {
		if err == nil || !strings.Contains(err.Error(), `key "`+key+`" is missing`) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func TestATableWithoutASortKey(t *testing.T) {
	h, err := Load(strings.NewReader(`
name: flat
version: "1"
key: {partition: id}
collections: {docs: {id: {pattern: '(?P<p>.+)', partition: '{p}'}}}
entities:
  - entity: DOC
    match: {partition: 'd-.+'}
    records: [{collection: docs, id: '{partition}', metadata: {a: {attribute: a, type: list, of: float}}}]
`), "flat.yaml")
	if err != nil {
		t.Fatal(err)
	}
	reads := h.Reads([]lockstep.Message{{Change: lockstep.Change{Key: lockstep.ItemKey{Partition: "d-1"}, Entity: "DOC"}}})
	if d := cmp.Diff([]handler.RecordRange{{Collection: "docs", ID: "d-1"}}, reads.Records); d != "" {
		t.Error(d)
	}
}

func TestAnIDOfAnotherPartitionIsRefused(t *testing.T) {
	h, err := Load(strings.NewReader(`
name: flat
version: "1"
collections: {docs: {id: {pattern: 'R-(?P<p>.+)', partition: '{p}'}}}
entities:
  - {entity: GOOD, match: {partition: '.+', sort: 'good'}, records: [{collection: docs, id: 'R-{partition}'}]}
  - {entity: ALIEN, match: {partition: '.+', sort: 'alien'}, records: [{collection: docs, id: 'R-x'}]}
  - {entity: NONE, match: {partition: '.+', sort: 'none'}, records: [{collection: docs, id: 'r'}]}
`), "flat.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for entity, refused := range map[string]bool{"GOOD": false, "ALIEN": true, "NONE": true} {
		key := lockstep.ItemKey{Partition: "1", Sort: strings.ToLower(entity)}
		m := lockstep.Message{Change: lockstep.Change{Key: key, Entity: entity, Event: lockstep.Insert}}
		_, err := h.Plan(t.Context(), handler.Unit{Messages: []lockstep.Message{m}})
		if errors.Is(err, lockstep.ErrInvalid) != refused {
			t.Errorf("%s: %v", entity, err)
		}
	}
}

func TestTemplates(t *testing.T) {
	groups := map[string]string{"partition.a": "X", "sort": "Y"}
	for in, want := range map[string]string{
		"": "", "plain": "plain", "{partition.a}": "X", "a{partition.a}b{sort}": "aXbY", "{{{sort}}}": "{Y}", "{{}}": "{}",
	} {
		got, err := parseTemplate(in)
		if err != nil || got.fill(groups) != want {
			t.Errorf("%q: %q, %v; want %q", in, got.fill(groups), err, want)
		}
	}
	for _, in := range []string{"{", "}", "{a", "a}", "{a b}", "{a.b.c}", "{1}", "{}"} {
		if _, err := parseTemplate(in); err == nil {
			t.Errorf("%q: accepted", in)
		}
	}
}

func TestConversions(t *testing.T) {
	n := func(s string) lockstep.Attr { return number(s) }
	for _, tc := range []struct {
		name string
		attr lockstep.Attr
		f    field
		want lockstep.Value // zero: refused
	}{
		{"text", text("x"), field{kind: lockstep.KindString}, lockstep.String("x")},
		{"number as text", n("1.50"), field{kind: lockstep.KindString}, lockstep.String("1.50")},
		{"integer", n("9007199254740993"), field{kind: lockstep.KindInt}, lockstep.Int(9007199254740993)},
		{"integer with zeros", n("-5.00"), field{kind: lockstep.KindInt}, lockstep.Int(-5)},
		{"fraction", n("5.5"), field{kind: lockstep.KindInt}, lockstep.Value{}},
		{"too large", n("9223372036854775808"), field{kind: lockstep.KindInt}, lockstep.Value{}},
		{"huge exponent", n("1e999999999"), field{kind: lockstep.KindFloat}, lockstep.Value{}},
		{"float", n("1E+2"), field{kind: lockstep.KindFloat}, lockstep.Float(100)},
		{"text as number", text("1"), field{kind: lockstep.KindInt}, lockstep.Value{}},
		{"truth", lockstep.Attr{Type: lockstep.AttrBool, Truth: true}, field{kind: lockstep.KindBool}, lockstep.Bool(true)},
		{"truth as text", lockstep.Attr{Type: lockstep.AttrBool}, field{kind: lockstep.KindString}, lockstep.Value{}},
		{"set", lockstep.Attr{Type: lockstep.AttrSS, Set: []string{"b", "a"}}, field{kind: lockstep.KindList, of: lockstep.KindString}, lockstep.Strings("a", "b")},
		{"numbers", lockstep.Attr{Type: lockstep.AttrL, List: []lockstep.Attr{n("2"), n("1")}}, field{kind: lockstep.KindList, of: lockstep.KindInt}, lockstep.List([]lockstep.Value{lockstep.Int(2), lockstep.Int(1)})},
		{"mixed", lockstep.Attr{Type: lockstep.AttrL, List: []lockstep.Attr{n("2"), text("1")}}, field{kind: lockstep.KindList, of: lockstep.KindInt}, lockstep.Value{}},
		{"text as list", text("x"), field{kind: lockstep.KindList, of: lockstep.KindString}, lockstep.Value{}},
		{"map", lockstep.Attr{Type: lockstep.AttrM}, field{kind: lockstep.KindString}, lockstep.Value{}},
	} {
		got, err := tc.f.convert(tc.attr)
		if (err == nil) != (tc.want.Kind() != 0) || err == nil && !got.Equal(tc.want) {
			t.Errorf("%s: %#v, %v; want %#v", tc.name, got, err, tc.want)
		}
		if err != nil && !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s: class of %v", tc.name, err)
		}
	}
}

func FuzzLoad(f *testing.F) {
	body, err := os.ReadFile(products)
	if err != nil {
		f.Fatal(err)
	}
	seeds := []string{string(body), "", "name: a\nentities: [{match: {partition: '('}}]\n", "collections: {a: }\nimports: [{}]\n"}
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		h, err := Load(strings.NewReader(s), "f")
		if err != nil {
			var p *config.Problems
			if !errors.As(err, &p) || len(p.List) == 0 {
				t.Fatalf("refused without a problem: %v", err)
			}
			return
		}
		if err := h.Describe().Check(); err != nil {
			t.Fatalf("accepted, but %v", err)
		}
		h.Reads(story()) // must not panic on any accepted mapping
		if _, err := h.Plan(t.Context(), handler.Unit{Messages: story()[:1]}); err != nil && !errors.Is(err, lockstep.ErrInvalid) {
			t.Fatalf("plan: %v", err)
		}
	})
}
