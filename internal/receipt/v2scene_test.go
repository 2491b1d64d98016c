package receipt

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/handler"
	"lockstep/internal/handler/handlertest"
	"lockstep/internal/lockstep"
)

// bare is a word without labels: unvalidated, as at embed time.
func bare(more plain) plain {
	m := plain{"text": "run-1", "label_status": labelUnvalidated}
	maps.Copy(m, more)
	return m
}

func TestV2PlaceComesBeforeMetadataAndMetadataReturns(t *testing.T) {
	s := newScene(t, V2(V2Config{}))
	s.embed(values{"merchant_name": lockstep.String("Embedded")})
	expect(t, s.word(), bare(nil)) // the embed-time name is not the table's
	s.put("RECEIPT#00002#METADATA", item("merchant_name", "Old", "canonical_merchant_name", "OLD", "address", "A"))
	expect(t, s.word(), bare(plain{"merchant_name": "Old", "canonical_merchant_name": "OLD", "address": "A"}))
	s.put("RECEIPT#00002#PLACE", item("merchant_name", "New", "formatted_address", "B", "place_id", "p"))
	expect(t, s.word(), bare(plain{"merchant_name": "New", "address": "B", "place_id": "p"}))
	expect(t, s.line(), plain{"text": "run-1", "merchant_name": "New", "address": "B", "place_id": "p"})
	s.put("RECEIPT#00002#PLACE", nil)
	expect(t, s.word(), bare(plain{"merchant_name": "Old", "canonical_merchant_name": "OLD", "address": "A"}))
	s.put("RECEIPT#00002#METADATA", nil)
	expect(t, s.word(), bare(nil))
}

func TestV2NullAndEmptyAttributesRemoveTheKey(t *testing.T) {
	s := newScene(t, V2(V2Config{}))
	s.embed(nil)
	s.put("RECEIPT#00002#PLACE", item("merchant_name", "Acme", "phone_number", "555", "merchant_category", "x"))
	s.put("RECEIPT#00002#PLACE", item("merchant_name", "Acme", "phone_number", "NULL", "merchant_category", ""))
	expect(t, s.line(), plain{"text": "run-1", "merchant_name": "Acme"})
}

func TestV2LabelsFollowTheTable(t *testing.T) {
	for format, keys := range map[LabelFormat]func(valid, invalid string) plain{
		LabelsArray: func(valid, invalid string) plain {
			m := plain{}
			if valid != "" {
				m["valid_labels_array"] = []any{valid}
			}
			if invalid != "" {
				m["invalid_labels_array"] = []any{invalid}
			}
			return m
		},
		LabelsCSV: func(valid, invalid string) plain {
			m := plain{}
			if valid != "" {
				m["valid_labels"] = "," + valid + ","
			}
			if invalid != "" {
				m["invalid_labels"] = "," + invalid + ","
			}
			return m
		},
	} {
		t.Run(string(format), func(t *testing.T) {
			s := newScene(t, V2(V2Config{Labels: format}))
			want := func(valid, invalid string, more plain) {
				t.Helper()
				m := bare(keys(valid, invalid))
				maps.Copy(m, more)
				expect(t, s.word(), m)
			}
			validated := plain{"label_status": labelValidated, "label_validated_at": "2025-12-15T10:00:00"}
			s.embed(values{"label_status": lockstep.String("x"), "label_confidence": lockstep.Float(1), "valid_labels": lockstep.String(",OLD,")})
			want("", "", nil)
			s.label("TAX", statusValid) // an INSERT counts
			s.label("TIP", statusInvalid)
			want("TAX", "TIP", validated)
			s.label("TIP", "") // one of several
			want("TAX", "", validated)
			s.label("TAX", "") // a relabel is a removal and an insert
			s.label("SUBTOTAL", statusValid)
			want("SUBTOTAL", "", validated)
			s.label("SUBTOTAL", statusPending, "label_proposed_by", "model-x")
			want("", "", plain{"label_status": labelSuggested, "label_proposed_by": "model-x"})
			s.label("SUBTOTAL", statusPending, "label_proposed_by", "NULL")
			want("", "", plain{"label_status": labelSuggested})
			s.label("SUBTOTAL", "")
			want("", "", nil)
			if diff := cmp.Diff(plain{"text": "run-1", "label_status": "x", "label_confidence": 1.0, "valid_labels": ",OLD,"}, s.line()); diff != "" {
				t.Errorf("labels are not the lines':\n%s", diff)
			}
		})
	}
}

