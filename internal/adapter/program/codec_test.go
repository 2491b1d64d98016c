package program

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

func anyText() *rapid.Generator[string] {
	return rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", `"\`, "\x00\x1f\u2028\u2029", "</script>", "ä🧀\ufffd"}))
}

func anyItem(depth int) *rapid.Generator[lockstep.Item] {
	return rapid.Custom(func(t *rapid.T) lockstep.Item {
		it := lockstep.Item{}
		for range rapid.IntRange(0, 3).Draw(t, "attributes") {
			it[rapid.StringN(1, 8, -1).Draw(t, "name")] = anyAttr(depth).Draw(t, "attr")
		}
		return it
	})
}

func anyAttr(depth int) *rapid.Generator[lockstep.Attr] {
	return rapid.Custom(func(t *rapid.T) lockstep.Attr {
		kinds := []lockstep.AttrType{lockstep.AttrS, lockstep.AttrN, lockstep.AttrB, lockstep.AttrBool, lockstep.AttrNull, lockstep.AttrSS, lockstep.AttrNS, lockstep.AttrBS}
		if depth > 0 {
			kinds = append(kinds, lockstep.AttrM, lockstep.AttrL)
		}
		a := lockstep.Attr{Type: rapid.SampledFrom(kinds).Draw(t, "type")}
		switch a.Type {
		case lockstep.AttrS:
			a.Text = anyText().Draw(t, "text")
		case lockstep.AttrN:
			a.Text = rapid.SampledFrom([]string{"0", "1", "1.0", "-0.5E-7", "12345678901234567890123456789012345678"}).Draw(t, "number")
		case lockstep.AttrB:
			a.Text = string(rapid.SliceOfN(rapid.Byte(), 1, 8).Draw(t, "bytes"))
		case lockstep.AttrBool:
			a.Truth = rapid.Bool().Draw(t, "truth")
		case lockstep.AttrNull: // has no value
		case lockstep.AttrSS:
			a.Set = []string{"a", "b,\""}
		case lockstep.AttrNS:
			a.Set = []string{"1", "2.50"}
		case lockstep.AttrBS:
			a.Set = []string{"\x00", "\xff\xfe"}
		case lockstep.AttrM:
			a.Map = anyItem(depth-1).Draw(t, "map")
		case lockstep.AttrL:
			a.List = rapid.SliceOfN(anyAttr(depth-1), 1, 3).Draw(t, "list")
		}
		return a
	})
}

func anyImage(t *rapid.T, what string) lockstep.Item {
	if rapid.Bool().Draw(t, what+" present") {
		return anyItem(2).Draw(t, what)
	}
	return nil
}

func anyMetadata() *rapid.Generator[lockstep.Metadata] {
	scalar := rapid.OneOf(
		rapid.Map(anyText(), lockstep.String), rapid.Map(rapid.Int64(), lockstep.Int), rapid.Map(rapid.Bool(), lockstep.Bool),
		rapid.SampledFrom([]lockstep.Value{lockstep.Float(1), lockstep.Float(0.1), lockstep.Float(1e300), lockstep.Float(-5e-324), lockstep.Int(1), lockstep.Strings("a", ""), lockstep.List([]lockstep.Value{lockstep.Float(2)})}),
	)
	return rapid.Map(rapid.MapOfN(rapid.StringN(1, 8, -1), scalar, 0, 5), func(m map[string]lockstep.Value) lockstep.Metadata {
		if len(m) == 0 {
			return nil
		}
		return lockstep.MetadataOf(m)
	})
}

func anySeq(t *rapid.T) lockstep.Sequence {
	return lockstep.Sequence(rapid.SampledFrom([]string{"", "0", "300000000013600002000000000000000000001"}).Draw(t, "seq"))
}

func anyVector() *rapid.Generator[[]float32] {
	return rapid.SliceOfN(rapid.SampledFrom([]float32{0, 1, -0.1, math.MaxFloat32, math.SmallestNonzeroFloat32, 1.0 / 3}), 1, 4)
}

func anyUnit(t *rapid.T) handler.Unit {
	zone := time.FixedZone("", 3600*rapid.IntRange(-12, 12).Draw(t, "zone"))
	u := handler.Unit{
		Now:  time.Unix(rapid.Int64Range(-1e9, 1e10).Draw(t, "now"), rapid.Int64Range(0, 1e9-1).Draw(t, "ns")).In(zone),
		View: handler.View{Records: map[lockstep.Collection][]lockstep.Record{}},
	}
	key := func() lockstep.ItemKey {
		return lockstep.ItemKey{Partition: anyText().Draw(t, "partition"), Sort: anyText().Draw(t, "sort")}
	}
	for range rapid.IntRange(1, 3).Draw(t, "messages") {
		u.Messages = append(u.Messages, lockstep.Message{
			ID: anyText().Draw(t, "id"), Group: anyText().Draw(t, "group"), Source: anyText().Draw(t, "source"), Body: []byte(anyText().Draw(t, "body")),
			Change: lockstep.Change{
				Key: key(), Event: rapid.SampledFrom([]lockstep.Event{lockstep.Insert, lockstep.Modify, lockstep.Remove}).Draw(t, "event"),
				Entity: anyText().Draw(t, "entity"), Seq: anySeq(t), Old: anyImage(t, "old"), New: anyImage(t, "new"), At: u.Now.Add(-time.Nanosecond),
			},
		})
	}
	for _, c := range []lockstep.Collection{"lines", "words"} {
		u.View.Records[c] = []lockstep.Record{}
		for range rapid.IntRange(0, 2).Draw(t, "records") {
			r := lockstep.Record{ID: anyText().Draw(t, "id"), Metadata: anyMetadata().Draw(t, "metadata")}
			if r.HasDocument = rapid.Bool().Draw(t, "document"); r.HasDocument {
				r.Document = anyText().Draw(t, "text")
			}
			if rapid.Bool().Draw(t, "vector") {
				r.Vector = lockstep.VectorRef{Hash: [32]byte{1, 0xff}, Dim: rapid.Uint32().Draw(t, "dim")}
			}
			u.View.Records[c] = append(u.View.Records[c], r)
		}
	}
	for range rapid.IntRange(0, 2).Draw(t, "items") {
		k := key()
		u.View.Items = append(u.View.Items, lockstep.MirrorItem{ID: k.RecordID(), Key: k, Entity: "E", Image: anyImage(t, "image"), Seq: anySeq(t), Removed: anySeq(t), First: anySeq(t)})
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "imports") {
		im := handler.Import{Ref: handler.ImportRef{Collection: "lines", Location: anyText().Draw(t, "location"), Message: i}}
		for range rapid.IntRange(0, 2).Draw(t, "embeddings") {
			e := handler.Embedding{ID: anyText().Draw(t, "id"), Metadata: anyMetadata().Draw(t, "metadata"), Vector: anyVector().Draw(t, "vector")}
			if e.HasDocument = rapid.Bool().Draw(t, "document"); e.HasDocument {
				e.Document = anyText().Draw(t, "text")
			}
			im.Embeddings = append(im.Embeddings, e)
		}
		u.View.Imports = append(u.View.Imports, im)
	}
	return u
}

func TestAUnitArrivesAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for range 20 {
			u := anyUnit(t)
			line := planLine(7, encodeMessages(u.Messages), &u)
			if err := checkLine(line); err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(line), "\n"); n != 1 {
				t.Fatalf("%d lines", n)
			}
			r := parseRequest(line)
			// Two instants in zones that only have other names are the same.
			if diff := cmp.Diff(u, r.unit(), cmp.Comparer(func(a, b time.Time) bool {
				_, x := a.Zone()
				_, y := b.Zone()
				return a.Equal(b) && x == y
			})); diff != "" {
				t.Fatalf("(-sent +arrived):\n%s", diff)
			}
			if diff := cmp.Diff(u.Messages, parseRequest(readsLine(8, encodeMessages(u.Messages))).messages(), cmp.Comparer(time.Time.Equal)); diff != "" {
				t.Fatalf("reads (-sent +arrived):\n%s", diff)
			}
		}
	})
}

func answerLine(t interface{ Fatal(args ...any) }, a object) []byte {
	b, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAnAnswerArrivesAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for range 20 {
			var muts []lockstep.Mutation
			for i := range rapid.IntRange(0, 4).Draw(t, "mutations") {
				m := lockstep.Mutation{Collection: "lines", Op: lockstep.Delete, Record: lockstep.Record{ID: rapid.StringN(1, 9, -1).Draw(t, "id")}, Cause: i}
				if rapid.Bool().Draw(t, "upsert") {
					m.Op, m.Record.Metadata = lockstep.Upsert, anyMetadata().Draw(t, "metadata")
					if rapid.Bool().Draw(t, "vector") {
						m.Vector = anyVector().Draw(t, "components")
					}
					if m.Record.HasDocument = rapid.Bool().Draw(t, "document"); m.Record.HasDocument {
						m.Record.Document = anyText().Draw(t, "text")
					}
				}
				muts = append(muts, m)
			}
			a, err := decoder{request: requestPlan, messages: 4, mutations: 4}.decode(answerLine(t, object{"id": 9, "mutations": writeMutations(muts)}))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(muts, a.mutations); diff != "" || a.id != 9 {
				t.Fatalf("id %d (-sent +arrived):\n%s", a.id, diff)
			}
		}
	})
	reads := handler.Reads{
		Records: []handler.RecordRange{{Collection: "lines", ID: "a#"}, {Collection: "words", ID: "b", Prefix: true}},
		Items:   []handler.ItemRange{{Partition: "p", SortPrefix: ""}},
		Imports: []handler.ImportRef{{Collection: "lines", Location: "s3://x/y", Message: 1}},
	}
	a, err := decoder{request: requestReads, messages: 2}.decode(answerLine(t, object{"id": 1, "reads": writeReads(reads)}))
	if diff := cmp.Diff(reads, a.reads); err != nil || diff != "" {
		t.Errorf("%v, reads (-sent +arrived):\n%s", err, diff)
	}
	desc := notes{version: "3"}.Describe()
	desc.Key, desc.Config, desc.ReadsFormat, desc.WritesFormat = handler.KeySchema{Partition: "A", Sort: "B"}, []byte(`{"a":1}`), "x/1", "x/2"
	a, err = decoder{request: requestDescribe}.decode(answerLine(t, object{"id": 1, "protocol": Protocol, "describe": writeDescription(desc)}))
	if diff := cmp.Diff(desc, a.desc); err != nil || diff != "" {
		t.Errorf("%v, description (-sent +arrived):\n%s", err, diff)
	}
}

func TestAnAnswerThatIsNotOneIsRefusedWithItsPath(t *testing.T) {
	plan := func(m string) string { return `{"id":1,"mutations":[` + m + `]}` }
	upsert := func(rest string) string {
		return plan(`{"collection":"c","op":"upsert","id":"a","cause":0,` + rest + `}`)
	}
	for _, tt := range []struct{ request, line, want string }{
		{"plan", ``, "want an object at byte 0, found the end"},
		{"plan", "\xff", "not UTF-8"},
		{"plan", `{}`, "no id"},
		{"plan", `{"id":1}`, "neither mutations nor error"},
		{"plan", `{"id":1,"mutations":[],"error":{"message":"x"}}`, "both mutations and error"},
		{"plan", `{"id":1,"mutations":[]} {}`, "surplus text at byte 24"},
		{"plan", `{"id":1,"mutations":[]`, "want a comma or the end of the object"},
		{"plan", `{"id":1,"id":1,"mutations":[]}`, "id: the name comes twice"},
		{"plan", `{"ID":1,"mutations":[]}`, `ID: unknown member "ID"`},
		{"plan", `{"id":"1","mutations":[]}`, "id: want a number"},
		{"plan", `{"id":1.0,"mutations":[]}`, "id: 1.0 is not a whole number"},
		{"plan", `{"id":-1,"mutations":[]}`, "id: -1 is not a whole number"},
		{"plan", `{"id":1,"mutations":null}`, "mutations: want an array"},
		{"plan", `{"id":1,"reads":{}}`, `reads: unknown member "reads"`},
		{"plan", `{"id":1,"error":{"message":"x","class":"unavailable"}}`, `error.class: "unavailable", want invalid or refused`},
		{"plan", `{"id":1,"error":{"class":"invalid"}}`, "error: no message"},
		{"plan", plan(`{"collection":"c","op":"merge","id":"a","cause":0}`), `mutations[0].op: "merge", want upsert or delete`},
		{"plan", plan(`{"collection":"c","op":"delete","id":"a"}`), "mutations[0]: a mutation needs"},
		{"plan", plan(`{"collection":"c","op":"delete","id":"a","cause":0,"document":"x"}`), "a delete has no document"},
		{"plan", upsert(`"metadata":{"a":null}`), "mutations[0].metadata.a: null is no value: leave the key out"},
		{"plan", upsert(`"metadata":{"a":{}}`), "mutations[0].metadata.a: want a string, number"},
		{"plan", upsert(`"metadata":{"a":[[]]}`), "mutations[0].metadata.a[0]: want a string, number"},
		{"plan", upsert(`"metadata":{"a":NaN}`), "mutations[0].metadata.a: want a string, number"},
		{"plan", upsert(`"metadata":{"a":01}`), "mutations[0].metadata.a: want a number"},
		{"plan", upsert(`"metadata":{"a":9223372036854775808}`), "does not fit into 64 bits"},
		{"plan", upsert(`"metadata":{"a":1e999}`), "too large for a float"},
		{"plan", upsert(`"metadata":{"a":"\ud83e"}`), "half a surrogate pair"},
		{"plan", upsert(`"metadata":{"a":"\q"}`), "unknown escape"},
		{"plan", upsert("\"metadata\":{\"a\":\"\n\"}"), "control character"},
		{"plan", upsert(`"metadata":{"a":"x`), "does not end"},
		{"plan", upsert(`"vector":[1,"2"]`), "mutations[0].vector[1]: want a number"},
		{"plan", upsert(`"vector":[1e39]`), "does not fit into 32 bits"},
		{"plan", upsert(`"vector":"AAAA"`), "not base64 of 32-bit numbers"},
		{"plan", upsert(`"vector":"AA!="`), "not base64 of 32-bit numbers"},
		{"reads", `{"id":1,"reads":{"imports":[{"collection":"c","location":"x","message":2}]}}`, "reads.imports[0].message: 2 is not a whole number from 0 to 1"},
		{"reads", `{"id":1,"reads":{"imports":[{"collection":"c","location":"x"}]}}`, "an import needs"},
		{"reads", `{"id":1,"reads":{"records":[{"collection":"c","prefix":true}]}}`, "a range needs a collection and an id"},
		{"reads", `{"id":1,"reads":{"items":[{"sort_prefix":"x"}]}}`, "a range needs a partition"},
		{"reads", `{"id":1,"reads":{"records":[{"collection":"c","id":"x","prefix":1}]}}`, "reads.records[0].prefix: want true or false"},
		{"describe", `{"id":1,"describe":{"name":"a"}}`, "no protocol"},
		{"describe", `{"id":1,"protocol":"lockstep-exec/1","describe":{"code":"ab"}}`, `describe.code: unknown member "code"`},
	} {
		_, err := decoder{request: tt.request, messages: 2, mutations: 10}.decode([]byte(tt.line))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s\n got %v\nwant %s", tt.line, err, tt.want)
		}
	}
}

