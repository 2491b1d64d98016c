package simtest

import (
	"context"
	"errors"
	"strings"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// join is the handler of most seeds, small and yet with every kind of dependency: the
// item (G1, K2) is the record K2/G1 of "things", which also holds what the shared item
// (S, K2) says; and "groups" has one record per group over all its items. So a change
// of one key may touch the records of all others, and two compactors meet often. It is
// state-based: any order of the same changes ends in the same records.
type join struct {
	// picky refuses values that begin with "fail": a bug of one revision, which the
	// next one does not have.
	picky bool
}

const (
	things = lockstep.Collection("things")
	groups = lockstep.Collection("groups")
	shared = "S" // partition of the items that all groups share
)

func (j join) Describe() handler.Description {
	d := handler.Description{
		Name: "join", Version: "2", ReadsFormat: "join/1", WritesFormat: "join/1", Code: "simulation",
		Collections: []handler.CollectionSpec{{Name: things, Dimension: 2}, {Name: groups}},
		Entities:    []handler.EntityRule{{Entity: "THING", Partition: "G.*", Sort: "K."}, {Entity: "SHARED", Partition: shared, Sort: "K."}},
	}
	if j.picky {
		d.Version, d.Config = "1", []byte("picky")
	}
	return d
}

func (join) Reads(ms []lockstep.Message) handler.Reads {
	g := ms[0].Group
	var r handler.Reads
	for _, k := range lastOf(ms) {
		r.Items = append(r.Items, handler.ItemRange{Partition: shared, SortPrefix: k.sort})
		if g == shared {
			r.Records = append(r.Records, handler.RecordRange{Collection: things, ID: k.sort + "/", Prefix: true})
			continue
		}
		r.Records = append(r.Records, handler.RecordRange{Collection: things, ID: k.sort + "/" + g})
	}
	if g != shared {
		r.Records = append(r.Records, handler.RecordRange{Collection: groups, ID: g})
		r.Items = append(r.Items, handler.ItemRange{Partition: g})
	}
	return r
}

// last is the last message of a unit about one sort key.
type last struct {
	sort  string
	index int
}

func lastOf(ms []lockstep.Message) []last {
	var out []last
	at := map[string]int{}
	for i, m := range ms {
		k, ok := at[m.Change.Key.Sort]
		if !ok {
			at[m.Change.Key.Sort] = len(out)
			out = append(out, last{m.Change.Key.Sort, i})
			continue
		}
		out[k].index = i
	}
	return out
}

var errPicky = errors.New("the handler does not like this value")

func (j join) Plan(_ context.Context, u handler.Unit) ([]lockstep.Mutation, error) {
	for _, m := range u.Messages {
		if j.picky && strings.HasPrefix(m.Change.New.Str("v"), "fail") {
			return nil, errPicky
		}
	}
	if u.Messages[0].Group == shared {
		return planShared(&u), nil
	}
	return planGroup(&u), nil
}

func planShared(u *handler.Unit) []lockstep.Mutation {
	var out []lockstep.Mutation
	for _, k := range lastOf(u.Messages) {
		for _, rec := range u.View.WithPrefix(things, k.sort+"/") {
			v, _ := rec.Metadata.Get("v")
			out = append(out, lockstep.Mutation{
				Collection: things, Op: lockstep.Upsert, Cause: k.index,
				Record: thing(rec.ID, v.Str(), sharedValue(&u.View, k.sort)),
			})
		}
	}
	return out
}

func planGroup(u *handler.Unit) []lockstep.Mutation {
	g := u.Messages[0].Group
	var out []lockstep.Mutation
	for _, k := range lastOf(u.Messages) {
		m := lockstep.Mutation{Collection: things, Op: lockstep.Delete, Record: lockstep.Record{ID: k.sort + "/" + g}, Cause: k.index}
		if it, ok := u.View.Item(lockstep.ItemKey{Partition: g, Sort: k.sort}); ok && it.Image != nil {
			v := it.Image.Str("v")
			m.Op, m.Record = lockstep.Upsert, thing(m.Record.ID, v, sharedValue(&u.View, k.sort))
			m.Vector = []float32{float32(len(v)), float32(v[len(v)-1])}
		}
		out = append(out, m)
	}
	var parts []string
	for _, it := range u.View.ItemsWithPrefix(g, "") {
		if it.Image != nil {
			parts = append(parts, it.Key.Sort+"="+it.Image.Str("v"))
		}
	}
	m := lockstep.Mutation{Collection: groups, Op: lockstep.Delete, Record: lockstep.Record{ID: g}, Cause: len(u.Messages) - 1}
	if len(parts) > 0 {
		m.Op = lockstep.Upsert
		m.Record.Document, m.Record.HasDocument = strings.Join(parts, " "), true
		m.Vector = []float32{float32(len(parts)), float32(len(m.Record.Document)), 1}
	}
	return append(out, m)
}

func thing(id, v, s string) lockstep.Record {
	return lockstep.Record{
		ID: id, Document: v + "@" + s, HasDocument: true,
		Metadata: lockstep.Metadata{{Key: "v", Value: lockstep.String(v)}},
	}
}

func sharedValue(v *handler.View, sort string) string {
	it, _ := v.Item(lockstep.ItemKey{Partition: shared, Sort: sort})
	return it.Image.Str("v")
}
