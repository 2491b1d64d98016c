package chroma

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lockstep/internal/follow"
	"lockstep/internal/lockstep"
)

func TestAQueueNumberIsAboveEveryWatermark(t *testing.T) {
	for _, tc := range []struct{ queued, applied, want int64 }{
		{0, 0, 1}, {20, 20, 21}, {5, 20, 21}, {20, 5, 21}, {0, 7, 8},
	} {
		s := sequenceAfter(tc.queued, tc.applied)
		if got := s.next(); got != tc.want {
			t.Errorf("queue %d, watermark %d: next %d, want %d", tc.queued, tc.applied, got, tc.want)
		}
	}
}

func TestAQueueBehindItsWatermarkNeedsASentinel(t *testing.T) {
	for _, tc := range []struct {
		queued, applied int64
		want            bool
	}{{0, 0, false}, {20, 20, false}, {21, 20, false}, {0, 20, true}, {19, 20, true}} {
		if got := needsSentinel(tc.queued, tc.applied); got != tc.want {
			t.Errorf("queue %d, watermark %d: %v, want %v", tc.queued, tc.applied, got, tc.want)
		}
	}
}

func drawValue(t *rapid.T) lockstep.Value {
	scalar := rapid.OneOf(
		rapid.Map(rapid.StringN(0, 4, -1), lockstep.String), rapid.Map(rapid.Int64Range(-3, 3), lockstep.Int),
		rapid.Map(rapid.SampledFrom([]float64{0, 1, -2, 0.5}), lockstep.Float), rapid.Map(rapid.Bool(), lockstep.Bool),
	)
	if rapid.Bool().Draw(t, "list") {
		return lockstep.List([]lockstep.Value{scalar.Draw(t, "element")})
	}
	return scalar.Draw(t, "value")
}

func drawFields(t *rapid.T, label string) map[string]lockstep.Value {
	out := map[string]lockstep.Value{}
	for _, k := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d"}), rapid.ID).Draw(t, label) {
		out[k] = drawValue(t)
	}
	return out
}

func TestAFieldPlanLeadsFromBeforeToAfterAndTouchesNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, after := drawFields(t, "before"), drawFields(t, "after")
		got := maps.Clone(before)
		plan := planFields(stored{fields: before}, lockstep.MetadataOf(after))
		for _, f := range plan.drop {
			if old, ok := got[f.Key]; !ok || !old.Equal(f.Value) {
				t.Fatalf("drops %s = %#v, which is not there", f.Key, f.Value)
			}
			delete(got, f.Key)
		}
		for _, f := range plan.put {
			if _, ok := got[f.Key]; ok {
				t.Fatalf("writes %s over a row that is there", f.Key)
			}
			if old, ok := before[f.Key]; ok && old.Equal(f.Value) {
				t.Fatalf("rewrites %s, which did not change", f.Key)
			}
			got[f.Key] = f.Value
		}
		if !lockstep.MetadataOf(got).Equal(lockstep.MetadataOf(after)) {
			t.Fatalf("%#v to %#v ends at %#v", before, after, got)
		}
	})
}

func TestAScalarComesBackFromItsCell(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawValue(t)
		got, ok := cellOf(v).value()
		if v.Kind() == lockstep.KindList {
			if ok {
				t.Fatalf("a list has a cell: %#v", got)
			}
			return
		}
		if !ok || !got.Equal(v) {
			t.Fatalf("%#v comes back as %#v", v, got)
		}
	})
}

