package crashtest

import (
	"context"
	"fmt"

	"lockstep/internal/change"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// notes is the handler of the children: one record per item.
type notes struct{}

func (notes) Describe() handler.Description {
	return handler.Description{
		Name: "notes", Version: "1", ReadsFormat: "notes/1", WritesFormat: "notes/1", Code: "crashtest",
		Collections: []handler.CollectionSpec{{Name: "notes", Dimension: 2}},
		Entities:    []handler.EntityRule{{Entity: "NOTE", Partition: "N.*", Sort: "K.*"}},
	}
}

func (notes) Reads(ms []lockstep.Message) handler.Reads {
	var r handler.Reads
	for i := range ms {
		r.Records = append(r.Records, handler.RecordRange{Collection: "notes", ID: ms[i].Change.Key.RecordID()})
		r.Items = append(r.Items, handler.ItemRange{Partition: ms[i].Change.Key.Partition, SortPrefix: ms[i].Change.Key.Sort})
	}
	return r
}

func (notes) Plan(_ context.Context, u handler.Unit) ([]lockstep.Mutation, error) {
	var out []lockstep.Mutation
	seen := map[lockstep.ItemKey]bool{}
	for i := range u.Messages {
		key := u.Messages[i].Change.Key
		if seen[key] {
			continue
		}
		seen[key] = true
		m := lockstep.Mutation{Collection: "notes", Op: lockstep.Delete, Record: lockstep.Record{ID: key.RecordID()}, Cause: i}
		if it, _ := u.View.Item(key); it.Image != nil {
			text := it.Image.Str("text")
			m.Op, m.Record.HasDocument, m.Record.Document = lockstep.Upsert, true, text
			m.Vector = []float32{float32(len(text)), float32(text[len(text)-1])}
		}
		out = append(out, m)
	}
	return out, nil
}

// body is the stream record of a change.
func body(c lockstep.Change, i int) []byte {
	keys := lockstep.Item{"PK": {Type: lockstep.AttrS, Text: c.Key.Partition}, "SK": {Type: lockstep.AttrS, Text: c.Key.Sort}}
	b := fmt.Appendf(nil, `{"eventID":"m%d","eventName":%q,"dynamodb":{"Keys":%s`, i, c.Event, change.EncodeItem(keys))
	if c.New != nil {
		b = change.AppendItem(append(b, `,"NewImage":`...), c.New)
	}
	if c.Old != nil {
		b = change.AppendItem(append(b, `,"OldImage":`...), c.Old)
	}
	return fmt.Appendf(b, `,"SequenceNumber":%q}}`, c.Seq)
}
