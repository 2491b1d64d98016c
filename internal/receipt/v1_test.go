package receipt

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/handler/handlertest"
	"lockstep/internal/lockstep"
	"lockstep/internal/receipt/synth"
)

func TestV1KeepsTheContract(t *testing.T) {
	g := small(synth.MetadataItems, 3)
	handlertest.Run(t, V1(V1Config{}), handlertest.Fixture{
		Messages: history(g, 120), Source: g.Import, ClockKeys: ClockKeys(),
	})
}

// The counterpart of TestV2KeepsTheContract: the suite's promise of convergence is
// one that a handler can break.
func TestV1DoesNotConverge(t *testing.T) {
	g := small(synth.MetadataItems, 3)
	ms := history(g, 120)
	forth, back := handlertest.NewIndex(V1(V1Config{}), g.Import), handlertest.NewIndex(V1(V1Config{}), g.Import)
	apply(t, forth, ms...)
	slices.Reverse(ms)
	apply(t, back, ms...)
	if cmp.Equal(forth.State().Records, back.State().Records) {
		t.Error("stream order and its reverse end in one state")
	}
	if diff := cmp.Diff(forth.Items, back.Items); diff != "" {
		t.Errorf("the mirror must converge for any handler:\n%s", diff)
	}
}

// DOMAIN 4.3, the example: fields are copied raw, only embedded records are updated.
func TestV1MetadataUpdateCopiesChangedFieldsRaw(t *testing.T) {
	s := newScene(t, V1(V1Config{}))
	s.put("RECEIPT#00002#LINE#00008", item("text", "not embedded"))
	s.embed(values{"merchant_name": lockstep.String("Acme Foods"), "x": lockstep.Float(0.1)})
	s.put("RECEIPT#00002#METADATA", metadataItem())
	s.put("RECEIPT#00002#METADATA", metadataItem("merchant_name", "ACME FOODS #12 "))
	want := plain{"merchant_name": "ACME FOODS #12 ", "x": 0.1, "text": "run-1", clockMetadata: sceneNow}
	expect(t, s.line(), want)
	expect(t, s.word(), want)
	if n := len(s.x.Records[Lines]); n != 1 {
		t.Errorf("%d lines, want the embedded one", n)
	}
}

// DOMAIN 2.3: the stream processor never emits an INSERT of metadata or labels.
func TestV1MetadataInsertIsIgnored(t *testing.T) {
	s := newScene(t, V1(V1Config{}))
	s.embed(nil)
	if o := s.put("RECEIPT#00002#METADATA", metadataItem()); o[0] != lockstep.Unchanged {
		t.Errorf("outcome %s", o[0])
	}
	expect(t, s.line(), plain{"text": "run-1"})
}

// DOMAIN 2.3, and 4.6 second table: a relabel never arrives.
func TestV1LabelInsertIsIgnored(t *testing.T) {
	s := newScene(t, V1(V1Config{}))
	s.embed(nil)
	s.label("TAX", statusValid)
	expect(t, s.word(), plain{"text": "run-1"})
}

// DOMAIN 2.4: a NULL attribute becomes the empty string instead of removing the key.
func TestV1NullAttributeBecomesEmptyString(t *testing.T) {
	s := newScene(t, V1(V1Config{}))
	s.embed(nil)
	s.put("RECEIPT#00002#METADATA", metadataItem("phone_number", "555-000-1111"))
	s.put("RECEIPT#00002#METADATA", metadataItem("phone_number", "NULL"))
	expect(t, s.line(), plain{"text": "run-1", "phone_number": "", clockMetadata: sceneNow})
}

// DOMAIN 2.4: edits of fields that are not watched make no message.
func TestV1UnwatchedEditIsIgnored(t *testing.T) {
	s := newScene(t, V1(V1Config{}))
	s.embed(nil)
	s.put("RECEIPT#00002#METADATA", metadataItem("reasoning", "a"))
	s.put("RECEIPT#00002#METADATA", metadataItem("reasoning", "b"))
	expect(t, s.line(), plain{"text": "run-1"})
}

