package change

import (
	"fmt"

	"lockstep/internal/lockstep"
)

// The metadata keys of a mirrored item, sorted.
const (
	fieldEntity  = "entity"
	fieldFirst   = "first"
	fieldRemoved = "removed"
	fieldSeq     = "seq"
	fieldState   = "state"

	statePresent = "present"
	stateRemoved = "removed"
)

// MirrorRecord returns it as a record of lockstep.Table: the id is Key.RecordID(),
// the document the canonical item, absent for a tombstone. Equal items give equal
// records, so the table collection can be hashed like any other.
func MirrorRecord(it lockstep.MirrorItem) lockstep.Record {
	meta := make(lockstep.Metadata, 0, 5)
	meta = append(meta, lockstep.Field{Key: fieldEntity, Value: lockstep.String(it.Entity)})
	if it.First != "" {
		meta = append(meta, lockstep.Field{Key: fieldFirst, Value: lockstep.String(string(minimal(it.First)))})
	}
	if it.Removed != "" {
		meta = append(meta, lockstep.Field{Key: fieldRemoved, Value: lockstep.String(string(minimal(it.Removed)))})
	}
	meta = append(meta, lockstep.Field{Key: fieldSeq, Value: lockstep.String(string(minimal(it.Seq)))})
	r := lockstep.Record{ID: it.Key.RecordID()}
	state := stateRemoved
	if it.Image != nil {
		state = statePresent
		r.Document = string(AppendItem(make([]byte, 0, 512), it.Image))
		r.HasDocument = true
	}
	r.Metadata = append(meta, lockstep.Field{Key: fieldState, Value: lockstep.String(state)})
	return r
}

// ParseMirror is the reverse of MirrorRecord. The strings of the image share the
// document's memory. It returns lockstep.ErrCorrupt for anything that MirrorRecord
// would not write.
func ParseMirror(r lockstep.Record) (lockstep.MirrorItem, error) {
	it, reason := parseMirror(r)
	if reason != "" {
		return lockstep.MirrorItem{}, fmt.Errorf("parse table record %.80q: %w: %s", r.ID, lockstep.ErrCorrupt, reason)
	}
	return it, nil
}

func parseMirror(r lockstep.Record) (it lockstep.MirrorItem, reason string) {
	key, ok := lockstep.ParseItemKey(r.ID)
	if !ok || key.Partition == "" || key.RecordID() != r.ID {
		return it, "the id is not an item key"
	}
	it.ID, it.Key = r.ID, key
	if r.Vector != (lockstep.VectorRef{}) {
		return it, "it has a vector"
	}
	state, reason := mirrorFields(&it, r.Metadata)
	if reason != "" {
		return it, reason
	}
	switch {
	case state == stateRemoved && !r.HasDocument && r.Document == "":
		return it, ""
	case state == statePresent && r.HasDocument:
		s := scanner{src: r.Document, depth: MaxDepth, canonical: true}
		image, f := s.item(1)
		if f == nil {
			f = s.end()
		}
		if f != nil {
			return it, "the document is not a canonical item: " + f.Error()
		}
		it.Image = image
		return it, ""
	}
	return it, "state and document disagree"
}

// mirrorFields reads the metadata of a mirrored item: entity, first?, removed?, seq,
// state, in this order.
func mirrorFields(it *lockstep.MirrorItem, m lockstep.Metadata) (state, reason string) {
	for _, f := range m {
		if f.Value.Kind() != lockstep.KindString {
			return "", f.Key + " is not a string"
		}
	}
	i := 1
	for _, opt := range [...]struct {
		key string
		seq *lockstep.Sequence
	}{{fieldFirst, &it.First}, {fieldRemoved, &it.Removed}} {
		if i >= len(m) || m[i].Key != opt.key {
			continue
		}
		*opt.seq = lockstep.Sequence(m[i].Value.Str())
		if *opt.seq == "" || !canonicalSeq(*opt.seq) {
			return "", opt.key + " is not a sequence number"
		}
		i++
	}
	if len(m) != i+2 || m[0].Key != fieldEntity || m[i].Key != fieldSeq || m[i+1].Key != fieldState {
		return "", "the metadata keys are not those of an item"
	}
	it.Entity, it.Seq = m[0].Value.Str(), lockstep.Sequence(m[i].Value.Str())
	if !canonicalSeq(it.Seq) {
		return "", "seq is not a sequence number"
	}
	return m[i+1].Value.Str(), ""
}

// canonicalSeq says whether s is a sequence number without leading zeros. "" is
// one: an item that was imported and has seen no change yet.
func canonicalSeq(s lockstep.Sequence) bool {
	return s == "" || s.Valid() && minimal(s) == s
}
