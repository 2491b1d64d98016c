package receipt

import (
	"testing"
	"time"

	"lockstep/internal/handler"
	"lockstep/internal/handler/handlertest"
	"lockstep/internal/lockstep"
	"lockstep/internal/receipt/synth"
)

// placeUnit is the hot case: one change of a place, with all lines and words of a
// receipt of the usual size in the view.
func placeUnit(tb testing.TB, h handler.Handler) (handler.Unit, int) {
	tb.Helper()
	g := synth.New(1, synth.Options{Receipts: 1, Dimension: 4})
	x := handlertest.NewIndex(h, g.Import)
	for e := range g.Events() {
		apply(tb, x, e.Message())
	}
	edit, err := g.Edit(0, "place")
	if err != nil {
		tb.Fatal(err)
	}
	m := edit.Events[0].Message()
	m.Change.Entity = EntityPlace
	key := m.Change.Key
	it, _ := handlertest.Merge(x.Items[key.RecordID()], true, m.Change)
	x.Items[key.RecordID()] = it
	ms := []lockstep.Message{m}
	u := handler.Unit{Messages: ms, View: x.View(h.Reads(ms)), Now: time.Unix(0, 0)}
	n := len(u.View.Records[Lines]) + len(u.View.Records[Words])
	if muts, err := h.Plan(tb.Context(), u); err != nil || len(muts) != n {
		tb.Fatalf("%d mutations of %d records, %v", len(muts), n, err)
	}
	return u, n
}

func BenchmarkPlanPlaceChange(b *testing.B) {
	h := V2(V2Config{})
	u, n := placeUnit(b, h)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.Plan(b.Context(), u); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/record")
}

// The hot path must not allocate per record beyond the record's new metadata.
func TestPlaceChangeAllocatesOncePerRecord(t *testing.T) {
	h := V2(V2Config{})
	u, n := placeUnit(t, h)
	got := testing.AllocsPerRun(10, func() {
		if _, err := h.Plan(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	})
	if limit := float64(n + 32); got > limit {
		t.Errorf("%.0f allocations for %d records, want at most %.0f", got, n, limit)
	}
}

// A place change asks for no label of any word, a label change for one word only.
func TestReadsAskOnlyForWhatAChangeCanMove(t *testing.T) {
	s := newScene(t, V2(V2Config{}))
	place, label := s.tell("RECEIPT#00002#PLACE", item()), s.tell(wordSK+"#LABEL#TAX", labelItem(statusValid))
	place.Change.Entity, label.Change.Entity = EntityPlace, EntityLabel
	h := V2(V2Config{})
	for _, it := range h.Reads([]lockstep.Message{place}).Items {
		if it.SortPrefix != "RECEIPT#00002#PLACE" && it.SortPrefix != "RECEIPT#00002#METADATA" {
			t.Errorf("a place asks for %q", it.SortPrefix)
		}
	}
	r := h.Reads([]lockstep.Message{label})
	if len(r.Records) != 1 || r.Records[0].Prefix || r.Records[0].ID != wordID || len(r.Items) != 1 || r.Items[0].SortPrefix != wordSK+"#LABEL#" {
		t.Errorf("a label asks for %+v", r)
	}
	both := h.Reads([]lockstep.Message{label, place, label})
	if len(both.Records) != 2 || len(both.Items) != 3 {
		t.Errorf("together they ask for %+v: want each range once and none within another", both)
	}
}
