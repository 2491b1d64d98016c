package receipt

import (
	"slices"
	"strings"

	"lockstep/internal/lockstep"
)

// watchedMetadata are the fields whose difference makes a message (DOMAIN 2.4).
var watchedMetadata = [...]string{keyCanonical, keyMerchant, keyCategory, keyAddress, keyPhone, keyPlaceID}

// validators are the values of validated_by that the entity's parser accepts
// (DOMAIN 1.1). An empty one is not among them: ordinary items do not parse.
var validators = [...]string{"PHONE_LOOKUP", "ADDRESS_LOOKUP", "NEARBY_LOOKUP", "TEXT_SEARCH", "INFERENCE"}

// metadataEdit is what a message of RECEIPT_METADATA tells the compactor.
type metadataEdit struct {
	removed bool
	set     []namedValue // the changed fields whose new value is not null
}

type namedValue struct{ name, value string }

// metadataMessage returns the message that the stream processor makes of a change
// of RECEIPT_METADATA, nil for none (DOMAIN 2.3, 2.4, 2.6).
func metadataMessage(c *lockstep.Change) *metadataEdit {
	before, had := parseMetadata(c.Key, c.Old)
	switch c.Event {
	case lockstep.Remove:
		if !had {
			return nil // the null entity is dereferenced: the removal is lost
		}
		return &metadataEdit{removed: true}
	case lockstep.Modify:
		after, has := parseMetadata(c.Key, c.New)
		if !had && !has {
			return nil
		}
		differs := false
		var m metadataEdit
		for i, name := range watchedMetadata {
			if had == has && before[i] == after[i] {
				continue
			}
			differs = true
			if has { // otherwise the new value is null
				m.set = append(m.set, namedValue{name, after[i]})
			}
		}
		if differs {
			return &m
		}
	case lockstep.Insert:
	}
	return nil
}

// parseMetadata reads the watched fields as the entity does: an attribute that is
// NULL or absent is the empty string. ok is false where the parser raises.
func parseMetadata(key lockstep.ItemKey, it lockstep.Item) (values [len(watchedMetadata)]string, ok bool) {
	if it == nil || !imageKey(key.Partition) || !has(it, keyPlaceID) || !has(it, keyMerchant) || !has(it, "timestamp") {
		return values, false
	}
	if k, ok := parseSort(key.Sort); !ok || k.rest != "METADATA" || k.line != "" {
		return values, false
	}
	if !slices.Contains(validators[:], it.Str("validated_by")) {
		return values, false
	}
	for i, name := range watchedMetadata {
		values[i] = it.Str(name)
	}
	return values, true
}

// labelEntity is a RECEIPT_WORD_LABEL as its parser reads it; "" stands for null,
// because no text attribute of it may be empty.
type labelEntity struct {
	label, reasoning, status, proposedBy, consolidatedFrom, added string
}

// labelMessage says whether the stream processor makes a message of a change of
// RECEIPT_WORD_LABEL. The label is part of the sort key, so it never differs
// within one change, although it is watched (DOMAIN 1.3).
func labelMessage(c *lockstep.Change) bool {
	before, had := parseLabel(c.Key, c.Old)
	switch c.Event {
	case lockstep.Remove:
		return had
	case lockstep.Modify:
		after, _ := parseLabel(c.Key, c.New)
		before.added, after.added = "", "" // not watched
		return before != after
	case lockstep.Insert:
	}
	return false
}

// parseLabel reads a label item. ok is false where the parser raises.
func parseLabel(key lockstep.ItemKey, it lockstep.Item) (l labelEntity, ok bool) {
	k, numbered := parseSort(key.Sort)
	if it == nil || !numbered || !imageKey(key.Partition) {
		return l, false
	}
	l.label = k.labelName()
	l.added = it.Str("timestamp_added")
	if l.label == "" || l.added == "" || !has(it, "reasoning") {
		return labelEntity{}, false
	}
	for name, field := range map[string]*string{
		"reasoning": &l.reasoning, keyLabelProposed: &l.proposedBy, "label_consolidated_from": &l.consolidatedFrom,
	} {
		if *field = it.Str(name); *field == "" && it[name].Type == lockstep.AttrS {
			return labelEntity{}, false
		}
	}
	l.status = it.Str("validation_status")
	switch l.status {
	case "":
		l.status = statusNone
	case statusNone, statusPending, statusValid, statusInvalid, "NEEDS_REVIEW":
	default:
		return labelEntity{}, false
	}
	return l, true
}

func has(it lockstep.Item, name string) bool {
	_, ok := it[name]
	return ok
}

// imageKey says whether a partition key names an image by UUIDv4 (DOMAIN 1).
func imageKey(partition string) bool {
	id, ok := strings.CutPrefix(partition, "IMAGE#")
	if !ok || len(id) != 36 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		case 14:
			if c != '4' {
				return false
			}
		case 19:
			if !strings.ContainsRune("89abAB", rune(c)) {
				return false
			}
		default:
			if !strings.ContainsRune("0123456789abcdefABCDEF", rune(c)) {
				return false
			}
		}
	}
	return true
}
