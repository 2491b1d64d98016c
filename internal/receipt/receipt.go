// Package receipt derives the vector index of scanned receipts from their table.
//
// It answers: given what the table says, what must the records of the collections
// "lines" and "words" be (DOMAIN 5)? It holds two revisions. receipts@1 (V1) does
// what the legacy pipeline did, its flaws included, so that a migration has its old
// side. receipts@2 (V2) does what the table implies.
//
// # What receipts@2 promises
//
// The records are a function of the mirror and of the imports, whatever the order
// and the number of arrivals. It keeps that by four rules, each the simplest that
// does not depend on order:
//
//   - Keys that follow from the table are owned: they are recomputed from the
//     mirrored items and absent when these do not imply them. An empty string or a
//     NULL attribute implies nothing. What an import says about an owned key is
//     dropped, always, even when the mirror knows nothing better: a merchant name
//     captured at embed time would otherwise come and go with the order of arrival.
//     The clock keys of receipts@1 are owned too, and never set.
//   - All other keys, the document and the vector are those of the import with the
//     greatest sequence number among those that hold the record. An import's
//     sequence number is that of the first INSERT of its run (MirrorItem.First), and
//     the record remembers it under ImportSeqKey. A run id is used once (DOMAIN 1.5).
//   - A record exists when that number is greater than every removal of its word,
//     its line and its receipt. So an old import does not resurrect a deleted word,
//     and a word embedded again after its deletion stays.
//   - A run is imported when its INSERT is seen, late or not. A MODIFY of a run only
//     tells how far the legacy pipeline has come (DOMAIN 2.5), and its removal
//     removes no record.
//
// A record without ImportSeqKey was written by receipts@1: any import replaces it
// and any later removal removes it.
//
// Derive is the same function without messages: for reconciliation and rebuild.
package receipt

import "lockstep/internal/lockstep"

// The two published collections.
const (
	Lines lockstep.Collection = "lines"
	Words lockstep.Collection = "words"
)

// Entities, by the names that the pipeline's messages use (DOMAIN 2.2).
const (
	EntityMetadata = "RECEIPT_METADATA"
	EntityPlace    = "RECEIPT_PLACE"
	EntityLabel    = "RECEIPT_WORD_LABEL"
	EntityRun      = "COMPACTION_RUN"
	EntitySection  = "RECEIPT_SECTION"
	EntitySummary  = "RECEIPT_SUMMARY"
	EntityReceipt  = "RECEIPT"
	EntityLine     = "RECEIPT_LINE"
	EntityWord     = "RECEIPT_WORD"
)

// ImportSeqKey is the metadata key under which receipts@2 keeps, as decimal text,
// the sequence number of the import that set the record's vector and document.
const ImportSeqKey = "lockstep_import_seq"

// Attributes of a COMPACTION_RUN that name its deltas (DOMAIN 1.5).
const (
	attrLinesPrefix = "lines_delta_prefix"
	attrWordsPrefix = "words_delta_prefix"
)

// Values of validation_status that mean something here (DOMAIN 1.8).
const (
	statusNone    = "NONE"
	statusPending = "PENDING"
	statusValid   = "VALID"
	statusInvalid = "INVALID"
)

// Values of the metadata key label_status (DOMAIN 1.8).
const (
	labelValidated   = "validated"
	labelSuggested   = "auto_suggested"
	labelUnvalidated = "unvalidated"
)

// Metadata keys that a revision writes (DOMAIN 4.3 to 4.6 and 5).
const (
	keyAddress       = "address"
	keyCanonical     = "canonical_merchant_name"
	keyCategory      = "merchant_category"
	keyMerchant      = "merchant_name"
	keyPhone         = "phone_number"
	keyPlaceID       = "place_id"
	keyLabelStatus   = "label_status"
	keyLabelProposed = "label_proposed_by"
	keyValidatedAt   = "label_validated_at"
	keyValid         = "valid_labels"
	keyInvalid       = "invalid_labels"
	keyValidArray    = "valid_labels_array"
	keyInvalidArray  = "invalid_labels_array"
	keySection       = "section_label"
	keyRowLines      = "row_line_ids"

	clockMetadata        = "last_metadata_update"
	clockMetadataRemoved = "metadata_removed_at"
	clockPlace           = "last_place_update"
	clockPlaceRemoved    = "place_removed_at"
	clockLabel           = "last_label_update"
	clockLabelsRemoved   = "labels_removed_at"
)

// The record schemas, numbered by the history of the label format (DOMAIN 5): text
// with commas, then one boolean key per label, then arrays.
const (
	formatCSV   = "receipts/1"
	formatArray = "receipts/3"
)

// ClockKeys are the metadata keys in which receipts@1 writes the time of the unit.
func ClockKeys() []string {
	return []string{clockMetadata, clockMetadataRemoved, clockLabel, clockLabelsRemoved}
}
