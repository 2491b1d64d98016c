package compact

import (
	"context"
	"fmt"
	"testing"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// fan is a handler whose one item rewrites one key of all 200 records of its group:
// the shape of a merchant edit on a receipt.
type fan struct{}

const fanOut = 200

func (fan) Describe() handler.Description {
	d := kv{}.Describe()
	d.Name = "fan"
	return d
}

func (fan) Reads(ms []lockstep.Message) handler.Reads {
	return handler.Reads{Records: []handler.RecordRange{{Collection: "things", ID: ms[0].Group + "/", Prefix: true}}}
}

func (fan) Plan(_ context.Context, u handler.Unit) ([]lockstep.Mutation, error) {
	v := lockstep.String(u.Messages[len(u.Messages)-1].Change.New.Str("v"))
	have := u.View.Records["things"]
	out := make([]lockstep.Mutation, 0, fanOut)
	for _, r := range have {
		r.Metadata = r.Metadata.With("merchant_name", v)
		out = append(out, lockstep.Mutation{Collection: "things", Op: lockstep.Upsert, Record: r})
	}
	if len(have) > 0 {
		return out, nil
	}
	for i := range fanOut {
		m := map[string]lockstep.Value{"merchant_name": v}
		for k := range 12 {
			m[fmt.Sprintf("geometry_%02d", k)] = lockstep.Float(float64(i*k) / 7)
		}
		for k := range 4 {
			m[fmt.Sprintf("text_%d", k)] = lockstep.String(fmt.Sprintf("word %d of %s", i, u.Messages[0].Group))
		}
		rec := lockstep.Record{ID: fmt.Sprintf("%s/RECEIPT#00001#LINE#%05d#WORD#%05d", u.Messages[0].Group, i/4, i), Document: fmt.Sprint("word ", i), HasDocument: true, Metadata: lockstep.MetadataOf(m)}
		out = append(out, lockstep.Mutation{Collection: "things", Op: lockstep.Upsert, Record: rec, Vector: []float32{float32(i), 1}})
	}
	return out, nil
}

func fanInput(group, seq int) Input {
	g := fmt.Sprintf("G%08d-0000-4000-8000-000000000000", group)
	key := lockstep.ItemKey{Partition: g, Sort: "K"}
	return Input{Message: lockstep.Message{
		ID: fmt.Sprint("e", seq), Group: g, Source: "bench", Body: fmt.Appendf(nil, `{"eventID":"e%d","g":%q}`, seq, g),
		Change: lockstep.Change{Key: key, Event: lockstep.Modify, Seq: lockstep.Sequence(fmt.Sprint(seq)), New: lockstep.Item{"v": {Type: lockstep.AttrS, Text: fmt.Sprint("ACME ", seq)}}},
	}}
}

func BenchmarkCommitOfMetadataEdits(b *testing.B) {
	const groups, batch = 500, 100
	r := newRig(b, nil, fan{})
	seq := 0
	commit := func() {
		in := make([]Input, batch)
		for i := range in {
			seq++
			in[i] = fanInput(seq%groups, seq)
		}
		if _, err := r.Commit(b.Context(), in); err != nil {
			b.Fatal(err)
		}
	}
	for range groups / batch {
		commit()
	}
	b.ReportAllocs()
	for b.Loop() {
		commit()
	}
	b.ReportMetric(float64(b.N)*batch*fanOut/b.Elapsed().Seconds(), "records/s")
}
