package receipt

import "lockstep/internal/lockstep"

// reconstruct is reconstruct_label_metadata of the legacy pipeline (DOMAIN 4.5),
// over the label items of a word in the order of their sort keys. Keys that it
// omits survive in Chroma. ok is false when an item does not parse.
func reconstruct(items []lockstep.MirrorItem) (set []lockstep.Field, ok bool) {
	var valid, invalid []string
	var pendingAt, proposedBy, validatedAt string
	pending := false
	for i := range items {
		if items[i].Image == nil {
			continue
		}
		l, ok := parseLabel(items[i].Key, items[i].Image)
		if !ok {
			return nil, false
		}
		switch l.status {
		case statusValid:
			valid = append(valid, l.label)
			validatedAt = max(validatedAt, l.added)
		case statusInvalid:
			invalid = append(invalid, l.label)
		case statusPending:
			if !pending || l.added > pendingAt {
				pendingAt, proposedBy = l.added, l.proposedBy
			}
			pending = true
		}
	}
	status := labelUnvalidated
	switch {
	case len(valid) > 0:
		status = labelValidated
	case pending:
		status = labelSuggested
	}
	set = append(set,
		lockstep.Field{Key: keyLabelStatus, Value: lockstep.String(status)},
		lockstep.Field{Key: keyValid, Value: lockstep.String(csv(valid))},
		lockstep.Field{Key: keyInvalid, Value: lockstep.String(csv(invalid))})
	if proposedBy != "" {
		set = append(set, lockstep.Field{Key: keyLabelProposed, Value: lockstep.String(proposedBy)})
	}
	if validatedAt != "" {
		set = append(set, lockstep.Field{Key: keyValidatedAt, Value: lockstep.String(validatedAt)})
	}
	return set, true
}
