package bench

import (
	"context"
	"fmt"

	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// BytesResult is what compactions write at one size of the index.
type BytesResult struct {
	Records int64   `json:"records"` // of the index
	Batch   Written `json:"batch"`   // changes of many places
	Place   Written `json:"place"`   // the change of one place: some 200 records
	Label   Written `json:"label"`   // the change of one label: one record
	Base    int64   `json:"base_bytes"`
}

// Written is what one compaction writes to the store.
type Written struct {
	Messages  int   `json:"messages"`
	Mutations int   `json:"mutations"`
	Plain     int64 `json:"mutation_bytes"`        // ids, images after, new vectors: what changes
	Packed    int64 `json:"packed_mutation_bytes"` // the same, framed and compressed as a delta would be
	Bytes     int64 `json:"written_bytes"`         // created in the store: log entry, delta, hint
	Objects   int64 `json:"written_objects"`
}

// Ratio is the bytes written per byte that changes.
func (w Written) Ratio() float64 { return float64(w.Bytes) / float64(max(w.Plain, 1)) }

const bytesBatch = 100 // messages

func measureBytes(ctx context.Context, ix *index, t *table, l loaded) (*BytesResult, error) {
	out := &BytesResult{Records: l.Records, Base: l.Base}
	var many []lockstep.Message
	for i := range min(bytesBatch, l.Receipts) {
		many = append(many, t.renamed(i).Message())
	}
	for _, m := range []struct {
		messages []lockstep.Message
		into     *Written
	}{
		{many, &out.Batch},
		{[]lockstep.Message{t.renamed(0).Message()}, &out.Place},
		{[]lockstep.Message{t.labelled(0).Message()}, &out.Label},
	} {
		w, err := written(ctx, ix, m.messages)
		if err != nil {
			return nil, fmt.Errorf("bytes per compaction: %w", err)
		}
		*m.into = w
	}
	return out, nil
}

// written commits the messages and compares what the store got with what the log
// says has changed.
func written(ctx context.Context, ix *index, ms []lockstep.Message) (Written, error) {
	w := Written{Messages: len(ms)}
	bytes, objects, from := ix.blobs.bytes.Load(), ix.blobs.objects.Load(), ix.Head().Number()
	res, err := ix.commit(ctx, ms)
	if err != nil {
		return w, err
	}
	w.Bytes, w.Objects = ix.blobs.bytes.Load()-bytes, ix.blobs.objects.Load()-objects
	framer, err := version.NewFramer()
	if err != nil {
		return w, err
	}
	for n := from + 1; n <= res.Version; n++ {
		d, err := ix.log.Delta(ctx, n)
		if err != nil {
			return w, err
		}
		after := make([]version.Mutation, len(d.Mutations))
		for i := range d.Mutations {
			m := &d.Mutations[i]
			after[i] = version.Mutation{Collection: m.Collection, ID: m.ID, Cause: -1, After: m.After, VectorAfter: m.VectorAfter}
			w.Plain += int64(len(m.ID) + len(m.After) + len(m.VectorAfter))
		}
		packed, err := framer.AppendMutations(nil, after)
		if err != nil {
			return w, err
		}
		w.Mutations += len(after)
		w.Packed += int64(len(packed))
	}
	return w, nil
}