func TestAnswersMayBeWrittenInAnyStyle(t *testing.T) {
	line := " { \"mutations\" : [ { \"cause\":0, \"vector\": [ 1, -0.5e0 ] ,\"metadata\":{\"b\":1,\"a\":1.0,\"c\":1e2,\"d\":\"\\ud83e\\uddc0\\u00e4\\/\"}, \"document\":null,\"id\":\"x\",\"op\":\"upsert\",\"collection\":\"c\"} ],\t\"id\" : 4 } \r"
	a, err := decoder{request: requestPlan, mutations: 1}.decode([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	want := []lockstep.Mutation{{Collection: "c", Op: lockstep.Upsert, Vector: []float32{1, -0.5}, Record: lockstep.Record{ID: "x", Metadata: lockstep.Metadata{
		{Key: "a", Value: lockstep.Float(1)}, {Key: "b", Value: lockstep.Int(1)}, {Key: "c", Value: lockstep.Float(100)}, {Key: "d", Value: lockstep.String("🧀ä/")},
	}}}}
	if diff := cmp.Diff(want, a.mutations); diff != "" {
		t.Error(diff)
	}
}

// requests are the kinds of answer, for fuzzing.
var requests = []string{requestDescribe, requestReads, requestPlan}

// FuzzDecodeAnswer wants no panic, no answer above its limits, and that what was
// read is read again from what it says.
func FuzzDecodeAnswer(f *testing.F) {
	_, answers := pageExamples(f)
	if len(answers) < 4 {
		f.Fatalf("%d seeds", len(answers))
	}
	for _, a := range answers {
		for i := range requests {
			f.Add(i, []byte(a))
		}
	}
	f.Add(2, []byte(`{"id":1,"mutations":[{"collection":"c","op":"upsert","id":"a","cause":0,"metadata":{"a":[1.0,2],"b":"\ud83e\uddc0"},"vector":"AACAPw=="}]}`))
	f.Fuzz(func(t *testing.T, which int, line []byte) {
		d := decoder{request: requests[uint(which)%3], messages: 3, mutations: 5}
		a, err := d.decode(line)
		if err != nil {
			return
		}
		if len(a.mutations) > 5 {
			t.Fatalf("%d mutations", len(a.mutations))
		}
		again := object{"id": a.id}
		switch {
		case a.reported != nil:
			return
		case d.request == requestDescribe:
			again["protocol"], again["describe"] = Protocol, writeDescription(a.desc)
		case d.request == requestReads:
			again["reads"] = writeReads(a.reads)
		default:
			again["mutations"] = writeMutations(a.mutations)
			for _, m := range a.mutations {
				if m.Record.Metadata.Check() != nil || m.Vector != nil && lockstep.CheckVector(m.Vector) != nil {
					return // CheckMutations will refuse it; there is no text for a NaN
				}
			}
		}
		b, err := d.decode(answerLine(t, again))
		if err != nil {
			t.Fatalf("%v in %s", err, answerLine(t, again))
		}
		if diff := cmp.Diff(a, b, cmp.AllowUnexported(answer{}), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("(-first +second):\n%s", diff)
		}
	})
}

// pageExamples reads docs/format/exec.md: blocks of JSON lines, requests with "> "
// before them and answers with "< ".
func pageExamples(t testing.TB) (requests, answers []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "format/exec.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?s)```\n(> .*?)```").FindAllStringSubmatch(string(text), -1) {
		for line := range strings.Lines(block[1]) {
			line = strings.TrimSuffix(line, "\n")
			switch {
			case strings.HasPrefix(line, "> "):
				requests = append(requests, line[2:])
			case strings.HasPrefix(line, "< "):
				answers = append(answers, line[2:])
			default:
				t.Fatalf("neither request nor answer: %s", line)
			}
		}
	}
	return requests, answers
}

func TestTheExamplesOfTheProtocolPageAreSpoken(t *testing.T) {
	sent, answers := pageExamples(t)
	if len(sent) != len(answers) || len(sent) < 4 {
		t.Fatalf("%d requests, %d answers", len(sent), len(answers))
	}
	var asked handler.Cover
	for i := range sent {
		r := parseRequest([]byte(sent[i]))
		var again []byte
		switch r.Request {
		case requestDescribe:
			again = describeLine(r.ID)
		case requestReads:
			again = readsLine(r.ID, encodeMessages(r.messages()))
		case requestPlan:
			u := r.unit()
			again = planLine(r.ID, encodeMessages(u.Messages), &u)
		}
		if diff := cmp.Diff(sent[i]+"\n", string(again)); diff != "" {
			t.Errorf("the request would be sent otherwise (-page +sent):\n%s", diff)
		}
		a, err := decoder{request: r.Request, messages: len(r.Messages), mutations: 10}.decode([]byte(answers[i]))
		if err != nil || a.id != r.ID {
			t.Errorf("answer %d: id %d, %v", i, a.id, err)
		}
		if r.Request == requestDescribe {
			a.desc.Code = "00"
			if err := a.desc.Check(); err != nil {
				t.Error(err)
			}
		}
		if r.Request == requestReads {
			asked = handler.CoverOf(a.reads.Records)
		}
		if r.Request == requestPlan && a.reported == nil {
			if err := handler.CheckMutations(handler.Description{Collections: []handler.CollectionSpec{{Name: "texts"}}}, r.unit(), asked, a.mutations, nil); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestLastLinesAreTheLast(t *testing.T) {
	tl := &tail{size: 64}
	for range 100 {
		tl.keep([]byte("some words that push others out\n"))
	}
	tl.keep([]byte(strings.Repeat("one large piece\n", 100)))
	if len(tl.kept) > 128 {
		t.Errorf("%d bytes of one piece kept", len(tl.kept))
	}
	tl.keep([]byte("\x1b[31mred\x1b[0m\n\nend without a newline"))
	got := tl.last()
	if want := "end without a newline"; len(got) == 0 || got[len(got)-1] != want || len(tl.kept) > 128 {
		t.Errorf("%q, %d bytes kept", got, len(tl.kept))
	}
	if got[len(got)-2] != "[31mred[0m" {
		t.Errorf("%q", got)
	}
	if !errors.Is((&Failure{Kind: KindGarbage}).Unwrap(), lockstep.ErrInvalid) {
		t.Error("garbage is invalid")
	}
}
