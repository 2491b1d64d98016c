package change

import (
	"strings"
	"testing"

	"lockstep/internal/lockstep"
)

// benchItem is a word label as the source table stores it, about 600 bytes.
func benchItem() lockstep.Item {
	s := func(t string) lockstep.Attr { return lockstep.Attr{Type: lockstep.AttrS, Text: t} }
	const id = "3f8f2a10-5b0d-4c77-9a57-2f6f0f7a1c01"
	const word = "RECEIPT#00002#LINE#00007#WORD#00003"
	return lockstep.Item{
		"PK": s("IMAGE#" + id), "SK": s(word + "#LABEL#GRAND_TOTAL"), "TYPE": s("RECEIPT_WORD_LABEL"),
		"GSI1PK": s("LABEL#GRAND_TOTAL_______________________"), "GSI1SK": s("IMAGE#" + id + "#" + word),
		"GSI3PK": s("VALIDATION_STATUS#VALID"), "GSI3SK": s("IMAGE#" + id + "#" + word),
		"reasoning": s("the largest amount, below the tax"), "timestamp_added": s("2025-12-15T18:00:00+00:00"),
		"validation_status": s("VALID"), "label_proposed_by": s("agent"), "label_consolidated_from": {Type: lockstep.AttrNull},
	}
}

func benchMirror() lockstep.Record {
	it := benchItem()
	return MirrorRecord(lockstep.MirrorItem{
		Key: lockstep.ItemKey{Partition: it.Str("PK"), Sort: it.Str("SK")}, Entity: "RECEIPT_WORD_LABEL", Seq: "300000000013600002", Image: it,
	})
}

func BenchmarkParseMirror(b *testing.B) {
	r := benchMirror()
	b.SetBytes(int64(len(r.Document)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseMirror(r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendItem(b *testing.B) {
	it := benchItem()
	dst := EncodeItem(it)
	b.SetBytes(int64(len(dst)))
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendItem(dst[:0], it)
	}
}

func BenchmarkDecodeLine(b *testing.B) {
	image := string(EncodeItem(benchItem()))
	it := benchItem()
	line := `{"eventID":"ev-17","eventName":"MODIFY","dynamodb":{"Keys":` + string(EncodeItem(lockstep.Item{"PK": it["PK"], "SK": it["SK"]})) +
		`,"NewImage":` + image + `,"OldImage":` + image + `,"SequenceNumber":"300000000013600002"}}`
	const n = 1000
	input := strings.Repeat(line+"\n", n)
	b.SetBytes(int64(len(input)))
	b.ReportAllocs()
	for b.Loop() {
		for d, err := range Decode(b.Context(), strings.NewReader(input), "bench", Options{}) {
			if err != nil || d.Bad != nil {
				b.Fatal(err, d.Bad)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/record")
}

func BenchmarkClassify(b *testing.B) {
	c := classifier(b, laterRules)
	it := benchItem()
	key := lockstep.ItemKey{Partition: it.Str("PK"), Sort: it.Str("SK")}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := c.Entity(key); !ok {
			b.Fatal("not classified")
		}
	}
}
