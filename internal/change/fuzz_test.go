package change

import (
	"context"
	"errors"
	"strings"
	"testing"

	"lockstep/internal/lockstep"

	"github.com/google/go-cmp/cmp"
)

// seed adds seeds and fails when there are none: a fuzz target without seeds
// starts from nothing and finds nothing.
func seed(f *testing.F, seeds ...string) {
	f.Helper()
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, s := range seeds {
		f.Add([]byte(s))
	}
}

func FuzzDecode(f *testing.F) {
	a, b := record("a", "INSERT", "1", "x"), record("", "MODIFY", "2", "é\n")
	seed(f, a, b, record("c", "REMOVE", "003", ""), `{"Records":[`+a+`,`+b+`]}`, `[`+a+`, 1]`, a+"\n"+b, "[\n"+a+",\n"+b+"\n]",
		a[:60]+"\n"+b, `{"Records":{}}`, "\uFEFF{}", strings.Replace(a, `"SequenceNumber"`, `"ApproximateCreationDateTime":1.5e9,"X":[{"y":null}],"SequenceNumber"`, 1))
	limits := Limits{RecordBytes: 2000, EventRecords: 3, LineBytes: 4000, Depth: 5}
	f.Fuzz(func(t *testing.T, input []byte) {
		for d, err := range Decode(context.Background(), strings.NewReader(string(input)), "fuzz", Options{Limits: limits}) {
			if err != nil {
				t.Fatal(err)
			}
			if d.Bad != nil {
				checkMalformed(t, *d.Bad)
				continue
			}
			m := d.Message
			if len(m.Body) > limits.RecordBytes || m.ID == "" || m.Group == "" || !m.Change.Seq.Valid() {
				t.Fatalf("limits are not kept: %+v", m)
			}
			if m.Change.Event != lockstep.Remove && m.Change.New["PK"].Text == "" {
				t.Fatalf("an image without its key: %+v", m)
			}
			if diff := cmp.Diff(m, fuzzAgain(t, m.Body, limits), sameValue); diff != "" {
				t.Fatal(diff)
			}
			if _, err := ParseParked(ParkedRecord(Parked{Message: m}), Schema{}); err != nil {
				t.Fatal(err)
			}
			if _, err := ParseMirror(MirrorRecord(Merge(lockstep.MirrorItem{}, false, m.Change).Item)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func checkMalformed(t *testing.T, m Malformed) {
	t.Helper()
	if m.Reason == "" || len(m.Reason) > MaxReasonBytes || len(m.Body) == 0 || len(m.Body) > MaxMalformedBytes {
		t.Fatalf("malformed: %+v", m)
	}
	r := MalformedRecord(m)
	if err := r.Check(); err != nil {
		t.Fatal(err)
	}
	back, err := ParseMalformed(r)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, back); diff != "" {
		t.Fatal(diff)
	}
}

func fuzzAgain(t *testing.T, body []byte, limits Limits) lockstep.Message {
	t.Helper()
	var out lockstep.Message
	n := 0
	for d, err := range Decode(context.Background(), strings.NewReader(string(body)), "fuzz", Options{Limits: limits}) {
		if err != nil || d.Bad != nil {
			t.Fatalf("the body is not accepted: %v %+v\n%s", err, d.Bad, body)
		}
		out = d.Message
		n++
	}
	if n != 1 {
		t.Fatalf("%d messages in a body", n)
	}
	return out
}

func FuzzDecodeItem(f *testing.F) {
	seed(f, `{}`, `{"a":{"S":"x"}}`, `{"a":{"SS":["a","b"]},"b":{"L":[{"M":{"x":{"B":"AA=="}}},{"NULL":true}]}}`, `{"a":{"N":"1E5"},"b":{"BOOL":false}}`,
		`{ "b" : {"S":"\u0041\ud83d\ude00"}, "a":{"NS":["2","1"]}}`, nested(6))
	f.Fuzz(func(t *testing.T, text []byte) {
		it, err := DecodeItem(text, Limits{Depth: 6})
		if err != nil {
			if !errors.Is(err, lockstep.ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		canonical := EncodeItem(it)
		again, err := DecodeItem(canonical, Limits{Depth: 6})
		if err != nil {
			t.Fatalf("%v\n%s", err, canonical)
		}
		if diff := cmp.Diff(it, again, sameValue); diff != "" {
			t.Fatal(diff)
		}
		s := scanner{src: string(text), depth: 6, canonical: true}
		_, fault := s.item(1)
		if fault == nil {
			fault = s.end()
		}
		if (fault == nil) != (string(canonical) == string(text)) {
			t.Fatalf("the canonical scanner says %v of\n%s\nbut the encoder writes\n%s", fault, text, canonical)
		}
	})
}

func FuzzParseMirror(f *testing.F) {
	seeds := []lockstep.MirrorItem{
		{Key: labelKey, Entity: "LABEL", Seq: "12"},
		{Key: labelKey, Entity: "LABEL", Seq: "12", Removed: "7", Image: lockstep.Item{"a": {Type: "S", Text: "x\n"}, "b": {Type: "BS", Set: []string{"x"}}}},
	}
	for _, it := range seeds {
		r := MirrorRecord(it)
		f.Add(r.ID, r.Document, r.HasDocument, it.Entity, string(it.Seq), string(it.Removed), text(r.Metadata, "state"))
	}
	f.Fuzz(func(t *testing.T, id, doc string, hasDoc bool, entity, seq, removed, state string) {
		meta := map[string]lockstep.Value{"entity": lockstep.String(entity), "seq": lockstep.String(seq), "state": lockstep.String(state)}
		if removed != "" {
			meta["removed"] = lockstep.String(removed)
		}
		r := lockstep.Record{ID: id, Document: doc, HasDocument: hasDoc, Metadata: lockstep.MetadataOf(meta)}
		it, err := ParseMirror(r)
		if err != nil {
			if !errors.Is(err, lockstep.ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		if diff := cmp.Diff(r, MirrorRecord(it)); diff != "" {
			t.Fatal(diff)
		}
	})
}
