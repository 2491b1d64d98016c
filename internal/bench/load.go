package bench

import (
	"context"
	"errors"
	"time"

	"lockstep/internal/lockstep"
)

// loaded is an index that lies in a directory, with a base of all it holds.
type loaded struct {
	Dir      string        `json:"dir,omitempty"`
	Records  int64         `json:"records"`  // published: lines and words
	Mirrored int64         `json:"mirrored"` // items of the table: the place and the run of each receipt
	Receipts int           `json:"receipts"`
	Base     int64         `json:"base_bytes"`
	BaseTook time.Duration `json:"base_ns"` // to write the base, read it back and adopt it
	Took     time.Duration `json:"load_ns"` // with the base
}

const (
	fewestPerReceipt = 150 // records; the mean is about 217
	loadReceipts     = 150 // per commit
)

// loadOne makes an index of at least that many records in dir and closes it again.
// When bytes are wanted it measures them on the way.
func (r *run) loadOne(ctx context.Context, dir string, records int) (l loaded, b *BytesResult, err error) {
	start := r.Now()
	receipts := records/fewestPerReceipt + 2
	gen := generator(receipts)
	t := newTable(gen, receipts, start)
	ix, err := openIndex(ctx, dir, invented{gen}, r.Now)
	if err != nil {
		return l, nil, err
	}
	defer func() { err = errors.Join(err, ix.close()) }()
	l = loaded{Dir: dir}
	for l.Receipts < receipts && l.Records < int64(records) {
		// The last commits are made of one receipt each, to end near the number asked for.
		n := min(loadReceipts, receipts-l.Receipts, int((int64(records)-l.Records)/maxPerReceipt))
		n, err := ix.loadReceipts(ctx, t, l.Receipts, max(n, 1))
		if err != nil {
			return l, nil, err
		}
		l.Receipts += n
		l.Records, l.Mirrored = ix.counts()
	}
	written := r.Now()
	ref, err := ix.rebase(ctx)
	if err != nil {
		return l, nil, err
	}
	l.Base, l.BaseTook, l.Took = ref.Bytes, r.Now().Sub(written), r.Now().Sub(start)
	r.say("loaded %s records of %s receipts and %s mirrored items in %.1f s", thousands(l.Records), thousands(l.Receipts), thousands(l.Mirrored), l.Took.Seconds())
	if !r.wants(partBytes) {
		return l, nil, nil
	}
	b, err = measureBytes(ctx, ix, t, l)
	return l, b, err
}

// maxPerReceipt is the most records that one receipt has: 84 lines of 4 words.
const maxPerReceipt = 84 * 5

// loadReceipts commits the creation of n receipts and returns n.
func (ix *index) loadReceipts(ctx context.Context, t *table, first, n int) (int, error) {
	var ms []lockstep.Message
	for i := range n {
		ms = append(ms, t.created(first+i)...)
	}
	res, err := ix.Commit(ctx, inputsOf(ms))
	if err != nil {
		return 0, err
	}
	// Of the two messages of a receipt one gets the credit for its records.
	return n, each(res, lockstep.Applied, lockstep.Unchanged)
}

func (ix *index) counts() (published, mirrored int64) {
	for c, t := range ix.state.Tallies() {
		switch c {
		case lockstep.Table:
			mirrored += t.Records
		case lockstep.Parked, lockstep.Malformed:
		default:
			published += t.Records
		}
	}
	return published, mirrored
}
