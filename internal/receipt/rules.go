package receipt

import "lockstep/internal/handler"

const images = `IMAGE#.+`

// legacyRules classify as the stream processor did (DOMAIN 2.2, column L: by what
// the sort key contains, first match wins). The last two are ours: the compactor
// read words and lines from the table, so they must be mirrored.
func legacyRules() []handler.EntityRule {
	return []handler.EntityRule{
		{Entity: EntityMetadata, Partition: images, Sort: `.*#METADATA.*`},
		{Entity: EntityLabel, Partition: images, Sort: `.*#LABEL#.*`},
		{Entity: EntityRun, Partition: images, Sort: `.*#COMPACTION_RUN#.*`},
		{Entity: EntityWord, Partition: images, Sort: `RECEIPT#[0-9]+#LINE#[0-9]+#WORD#[0-9]+`},
		{Entity: EntityLine, Partition: images, Sort: `RECEIPT#[0-9]+#LINE#[0-9]+`},
	}
}

// stateRules classify by the whole key. Letters have a rule of their own that
// ignores them: the head of the legacy pipeline took them for words (DOMAIN 2.2).
// A section comes before the summary, for SECTION#SUMMARY ends in #SUMMARY too.
func stateRules() []handler.EntityRule {
	return []handler.EntityRule{
		{Entity: "", Partition: images, Sort: `RECEIPT#[0-9]+#LINE#[0-9]+#WORD#[0-9]+#LETTER#.*`},
		{Entity: EntityWord, Partition: images, Sort: `RECEIPT#[0-9]+#LINE#[0-9]+#WORD#[0-9]+`},
		{Entity: EntityLabel, Partition: images, Sort: `RECEIPT#[0-9]+#LINE#[0-9]+#WORD#[0-9]+#LABEL#.+`},
		{Entity: EntityLine, Partition: images, Sort: `RECEIPT#[0-9]+#LINE#[0-9]+`},
		{Entity: EntityPlace, Partition: images, Sort: `RECEIPT#[0-9]+#PLACE`},
		{Entity: EntityMetadata, Partition: images, Sort: `RECEIPT#[0-9]+#METADATA`},
		{Entity: EntitySection, Partition: images, Sort: `RECEIPT#[0-9]+#SECTION#.+`},
		{Entity: EntitySummary, Partition: images, Sort: `RECEIPT#[0-9]+#SUMMARY`},
		{Entity: EntityRun, Partition: images, Sort: `RECEIPT#[0-9]+#COMPACTION_RUN#.+`},
		{Entity: EntityReceipt, Partition: images, Sort: `RECEIPT#[0-9]+`},
	}
}
