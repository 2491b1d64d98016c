package contract

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

func TestDifferenceNamesThePlace(t *testing.T) {
	state := func(text string, list ...lockstep.Value) State {
		r := lockstep.Record{ID: "a", Document: text, HasDocument: true, Metadata: lockstep.Metadata{{Key: "k", Value: lockstep.List(list)}}}
		return State{Records: map[lockstep.Collection]map[string]Entry{"texts": {"a": {Record: r, Vector: []float32{1, 2}}}}}
	}
	for name, tt := range map[string]struct {
		a, b any
		want string
	}{
		"document":     {state("x"), state("y"), `Records[texts][a].Record.Document: "x" / "y"`},
		"metadata":     {state("x", lockstep.Int(1)), state("x", lockstep.Float(1)), `Records[texts][a].Record.Metadata[0].Value: list([1]) / list([1])`},
		"missing":      {state("x"), State{}, "Records: "},
		"lost entry":   {state("x").Records, map[lockstep.Collection]map[string]Entry{"texts": {}}, "[texts][a]: "},
		"added entry":  {map[lockstep.Collection]map[string]Entry{"texts": {}}, state("x").Records, "[texts][a]: absent / "},
		"length":       {[]int{1}, []int{1, 2}, "1: []int{1} / "},
		"tombstone":    {lockstep.Item(nil), lockstep.Item{}, ": lockstep.Item(nil) / "},
		"time":         {time.Unix(1, 0), time.Unix(2, 0), ": time.Date("},
		"same instant": {time.Unix(1, 0), time.Unix(1, 0).UTC(), ""},
		"nil slice":    {[]lockstep.Mutation(nil), []lockstep.Mutation{}, ""},
		"two types":    {1, "1", `: 1 / "1"`},
	} {
		t.Run(name, func(t *testing.T) {
			got := difference(tt.a, tt.b)
			if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("%q, want it to hold %q", got, tt.want)
			}
		})
	}
}

// difference replaces go-cmp, whose word is that it is for tests only: the two must agree.
func TestDifferenceAgreesWithCmp(t *testing.T) {
	value := rapid.SampledFrom([]lockstep.Value{lockstep.Int(1), lockstep.Float(1), lockstep.String("1"), lockstep.Strings("a", "b")})
	mutation := rapid.Custom(func(r *rapid.T) lockstep.Mutation {
		m := lockstep.Mutation{Collection: "lines", Op: lockstep.Op(rapid.IntRange(1, 2).Draw(r, "op")), Cause: rapid.IntRange(0, 1).Draw(r, "cause")}
		m.Record.ID = rapid.SampledFrom([]string{"a", "b"}).Draw(r, "id")
		m.Record.Metadata = lockstep.MetadataOf(rapid.MapOfN(rapid.SampledFrom([]string{"k", "l"}), value, 1, 2).Draw(r, "metadata"))
		m.Vector = rapid.SliceOfN(rapid.Float32Range(0, 1), 1, 2).Draw(r, "vector")
		return m
	})
	unit := rapid.Custom(func(r *rapid.T) handler.Unit {
		u := handler.Unit{Now: time.Unix(rapid.Int64Range(0, 1).Draw(r, "now"), 0)}
		c := lockstep.Change{Key: lockstep.ItemKey{Partition: "p"}}
		if rapid.Bool().Draw(r, "image") {
			c.New = lockstep.Item{"a": {Type: lockstep.AttrL, List: []lockstep.Attr{{Text: rapid.SampledFrom([]string{"x", "y"}).Draw(r, "text")}}}}
		}
		u.Messages = []lockstep.Message{{ID: "m", Change: c}}
		return u
	})
	rapid.Check(t, func(r *rapid.T) {
		a, b := rapid.SliceOfN(mutation, 1, 2).Draw(r, "a"), rapid.SliceOfN(mutation, 1, 2).Draw(r, "b")
		if got, want := difference(a, b), cmp.Diff(a, b); (got == "") != (want == "") {
			r.Fatalf("difference %q, cmp %q", got, want)
		}
		u, v := unit.Draw(r, "u"), unit.Draw(r, "v")
		if got, want := difference(u, v), cmp.Diff(u, v); (got == "") != (want == "") {
			r.Fatalf("difference %q, cmp %q", got, want)
		}
	})
}
