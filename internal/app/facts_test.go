package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"lockstep/internal/change"
	"lockstep/internal/compact"
	"lockstep/internal/config"
	"lockstep/internal/guard"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/mapping"
	"lockstep/internal/receipt"
	"lockstep/internal/version"
)

const (
	testStable    = "receipts@2+111111111111"
	testCandidate = "receipts@3+222222222222"
)

func testTally() *tally {
	e := &version.Entry{Number: 1, Collections: []version.CollectionState{{Name: "lines", Records: 100}, {Name: lockstep.Table, Records: 5}}}
	return newTally("release-local-1.1", testCandidate, handler.NewRevision(receipt.V2(receipt.V2Config{})), []string{"text"}, e)
}

func record(id string, fields ...lockstep.Field) []byte {
	return version.AppendRecord(nil, &lockstep.Record{ID: id, Metadata: fields})
}

func mirror(sort string, image lockstep.Item) version.Mutation {
	it := lockstep.MirrorItem{Key: lockstep.ItemKey{Partition: "P", Sort: sort}, Entity: "RECEIPT_WORD", Seq: "2", Image: image}
	if image == nil {
		it.Removed = "2"
	}
	rec := change.MirrorRecord(it)
	return version.Mutation{Collection: lockstep.Table, ID: rec.ID, After: version.AppendRecord(nil, &rec)}
}

func compacted(n uint64) *version.Entry {
	return &version.Entry{Number: n, Kind: version.Compact, Collections: []version.CollectionState{{Name: "lines"}}}
}

func TestALossIsWhatNoRemovalAccountsForAndGrowthHidesNone(t *testing.T) {
	tl := testTally()
	d := &version.Delta{Messages: []version.Archived{{ID: "a", Group: "P"}, {ID: "b", Group: "P"}}}
	gone, kept := mirror("A", nil), mirror("B", lockstep.Item{})
	kept.Cause = 1
	d.Mutations = []version.Mutation{
		gone, kept,
		{Collection: "lines", ID: "1", Cause: 0, Before: record("1")}, // its item was removed
		{Collection: "lines", ID: "2", Cause: 1, Before: record("2")}, // nothing was
		{Collection: "lines", ID: "3", Cause: 1, Before: record("3")},
	}
	for i := range 50 {
		id := fmt.Sprint("new", i)
		d.Mutations = append(d.Mutations, version.Mutation{Collection: "lines", ID: id, Cause: 1, After: record(id)})
	}
	if err := tl.take(t.Context(), nil, compacted(2), d); err != nil {
		t.Fatal(err)
	}
	want := guard.Collection{Name: "lines", Before: 100, After: 97, Removed: 1}
	if got := tl.at(time.Now()).Collections; len(got) != 1 || got[0] != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	// It comes back.
	d.Mutations = []version.Mutation{{Collection: "lines", ID: "3", Cause: 1, After: record("3")}}
	if err := tl.take(t.Context(), nil, compacted(3), d); err != nil {
		t.Fatal(err)
	}
	if got := tl.at(time.Now()).Collections[0]; got.After != 98 {
		t.Errorf("%+v", got)
	}
	// A reset puts other data there: nothing is lost by that.
	reset := &version.Entry{Number: 4, Kind: version.Reset, Collections: []version.CollectionState{{Name: "lines", Records: 10}}}
	if err := tl.take(t.Context(), nil, reset, nil); err != nil {
		t.Fatal(err)
	}
	if got := tl.at(time.Now()).Collections[0]; got.Before != 10 || got.After != 10 {
		t.Errorf("after a reset %+v", got)
	}
}

func TestUnitsAndEffectsAreCountedByArm(t *testing.T) {
	tl := testTally()
	e := compacted(2)
	e.Trial = &version.Trial{Name: "release-local-1.1", Arms: []version.Units{
		{Revision: testCandidate, Units: 3, Took: map[int]int{40: 3}, Events: map[string]int{"MODIFY": 4}},
		{Revision: testStable, Units: 10, Took: map[int]int{20: 9, 60: 1}, Events: map[string]int{"MODIFY": 10}},
	}}
	d := &version.Delta{Messages: make([]version.Archived, 4), Mutations: []version.Mutation{
		{Collection: "lines", ID: "1", Cause: 0, Revision: testCandidate, After: record("1")},
		{Collection: "words", ID: "1", Cause: 0, Revision: testCandidate, After: record("1")},
		{Collection: "lines", ID: "2", Cause: 1, Revision: testStable, After: record("2")},
	}}
	if err := tl.take(t.Context(), nil, e, d); err != nil {
		t.Fatal(err)
	}
	f := tl.at(time.Now())
	if c := f.Candidate; c.Units != 3 || c.Messages != 4 || c.Unchanged != 3 || c.UnitP90 != 1024*time.Microsecond {
		t.Errorf("candidate %+v", c)
	}
	if s := f.Stable; s.Units != 10 || s.Messages != 10 || s.Unchanged != 9 || s.UnitP50 != 32*time.Microsecond {
		t.Errorf("stable %+v", s)
	}
	// A version in which stable covered a unit says who failed, and nothing about effects.
	e.Number, e.Trial.Arms[0].Bad = 3, 1
	if err := tl.take(t.Context(), nil, e, d); err != nil {
		t.Fatal(err)
	}
	if c := tl.at(time.Now()).Candidate; c.Units != 6 || c.Failed != 1 || c.Messages != 4 {
		t.Errorf("candidate %+v", c)
	}
	// Another attempt is another matter.
	e.Number, e.Trial = 4, &version.Trial{Name: "release-local-1.2", Arms: e.Trial.Arms}
	if err := tl.take(t.Context(), nil, e, d); err != nil {
		t.Fatal(err)
	}
	if c := tl.at(time.Now()).Candidate; c.Units != 6 {
		t.Errorf("candidate %+v", c)
	}
}