// DOMAIN 4.1: "REMOVE old words" and "RUN with the same ids" in one batch must not
// delete the fresh vectors, in whichever order they arrive.
func TestV2DeletionAndImportInAnyOrder(t *testing.T) {
	for _, gone := range []string{wordSK, lineSK, "RECEIPT#00002"} {
		s := newScene(t, V2(V2Config{}))
		var ms []lockstep.Message
		put := func(sort string, it lockstep.Item) { ms = append(ms, s.tell(sort, it)) }
		put("RECEIPT#00002", item("width", "1"))
		put(lineSK, item("text", "x"))
		put(wordSK, item("text", "x"))
		put(s.offer("run-1", nil))
		before := len(ms)
		put(gone, nil)
		removed := len(ms)
		put(gone, item("text", "again"))
		put(s.offer("run-2", nil))
		check := func(ms []lockstep.Message, want string) {
			t.Helper()
			for _, order := range permutations(len(ms)) {
				x := handlertest.NewIndex(s.x.Handler, s.x.Source)
				for _, i := range order {
					if _, err := x.Apply(t.Context(), ms[i]); err != nil {
						t.Fatal(err)
					}
				}
				if got := x.Records[Words][wordID].Record.Document; got != want {
					t.Fatalf("%s, order %v: document %q, want %q", gone, order, got, want)
				}
			}
		}
		check(ms[:before], "run-1")
		check(ms[:removed], "")
		check(ms[before-1:], "run-2")
	}
}

func permutations(n int) [][]int {
	if n == 0 {
		return [][]int{nil}
	}
	var out [][]int
	for _, p := range permutations(n - 1) {
		for i := range n {
			out = append(out, slices.Insert(slices.Clone(p), i, n-1))
		}
	}
	return out
}

func TestV2OlderImportNeverOverwrites(t *testing.T) {
	s := newScene(t, V2(V2Config{}))
	first := s.tell(s.offer("run-1", nil))
	second := s.tell(s.offer("run-2", nil))
	done := s.tell("RECEIPT#00002#COMPACTION_RUN#run-1", item("lines_state", "COMPLETED"))
	for _, m := range []lockstep.Message{done, second, first} { // the INSERT of run-1 is stale by now
		if _, err := s.x.Apply(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if e := s.x.Records[Words][wordID]; e.Record.Document != "run-2" {
		t.Errorf("document %q", e.Record.Document)
	}
}

func TestV2RunModifyImportsNothing(t *testing.T) {
	s := newScene(t, V2(V2Config{}))
	s.embed(nil)
	s.imports = nil
	_, run := completed("run-1")
	if o := s.put("RECEIPT#00002#COMPACTION_RUN#run-1", run); o[0] != lockstep.Unchanged {
		t.Errorf("outcome %s", o[0])
	}
}

// completed is the run's item once the legacy pipeline has marked it.
func completed(id string) (string, lockstep.Item) {
	return "RECEIPT#00002#COMPACTION_RUN#" + id, item(attrLinesPrefix, "l/"+id, attrWordsPrefix, "w/"+id, "lines_state", "COMPLETED")
}

// Rollback and adoption: what receipts@1 leaves behind does not outlive a recompute.
func TestV2TakesOverFromV1(t *testing.T) {
	s := newScene(t, V1(V1Config{}))
	s.embed(values{"merchant_name": lockstep.String("Embedded")})
	s.put("RECEIPT#00002#METADATA", metadataItem())
	s.put("RECEIPT#00002#METADATA", metadataItem("phone_number", "555"))
	s.label("TAX", statusPending, "label_proposed_by", "m")
	s.label("TAX", statusValid)
	s.x.Handler = V2(V2Config{})
	s.put("RECEIPT#00002#METADATA", metadataItem("phone_number", "556"))
	s.label("TAX", "")
	expect(t, s.word(), bare(plain{"merchant_name": "Acme", "place_id": "p1", "phone_number": "556"}))
	s.put(wordSK, nil)
	if s.word() != nil {
		t.Error("a word without an import sequence number outlives its removal")
	}
}

// V1 must be able to work on what V2 wrote, or nobody could go back.
func TestV1WorksOnWhatV2Wrote(t *testing.T) {
	s := newScene(t, V2(V2Config{Labels: LabelsCSV}))
	s.embed(nil)
	s.label("TAX", statusValid)
	s.x.Handler = V1(V1Config{})
	s.label("TAX", statusInvalid)
	expect(t, s.word(), plain{
		"text": "run-1", "label_status": labelUnvalidated, "valid_labels": "", "invalid_labels": ",TAX,",
		"label_validated_at": "2025-12-15T10:00:00", clockLabel: sceneNow,
	})
}

func TestV2Sections(t *testing.T) {
	section := func(status, confidence string, lines ...string) lockstep.Item {
		it := item("validation_status", status)
		it["confidence"] = lockstep.Attr{Type: lockstep.AttrN, Text: confidence}
		var list []lockstep.Attr
		for _, n := range lines {
			list = append(list, lockstep.Attr{Type: lockstep.AttrN, Text: n})
		}
		it["line_ids"] = lockstep.Attr{Type: lockstep.AttrL, List: list}
		return it
	}
	type sections = map[string]lockstep.Item
	tests := map[string]struct {
		sections sections
		rows     string
		want     string
	}{
		"one":                       {sections: sections{"HEADER": section("PENDING", "0", "7")}, want: "HEADER"},
		"another line":              {sections: sections{"HEADER": section("VALID", "1", "70")}},
		"invalid does not count":    {sections: sections{"HEADER": section("INVALID", "1", "7")}},
		"valid before pending":      {sections: sections{"A": section("PENDING", "1", "7"), "B": section("VALID", "0", "7")}, want: "B"},
		"pending before others":     {sections: sections{"A": section("NONE", "1", "7"), "B": section("PENDING", "0", "7")}, want: "B"},
		"then confidence":           {sections: sections{"A": section("VALID", "0.4", "7"), "B": section("VALID", "0.5", "7")}, want: "B"},
		"a tie is none":             {sections: sections{"A": section("VALID", "0.50", "7"), "B": section("VALID", "0.5", "7")}},
		"a tie loses to the better": {sections: sections{"A": section("NONE", "1", "7"), "B": section("NONE", "1", "7"), "C": section("VALID", "0", "7")}, want: "C"},
		"a row has the plurality":   {rows: "[7,8,9]", sections: sections{"A": section("VALID", "1", "7"), "B": section("NONE", "0", "8", "9")}, want: "B"},
		"a drawn row is none":       {rows: "[7,8]", sections: sections{"A": section("VALID", "1", "7"), "B": section("NONE", "0", "8")}},
		"a row that is not JSON":    {rows: "7,8", sections: sections{"A": section("VALID", "1", "7")}, want: "A"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, V2(V2Config{}))
			meta, want := values{"section_label": lockstep.String("EMBEDDED")}, plain{"text": "run-1"}
			if tt.rows != "" {
				meta[keyRowLines], want[keyRowLines] = lockstep.String(tt.rows), tt.rows
			}
			if tt.want != "" {
				want["section_label"] = tt.want
			}
			s.embed(meta)
			for kind, it := range tt.sections {
				s.put("RECEIPT#00002#SECTION#"+kind, it)
			}
			expect(t, s.line(), want)
			for kind := range tt.sections {
				s.put("RECEIPT#00002#SECTION#"+kind, nil)
			}
			delete(want, "section_label")
			expect(t, s.line(), want)
		})
	}
}

