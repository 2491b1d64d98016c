package receipt

import (
	"slices"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// labelPrefix begins every label key of a word; those not named in labelPatch are
// remains of older formats (DOMAIN 4.6, 4.8) and go.
const labelPrefix = "label_"

// labelPatch says what the label keys of one word shall be, from all its labels in
// the table (DOMAIN 4.5, reconstruct_label_metadata). A word without labels is
// unvalidated, as at embed time.
func labelPatch(v *handler.View, format LabelFormat, partition, word string) patch {
	s := summarize(v.ItemsWithPrefix(partition, word+"#LABEL#"))
	var valid, invalid, validArray, invalidArray lockstep.Value
	if format == LabelsCSV {
		valid, invalid = text(csv(s.valid)), text(csv(s.invalid))
	} else {
		validArray, invalidArray = array(s.valid), array(s.invalid)
	}
	return patch{prefix: labelPrefix, fields: []lockstep.Field{
		{Key: keyInvalid, Value: invalid},
		{Key: keyInvalidArray, Value: invalidArray},
		{Key: keyLabelProposed, Value: text(s.proposedBy)},
		{Key: keyLabelStatus, Value: lockstep.String(s.status)},
		{Key: keyValidatedAt, Value: text(s.validatedAt)},
		{Key: clockLabelsRemoved},
		{Key: clockLabel},
		{Key: keyValid, Value: valid},
		{Key: keyValidArray, Value: validArray},
	}}
}

// labelSummary is what the labels of a word say together.
type labelSummary struct {
	status      string
	proposedBy  string // of the newest PENDING label
	validatedAt string // timestamp_added of the newest VALID label
	valid       []string
	invalid     []string
}

// summarize reads the label items of a word, tombstones included, in the order of
// their sort keys. Names are upper-cased, sorted and unique.
func summarize(items []lockstep.MirrorItem) labelSummary {
	s := labelSummary{status: labelUnvalidated}
	var pendingAt string
	pending := false
	for i := range items {
		it := &items[i]
		if it.Image == nil {
			continue
		}
		k, ok := parseSort(it.Key.Sort)
		name := k.labelName()
		if !ok || name == "" {
			continue
		}
		added := it.Image.Str("timestamp_added")
		switch it.Image.Str("validation_status") {
		case statusValid:
			s.valid = append(s.valid, name)
			s.validatedAt = max(s.validatedAt, added)
		case statusInvalid:
			s.invalid = append(s.invalid, name)
		case statusPending:
			if !pending || added > pendingAt {
				pendingAt, s.proposedBy = added, it.Image.Str(keyLabelProposed)
			}
			pending = true
		}
	}
	switch {
	case len(s.valid) > 0:
		s.status = labelValidated
	case pending:
		s.status = labelSuggested
	}
	s.valid, s.invalid = unique(s.valid), unique(s.invalid)
	return s
}

func unique(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

func array(names []string) lockstep.Value {
	if len(names) == 0 {
		return lockstep.Value{}
	}
	return lockstep.Strings(names...)
}
