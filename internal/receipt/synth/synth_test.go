package synth

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/change"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

func tiny() *Generator {
	return New(3, Options{Receipts: 9, Lines: Range{2, 3}, Words: Range{1, 2}, Dimension: 8, Labels: 50, Letters: 1, Place: BothItems})
}

func all(g *Generator, edits int) []Event {
	events := slices.Collect(g.Events())
	for _, e := range g.Edits(edits) {
		events = append(events, e.Events...)
	}
	return events
}

func TestSameSeedSameTable(t *testing.T) {
	if diff := cmp.Diff(all(tiny(), 100), all(tiny(), 100)); diff != "" {
		t.Error(diff)
	}
	a, b := tiny(), New(4, tiny().opts)
	if cmp.Equal(a.Receipt(0), b.Receipt(0)) {
		t.Error("another seed makes the same receipt")
	}
	if cmp.Equal(a.Receipt(0), a.Receipt(1)) {
		t.Error("two receipts are the same")
	}
}

func TestReceiptDoesNotDependOnWhatWasAskedBefore(t *testing.T) {
	g := tiny()
	all(g, 0)
	g.Receipt(1)
	if diff := cmp.Diff(tiny().Receipt(5), g.Receipt(5)); diff != "" {
		t.Error(diff)
	}
}

// DOMAIN 12: 40 to 84 lines, 100 to 195 words.
func TestDefaultsHaveTheScaleOfTheDomain(t *testing.T) {
	g := New(1, Options{Receipts: 50})
	words := 0
	for i := range g.Len() {
		r := g.Receipt(i)
		if n := len(r.Lines); n < 40 || n > 84 {
			t.Errorf("receipt %d has %d lines", i, n)
		}
		for _, l := range r.Lines {
			words += len(l.Words)
		}
	}
	if mean := words / g.Len(); mean < 100 || mean > 195 {
		t.Errorf("%d words per receipt", mean)
	}
	if v := g.Embeddings(g.Receipt(0), "lines")[0].Vector; len(v) != 1536 {
		t.Errorf("%d components", len(v))
	}
}

func TestSequenceNumbersGrow(t *testing.T) {
	var last lockstep.Sequence
	for _, e := range all(tiny(), 300) {
		if !e.Change.Seq.Valid() || e.Change.Seq.Compare(last) <= 0 {
			t.Fatalf("%s: %q after %q", e.ID, e.Change.Seq, last)
		}
		last = e.Change.Seq
	}
}

// Every old image must be the new image of the change before: it is one table.
func TestEventsAreTheHistoryOfOneTable(t *testing.T) {
	table := map[string]lockstep.Item{}
	for _, e := range all(tiny(), 600) {
		id := e.Change.Key.RecordID()
		if diff := cmp.Diff(table[id], e.Change.Old); diff != "" {
			t.Fatalf("%s %s: old image (-table +event):\n%s", e.ID, id, diff)
		}
		table[id] = e.Change.New
		for name, key := range map[string]string{"PK": e.Change.Key.Partition, "SK": e.Change.Key.Sort} {
			if e.Change.New != nil && e.Change.New.Str(name) != key {
				t.Fatalf("%s: attribute %s is %q, key is %q", e.ID, name, e.Change.New.Str(name), key)
			}
		}
	}
}

func TestEditsReachEveryKind(t *testing.T) {
	seen := map[string]int{}
	events := map[lockstep.Event]int{}
	for _, e := range tiny().Edits(600) {
		seen[e.Kind]++
		for _, ev := range e.Events {
			events[ev.Change.Event]++
		}
	}
	for _, k := range Kinds() {
		if seen[k] == 0 {
			t.Errorf("no %s among %v", k, seen)
		}
	}
	if len(events) != 3 {
		t.Errorf("events %v", events)
	}
	if _, err := tiny().Edit(0, "magic"); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("an unknown kind: %v", err)
	}
	if _, err := tiny().Edit(9, "place"); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("a receipt that is not there: %v", err)
	}
}

