package receipt

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/handler"
	"lockstep/internal/handler/handlertest"
	"lockstep/internal/lockstep"
	"lockstep/internal/receipt/synth"
)

// small is a table that is quick to fold and still has every entity.
func small(place synth.Place, receipts int) *synth.Generator {
	return synth.New(7, synth.Options{
		Receipts: receipts, Lines: synth.Range{Min: 2, Max: 4}, Words: synth.Range{Min: 1, Max: 3},
		Dimension: 4, Labels: 40, Letters: 1, Place: place,
	})
}

// history is the creation of all receipts, one edit of every kind and n more.
func history(g *synth.Generator, n int) []lockstep.Message {
	var ms []lockstep.Message
	for e := range g.Events() {
		ms = append(ms, e.Message())
	}
	var edits []synth.Edit
	for i, kind := range synth.Kinds() {
		edit, err := g.Edit(i%g.Len(), kind)
		if err != nil {
			panic(err)
		}
		edits = append(edits, edit)
	}
	for _, edit := range append(edits, g.Edits(n)...) {
		for _, e := range edit.Events {
			ms = append(ms, e.Message())
		}
	}
	return ms
}

func TestV2KeepsTheContract(t *testing.T) {
	for _, place := range []synth.Place{synth.PlaceItems, synth.MetadataItems, synth.BothItems} {
		for _, labels := range []LabelFormat{LabelsArray, LabelsCSV} {
			if place != synth.BothItems && labels == LabelsCSV {
				continue // the two choices do not touch each other
			}
			t.Run(string(place)+" "+string(labels), func(t *testing.T) {
				g := small(place, 4)
				ms := history(g, 120)
				handlertest.Run(t, V2(V2Config{Labels: labels}), handlertest.Fixture{
					Messages: ms, Source: g.Import, Convergent: true,
				})
			})
		}
	}
}

// DESIGN 5: reconciliation and rebuild are the same function as the daily work.
func TestDeriveFindsNothingToDoAfterTheDailyWork(t *testing.T) {
	g := small(synth.BothItems, 4)
	x := handlertest.NewIndex(V2(V2Config{}), g.Import)
	apply(t, x, history(g, 200)...)
	for partition, view := range partitions(x) {
		muts, err := Derive(t.Context(), V2Config{}, view, partition)
		if err != nil {
			t.Fatal(err)
		}
		if len(muts) > 0 {
			t.Errorf("%s: %d mutations, first %+v", partition, len(muts), muts[0])
		}
	}
}

func TestDeriveRebuildsFromMirrorAndImports(t *testing.T) {
	g := small(synth.PlaceItems, 3)
	x := handlertest.NewIndex(V2(V2Config{}), g.Import)
	apply(t, x, history(g, 150)...)
	want := x.State()

	empty := x.Clone()
	empty.Records = map[lockstep.Collection]map[string]handlertest.Entry{}
	got := map[lockstep.Collection]map[string]handlertest.Entry{Lines: {}, Words: {}}
	for partition, view := range partitions(empty) {
		for _, it := range view.Items {
			if it.Entity != EntityRun {
				continue
			}
			for c, attr := range map[lockstep.Collection]string{Lines: attrLinesPrefix, Words: attrWordsPrefix} {
				im, err := g.Import(handler.ImportRef{Collection: c, Location: it.Image.Str(attr)})
				if err != nil {
					t.Fatal(err)
				}
				view.Imports = append(view.Imports, im)
			}
		}
		muts, err := Derive(t.Context(), V2Config{}, view, partition)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range muts {
			if m.Op == lockstep.Delete {
				t.Fatalf("deletes %s, which was not there", m.Record.ID)
			}
			m.Record.Vector = want.Records[m.Collection][m.Record.ID].Record.Vector
			got[m.Collection][m.Record.ID] = handlertest.Entry{Record: m.Record, Vector: m.Vector}
		}
	}
	if diff := cmp.Diff(want.Records, got); diff != "" {
		t.Errorf("rebuilt index (-daily +rebuilt):\n%s", diff)
	}
}

// partitions returns the whole view of every partition of x, without imports.
func partitions(x *handlertest.Index) map[string]handler.View {
	out := map[string]handler.View{}
	for _, it := range x.Items {
		p := it.Key.Partition
		if _, ok := out[p]; !ok {
			out[p] = x.View(WholeReads(p))
		}
	}
	return out
}

func apply(t testing.TB, x *handlertest.Index, ms ...lockstep.Message) []lockstep.Outcome {
	t.Helper()
	outcomes, err := x.Apply(t.Context(), ms...)
	if err != nil {
		t.Fatal(err)
	}
	if len(x.Parked) > 0 {
		t.Fatalf("parked: %s", x.Parked[0].Change.Key)
	}
	return outcomes
}

func TestImportOutsideItsReceiptIsRefused(t *testing.T) {
	g := small(synth.PlaceItems, 1)
	for _, h := range []handler.Handler{V1(V1Config{}), V2(V2Config{})} {
		wrong := func(ref handler.ImportRef) (handler.Import, error) {
			im, err := g.Import(ref)
			last := &im.Embeddings[len(im.Embeddings)-1]
			last.ID = strings.Replace(last.ID, "#RECEIPT#00001#", "#RECEIPT#00002#", 1)
			return im, err
		}
		x := handlertest.NewIndex(h, wrong)
		for e := range g.Events() {
			if _, err := x.Apply(t.Context(), e.Message()); err != nil {
				t.Fatal(err)
			}
		}
		if len(x.Parked) != 1 || len(x.Records) != 0 {
			t.Errorf("receipts@%s: %d parked, %d collections written; want the run parked and nothing written", h.Describe().Version, len(x.Parked), len(x.Records))
		}
	}
}

func TestV2UnknownLabelFormatRefusesEveryUnit(t *testing.T) {
	cfg := V2Config{Labels: "xml"}
	if cfg.Check() == nil {
		t.Error("Check accepts it")
	}
	if _, err := V2(cfg).Plan(t.Context(), handler.Unit{Messages: make([]lockstep.Message, 1)}); err == nil {
		t.Error("Plan accepts it")
	}
}
