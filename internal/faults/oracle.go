package faults

import (
	"bytes"
	"context"
	"maps"
	"strings"
	"time"

	"lockstep/internal/change"
	"lockstep/internal/handler/contract"
	"lockstep/internal/lockstep"
	"lockstep/internal/receipt"
	"lockstep/internal/release"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

// oracle knows what the index would be if receipts@2 alone had made it. It folds the
// same messages with the reference model of the contract, which shares no code with the
// compactor, key by key: keys have nothing to do with each other.
type oracle struct {
	source  contract.ImportSource
	batches int // told so far
	groups  map[string][][]lockstep.Message
	done    map[string]*contract.Index
	from    map[string]int // batches of the group that are folded
	fresh   *contract.Index
}

func newOracle(source contract.ImportSource) *oracle {
	return &oracle{
		source: source, groups: map[string][][]lockstep.Message{}, done: map[string]*contract.Index{}, from: map[string]int{},
		fresh: contract.NewIndex(receipt.V2(receipt.V2Config{}), source),
	}
}

// told notes what was delivered in one batch.
func (o *oracle) told(messages []lockstep.Message) {
	o.batches++
	units := map[string][]lockstep.Message{}
	for _, m := range messages {
		units[m.Group] = append(units[m.Group], m)
	}
	for g, ms := range units {
		o.groups[g] = append(o.groups[g], ms)
	}
}

// fold brings every group up to what was told.
func (o *oracle) fold(ctx context.Context, now time.Time) error {
	for g, units := range o.groups {
		x := o.done[g]
		if x == nil {
			x = o.fresh.Clone()
			x.Items, x.Records, x.Parked = map[string]lockstep.MirrorItem{}, map[lockstep.Collection]map[string]contract.Entry{}, nil
			o.done[g] = x
		}
		x.Now = now
		for _, ms := range units[o.from[g]:] {
			if _, err := x.Apply(ctx, ms...); err != nil {
				return err
			}
		}
		o.from[g] = len(units)
		if len(o.fresh.Items) == 0 {
			o.fresh = x.Clone() // it has compiled the patterns
		}
	}
	return nil
}

// damage is how the published index differs from what it should be.
type damage struct {
	Records int // published, of the whole index as it should be
	Harmed  int // published records that differ, are missing, or should not be there
	Outside int // those of keys that the candidate never decided for
	Mirror  int // items of the mirror that differ
	// First is the first version in which the candidate wrote a record that differs;
	// 0 when none of them is there to say so.
	First uint64
}

// compare looks at every record. Share says for which keys the candidate decided, and
// whose writes are looked for.
func (o *oracle) compare(ctx context.Context, r *state.Reader, share release.Routing) (d damage, err error) {
	for _, c := range []lockstep.Collection{receipt.Lines, receipt.Words} {
		want := map[string]contract.Entry{}
		for _, x := range o.done {
			maps.Copy(want, x.Records[c])
		}
		d.Records += len(want)
		harmed := func(id string) {
			d.Harmed++
			if share.Arm(partitionOf(id)) != release.ArmCandidate {
				d.Outside++
			}
		}
		err := r.Scan(ctx, c, "", func(row state.Row) error {
			got, err := version.DecodeRecord(string(row.ID), row.Record)
			if err != nil {
				return err
			}
			e, ok := want[got.ID]
			delete(want, got.ID)
			if ok && equal(got, e.Record) {
				return nil
			}
			harmed(got.ID)
			if a := row.Author(); release.SameRevision(a.Revision, share.Candidate) && (d.First == 0 || a.Version < d.First) {
				d.First = a.Version
			}
			return nil
		})
		if err != nil {
			return d, err
		}
		for id := range want {
			harmed(id)
		}
	}
	d.Mirror, err = o.mirror(ctx, r)
	return d, err
}

func (o *oracle) mirror(ctx context.Context, r *state.Reader) (differ int, err error) {
	want := map[string]lockstep.MirrorItem{}
	for _, x := range o.done {
		maps.Copy(want, x.Items)
	}
	err = r.Scan(ctx, lockstep.Table, "", func(row state.Row) error {
		it, ok := want[string(row.ID)]
		delete(want, string(row.ID))
		if ok {
			rec := change.MirrorRecord(it)
			ok = bytes.Equal(version.AppendRecord(nil, &rec), row.Record)
		}
		if !ok {
			differ++
		}
		return nil
	})
	return differ + len(want), err
}

func equal(a, b lockstep.Record) bool {
	return a.Document == b.Document && a.HasDocument == b.HasDocument && a.Vector == b.Vector && a.Metadata.Equal(b.Metadata)
}

// partitionOf is the key that a record hangs on: IMAGE#id of IMAGE#id#RECEIPT#….
func partitionOf(id string) string {
	partition, _, _ := strings.Cut(id, "#RECEIPT#")
	return partition
}
