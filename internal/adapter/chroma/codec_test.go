package chroma

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/follow"
	"lockstep/internal/lockstep"
)

// markSeeds are marks and what merely looks like one.
func markSeeds(tb testing.TB) []string {
	tb.Helper()
	n := noteOf(follow.Mark{Store: "s", Version: 42, Digests: map[lockstep.Collection]string{"lines": "0aff"}}, fingerprint{
		Collections: map[string]holding{"lines": {ID: stableUUID("a"), Space: "l2", Records: 3, Applied: 7}}, LastID: 3, LastSeq: 7,
	})
	body, err := encodeNote(n)
	if err != nil {
		tb.Fatal(err)
	}
	return []string{string(body), exampleMark(tb), `{}`, `{"format":2}`, `{"format":1}{}`, `{"format":1,"digests":{"a":"zz"}}`}
}

// exampleMark is the example of docs/format/follower.md.
func exampleMark(tb testing.TB) string {
	tb.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "format", "follower.md"))
	if err != nil {
		tb.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(page), "```json mark\n")
	body, _, end := strings.Cut(rest, "\n```")
	if !ok || !end {
		tb.Fatal("docs/format/follower.md has no example of a mark")
	}
	return body
}

func TestTheDocumentedMarkIsOne(t *testing.T) {
	n, err := parseNote([]byte(exampleMark(t)))
	if err != nil {
		t.Fatal(err)
	}
	if n.Version != 42 || n.Held.Collections["lines"].Records == 0 || len(n.mark().Digests) == 0 {
		t.Errorf("the example says little: %+v", n)
	}
	back, err := encodeNote(n)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Join(strings.Fields(exampleMark(t)), ""), string(back)); diff != "" {
		t.Errorf("written again (-documented +got):\n%s", diff)
	}
}

func TestAMarkComesBackAsItWasWritten(t *testing.T) {
	want := follow.Mark{Store: "s", Version: 7, Digests: map[lockstep.Collection]string{"lines": "00", "words": "ff"}}
	body, err := encodeNote(noteOf(want, fingerprint{}))
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseNote(body)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.mark()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAMarkThatIsNoneIsTold(t *testing.T) {
	for body, want := range map[string]error{
		"":                     lockstep.ErrCorrupt,
		`[]`:                   lockstep.ErrCorrupt,
		`{}`:                   lockstep.ErrCorrupt,
		`{"format":2,"new":1}`: lockstep.ErrRefused,
		`{"format":1,"new":1}`: lockstep.ErrCorrupt,
		`{"format":1} x`:       lockstep.ErrCorrupt,
		`{"format":1,"held":{"collections":{"a":{"id":"no"}}}}`: lockstep.ErrCorrupt,
		`{"format":1,"digests":{"a":"zz"}}`:                     lockstep.ErrCorrupt,
	} {
		if _, err := parseNote([]byte(body)); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", body, err, want)
		}
	}
}

func FuzzParseNote(f *testing.F) {
	seeds := markSeeds(f)
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		n, err := parseNote(body)
		if err != nil {
			return
		}
		again, err := encodeNote(n)
		if err != nil {
			t.Fatal(err)
		}
		back, err := parseNote(again)
		if err != nil {
			t.Fatalf("what was read does not read back: %v", err)
		}
		if diff := cmp.Diff(n.mark(), back.mark()); diff != "" {
			t.Errorf("(-read +again):\n%s", diff)
		}
	})
}

// formSeeds are forms and what merely looks like them.
func formSeeds(tb testing.TB) []string {
	tb.Helper()
	id, meta, vec := stableUUID("c"), stableUUID("m"), stableUUID("v")
	body, err := encodeForms(forms{Format: formsFormat, Spaces: map[string]form{"l2": {
		ID: id, MetadataSegment: meta, VectorSegment: vec,
		Collection:         row{"id": id, "name": "lockstep-probe-l2", "dimension": nil, "config_json_str": "{}"},
		Segments:           []row{{"id": meta, "scope": "METADATA", "collection": id}, {"id": vec, "scope": "VECTOR", "collection": id}},
		CollectionMetadata: []row{{"collection_id": id, "key": "hnsw:space", "str_value": "l2", "int_value": int64(1) << 60, "float_value": 1.5}},
	}}})
	if err != nil {
		tb.Fatal(err)
	}
	whole := string(body)
	return []string{whole, strings.Replace(whole, `"scope"`, `"scope; DROP TABLE x"`, 1), strings.Replace(whole, id, "x", 1), `{"format":1}`, `{}`}
}

func TestFormsComeBackAsTheyWereLearned(t *testing.T) {
	f, err := parseForms([]byte(formSeeds(t)[0]))
	if err != nil {
		t.Fatal(err)
	}
	got := f.Spaces["l2"].CollectionMetadata[0]
	want := row{"collection_id": stableUUID("c"), "key": "hnsw:space", "str_value": "l2", "int_value": int64(1) << 60, "float_value": 1.5}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
}

func TestFormsThatWouldBecomeOtherSQLAreRefused(t *testing.T) {
	for _, body := range formSeeds(t)[1:3] {
		if _, err := parseForms([]byte(body)); !errors.Is(err, lockstep.ErrCorrupt) {
			t.Errorf("%v, want ErrCorrupt", err)
		}
	}
}

func FuzzParseForms(f *testing.F) {
	seeds := formSeeds(f)
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		read, err := parseForms(body)
		if err != nil {
			return
		}
		again, err := encodeForms(read)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseForms(again); err != nil {
			t.Fatalf("what was read does not read back: %v", err)
		}
	})
}