func TestARecordThatChromaCannotHoldIsRefused(t *testing.T) {
	list := lockstep.Record{ID: "a", Metadata: lockstep.Metadata{{Key: "labels", Value: lockstep.Strings("x")}}}
	if err := checkRecord(list, structure{arrays: true, metadb: 6}); err != nil {
		t.Errorf("a list with an array table: %v", err)
	}
	err := checkRecord(list, structure{metadb: 5})
	if !errors.Is(err, lockstep.ErrRefused) || !strings.Contains(err.Error(), `"labels"`) || !strings.Contains(err.Error(), "metadb/00005") {
		t.Errorf("a list without an array table: %v", err)
	}
	if !strings.Contains(lockstep.HintOf(err), "csv") {
		t.Errorf("hint %q does not name the way out", lockstep.HintOf(err))
	}
	for name, r := range map[string]lockstep.Record{
		"text":     {ID: "a", Document: "\xff", HasDocument: true},
		"key":      {ID: "a", Metadata: lockstep.Metadata{{Key: "\xff", Value: lockstep.Int(1)}}},
		"value":    {ID: "a", Metadata: lockstep.Metadata{{Key: "k", Value: lockstep.Strings("\xff")}}},
		"reserved": {ID: "a", Metadata: lockstep.Metadata{{Key: "chroma:document", Value: lockstep.Int(1)}}},
	} {
		if err := checkRecord(r, structure{arrays: true}); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
}

// tablesOf builds migrations and columns as readStructure would find them.
func tablesOf(queue, metadb, sysdb int64) ([]migration, map[string][]string) {
	var applied []migration
	for family, top := range map[string]int64{"embeddings_queue": queue, "metadb": metadb, "sysdb": sysdb} {
		for v := int64(1); v <= top; v++ {
			applied = append(applied, migration{family, v, fmt.Sprintf("%05d-x.sqlite.sql", v)})
		}
	}
	columns := maps.Clone(requiredColumns)
	if metadb >= 6 {
		columns[arrayTable] = []string{"id"}
	}
	return applied, columns
}

func TestOnlyKnownTablesAreWritten(t *testing.T) {
	lacking := func(applied []migration, columns map[string][]string) ([]migration, map[string][]string) {
		columns["embeddings_queue"] = []string{"seq_id", "operation"}
		return applied, columns
	}
	foreign := func(applied []migration, columns map[string][]string) ([]migration, map[string][]string) {
		return append(applied, migration{"wal3", 1, "00001-new.sqlite.sql"}), columns
	}
	same := func(a []migration, c map[string][]string) ([]migration, map[string][]string) { return a, c }
	for _, tc := range []struct {
		name                 string
		queue, metadb, sysdb int64
		change               func([]migration, map[string][]string) ([]migration, map[string][]string)
		says                 string // "": accepted
		arrays               bool
	}{
		{"1.0.0", 2, 5, 9, same, "", false},
		{"1.3.0", 2, 5, 10, same, "", false},
		{"1.5.9", 2, 6, 10, same, "", true},
		{"0.6.3", 2, 4, 9, same, "migration metadb/00005", false},
		{"newer", 2, 7, 10, same, "metadb/00007-x.sqlite.sql", true},
		{"another family", 2, 6, 10, foreign, "wal3/00001-new.sqlite.sql", true},
		{"columns gone", 2, 6, 10, lacking, "embeddings_queue.vector", true},
	} {
		got, err := checkStructure(tc.change(tablesOf(tc.queue, tc.metadb, tc.sysdb)))
		if tc.says == "" {
			if err != nil || got.arrays != tc.arrays {
				t.Errorf("%s: %+v, %v", tc.name, got, err)
			}
			continue
		}
		if !errors.Is(err, lockstep.ErrRefused) || !strings.Contains(err.Error(), tc.says) || lockstep.HintOf(err) == "" {
			t.Errorf("%s: %v (hint %q), want ErrRefused naming %s", tc.name, err, lockstep.HintOf(err), tc.says)
		}
	}
}

func TestDriftIsSaidInWordsAndReadingIsNone(t *testing.T) {
	lines := holding{ID: "i", Space: "l2", Records: 10, Applied: 10}
	written := fingerprint{Collections: map[string]holding{"lines": lines}, LastID: 10, LastSeq: 10}
	with := func(h holding) map[string]holding { return map[string]holding{"lines": h} }
	for _, tc := range []struct {
		name string
		now  fingerprint
		want string
	}{
		{"nothing", written, ""},
		{"a purge below the watermark", fingerprint{with(lines), 10, 9}, ""},
		{"an update", fingerprint{with(holding{"i", "l2", 10, 11}), 10, 11}, "watermark 11 instead of 10"},
		{"an add", fingerprint{with(holding{"i", "l2", 11, 11}), 11, 11}, "11 records instead of 10"},
		{"a write not yet indexed", fingerprint{with(lines), 10, 12}, "2 writes after the last of ours"},
		{"a dropped collection", fingerprint{nil, 0, 10}, "lines is gone"},
		{"dropped and made again", fingerprint{with(holding{"j", "l2", 10, 10}), 10, 10}, "made anew"},
		{"another space", fingerprint{with(holding{"i", "ip", 10, 10}), 10, 10}, "the space ip instead of l2"},
		{"another collection", fingerprint{map[string]holding{"lines": lines, "x": {}}, 10, 10}, "x was added"},
		{"rows exchanged by hand", fingerprint{with(lines), 12, 10}, "internal id is 12"},
	} {
		got := strings.Join(drift(written, tc.now), "; ")
		if (tc.want == "") != (got == "") || !strings.Contains(got, tc.want) {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestSurplusDirectoriesAreTheOldestBuilds(t *testing.T) {
	names := []string{buildName(3, 5), buildName(9, 4), buildName(2, 3), buildName(1, 2)}
	for _, tc := range []struct {
		keep   int
		before string
		want   []string
	}{
		{2, names[1], []string{names[3]}},
		{1, names[1], []string{names[2], names[3]}},
		{1, names[3], []string{names[1], names[2]}},
		{-1, names[1], names[1:]},
		{9, names[1], nil},
		{1, ".", []string{names[2], names[3]}},
	} {
		if diff := cmp.Diff(tc.want, surplus(names, names[0], tc.before, tc.keep)); diff != "" {
			t.Errorf("keep %d, before %s (-want +got):\n%s", tc.keep, tc.before, diff)
		}
	}
	if n := nextBuildNumber(names); n != 6 {
		t.Errorf("next build number %d, want 6", n)
	}
}

func TestSpaceIsFoundInEveryEraOfConfiguration(t *testing.T) {
	for _, tc := range []struct{ config, schema, want string }{
		{`{"vector_index":{"hnsw":{"space":"cosine"}}}`, "", "cosine"},
		{`{}`, `{"keys":{"#embedding":{"float_list":{"vector_index":{"config":{"space":"ip"}}}}}}`, "ip"},
		{`{}`, "", "l2"},
		{`nonsense`, `[]`, "l2"},
	} {
		if got := spaceIn(tc.config, tc.schema); got != tc.want {
			t.Errorf("%s %s: %s, want %s", tc.config, tc.schema, got, tc.want)
		}
	}
}

func TestASchemaIsReducedToWhatANewCollectionHas(t *testing.T) {
	got, err := bareSchema(`{"defaults":{"int":1},"keys":{"#document":{},"text":{"string":{}}}}`)
	if want := `{"defaults":{"int":1},"keys":{"#document":{}}}`; err != nil || got != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
	const bare = `{"keys": {"#document": {}}}`
	if got, err := bareSchema(bare); err != nil || got != bare {
		t.Errorf("a bare schema is rewritten: %s, %v", got, err)
	}
	if _, err := bareSchema(`{"keys":[]}`); !errors.Is(err, lockstep.ErrCorrupt) {
		t.Errorf("a broken schema: %v", err)
	}
}

func TestStableIDsDifferByPartAndKeepTheirValue(t *testing.T) {
	a := stableUUID("store", "lines", "collection")
	if a != stableUUID("store", "lines", "collection") || !isUUID(a) {
		t.Errorf("not stable or no UUID: %s", a)
	}
	if a == stableUUID("storel", "ines", "collection") {
		t.Error("two different names have one id")
	}
	one, two := freshUUID(), freshUUID()
	if one == two || !isUUID(one) {
		t.Errorf("not fresh or no UUID: %s, %s", one, two)
	}
}

func TestDetectNamesTheCommandOrWhatToInstall(t *testing.T) {
	command, advice := Detect(func(name string) (string, error) { return "/opt/" + name, nil })
	if diff := cmp.Diff([]string{"/opt/chroma"}, command); diff != "" || advice != "" {
		t.Errorf("found: %v, advice %q", command, advice)
	}
	command, advice = Detect(func(string) (string, error) { return "", os.ErrNotExist })
	if command != nil || !strings.Contains(advice, "pip install chromadb") {
		t.Errorf("not found: %v, advice %q", command, advice)
	}
	if !isPython([]string{"/venv/bin/python3.11"}) || isPython([]string{"/usr/bin/chroma"}) {
		t.Error("python is told by its name")
	}
}

func TestAStepWithoutSenseIsInvalid(t *testing.T) {
	for name, specs := range map[string][]follow.Spec{
		"name":      {{Name: "x"}},
		"twice":     {{Name: "lines"}, {Name: "lines"}},
		"space":     {{Name: "lines", Space: "manhattan"}},
		"dimension": {{Name: "lines", Dimension: lockstep.MaxDimension + 1}},
	} {
		if err := checkStep(follow.Step{Collections: specs}); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	if err := checkStep(follow.Step{Collections: []follow.Spec{{Name: "lines"}, {Name: "words", Space: "ip", Dimension: 3}}}); err != nil {
		t.Error(err)
	}
}

func TestAVectorMustFitItsCollection(t *testing.T) {
	c := &collection{}
	if err := c.checkVector("a", []float32{1, 2, 3}); err != nil || c.dimension != 3 || !c.sized {
		t.Fatalf("the first vector sets the dimension: %+v, %v", c, err)
	}
	for name, v := range map[string][]float32{"none": nil, "short": {1, 2}, "NaN": {1, 2, float32nan()}} {
		if err := c.checkVector("a", v); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
}

func float32nan() float32 {
	zero := float32(0)
	return zero / zero
}