func TestV2AnswersOnlyWithRealChanges(t *testing.T) {
	s := newScene(t, V2(V2Config{}))
	s.embed(nil)
	s.put("RECEIPT#00002#PLACE", item("merchant_name", "Acme"))
	for sort, it := range map[string]lockstep.Item{
		"RECEIPT#00002#PLACE":           item("merchant_name", "Acme", "website", "w"),
		wordSK + "#LABEL#NOTE":          labelItem(statusNone),
		"RECEIPT#00002#SUMMARY":         item("timestamp_computed", "now"),
		"RECEIPT#00002":                 item("width", "2"),
		wordSK:                          item("text", "other"),
		wordSK + "#LETTER#00001":        item("text", "x"),
		"RECEIPT#00002#SECTION#SUMMARY": item("validation_status", "INVALID"),
	} {
		if o := s.put(sort, it); o[0] == lockstep.Applied {
			t.Errorf("%s changed a record", sort)
		}
	}
}

// DOMAIN 11 row 7: two runs in one batch; the newer one wins, whichever is first.
func TestV2TwoRunsInOneBatch(t *testing.T) {
	s := newScene(t, V2(V2Config{}))
	first := s.tell(s.offer("run-1", nil))
	second := s.tell(s.offer("run-2", nil))
	for _, batch := range [][]lockstep.Message{{first, second}, {second, first}} {
		x := handlertest.NewIndex(s.x.Handler, s.x.Source)
		apply(t, x, batch...)
		if e := x.Records[Words][wordID]; e.Record.Document != "run-2" {
			t.Errorf("first %s: document %q", batch[0].ID, e.Record.Document)
		}
	}
}

// A rebuild tells the handler what the mirror holds as if it had just been
// inserted. The import must keep the rank of the run's first INSERT, or it would
// bring back words that were deleted since.
func TestV2RetoldRunKeepsItsRank(t *testing.T) {
	s := newScene(t, V2(V2Config{}))
	s.embed(nil)
	sort, run := completed("run-1")
	done := s.tell(sort, run)
	apply(t, s.x, done)
	s.put(wordSK, nil)
	retold := done
	retold.Change.Event, retold.Change.Entity, retold.Change.Old, retold.Change.Seq = lockstep.Insert, EntityRun, nil, "99"
	h := s.x.Handler
	view := s.x.View(h.Reads([]lockstep.Message{retold}))
	for i, ref := range h.Reads([]lockstep.Message{retold}).Imports {
		im, err := s.x.Source(ref)
		if err != nil {
			t.Fatal(i, err)
		}
		im.Ref = ref
		view.Imports = append(view.Imports, im)
	}
	muts, err := h.Plan(t.Context(), handler.Unit{Messages: []lockstep.Message{retold}, View: view})
	if err != nil || len(muts) != 0 {
		t.Errorf("%+v, %v: want nothing to do", muts, err)
	}
}