// DOMAIN 4.4 and 11 row 2: update merges, so all six fields survive a removal and
// the embeddings stay.
func TestV1MetadataRemovalLeavesTheKeys(t *testing.T) {
	s := newScene(t, V1(V1Config{}))
	s.embed(values{"merchant_name": lockstep.String("Acme")})
	s.put("RECEIPT#00002#METADATA", metadataItem())
	s.put("RECEIPT#00002#METADATA", nil)
	want := plain{"merchant_name": "Acme", "text": "run-1", clockMetadataRemoved: sceneNow}
	expect(t, s.line(), want)
	expect(t, s.word(), want)
}

// DOMAIN 2.6: an old image that does not parse loses the removal.
func TestV1RemovalOfAnUnparseableItemIsLost(t *testing.T) {
	s := newScene(t, V1(V1Config{}))
	s.embed(nil)
	s.put("RECEIPT#00002#METADATA", metadataItem("validated_by", "NULL"))
	s.put("RECEIPT#00002#METADATA", nil)
	expect(t, s.line(), plain{"text": "run-1"})
}

// DOMAIN 2.6 and 11 rows 4 and 38: a new image that does not parse means "every
// field is null"; by luck null removes nothing.
func TestV1UnparseableNewImageIsHarmlessByLuck(t *testing.T) {
	s := newScene(t, V1(V1Config{}))
	s.embed(values{"merchant_name": lockstep.String("Acme")})
	s.put("RECEIPT#00002#METADATA", metadataItem())
	s.put("RECEIPT#00002#METADATA", metadataItem("validated_by", "NULL", "merchant_name", "Other"))
	expect(t, s.line(), plain{"merchant_name": "Acme", "text": "run-1", clockMetadata: sceneNow})
}

// DOMAIN 2.6: an old image that does not parse over-reports: all six fields arrive,
// unset ones as empty strings.
func TestV1UnparseableOldImageReportsEveryField(t *testing.T) {
	s := newScene(t, V1(V1Config{}))
	s.embed(nil)
	s.put("RECEIPT#00002#METADATA", metadataItem("validated_by", "NULL"))
	s.put("RECEIPT#00002#METADATA", metadataItem())
	expect(t, s.line(), plain{
		"text": "run-1", "merchant_name": "Acme", "place_id": "p1", "address": "", "phone_number": "",
		"merchant_category": "", "canonical_merchant_name": "", clockMetadata: sceneNow,
	})
}

// DOMAIN 4.5, the example of L.
func TestV1LabelUpdateRecomputesFromTheTable(t *testing.T) {
	s := newScene(t, V1(V1Config{}))
	s.embed(values{"label_status": lockstep.String(labelSuggested), "label_proposed_by": lockstep.String("model-x")})
	s.label("SUBTOTAL", statusPending)
	s.label("TAX", statusInvalid)
	s.label("TOTAL_HINT", statusPending, "label_proposed_by", "model-x", "timestamp_added", "2025-12-15T11:00:00")
	s.label("SUBTOTAL", statusValid)
	expect(t, s.word(), plain{
		"label_status": "validated", "label_proposed_by": "model-x", "valid_labels": ",SUBTOTAL,", "invalid_labels": ",TAX,",
		"label_validated_at": "2025-12-15T10:00:00", "text": "run-1", clockLabel: sceneNow,
	})
	expect(t, s.line(), plain{ // DOMAIN 11 row 34: labels are not routed to lines
		"text": "run-1", "label_status": labelSuggested, "label_proposed_by": "model-x",
	})
}

// DOMAIN 4.5 and 11 row 33: keys that the recompute omits are never cleared.
func TestV1LabelUpdateLeavesStaleOptionalKeys(t *testing.T) {
	s := newScene(t, V1(V1Config{}))
	s.embed(nil)
	s.label("TAX", statusNone)
	s.label("TAX", statusValid)
	s.label("TAX", "NEEDS_REVIEW")
	expect(t, s.word(), plain{
		"label_status": labelUnvalidated, "valid_labels": "", "invalid_labels": "",
		"label_validated_at": "2025-12-15T10:00:00", "text": "run-1", clockLabel: sceneNow,
	})
}

