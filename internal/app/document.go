package app

// CountsAsLabel says whether what an entity of the table changes counts for the document's
// CompactionLabelUpdates, and CountsAsMetadata whether for its CompactionMetadataUpdates.
func CountsAsLabel(entity string) bool { return documentOf(entity) == documentLabels }

// CountsAsMetadata is the other one.
func CountsAsMetadata(entity string) bool { return documentOf(entity) == documentMetadata }
