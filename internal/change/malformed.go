package change

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"lockstep/internal/lockstep"

	"github.com/zeebo/blake3"
)

// Malformed is a piece of input that could not be read, with the reason.
type Malformed struct {
	// ID is the hex BLAKE3-256 of the whole piece: the same bytes delivered twice are
	// one Malformed.
	ID     string
	Key    lockstep.ItemKey // the item it speaks of; zero when that is not known
	Reason string           // begins with the path at fault where there is one
	Body   []byte           // at most MaxMalformedBytes of it; never empty
	Size   int64            // bytes of the whole piece; more than len(Body) when it was cut
	Source string           // as Message.Source
	At     time.Time        // when it was received
}

// malformedFields are the metadata keys of a malformed record, sorted.
const (
	fieldAt       = "at"
	fieldEncoding = "encoding"
	fieldKey      = "key"
	fieldReason   = "reason"
	fieldSize     = "size"
	fieldSource   = "source"

	encodingBase64 = "base64"
)

// MalformedRecord returns m as a record of lockstep.Malformed: the body is the
// document, in base64 when it is not text, the rest is metadata.
func MalformedRecord(m Malformed) lockstep.Record {
	meta := make(lockstep.Metadata, 0, 6)
	put := func(key, value string) {
		meta = append(meta, lockstep.Field{Key: key, Value: lockstep.String(strings.ToValidUTF8(value, "\uFFFD"))})
	}
	put(fieldAt, m.At.UTC().Format(time.RFC3339Nano))
	doc := string(m.Body)
	if !utf8.ValidString(doc) {
		doc = base64.StdEncoding.EncodeToString(m.Body)
		put(fieldEncoding, encodingBase64)
	}
	if m.Key != (lockstep.ItemKey{}) {
		put(fieldKey, m.Key.RecordID())
	}
	put(fieldReason, clip(m.Reason, MaxReasonBytes))
	meta = append(meta, lockstep.Field{Key: fieldSize, Value: lockstep.Int(m.Size)})
	put(fieldSource, m.Source)
	return lockstep.Record{ID: m.ID, Document: doc, HasDocument: true, Metadata: meta}
}

// ParseMalformed is the reverse of MalformedRecord. It returns lockstep.ErrCorrupt
// for anything that MalformedRecord would not write, and when an uncut body does
// not have the hash that is its id.
func ParseMalformed(r lockstep.Record) (Malformed, error) {
	m, reason := parseMalformed(r)
	if reason == "" && !sameRecord(MalformedRecord(m), r) {
		reason = "not in the form in which it is written"
	}
	if reason != "" {
		return Malformed{}, fmt.Errorf("parse malformed record %.80q: %w: %s", r.ID, lockstep.ErrCorrupt, reason)
	}
	return m, nil
}

func parseMalformed(r lockstep.Record) (Malformed, string) {
	m := Malformed{
		ID:     r.ID,
		Reason: text(r.Metadata, fieldReason),
		Source: text(r.Metadata, fieldSource),
		Body:   []byte(r.Document),
	}
	var err error
	if text(r.Metadata, fieldEncoding) != "" {
		if m.Body, err = base64.StdEncoding.Strict().DecodeString(r.Document); err != nil {
			return m, "the document is not base64"
		}
	}
	if m.At, err = time.Parse(time.RFC3339Nano, text(r.Metadata, fieldAt)); err != nil {
		return m, "at is not a time"
	}
	if id := text(r.Metadata, fieldKey); id != "" {
		if m.Key, _ = lockstep.ParseItemKey(id); m.Key.RecordID() != id {
			return m, "key is not an item key"
		}
	}
	size, _ := r.Metadata.Get(fieldSize)
	m.Size = size.Int()
	switch {
	case m.Size < int64(len(m.Body)):
		return m, "size is less than the document"
	case len(m.ID) != 64:
		return m, "the id is not a hash"
	case m.Size == int64(len(m.Body)) && hashOf(m.Body) != m.ID:
		return m, "the document does not have the hash that is its id"
	}
	return m, ""
}

func hashOf(body []byte) string {
	sum := blake3.Sum256(body)
	return hex.EncodeToString(sum[:])
}

func text(m lockstep.Metadata, key string) string {
	v, _ := m.Get(key)
	return v.Str()
}

// sameRecord says whether two records without vectors are the same.
func sameRecord(a, b lockstep.Record) bool {
	return a.ID == b.ID && a.HasDocument == b.HasDocument && a.Document == b.Document &&
		a.Vector == b.Vector && a.Metadata.Equal(b.Metadata)
}
