package shadow

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

type muts = []lockstep.Mutation

func put(id string, change func(*lockstep.Mutation)) lockstep.Mutation {
	m := lockstep.Mutation{Collection: "lines", Op: lockstep.Upsert, Record: lockstep.Record{ID: id, Document: "text", HasDocument: true}}
	m.Record.Metadata = lockstep.MetadataOf(map[string]lockstep.Value{"shop": lockstep.String("a"), "tags": lockstep.Strings("x", "y")})
	if change != nil {
		change(&m)
	}
	return m
}

func remove(id string) lockstep.Mutation {
	return lockstep.Mutation{Collection: "lines", Op: lockstep.Delete, Record: lockstep.Record{ID: id}}
}

func with(key string, v lockstep.Value) func(*lockstep.Mutation) {
	return func(m *lockstep.Mutation) { m.Record.Metadata = m.Record.Metadata.With(key, v) }
}

func vectored(v ...float32) func(*lockstep.Mutation) {
	return func(m *lockstep.Mutation) { m.Vector = v }
}

// known is a trial over record "old", which exists, and "new", which does not; of every
// other nothing is known.
func known(stable, candidate muts) Trial {
	old := put("old", nil).Record
	old.Vector = vector{components: []float32{1, 2}}.reference()
	return Trial{
		Unit: "u", Now: noon,
		View:   handler.View{Records: map[lockstep.Collection][]lockstep.Record{"lines": {old}}},
		Reads:  handler.Reads{Records: []handler.RecordRange{{Collection: "lines", ID: "ne", Prefix: true}, {Collection: "lines", ID: "old"}}},
		Stable: Answer{Mutations: stable}, Candidate: Answer{Mutations: candidate},
	}
}