// The stream records are those that package change reads.
func TestJSONDecodesToTheSameChange(t *testing.T) {
	events := all(tiny(), 200)
	var got []lockstep.Message
	for d, err := range change.Decode(t.Context(), strings.NewReader(string(AppendBatch(nil, events...))), "synth", change.Options{}) {
		if err != nil {
			t.Fatal(err)
		}
		if d.Bad != nil {
			t.Fatalf("malformed: %+v", d.Bad)
		}
		m := d.Message
		m.Body = nil
		got = append(got, m)
	}
	want := make([]lockstep.Message, len(events))
	for i, e := range events {
		want[i] = e.Message()
		want[i].Body = nil
	}
	if len(got) != len(want) {
		t.Fatalf("%d messages, want %d", len(got), len(want))
	}
	for i := range want {
		if !got[i].Change.At.Equal(want[i].Change.At) {
			t.Fatalf("%s: at %s, want %s", want[i].ID, got[i].Change.At, want[i].Change.At)
		}
		got[i].Change.At = want[i].Change.At
		got[i].Change.Entity = want[i].Change.Entity
		if diff := cmp.Diff(want[i], got[i]); diff != "" {
			t.Fatalf("(-event +decoded):\n%s", diff)
		}
	}
}

func TestImportFindsWhatRunsAnnounce(t *testing.T) {
	g := tiny()
	runs := 0
	for _, e := range all(g, 400) {
		if e.Change.Event != lockstep.Insert || !strings.Contains(e.Change.Key.Sort, "#COMPACTION_RUN#") {
			continue
		}
		runs++
		for _, c := range []lockstep.Collection{"lines", "words"} {
			im, err := g.Import(handler.ImportRef{Collection: c, Location: e.Change.New.Str(string(c) + "_delta_prefix")})
			if err != nil || len(im.Embeddings) == 0 {
				t.Fatalf("%s: %d embeddings, %v", e.ID, len(im.Embeddings), err)
			}
			for i, emb := range im.Embeddings {
				if !strings.HasPrefix(emb.ID, e.Change.Key.Partition+"#RECEIPT#") || i > 0 && im.Embeddings[i-1].ID >= emb.ID {
					t.Fatalf("record %d is %s", i, emb.ID)
				}
				if err := emb.Metadata.Check(); err != nil {
					t.Fatal(err)
				}
				if n := length(emb.Vector); math.Abs(n-1) > 1e-5 {
					t.Fatalf("%s: vector of length %v", emb.ID, n)
				}
			}
		}
	}
	if runs <= g.Len() {
		t.Errorf("%d runs of %d receipts: nothing was embedded again", runs, g.Len())
	}
	for _, bad := range []string{"", "lines/delta/x/", "lines/delta/00000000-0000-4000-8000-000000000000/", "words/delta/" + g.fresh(0).RunID + "/"} {
		if _, err := g.Import(handler.ImportRef{Collection: "lines", Location: bad}); !errors.Is(err, lockstep.ErrNotFound) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func length(v []float32) float64 {
	sum := 0.0
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	return math.Sqrt(sum)
}

func TestNDJSONKeepsIntsAndFloatsApart(t *testing.T) {
	e := handler.Embedding{
		ID: "a\"\u00e9", Document: "two\nlines", HasDocument: true, Vector: []float32{0.1, -2, 1e-20},
		Metadata: lockstep.MetadataOf(map[string]lockstep.Value{
			"int": lockstep.Int(1), "float": lockstep.Float(1), "big": lockstep.Float(1e21), "yes": lockstep.Bool(true), "list": lockstep.Strings("a", "b"),
		}),
	}
	got := string(AppendNDJSON(nil, e, handler.Embedding{ID: "b", Vector: []float32{1}}))
	want := `{"id":"a\"é","document":"two\nlines","embedding":[0.1,-2,1e-20],"metadata":{"big":1e+21,"float":1.0,"int":1,"list":["a","b"],"yes":true}}` + "\n" +
		`{"id":"b","embedding":[1],"metadata":{}}` + "\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	g := tiny()
	for _, o := range g.Objects(g.Receipt(0)) {
		for l := range strings.Lines(string(o.Body)) {
			if !json.Valid([]byte(l)) {
				t.Errorf("%s: %s", o.Key, l)
			}
		}
	}
}
