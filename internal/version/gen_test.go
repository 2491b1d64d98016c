package version

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"lockstep/internal/lockstep"
)

// block returns the one code block of that language in a page of docs/format.
func block(t testing.TB, page, language string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/format/" + page)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllSubmatch(text, -1)
	if len(found) != 1 {
		t.Fatalf("docs/format/%s has %d blocks %q, want one", page, len(found), language)
	}
	return string(found[0][1])
}

// packed returns the hex digits of a documented block: up to a semicolon, and
// without white space.
func packed(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		digits, _, _ := strings.Cut(line, ";")
		out.WriteString(strings.Join(strings.Fields(digits), ""))
	}
	return out.String()
}

// exampleRecord is the record of docs/format/record.md.
func exampleRecord() lockstep.Record {
	return lockstep.Record{
		ID: "r1", HasDocument: true, Document: "hé", Vector: RefOf(AppendVector(nil, []float32{1, -2.5})),
		Metadata: lockstep.MetadataOf(map[string]lockstep.Value{
			"b": lockstep.Bool(true), "f": lockstep.Float(0.5), "i": lockstep.Int(-2), "l": lockstep.Strings("x", ""), "s": lockstep.String("ab"),
		}),
	}
}

// Generators draw from few short strings, so that records that differ in where one
// thing ends and the next begins are likely.

func genText() *rapid.Generator[string] {
	return rapid.OneOf(rapid.StringOf(rapid.SampledFrom([]rune("ab\x00\x01\x05é"))), rapid.String())
}

func genScalar(kind lockstep.Kind) *rapid.Generator[lockstep.Value] {
	return rapid.Custom(func(t *rapid.T) lockstep.Value {
		switch kind {
		case lockstep.KindString:
			return lockstep.String(genText().Draw(t, "string"))
		case lockstep.KindInt:
			return lockstep.Int(rapid.OneOf(rapid.Int64(), rapid.Int64Range(-2, 2)).Draw(t, "int"))
		case lockstep.KindFloat:
			return lockstep.Float(rapid.OneOf(rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64), rapid.SampledFrom([]float64{0, 1, -1, math.SmallestNonzeroFloat64})).Draw(t, "float"))
		case lockstep.KindBool, lockstep.KindList:
		}
		return lockstep.Bool(rapid.Bool().Draw(t, "bool"))
	})
}

func genValue() *rapid.Generator[lockstep.Value] {
	return rapid.Custom(func(t *rapid.T) lockstep.Value {
		kind := lockstep.Kind(rapid.IntRange(1, 4).Draw(t, "kind"))
		if rapid.IntRange(0, 3).Draw(t, "list") == 0 {
			return lockstep.List(rapid.SliceOfN(genScalar(kind), 1, 4).Draw(t, "elements"))
		}
		return genScalar(kind).Draw(t, "value")
	})
}

func genVector() *rapid.Generator[[]float32] {
	return rapid.SliceOfN(rapid.Float32Range(-math.MaxFloat32, math.MaxFloat32), 1, 4)
}

func genRecord() *rapid.Generator[lockstep.Record] {
	return rapid.Custom(func(t *rapid.T) lockstep.Record {
		r := lockstep.Record{ID: rapid.SampledFrom([]string{"a", "b", "ab", "a\x01"}).Draw(t, "id")}
		if rapid.Bool().Draw(t, "has document") {
			r.HasDocument, r.Document = true, genText().Draw(t, "document")
		}
		if rapid.Bool().Draw(t, "has vector") {
			r.Vector = RefOf(AppendVector(nil, genVector().Draw(t, "vector")))
		}
		key := rapid.StringOfN(rapid.SampledFrom([]rune("ab\x01\x02")), 1, 3, -1)
		if m := rapid.MapOfN(key, genValue(), 0, 4).Draw(t, "metadata"); len(m) > 0 {
			r.Metadata = lockstep.MetadataOf(m)
		}
		if err := r.Check(); err != nil {
			t.Fatalf("generated %v", err)
		}
		return r
	})
}

func sameRecord(a, b lockstep.Record) bool {
	return a.ID == b.ID && a.HasDocument == b.HasDocument && a.Document == b.Document && a.Vector == b.Vector && a.Metadata.Equal(b.Metadata)
}

func genMutation(messages int) *rapid.Generator[Mutation] {
	image := func(t *rapid.T, label string) []byte {
		r := genRecord().Draw(t, label)
		return AppendRecord(nil, &r)
	}
	return rapid.Custom(func(t *rapid.T) Mutation {
		m := Mutation{
			Collection: rapid.SampledFrom([]lockstep.Collection{"lines", "words", lockstep.Table}).Draw(t, "collection"),
			ID:         genText().Draw(t, "id"),
			Cause:      rapid.IntRange(-1, messages-1).Draw(t, "cause"),
			Revision:   rapid.SampledFrom([]string{"", "receipts@1", "receipts@2"}).Draw(t, "revision"),
		}
		images := rapid.IntRange(1, 3).Draw(t, "images")
		if images&1 != 0 {
			m.Before = image(t, "before")
			m.Author = lockstep.Author{Version: rapid.Uint64().Draw(t, "author"), Message: genText().Draw(t, "author message"), Revision: genText().Draw(t, "author revision")}
		}
		if images&2 != 0 {
			m.After = image(t, "after")
		}
		if rapid.Bool().Draw(t, "vector before") {
			m.VectorBefore = AppendVector(nil, genVector().Draw(t, "before"))
		}
		if rapid.Bool().Draw(t, "vector after") {
			m.VectorAfter = AppendVector(nil, genVector().Draw(t, "after"))
		}
		return m
	})
}

func genDelta() *rapid.Generator[*Delta] {
	return rapid.Custom(func(t *rapid.T) *Delta {
		d := &Delta{}
		for range rapid.IntRange(0, 4).Draw(t, "messages") {
			d.Messages = append(d.Messages, Archived{
				ID: genText().Draw(t, "id"), Group: genText().Draw(t, "group"), Source: "test",
				Outcome: rapid.SampledFrom(lockstep.Outcomes()).Draw(t, "outcome"), Reason: genText().Draw(t, "reason"),
				Revision: rapid.SampledFrom([]string{"", "receipts@1+000000000000", "receipts@2+111111111111"}).Draw(t, "revision"),
				Body:     append([]byte{}, genText().Draw(t, "body")...),
			})
		}
		for range rapid.IntRange(0, 8).Draw(t, "mutations") {
			d.Mutations = append(d.Mutations, genMutation(len(d.Messages)).Draw(t, "mutation"))
		}
		return d
	})
}

// bigRecord returns the canonical bytes of a record with a document of n letters that
// do not compress to nothing.
func bigRecord(n, seed int) []byte {
	var text strings.Builder
	for x := uint32(seed); text.Len() < n; x = x*1664525 + 1013904223 {
		fmt.Fprintf(&text, "%x ", x)
	}
	return AppendRecord(nil, &lockstep.Record{HasDocument: true, Document: text.String()[:n]})
}

func newFramer(t testing.TB) *Framer {
	t.Helper()
	f, err := NewFramer()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// allocated returns how many bytes do allocates.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
