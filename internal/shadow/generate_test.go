package shadow

import (
	"errors"
	"fmt"
	"time"

	"pgregory.net/rapid"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

var noon = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

var (
	genCollection = rapid.SampledFrom([]lockstep.Collection{"lines", "words"})
	genID         = rapid.SampledFrom([]string{"a", "b", "c", "d"})
	genKey        = rapid.SampledFrom([]string{"label", "merchant/name", "at", "n"})
	genValue      = rapid.SampledFrom([]lockstep.Value{
		lockstep.String("x"), lockstep.String("y"), lockstep.Int(1), lockstep.Float(1), lockstep.Bool(true),
		lockstep.Strings("x", "y"), lockstep.Strings("y", "x"), lockstep.List([]lockstep.Value{lockstep.Int(1)}),
	})
	genVector = rapid.SampledFrom([][]float32{nil, {1, 2}, {1, 2.0000001}, {2, 1}, {1, 2, 3}, {0, 0}})
)

func genRecord(r *rapid.T, id string) lockstep.Record {
	rec := lockstep.Record{ID: id, HasDocument: rapid.Bool().Draw(r, "document")}
	if rec.HasDocument {
		rec.Document = rapid.SampledFrom([]string{"", "one", "two"}).Draw(r, "text")
	}
	rec.Metadata = lockstep.MetadataOf(rapid.MapOfN(genKey, genValue, 0, 3).Draw(r, "metadata"))
	return rec
}

func genAnswer(r *rapid.T) Answer {
	if rapid.IntRange(0, 9).Draw(r, "fails") == 0 {
		return Answer{Err: errors.New(rapid.SampledFrom([]string{"no", "never"}).Draw(r, "error"))}
	}
	a := Answer{Took: time.Duration(rapid.IntRange(0, 3).Draw(r, "took")) * time.Millisecond}
	seen := map[place]bool{}
	for range rapid.IntRange(0, 5).Draw(r, "mutations") {
		p := place{genCollection.Draw(r, "collection"), genID.Draw(r, "id")}
		if seen[p] {
			continue
		}
		seen[p] = true
		m := lockstep.Mutation{Collection: p.collection, Op: lockstep.Delete, Record: lockstep.Record{ID: p.id}}
		if rapid.IntRange(0, 3).Draw(r, "op") > 0 {
			m.Op, m.Record, m.Vector = lockstep.Upsert, genRecord(r, p.id), genVector.Draw(r, "vector")
		}
		a.Mutations = append(a.Mutations, m)
	}
	return a
}

// genTrial leaves Again and Derived out at times, and knows some records, covers others.
func genTrial(r *rapid.T) Trial {
	t := Trial{Unit: fmt.Sprint("unit-", rapid.IntRange(0, 1e6).Draw(r, "unit")), Now: noon, Stable: genAnswer(r), Candidate: genAnswer(r)}
	t.View.Records = map[lockstep.Collection][]lockstep.Record{}
	for _, c := range []lockstep.Collection{"lines", "words"} {
		for _, id := range []string{"a", "b", "c"} {
			switch rapid.IntRange(0, 3).Draw(r, "before") {
			case 0:
				rec := genRecord(r, id)
				rec.Vector = vector{components: []float32{1, 2}}.reference()
				t.View.Records[c] = append(t.View.Records[c], rec)
			case 1:
				t.Known = append(t.Known, Known{Collection: c, Record: genRecord(r, id), Vector: []float32{2, 1}})
			case 2:
				t.Reads.Records = append(t.Reads.Records, handler.RecordRange{Collection: c, ID: id})
			}
		}
	}
	if rapid.Bool().Draw(r, "twice") {
		a := genAnswer(r)
		t.Again = &a
	}
	if rapid.Bool().Draw(r, "derived") {
		a := genAnswer(r)
		t.Derived = &a
	}
	return t
}
