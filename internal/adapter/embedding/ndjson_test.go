package embedding

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

func TestALineOfNDJSONKeepsEveryType(t *testing.T) {
	got, err := parseLine([]byte(`{"id":"IMAGE#é","document":"","embedding":[ 0.1, -2 ,3e-2],"metadata":{"i":1,"f":1.0,"s":"\ud83d\ude00","b":false,"l":["b","a"],"gone":null}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := handler.Embedding{
		ID: "IMAGE#é", HasDocument: true, Vector: []float32{0.1, -2, 0.03},
		Metadata: lockstep.Metadata{
			{Key: "b", Value: lockstep.Bool(false)},
			{Key: "f", Value: lockstep.Float(1)},
			{Key: "i", Value: lockstep.Int(1)},
			{Key: "l", Value: lockstep.Strings("b", "a")},
			{Key: "s", Value: lockstep.String("😀")},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	for _, line := range []string{`{"id":"a","embedding":[1]}`, `{"id":"a","embedding":[1],"document":null,"metadata":null}`} {
		if got, err := parseLine([]byte(line)); err != nil || got.HasDocument || got.Metadata != nil {
			t.Errorf("%s: %+v, %v", line, got, err)
		}
	}
}

var badLines = map[string]string{
	"blank":               ``,
	"a list":              `[]`,
	"torn":                `{"id":"a","embedding":[1,2`,
	"torn after a field":  `{"id":"a","embedding":[1]`,
	"two objects":         `{"id":"a","embedding":[1]}{}`,
	"unknown field":       `{"id":"a","embedding":[1],"vector":[1]}`,
	"repeated field":      `{"id":"a","id":"b","embedding":[1]}`,
	"no id":               `{"embedding":[1]}`,
	"id of another type":  `{"id":7,"embedding":[1]}`,
	"id null":             `{"id":null,"embedding":[1]}`,
	"no vector":           `{"id":"a"}`,
	"null vector":         `{"id":"a","embedding":null}`,
	"empty vector":        `{"id":"a","embedding":[]}`,
	"null component":      `{"id":"a","embedding":[1,null]}`,
	"text component":      `{"id":"a","embedding":["1"]}`,
	"nested vector":       `{"id":"a","embedding":[[1,2]]}`,
	"NaN":                 `{"id":"a","embedding":[NaN]}`,
	"beyond float32":      `{"id":"a","embedding":[1e39]}`,
	"document of numbers": `{"id":"a","embedding":[1],"document":1}`,
	"metadata of text":    `{"id":"a","embedding":[1],"metadata":"{}"}`,
	"nested metadata":     `{"id":"a","embedding":[1],"metadata":{"m":{}}}`,
	"repeated key":        `{"id":"a","embedding":[1],"metadata":{"m":1,"m":2}}`,
	"empty list":          `{"id":"a","embedding":[1],"metadata":{"m":[]}}`,
	"mixed list":          `{"id":"a","embedding":[1],"metadata":{"m":[1,1.5]}}`,
	"list in a list":      `{"id":"a","embedding":[1],"metadata":{"m":[[1]]}}`,
	"large integer":       `{"id":"a","embedding":[1],"metadata":{"m":9223372036854775808}}`,
	"large number":        `{"id":"a","embedding":[1],"metadata":{"m":1e400}}`,
	"reserved key":        `{"id":"a","embedding":[1],"metadata":{"chroma:document":"x"}}`,
	"not UTF-8":           "{\"id\":\"\xff\",\"embedding\":[1]}",
	"half a surrogate":    `{"id":"\ud800","embedding":[1]}`,
	"the other half":      `{"id":"\ude00","embedding":[1]}`,
	"two first halves":    `{"id":"\ud800\ud800","embedding":[1]}`,
}

func TestBadLinesAreRefusedWithTheirNumber(t *testing.T) {
	for name, line := range badLines {
		d, im := bucket(t, Options{})
		put(t, d, "x.ndjson", []byte(`{"id":"good","embedding":[1]}`+"\n"+line+"\n"))
		if _, err := imported(t, im, "words", "x.ndjson"); !errors.Is(err, lockstep.ErrInvalid) || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%s: got %v, want ErrInvalid that names line 2", name, err)
		}
	}
}

func TestLimitsOfLinesHold(t *testing.T) {
	d, im := bucket(t, Options{MaxLineBytes: 100, MaxEmbeddings: 2})
	put(t, d, "long.ndjson", []byte(`{"id":"a","embedding":[1]}`+"\n"+strings.Repeat(" ", 101)))
	if _, err := imported(t, im, "words", "long.ndjson"); !errors.Is(err, lockstep.ErrInvalid) || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("long line: %v", err)
	}
	put(t, d, "many.ndjson", []byte(`{"id":"a","embedding":[1]}`+"\n"+`{"id":"b","embedding":[1]}`+"\n"+`{"id":"c","embedding":[1]}`))
	if _, err := imported(t, im, "words", "many.ndjson"); !errors.Is(err, lockstep.ErrInvalid) || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("many lines: %v", err)
	}
	if v, err := parseVector([]byte("[" + strings.Repeat("1,", lockstep.MaxDimension) + "1]")); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("%d components: %v", len(v), err)
	}
}

func TestTheExampleInTheDocumentIsRead(t *testing.T) {
	text, err := os.ReadFile("../../../docs/format/import.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "```ndjson\n")
	example, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatal("docs/format/import.md has no ndjson block")
	}
	d, im := bucket(t, Options{})
	put(t, d, "lines/delta/run/delta.ndjson", []byte(example))
	got, err := imported(t, im, "lines", "lines/delta/run/")
	if err != nil {
		t.Fatal(err)
	}
	want := []handler.Embedding{
		{
			ID: "IMAGE#7f3c#RECEIPT#00001#LINE#00001", Document: "Oat milk 3.49", HasDocument: true, Vector: []float32{0.12, -0.5, 1},
			Metadata: lockstep.Metadata{
				{Key: "confidence", Value: lockstep.Float(1)},
				{Key: "labels", Value: lockstep.Strings("PRODUCT_NAME", "LINE_TOTAL")},
				{Key: "receipt_id", Value: lockstep.Int(1)},
			},
		},
		{ID: "IMAGE#7f3c#RECEIPT#00001#LINE#00002", Vector: []float32{0, 0.25, -3}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestEveryVectorSurvivesNDJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := handler.Embedding{
			ID:       rapid.StringN(1, 20, 60).Draw(t, "id"),
			Document: rapid.String().Draw(t, "document"), HasDocument: true,
			Vector: rapid.SliceOfN(rapid.Float32Range(-math.MaxFloat32, math.MaxFloat32), 1, 20).Draw(t, "vector"),
			Metadata: lockstep.Metadata{
				{Key: "f", Value: lockstep.String(rapid.String().Draw(t, "text"))},
				{Key: "i", Value: lockstep.Int(rapid.Int64().Draw(t, "whole"))},
			},
		}
		line, err := json.Marshal(map[string]any{"id": want.ID, "document": want.Document, "embedding": want.Vector, "metadata": want.Metadata.Map()})
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseLine(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s: -want +got\n%s", line, diff)
		}
	})
}

func FuzzParseLine(f *testing.F) {
	if len(badLines) == 0 {
		f.Fatal("no seeds")
	}
	for _, line := range badLines {
		f.Add([]byte(line))
	}
	f.Add([]byte(`{"id":"IMAGE#é","document":"","embedding":[ 0.1, -2 ,3e-2],"metadata":{"i":1,"f":1.0,"s":"\ud83d\ude00","l":["b","a"],"gone":null}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := parseLine(line)
		if err != nil {
			if !errors.Is(err, lockstep.ErrInvalid) {
				t.Fatalf("an error of no class: %v", err)
			}
			return
		}
		if err := finish([]handler.Embedding{e}); err != nil {
			t.Fatalf("read and not importable: %v", err)
		}
	})
}