func TestClassesOfOneDifference(t *testing.T) {
	nan := float32(math.NaN())
	for name, tt := range map[string]struct {
		stable, candidate muts
		want              []Class
	}{
		"nothing done":                   {nil, nil, nil},
		"the same":                       {muts{put("new", nil)}, muts{put("new", nil)}, nil},
		"another order":                  {muts{put("new", nil), remove("old")}, muts{remove("old"), put("new", nil)}, nil},
		"writing what is there":          {muts{put("old", nil)}, nil, nil},
		"the same vector, said and kept": {muts{put("old", vectored(1, 2))}, muts{put("old", nil)}, nil},
		"deleting what is not there":     {muts{remove("new")}, nil, nil},
		"a text that does not count": {muts{put("new", func(m *lockstep.Mutation) { m.Record.HasDocument = false })}, muts{put("new", func(m *lockstep.Mutation) {
			m.Record.HasDocument, m.Record.Document = false, ""
		})}, nil},
		"minus zero":                    {muts{put("new", vectored(0, 1))}, muts{put("new", vectored(float32(math.Copysign(0, -1)), 1))}, nil},
		"not a number":                  {muts{put("new", vectored(nan, 1))}, muts{put("new", vectored(nan, 1))}, nil},
		"record missing":                {muts{put("new", nil)}, nil, []Class{"lines/record/missing"}},
		"record extra":                  {nil, muts{put("new", nil)}, []Class{"lines/record/extra"}},
		"deleted":                       {nil, muts{remove("old")}, []Class{"lines/op/deleted"}},
		"kept":                          {muts{remove("old")}, muts{put("old", with("shop", lockstep.String("b")))}, []Class{"lines/op/kept"}},
		"unknown, deleted":              {nil, muts{remove("far")}, []Class{"lines/op/deleted"}},
		"unknown, kept":                 {muts{remove("far")}, nil, []Class{"lines/op/kept"}},
		"unknown, written":              {nil, muts{put("far", nil)}, []Class{"lines/record/extra"}},
		"unknown, not written":          {muts{put("far", nil)}, nil, []Class{"lines/record/missing"}},
		"unknown, both keep the vector": {muts{put("far", nil)}, muts{put("far", nil)}, nil},
		"unknown, one sets the vector":  {muts{put("far", nil)}, muts{put("far", vectored(1))}, []Class{"lines/vector/distance-unknown"}},
		"document": {
			muts{put("new", nil)},
			muts{put("new", func(m *lockstep.Mutation) { m.Record.Document = "other" })},
			[]Class{"lines/document/value"},
		},
		"document missing": {
			muts{put("new", nil)},
			muts{put("new", func(m *lockstep.Mutation) { m.Record.HasDocument = false })},
			[]Class{"lines/document/missing"},
		},
		"document extra": {
			muts{put("new", func(m *lockstep.Mutation) { m.Record.HasDocument = false })},
			muts{put("new", nil)},
			[]Class{"lines/document/extra"},
		},
		"key value":   {muts{put("old", nil)}, muts{put("old", with("shop", lockstep.String("b")))}, []Class{"lines/metadata.shop/value"}},
		"key by none": {nil, muts{put("old", with("shop", lockstep.String("b")))}, []Class{"lines/metadata.shop/value"}},
		"key type":    {muts{put("old", with("shop", lockstep.Int(1)))}, muts{put("old", with("shop", lockstep.Float(1)))}, []Class{"lines/metadata.shop/type"}},
		"key missing": {muts{put("old", with("zip", lockstep.Int(1)))}, muts{put("old", nil)}, []Class{"lines/metadata.zip/missing"}},
		"key extra":   {muts{put("old", nil)}, muts{put("old", with("a", lockstep.Int(1)))}, []Class{"lines/metadata.a/extra"}},
		"key order":   {muts{put("old", nil)}, muts{put("old", with("tags", lockstep.Strings("y", "x")))}, []Class{"lines/metadata.tags/order"}},
		"key list":    {muts{put("old", nil)}, muts{put("old", with("tags", lockstep.Strings("x", "x")))}, []Class{"lines/metadata.tags/value"}},
		"element type": {
			muts{put("old", with("tags", lockstep.List([]lockstep.Value{lockstep.Int(1)})))},
			muts{put("old", with("tags", lockstep.Strings("1")))},
			[]Class{"lines/metadata.tags/type"},
		},
		"odd keys":       {muts{put("old", with("a/b *\n", lockstep.Int(1)))}, muts{put("old", nil)}, []Class{"lines/metadata.a%2Fb%20%2A%0A/missing"}},
		"vector missing": {muts{put("new", vectored(1))}, muts{put("new", nil)}, []Class{"lines/vector/missing"}},
		"vector extra":   {muts{put("new", nil)}, muts{put("new", vectored(1))}, []Class{"lines/vector/extra"}},
		"dimension":      {muts{put("new", vectored(1))}, muts{put("new", vectored(1, 2))}, []Class{"lines/vector/dimension"}},
		"rounding":       {muts{put("new", vectored(1, 2))}, muts{put("new", vectored(1, 2.0000002))}, []Class{"lines/vector/distance-rounding"}},
		"near":           {muts{put("new", vectored(1, 2))}, muts{put("new", vectored(1, 2.001))}, []Class{"lines/vector/distance-near"}},
		"far":            {muts{put("new", vectored(1, 2))}, muts{put("new", vectored(1, 2.1))}, []Class{"lines/vector/distance-far"}},
		"unlike":         {muts{put("new", vectored(1, 2))}, muts{put("new", vectored(2, 1))}, []Class{"lines/vector/distance-unlike"}},
		"kept or new":    {muts{put("old", nil)}, muts{put("old", vectored(2, 1))}, []Class{"lines/vector/distance-unknown"}},
		"several": {
			muts{put("new", nil), put("old", nil)},
			muts{remove("old"), put("new", with("shop", lockstep.String("b")))},
			[]Class{"lines/op/deleted", "lines/metadata.shop/value"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := Rules{}.Compare(known(tt.stable, tt.candidate))
			got := classesOf(p.Differences)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if p.Equal() != (len(tt.want) == 0) {
				t.Errorf("equal: %v", p.Equal())
			}
			for _, c := range got {
				if err := c.Check(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestKnownVectorIsMeasured(t *testing.T) {
	trial := known(muts{put("old", nil)}, muts{put("old", vectored(1, 2.001))})
	trial.Known = []Known{{Collection: "lines", Record: trial.View.Records["lines"][0], Vector: []float32{1, 2}}}
	if got := classesOf(Rules{}.Compare(trial).Differences); !slices.Equal(got, []Class{"lines/vector/distance-near"}) {
		t.Error(got)
	}
}

func TestFailuresOfAnswers(t *testing.T) {
	bad, good := Answer{Err: errors.New("no")}, Answer{Mutations: muts{put("new", nil)}}
	for _, tt := range []struct {
		stable, candidate, again Answer
		failure                  Failure
		differences, noise       []Class
	}{
		{good, good, good, FailedNone, nil, nil},
		{good, bad, good, FailedCandidate, []Class{ErrorCandidate}, nil},
		{bad, good, bad, FailedStable, []Class{ErrorStable}, nil},
		{bad, bad, bad, FailedBoth, []Class{ErrorBoth}, nil},
		{good, good, bad, FailedNone, nil, []Class{ErrorCandidate}},
		{bad, good, good, FailedStable, []Class{ErrorStable}, []Class{ErrorStable}},
	} {
		p := Rules{}.Compare(Trial{Stable: tt.stable, Candidate: tt.candidate, Again: &tt.again})
		if p.Failure != tt.failure || !slices.Equal(classesOf(p.Differences), tt.differences) || !slices.Equal(classesOf(p.Noise), tt.noise) {
			t.Errorf("%+v: got %q %v %v", tt, p.Failure, classesOf(p.Differences), classesOf(p.Noise))
		}
		if p.Equal() != (tt.failure == FailedNone) {
			t.Errorf("%q: equal %v", tt.failure, p.Equal())
		}
	}
}

func TestClockKeysAreIgnoredUntilTheRuleEnds(t *testing.T) {
	at := func(s string) muts {
		return muts{put("old", func(m *lockstep.Mutation) {
			m.Record.Metadata = m.Record.Metadata.With("seen_at", lockstep.String(s)).With("shop", lockstep.String(s))
		})}
	}
	trial := known(at("1"), at("2"))
	shop, both := []Class{"lines/metadata.shop/value"}, []Class{"lines/metadata.seen_at/value", "lines/metadata.shop/value"}
	for name, tt := range map[string]struct {
		rule Ignore
		want []Class
	}{
		"by name":            {Ignore{Key: "seen_at"}, shop},
		"by glob":            {Ignore{Key: "*_at"}, shop},
		"of the collection":  {Ignore{Key: "*_at", Collection: "li*"}, shop},
		"of another":         {Ignore{Key: "*_at", Collection: "words"}, both},
		"still good":         {Ignore{Key: "*_at", Until: noon.Add(1)}, shop},
		"ended":              {Ignore{Key: "*_at", Until: noon}, both},
		"of another key":     {Ignore{Key: "at"}, both},
		"with a broken glob": {Ignore{Key: "[", Collection: "lines"}, both},
	} {
		p := Rules{Ignore: []Ignore{tt.rule}}.Compare(trial)
		if got := classesOf(p.Differences); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
		if p.Ignored != 2-len(tt.want) {
			t.Errorf("%s: %d ignored", name, p.Ignored)
		}
	}
}

func TestDerivedSaysWhoIsRight(t *testing.T) {
	shop := func(s string) func(*lockstep.Mutation) { return with("shop", lockstep.String(s)) }
	for name, tt := range map[string]struct {
		derived muts
		right   Right
	}{
		"stable":              {muts{put("old", shop("s"))}, RightStable},
		"candidate":           {muts{put("old", shop("c"))}, RightCandidate},
		"neither":             {muts{put("old", shop("t"))}, RightNeither},
		"other fields":        {muts{put("old", func(m *lockstep.Mutation) { shop("c")(m); m.Record.Document = "z" })}, RightCandidate},
		"the record is gone":  {muts{remove("old")}, RightNeither},
		"it was right before": {nil, RightNeither},
	} {
		trial := known(muts{put("old", shop("s"))}, muts{put("old", shop("c"))})
		trial.Derived = &Answer{Mutations: tt.derived}
		p := Rules{}.Compare(trial)
		if len(p.Differences) != 1 || p.Differences[0].Right != tt.right {
			t.Errorf("%s: %+v", name, p.Differences)
		}
	}
	trial := known(nil, muts{remove("far")})
	trial.Derived = &Answer{}
	if p := (Rules{}).Compare(trial); p.Differences[0].Right != RightUnknown {
		t.Errorf("a record of which nothing is known: %+v", p.Differences)
	}
	trial.Derived = &Answer{Err: errors.New("no")}
	if p := (Rules{}).Compare(trial); p.Differences[0].Right != RightUnknown {
		t.Errorf("a failed derivation: %+v", p.Differences)
	}
	trial = known(muts{remove("old")}, nil)
	trial.Derived = &Answer{Mutations: muts{put("old", shop("t"))}}
	if p := (Rules{}).Compare(trial); len(p.Differences) != 1 || p.Differences[0].Right != RightCandidate || len(p.Drift) != 0 {
		t.Errorf("the record is there: %+v, drift %+v", p.Differences, p.Drift)
	}
}

func TestDriftIsWhereBothAreWrong(t *testing.T) {
	both := muts{put("old", with("shop", lockstep.String("b")))}
	trial := known(both, both)
	trial.Derived = &Answer{Mutations: muts{put("old", with("shop", lockstep.String("c"))), put("new", nil)}}
	p := Rules{}.Compare(trial)
	want := []Difference{
		{Class: "lines/record/extra", Collection: "lines", ID: "new", Field: "record", Stable: lockstep.String("absent"), Candidate: lockstep.String("absent"), Derived: lockstep.String("present"), Right: RightNeither},
		{Class: "lines/metadata.shop/value", Collection: "lines", ID: "old", Field: "metadata.shop", Stable: lockstep.String("b"), Candidate: lockstep.String("b"), Derived: lockstep.String("c"), Right: RightNeither},
	}
	if diff := cmp.Diff(want, p.Drift); diff != "" || !p.Equal() {
		t.Errorf("equal %v (-want +got):\n%s", p.Equal(), diff)
	}
	trial = known(both, muts{remove("old")})
	trial.Derived = &Answer{Mutations: muts{put("old", with("shop", lockstep.String("c")))}}
	if p := (Rules{}).Compare(trial); len(p.Drift) != 0 || p.Differences[0].Right != RightStable {
		t.Errorf("the candidate deletes: %+v, drift %+v", p.Differences, p.Drift)
	}
	trial = known(muts{put("far", nil)}, muts{put("far", nil)})
	trial.Derived = &Answer{}
	if p := (Rules{}).Compare(trial); len(p.Drift) != 0 {
		t.Errorf("nothing is known of the record: %+v", p.Drift)
	}
}

func TestSlowerIsMoreThanTheToleratedShare(t *testing.T) {
	rules := Rules{Delta: 0.5, Floor: 10 * time.Millisecond}
	for _, tt := range []struct {
		stable, candidate time.Duration
		timed, slower     bool
	}{
		{20 * time.Millisecond, 30 * time.Millisecond, true, false},
		{20 * time.Millisecond, 31 * time.Millisecond, true, true},
		{time.Millisecond, 10 * time.Millisecond, true, false},
		{time.Millisecond, 11 * time.Millisecond, true, true},
		{0, time.Second, false, false},
		{time.Second, 0, false, false},
	} {
		p := rules.Compare(Trial{Stable: Answer{Took: tt.stable}, Candidate: Answer{Took: tt.candidate}})
		if p.Timed != tt.timed || p.Slower != tt.slower {
			t.Errorf("%+v: timed %v, slower %v", tt, p.Timed, p.Slower)
		}
	}
	p := rules.Compare(Trial{Stable: Answer{Took: 1}, Candidate: Answer{Took: time.Second, Err: errors.New("no")}})
	if p.Timed || p.Slower {
		t.Error("a failed answer was timed")
	}
}

func TestAnAnswerEqualsItself(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		trial := genTrial(r)
		trial.Candidate, trial.Again = trial.Stable, &trial.Stable
		p := Rules{}.Compare(trial)
		if trial.Stable.Err != nil {
			if p.Failure != FailedBoth || len(p.Noise) > 0 {
				r.Fatalf("%q, noise %v", p.Failure, p.Noise)
			}
			return
		}
		if !p.Equal() || len(p.Noise) > 0 {
			r.Fatalf("%+v", p.Differences)
		}
	})
}

func TestClassesAreSymmetric(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		trial := genTrial(r)
		there := Rules{}.Compare(trial)
		trial.Stable, trial.Candidate = trial.Candidate, trial.Stable
		back := Rules{}.Compare(trial)
		if len(there.Differences) != len(back.Differences) {
			r.Fatalf("%d differences one way, %d the other", len(there.Differences), len(back.Differences))
		}
		swap := map[Right]Right{RightStable: RightCandidate, RightCandidate: RightStable}
		for i, d := range there.Differences {
			e := back.Differences[i]
			if d.Class.flip() != e.Class || e.Class.flip() != d.Class {
				r.Fatalf("%s one way, %s the other", d.Class, e.Class)
			}
			if want, ok := swap[d.Right]; ok && e.Right != want || !ok && e.Right != d.Right {
				r.Fatalf("%s: right is %q one way, %q the other", d.Class, d.Right, e.Right)
			}
			if err := d.Class.Check(); err != nil {
				r.Fatal(err)
			}
			if d.Class.Hard() != e.Class.Hard() {
				r.Fatalf("%s is hard one way only", d.Class)
			}
		}
	})
}

// Compare must not keep or change what belongs to the handlers.
func TestCompareLeavesTheTrialAlone(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		trial := genTrial(r)
		again := Rules{}.Compare(trial)
		if diff := cmp.Diff(again, Rules{}.Compare(trial)); diff != "" {
			r.Fatalf("the second comparison differs:\n%s", diff)
		}
	})
}
