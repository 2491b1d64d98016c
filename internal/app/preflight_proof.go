package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"lockstep/internal/handler"
	"lockstep/internal/handler/contract"
	"lockstep/internal/lockstep"
	"lockstep/internal/shadow"
)

// proof is what is known about the way back.
type proof int

const (
	unproven proof = iota // no record was written by both, so nothing was shown
	proven                // stable went on from the candidate's output as from its own
	refuted               // it did not
)

// wayBack shows whether stable can go on where the candidate was: it has the candidate
// handle the first half of every key's recorded changes and stable the rest, and compares
// with stable alone. What is compared are the records that stable wrote in its half, since
// in those only the output of the candidate before it can make a difference; what the
// candidate leaves elsewhere is its own doing, and the comparison in shadow judges that.
func wayBack(ctx context.Context, stable, candidate handler.Revision, f contract.Fixture, out *cleared) (proof, error) {
	first, second := halves(f.Messages)
	mixed, alone := contract.NewIndex(candidate.Handler, f.Source), contract.NewIndex(stable.Handler, f.Source)
	mixed.Now = f.Messages[len(f.Messages)-1].Change.At
	alone.Now = mixed.Now
	if err := fold(ctx, mixed, first); err != nil {
		if ctx.Err() != nil {
			return unproven, ctx.Err()
		}
		out.bad = append(out.bad, "on recorded changes: "+firstLines(err.Error(), 3))
		return unproven, nil
	}
	if err := fold(ctx, alone, first); err != nil {
		return unproven, fmt.Errorf("stable on recorded changes: %w", err)
	}
	before := mixed.State()
	wrote := &writes{Handler: stable.Handler, places: map[recordPlace]bool{}}
	mixed.Handler, alone.Handler = wrote, wrote
	_, err := mixed.Retry(ctx) // what the candidate parked is stable's after a rollback
	if err == nil {
		err = fold(ctx, mixed, second)
	}
	if ctx.Err() != nil {
		return unproven, ctx.Err()
	}
	if err != nil {
		out.open(riskOldReadsNew, "stable does not go on from what the candidate wrote: %s", firstLines(err.Error(), 3))
		return refuted, nil
	}
	if err := fold(ctx, alone, second); err != nil {
		return unproven, fmt.Errorf("stable on recorded changes: %w", err)
	}
	return compareWays(mixed, alone, before, wrote, out), nil
}

// halves gives every group's first changes to one part and the rest to the other, each part
// in order of arrival. A group of one change is in the first.
func halves(messages []lockstep.Message) (first, second []lockstep.Message) {
	count, met := map[string]int{}, map[string]int{}
	for i := range messages {
		count[messages[i].Group]++
	}
	for _, m := range messages {
		met[m.Group]++
		if 2*met[m.Group] <= count[m.Group]+1 {
			first = append(first, m)
			continue
		}
		second = append(second, m)
	}
	return first, second
}

// foldBatch is how many messages make a batch here.
const foldBatch = 8

func fold(ctx context.Context, x *contract.Index, messages []lockstep.Message) error {
	for part := range slices.Chunk(messages, foldBatch) {
		if _, err := x.Apply(ctx, part...); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// recordPlace is one record of one collection.
type recordPlace struct {
	collection lockstep.Collection
	id         string
}

// writes is a handler that notes which records it writes, and why it refuses.
type writes struct {
	handler.Handler
	places  map[recordPlace]bool
	refused string
}

func (w *writes) Plan(ctx context.Context, u handler.Unit) ([]lockstep.Mutation, error) {
	muts, err := w.Handler.Plan(ctx, u)
	if err != nil {
		w.refused = err.Error()
	}
	for i := range muts {
		w.places[recordPlace{muts[i].Collection, muts[i].Record.ID}] = true
	}
	return muts, err
}

// maxWays bounds the examples of how the ways differ.
const maxWays = 5

// compareWays compares what stable wrote behind the candidate with what it wrote alone.
func compareWays(mixed, alone *contract.Index, before contract.State, wrote *writes, out *cleared) proof {
	if len(mixed.Parked) > len(alone.Parked) {
		out.open(riskOldReadsNew, "behind the candidate stable refuses %d recorded changes, alone %d: %s", len(mixed.Parked), len(alone.Parked), wrote.refused)
		return refuted
	}
	var t shadow.Trial
	met := 0
	for _, p := range slices.SortedFunc(maps.Keys(wrote.places), func(a, b recordPlace) int {
		return strings.Compare(string(a.collection)+" "+a.id, string(b.collection)+" "+b.id)
	}) {
		if _, ok := before.Records[p.collection][p.id]; ok {
			met++ // the candidate had left it there
		}
		t.Reads.Records = append(t.Reads.Records, handler.RecordRange{Collection: p.collection, ID: p.id})
		stateAs(&t.Stable, alone, p)
		stateAs(&t.Candidate, mixed, p)
	}
	differences := shadow.Rules{}.Compare(t).Differences
	if len(differences) == 0 && met == 0 {
		return unproven
	}
	if len(differences) == 0 {
		return proven
	}
	var examples []string
	for _, d := range differences[:min(len(differences), maxWays)] {
		examples = append(examples, fmt.Sprintf("%s on %s", d.Class, d.ID))
	}
	out.open(riskOldReadsNew, "after the candidate, stable leaves %d fields of %d records other than alone: %s", len(differences), len(wrote.places), strings.Join(examples, ", "))
	return refuted
}

// stateAs adds to an answer that the record is as it is in the index.
func stateAs(a *shadow.Answer, x *contract.Index, p recordPlace) {
	e, ok := x.Records[p.collection][p.id]
	if !ok {
		return
	}
	e.Record.ID = p.id
	a.Mutations = append(a.Mutations, lockstep.Mutation{Op: lockstep.Upsert, Collection: p.collection, Record: e.Record, Vector: e.Vector})
}