func TestAKeyThatTheCandidateDropsIsLost(t *testing.T) {
	tl := testTally()
	text, other := lockstep.Field{Key: "text", Value: lockstep.String("x")}, lockstep.Field{Key: "other", Value: lockstep.String("x")}
	write := func(n uint64, revision string, before, after []byte) {
		t.Helper()
		d := &version.Delta{Mutations: []version.Mutation{{Collection: "lines", ID: "1", Cause: -1, Revision: revision, Before: before, After: after}}}
		if err := tl.take(t.Context(), nil, compacted(n), d); err != nil {
			t.Fatal(err)
		}
	}
	write(2, testStable, record("1", text), record("1"))
	write(3, testCandidate, record("1", other, text), record("1", text))
	write(4, testCandidate, nil, record("1"))
	if f := tl.at(time.Now()); f.RecordsCompared != 1 || f.KeysLost != 0 {
		t.Errorf("%d of %d", f.KeysLost, f.RecordsCompared)
	}
	write(5, testCandidate, record("1", other, text), record("1", other))
	if f := tl.at(time.Now()); f.RecordsCompared != 2 || f.KeysLost != 1 {
		t.Errorf("%d of %d", f.KeysLost, f.RecordsCompared)
	}
}

func TestOnlyHandlersThatPromiseItAreAskedAgain(t *testing.T) {
	body := `
version: 1
handler: mapping
mapping:
  name: m
  version: "1"
  collections: {lines: {}}
  entities: []
`
	m, _ := mapping.Decode(settings(t, body).Mapping.Inline)
	for _, c := range []struct {
		h    handler.Handler
		want bool
	}{
		{receipt.V1(receipt.V1Config{}), false},
		{receipt.V2(receipt.V2Config{}), true},
		{receipt.V2(receipt.V2Config{Labels: receipt.LabelsCSV}), true},
		{specified{receipt.V2(receipt.V2Config{}), nil}, true},
		{newVariant("x", nil), false},
		{m, true},
	} {
		if got := convergent(c.h); got != c.want {
			t.Errorf("%s: %v", handler.NewRevision(c.h).Label(), got)
		}
	}
}

func TestVitalsAreOfThisProcess(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	v := newVitals(func() time.Time { return now })
	done := v.submitted(3)
	now = now.Add(time.Minute)
	v.submitted(2)
	v.serve(false)
	for range 10 {
		v.committed(compact.Result{ChangedBy: map[string]int{"RECEIPT_PLACE": 2, "RECEIPT_WORD_LABEL": 1}, Counts: map[lockstep.Outcome]int{lockstep.Applied: 4}}, nil, time.Second)
	}
	v.serve(true)
	v.committed(compact.Result{}, nil, 5*time.Second)
	v.committed(compact.Result{}, errors.New("disk"), time.Second)
	v.committed(compact.Result{}, context.Canceled, time.Second)
	var f guard.Facts
	v.add(&f)
	if f.Waiting != 5 || !f.OldestWaiting.Equal(now.Add(-time.Minute)) {
		t.Errorf("%d wait since %s", f.Waiting, f.OldestWaiting)
	}
	if f.PublishP90Before != time.Second || f.PublishP90 != 5*time.Second || f.PublishFailures != 1 || f.MemoryBytes == 0 || !v.baseline() {
		t.Errorf("%+v", f)
	}
	if d := *f.Document; d.LambdaSuccess != 11 || d.LambdaError != 1 || d.ProcessedRecords != 40 || d.MetadataUpdates != 20 || d.LabelUpdates != 10 {
		t.Errorf("%+v", d)
	}
	done()
	if n, since := v.counted(); n != 2 || !since.Equal(now) {
		t.Errorf("%d wait since %s", n, since)
	}
}

func TestWhatWaitsInAServerIsReadFromItsMetrics(t *testing.T) {
	text := "# TYPE lockstep_waiting_changes gauge\nlockstep_waiting_changes 3\nlockstep_waiting_seconds 1.5\nother 7\n"
	got, err := metricIn(strings.NewReader(text), metricWaiting, metricWaitingAge)
	if err != nil || got[metricWaiting] != 3 || got[metricWaitingAge] != 1.5 {
		t.Errorf("%v, %v", got, err)
	}
	for _, text := range []string{"", "lockstep_waiting_changes 3\n", "lockstep_waiting_changes x\nlockstep_waiting_seconds 1\n"} {
		if _, err := metricIn(strings.NewReader(text), metricWaiting, metricWaitingAge); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestAFailedTestCommandIsAResultAndAnEndedContextIsAnError(t *testing.T) {
	for _, c := range []struct {
		command []string
		timeout time.Duration
		passed  bool
	}{
		{[]string{"true"}, time.Minute, true},
		{[]string{"false"}, time.Minute, false},
		{[]string{"/nowhere/at/all"}, time.Minute, false},
		{[]string{"sleep", "60"}, 50 * time.Millisecond, false},
	} {
		run, err := runTest(t.Context(), config.Test{Name: "x", Command: c.command, Timeout: c.timeout, Blocking: true}, nil)
		if err != nil || run.Passed != c.passed || !run.Blocking {
			t.Errorf("%v: %+v, %v", c.command, run, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := runTest(ctx, config.Test{Command: []string{"true"}, Timeout: time.Minute}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
}
