package simtest

import (
	"context"
	"fmt"
	"strconv"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// ring is the handler of the worlds in which a revision is reverted. Here order counts,
// so that a revert which takes too little with it shows: group Gi counts in a record of
// its own, in one that it shares with its neighbours, and adds what another group's record
// said at that moment.
type ring struct {
	worse int64 // how wrong it counts; of the bad revision
}

const counts = lockstep.Collection("counts")

// ringGroups is how many groups there may be; fewer may be in use.
const ringGroups = 10

func ringOf(group string) (own, with, look string) {
	n, err := strconv.Atoi(group[1:])
	if err != nil {
		panic(err) // the feed makes no other
	}
	return group, fmt.Sprintf("with%d", n/2), fmt.Sprintf("G%d", (n+3)%ringGroups)
}

func (ring) Describe() handler.Description {
	return handler.Description{
		Name: "ring", Version: "1", ReadsFormat: "ring/1", WritesFormat: "ring/1", Code: "simulation",
		Collections: []handler.CollectionSpec{{Name: counts}},
		Entities:    []handler.EntityRule{{Entity: "THING", Partition: "G.*", Sort: "K."}},
	}
}

// looks says whether a unit looks at the other group's record: not every one does.
func looks(ms []lockstep.Message) bool { return len(ms[0].Change.New.Str("v"))%2 == 0 }

func (ring) Reads(ms []lockstep.Message) handler.Reads {
	own, with, look := ringOf(ms[0].Group)
	r := handler.Reads{Records: []handler.RecordRange{{Collection: counts, ID: own}, {Collection: counts, ID: with}}}
	if looks(ms) {
		r.Records = append(r.Records, handler.RecordRange{Collection: counts, ID: look})
	}
	return r
}

func (r ring) Plan(_ context.Context, u handler.Unit) ([]lockstep.Mutation, error) {
	own, with, look := ringOf(u.Messages[0].Group)
	count := func(id string) int64 {
		rec, _ := u.View.Record(counts, id)
		n, _ := rec.Metadata.Get("n")
		return n.Int()
	}
	mine, ours := count(own), count(with)
	for i := range u.Messages {
		v := int64(len(u.Messages[i].Change.New.Str("v"))) + r.worse
		mine, ours = mine*3+v, ours*2+v
	}
	if looks(u.Messages) {
		mine += count(look)
	}
	write := func(id string, n int64) lockstep.Mutation {
		return lockstep.Mutation{Collection: counts, Op: lockstep.Upsert, Cause: len(u.Messages) - 1, Vector: []float32{float32(n % 7)}, Record: lockstep.Record{
			ID: id, Document: "count", HasDocument: true, Metadata: lockstep.Metadata{{Key: "n", Value: lockstep.Int(n % 1_000_003)}},
		}}
	}
	return []lockstep.Mutation{write(own, mine), write(with, ours)}, nil
}

// rings is the life of a few items, as the handler ring wants them.
func (f *feed) rings() {
	w := f.w
	groups := 4 + w.rng.IntN(ringGroups-3)
	for i := range 25 + w.rng.IntN(40) {
		key := lockstep.ItemKey{Partition: fmt.Sprintf("G%d", w.rng.IntN(groups)), Sort: fmt.Sprintf("K%d", w.rng.IntN(3))}
		f.add(record(lockstep.Modify, key, "value"[:1+w.rng.IntN(5)], i+1))
	}
}
