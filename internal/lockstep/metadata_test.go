package lockstep

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestMetadataCheck(t *testing.T) {
	one := Int(1)
	for _, c := range []struct {
		name string
		m    Metadata
		want string
	}{
		{"none", nil, ""},
		{"sorted", Metadata{{"a", one}, {"b", one}}, ""},
		{"sorted by bytes", Metadata{{"B", one}, {"a", one}, {"é", one}}, ""},
		{"like a reserved one", Metadata{{"chroma", one}, {"chroma_document", one}, {"hnsw:space", one}}, ""},
		{"empty key", Metadata{{"", one}}, "empty key"},
		{"reserved", Metadata{{"chroma:document", String("x")}}, "chroma:"},
		{"repeated", Metadata{{"a", one}, {"a", one}}, `"a" is repeated`},
		{"out of order", Metadata{{"b", one}, {"a", one}}, `"a" is repeated or out of order`},
		{"not UTF-8", Metadata{{"a\xff", one}}, "not UTF-8"},
		{"no value", Metadata{{"a", one}, {"b", Value{}}}, `"b": invalid value`},
	} {
		err := c.m.Check()
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func plain(m Metadata) map[string]any { return m.Map() }

// TestMetadataActsLikeAMap compares every edit with the same edit of a Go map, and
// wants the original unchanged.
func TestMetadataActsLikeAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		model := map[string]Value{}
		m := MetadataOf(nil)
		keys := rapid.SampledFrom([]string{"a", "aa", "b", "c", "é", "z"})
		for range rapid.IntRange(0, 20).Draw(t, "edits") {
			before := slices.Clone(m)
			key, v := keys.Draw(t, "key"), Int(rapid.Int64().Draw(t, "value"))
			var next Metadata
			if rapid.Bool().Draw(t, "remove") {
				next = m.Without(func(k string) bool { return k == key })
				delete(model, key)
			} else {
				next = m.With(key, v)
				model[key] = v
			}
			if !m.Equal(before) {
				t.Fatalf("editing changed the original: %v, was %v", m, before)
			}
			m = next
			want := MetadataOf(model)
			if diff := cmp.Diff(plain(want), plain(m)); diff != "" || !m.Equal(want) || m.Check() != nil {
				t.Fatalf("after %q (-want +got):\n%s", key, diff)
			}
			if got, ok := m.Get(key); ok != model[key].Equal(v) || ok && !got.Equal(v) {
				t.Fatalf("Get(%q) = %#v, %t", key, got, ok)
			}
		}
		n := 0
		for k, v := range m.All() {
			if !model[k].Equal(v) {
				t.Fatalf("All yields %q = %#v", k, v)
			}
			if n++; n == 2 {
				break
			}
		}
		if n != min(2, len(model)) {
			t.Fatalf("All yielded %d of %d before the loop ended", n, len(model))
		}
	})
}

func TestWithoutDropsEveryMatchAndKeepsTheRest(t *testing.T) {
	m := MetadataOf(map[string]Value{"label_a": Int(1), "label_b": Int(2), "x": Int(3), "y": Int(4)})
	got := m.Without(func(k string) bool { return strings.HasPrefix(k, "label_") || k == "y" })
	if !got.Equal(Metadata{{"x", Int(3)}}) || len(m) != 4 {
		t.Errorf("left %v of %v", got, m)
	}
	if same := m.Without(func(string) bool { return false }); &same[0] != &m[0] {
		t.Error("nothing was dropped, and yet a copy was made")
	}
}
