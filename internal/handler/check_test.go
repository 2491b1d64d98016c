package handler

import (
	"errors"
	"math"
	"strings"
	"testing"

	"lockstep/internal/lockstep"
)

func TestCheckMutations(t *testing.T) {
	const id = "IMAGE#1#RECEIPT#00001#LINE#00001"
	desc := described(nil).d // lines: 3 components, words: any
	unit := Unit{
		Messages: make([]lockstep.Message, 2),
		View:     View{Records: map[lockstep.Collection][]lockstep.Record{"lines": {{ID: id}}, "words": {{ID: id}}}},
	}
	good := func(change func(*lockstep.Mutation)) lockstep.Mutation {
		m := lockstep.Mutation{Collection: "lines", Op: lockstep.Upsert, Record: lockstep.Record{ID: id}, Cause: 1}
		if change != nil {
			change(&m)
		}
		return m
	}
	one := func(change func(*lockstep.Mutation)) []lockstep.Mutation {
		return []lockstep.Mutation{good(change)}
	}
	asked := CoverOf([]RecordRange{
		{Collection: "lines", ID: "IMAGE#1#RECEIPT#00001", Prefix: true},
		{Collection: "lines", ID: "z"},
		{Collection: "lines", ID: "only lines"},
		{Collection: "words", ID: "IMAGE#1#RECEIPT#00001", Prefix: true},
		{Collection: "words", ID: "z"},
	})
	other := good(func(m *lockstep.Mutation) { m.Record.ID, m.Vector = "z", []float32{1, 2, 3} })
	tests := map[string]struct {
		muts []lockstep.Mutation
		dims map[lockstep.Collection]int
		rule string // "" when the answer is good
	}{
		"nothing":                          {},
		"update without vector":            {muts: one(nil)},
		"update with vector":               {muts: one(func(m *lockstep.Mutation) { m.Vector = []float32{1, 2, 3} })},
		"delete of the unknown":            {muts: one(func(m *lockstep.Mutation) { m.Op, m.Record.ID = lockstep.Delete, "z" })},
		"delete of what was not asked for": {muts: one(func(m *lockstep.Mutation) { m.Op, m.Record.ID = lockstep.Delete, "other" }), rule: "did not ask for"},
		"upsert of what was not asked for": {muts: one(func(m *lockstep.Mutation) { m.Record.ID, m.Vector = "other", []float32{1, 2, 3} }), rule: "did not ask for"},
		"asked for in another collection": {muts: one(func(m *lockstep.Mutation) {
			m.Collection, m.Record.ID, m.Vector = "words", "only lines", []float32{1}
		}), rule: "did not ask for"},
		"several in any order":  {muts: []lockstep.Mutation{other, good(nil)}},
		"undeclared collection": {muts: one(func(m *lockstep.Mutation) { m.Collection = "rows" }), rule: "does not declare"},
		"builtin collection":    {muts: one(func(m *lockstep.Mutation) { m.Collection = lockstep.Parked }), rule: "does not declare"},
		"no operation":          {muts: one(func(m *lockstep.Mutation) { m.Op = 0 }), rule: "operation 0"},
		"empty id":              {muts: one(func(m *lockstep.Mutation) { m.Record.ID = "" }), rule: "empty id"},
		"delete of nothing":     {muts: one(func(m *lockstep.Mutation) { m.Op, m.Record.ID = lockstep.Delete, "" }), rule: "id of 0 bytes"},
		"reserved key": {muts: one(func(m *lockstep.Mutation) {
			m.Record.Metadata = lockstep.Metadata{{Key: "chroma:document", Value: lockstep.String("x")}}
		}), rule: "chroma:document"},
		"value that cannot be stored": {muts: one(func(m *lockstep.Mutation) {
			m.Record.Metadata = lockstep.Metadata{{Key: "x", Value: lockstep.Float(math.NaN())}}
		}), rule: "not a finite number"},
		"vector with NaN":    {muts: one(func(m *lockstep.Mutation) { m.Vector = []float32{1, float32(math.NaN()), 3} }), rule: "component 1"},
		"empty vector":       {muts: one(func(m *lockstep.Mutation) { m.Vector = []float32{} }), rule: "0 components"},
		"declared dimension": {muts: one(func(m *lockstep.Mutation) { m.Vector = []float32{1} }), rule: "the collection has 3"},
		"known dimension":    {muts: one(func(m *lockstep.Mutation) { m.Vector = []float32{1, 2, 3} }), dims: map[lockstep.Collection]int{"lines": 2}, rule: "the collection has 2"},
		"two dimensions at once": {muts: []lockstep.Mutation{
			good(func(m *lockstep.Mutation) { m.Collection, m.Vector = "words", []float32{1} }),
			good(func(m *lockstep.Mutation) { m.Collection, m.Record.ID, m.Vector = "words", "z", []float32{1, 2} }),
		}, rule: "the collection has 1"},
		"cause below":        {muts: one(func(m *lockstep.Mutation) { m.Cause = -1 }), rule: "cause -1"},
		"cause above":        {muts: one(func(m *lockstep.Mutation) { m.Cause = 2 }), rule: "cause 2"},
		"new without vector": {muts: one(func(m *lockstep.Mutation) { m.Record.ID = "new" }), rule: "without a vector"},
		"the same twice":     {muts: []lockstep.Mutation{good(nil), good(nil)}, rule: "mutations 0 and 1"},
		"the same twice, apart": {muts: []lockstep.Mutation{
			good(nil), other, good(func(m *lockstep.Mutation) { m.Op = lockstep.Delete }),
		}, rule: "mutations 0 and 2"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := CheckMutations(desc, unit, asked, tt.muts, tt.dims)
			if tt.rule == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if !errors.Is(err, lockstep.ErrInvalid) || !strings.Contains(err.Error(), tt.rule) {
				t.Fatalf("%v, want ErrInvalid that says %q", err, tt.rule)
			}
			if rec := tt.muts[len(tt.muts)-1].Record.ID; !strings.Contains(err.Error(), `"`+rec+`"`) {
				t.Errorf("%v does not name record %q", err, rec)
			}
		})
	}
}