// DOMAIN 4.6 and 11 row 3: at L removing a label removes nothing.
func TestV1LabelRemovalLeavesTheKeys(t *testing.T) {
	s := newScene(t, V1(V1Config{}))
	s.embed(nil)
	s.label("TAX", statusNone)
	s.label("TAX", statusValid)
	s.label("TAX", "")
	expect(t, s.word(), plain{
		"label_status": "validated", "valid_labels": ",TAX,", "invalid_labels": "", "label_validated_at": "2025-12-15T10:00:00",
		"text": "run-1", clockLabel: sceneNow, clockLabelsRemoved: sceneNow,
	})
}

// DOMAIN 6.7: an edit before its delta finds no embedding and is acknowledged.
func TestV1EditBeforeTheDeltaIsLost(t *testing.T) {
	s := newScene(t, V1(V1Config{}))
	s.put("RECEIPT#00002#METADATA", metadataItem())
	if o := s.put("RECEIPT#00002#METADATA", metadataItem("merchant_name", "New")); o[0] != lockstep.Unchanged {
		t.Errorf("outcome %s", o[0])
	}
	s.embed(values{"merchant_name": lockstep.String("Acme")})
	expect(t, s.line(), plain{"merchant_name": "Acme", "text": "run-1"})
}

// DOMAIN 4.7, idempotence: a delta resets embed-time keys and undoes later edits;
// keys that it does not have survive.
func TestV1DeltaResetsEmbedTimeKeys(t *testing.T) {
	s := newScene(t, V1(V1Config{}))
	s.embed(values{"merchant_name": lockstep.String("Embedded")})
	s.put("RECEIPT#00002#METADATA", metadataItem())
	s.put("RECEIPT#00002#METADATA", metadataItem("merchant_name", "Edited", "phone_number", "555"))
	s.run("run-2", values{"merchant_name": lockstep.String("Embedded")})
	expect(t, s.line(), plain{"merchant_name": "Embedded", "phone_number": "555", "text": "run-2", clockMetadata: sceneNow})
	if e := s.x.Records[Lines][lineID]; e.Vector[0] != 2 || e.Record.Document != "run-2" {
		t.Errorf("vector %v, document %q: want those of the second delta", e.Vector, e.Record.Document)
	}
}

// DOMAIN 2.5: at L no completion message ever leaves.
func TestV1RunModifyIsIgnored(t *testing.T) {
	s := newScene(t, V1(V1Config{}))
	s.embed(nil)
	before := s.x.State().Records
	s.put("RECEIPT#00002#COMPACTION_RUN#run-1", item("lines_state", "COMPLETED", "words_state", "COMPLETED"))
	if diff := cmp.Diff(before, s.x.State().Records); diff != "" {
		t.Error(diff)
	}
}

// DOMAIN 11 row 36: words, lines and receipts are never deleted from Chroma.
func TestV1DeletionsLeaveOrphans(t *testing.T) {
	s := newScene(t, V1(V1Config{}))
	s.embed(nil)
	s.put(wordSK, nil)
	s.put(lineSK, nil)
	s.put("RECEIPT#00002", item("width", "1"))
	s.put("RECEIPT#00002", nil)
	if s.word() == nil || s.line() == nil {
		t.Error("a record is gone")
	}
}

// DOMAIN 4.1: deltas first, then metadata, then labels, whatever the order of arrival.
func TestV1StepsHaveTheCompactorsOrderWithinABatch(t *testing.T) {
	s := newScene(t, V1(V1Config{}))
	s.put(lineSK, item("text", "x"))
	s.put(wordSK, item("text", "x"))
	s.put("RECEIPT#00002#METADATA", metadataItem())
	edit := s.tell("RECEIPT#00002#METADATA", metadataItem("merchant_name", "Edited"))
	run := s.tell(s.offer("run-1", values{"merchant_name": lockstep.String("Embedded")}))
	if _, err := s.x.Apply(t.Context(), edit, run); err != nil {
		t.Fatal(err)
	}
	expect(t, s.line(), plain{"merchant_name": "Edited", "text": "run-1", clockMetadata: sceneNow})
}
