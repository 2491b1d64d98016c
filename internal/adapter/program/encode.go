package program

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"lockstep/internal/change"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/metajson"
)

// Protocol is the name and version of what is spoken (docs/format/exec.md).
const Protocol = "lockstep-exec/1"

// The requests.
const (
	requestDescribe = "describe"
	requestReads    = "reads"
	requestPlan     = "plan"
)

// begin appends what every request begins with.
func begin(dst []byte, id uint64, request string) []byte {
	dst = append(dst, `{"id":`...)
	dst = strconv.AppendUint(dst, id, 10)
	return member(dst, `,"request":`, request)
}

func describeLine(id uint64) []byte {
	return append(member(begin(nil, id, requestDescribe), `,"protocol":`, Protocol), "}\n"...)
}

func readsLine(id uint64, messages []byte) []byte {
	dst := begin(make([]byte, 0, len(messages)+64), id, requestReads)
	dst = append(dst, `,"messages":`...)
	dst = append(dst, messages...)
	return append(dst, "}\n"...)
}

func planLine(id uint64, messages []byte, u *handler.Unit) []byte {
	dst := begin(make([]byte, 0, 2*len(messages)+1024), id, requestPlan)
	dst = append(dst, `,"messages":`...)
	dst = append(dst, messages...)
	dst = append(dst, `,"view":`...)
	dst = appendView(dst, &u.View)
	dst = instant(dst, `,"now":`, u.Now)
	return append(dst, "}\n"...)
}

// checkLine returns lockstep.ErrInvalid for a request that could not arrive as it
// is: JSON has no bytes that are not UTF-8.
func checkLine(line []byte) error {
	if utf8.Valid(line) {
		return nil
	}
	return fmt.Errorf("%w unit: it holds text that is not UTF-8, which cannot be handed to a program", lockstep.ErrInvalid)
}

func encodeMessages(ms []lockstep.Message) []byte {
	dst := []byte{'['}
	for i := range ms {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendMessage(dst, &ms[i])
	}
	return append(dst, ']')
}

func appendMessage(dst []byte, m *lockstep.Message) []byte {
	c := &m.Change
	dst = member(dst, `{"id":`, m.ID)
	dst = member(dst, `,"group":`, m.Group)
	dst = member(dst, `,"source":`, m.Source)
	dst = member(dst, `,"entity":`, c.Entity)
	dst = member(dst, `,"event":`, string(c.Event))
	dst = member(dst, `,"partition":`, c.Key.Partition)
	dst = member(dst, `,"sort":`, c.Key.Sort)
	dst = member(dst, `,"seq":`, string(c.Seq))
	dst = instant(dst, `,"at":`, c.At)
	dst = image(dst, `,"old":`, c.Old)
	dst = image(dst, `,"new":`, c.New)
	dst = member(dst, `,"body":`, string(m.Body))
	return append(dst, '}')
}

func appendView(dst []byte, v *handler.View) []byte {
	dst = append(dst, `{"records":{`...)
	for i, c := range slices.Sorted(maps.Keys(v.Records)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendText(dst, string(c)), ":["...)
		for j := range v.Records[c] {
			if j > 0 {
				dst = append(dst, ',')
			}
			dst = appendRecord(dst, &v.Records[c][j])
		}
		dst = append(dst, ']')
	}
	dst = append(dst, `},"items":[`...)
	for i := range v.Items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendItem(dst, &v.Items[i])
	}
	dst = append(dst, `],"imports":[`...)
	for i := range v.Imports {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendImport(dst, &v.Imports[i])
	}
	return append(dst, "]}"...)
}

func appendRecord(dst []byte, r *lockstep.Record) []byte {
	dst = content(member(dst, `{"id":`, r.ID), r.Document, r.HasDocument, r.Metadata)
	if r.Vector == (lockstep.VectorRef{}) {
		return append(dst, `,"vector":null}`...)
	}
	dst = append(dst, `,"vector":{"dim":`...)
	dst = strconv.AppendUint(dst, uint64(r.Vector.Dim), 10)
	dst = append(dst, `,"hash":"`...)
	dst = hex.AppendEncode(dst, r.Vector.Hash[:])
	return append(dst, `"}}`...)
}

// content appends the document and the metadata of a record.
func content(dst []byte, document string, present bool, m lockstep.Metadata) []byte { //nolint:revive // present is data, not a mode: it qualifies document
	if present {
		dst = member(dst, `,"document":`, document)
	} else {
		dst = append(dst, `,"document":null`...)
	}
	dst = append(dst, `,"metadata":`...)
	return metajson.AppendMetadataJSON(dst, m)
}

func appendItem(dst []byte, it *lockstep.MirrorItem) []byte {
	dst = member(dst, `{"partition":`, it.Key.Partition)
	dst = member(dst, `,"sort":`, it.Key.Sort)
	dst = member(dst, `,"entity":`, it.Entity)
	dst = image(dst, `,"image":`, it.Image)
	dst = member(dst, `,"seq":`, string(it.Seq))
	dst = member(dst, `,"removed":`, string(it.Removed))
	dst = member(dst, `,"first":`, string(it.First))
	return append(dst, '}')
}

func appendImport(dst []byte, im *handler.Import) []byte {
	dst = member(dst, `{"collection":`, string(im.Ref.Collection))
	dst = member(dst, `,"location":`, im.Ref.Location)
	dst = append(dst, `,"message":`...)
	dst = strconv.AppendInt(dst, int64(im.Ref.Message), 10)
	dst = append(dst, `,"embeddings":[`...)
	for i := range im.Embeddings {
		if i > 0 {
			dst = append(dst, ',')
		}
		e := &im.Embeddings[i]
		dst = content(member(dst, `{"id":`, e.ID), e.Document, e.HasDocument, e.Metadata)
		dst = append(dst, `,"vector":"`...)
		dst = appendVector(dst, e.Vector)
		dst = append(dst, `"}`...)
	}
	return append(dst, "]}"...)
}

// appendVector appends the components as base64 of little-endian float32: exact,
// and a fraction of the text that decimal numbers would be.
func appendVector(dst []byte, v []float32) []byte {
	raw := make([]byte, 0, 4*len(v))
	for _, c := range v {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(c))
	}
	return base64.StdEncoding.AppendEncode(dst, raw)
}

func image(dst []byte, name string, it lockstep.Item) []byte {
	dst = append(dst, name...)
	if it == nil {
		return append(dst, "null"...)
	}
	return change.AppendItem(dst, it)
}

func instant(dst []byte, name string, at time.Time) []byte {
	dst = append(append(dst, name...), '"')
	dst = at.AppendFormat(dst, time.RFC3339Nano)
	return append(dst, '"')
}

func member(dst []byte, name, value string) []byte {
	return appendText(append(dst, name...), value)
}

// appendText appends a JSON string with only the escapes that JSON demands.
func appendText(dst []byte, s string) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	done := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[done:i]...)
		done = i + 1
		if c >= ' ' {
			dst = append(dst, '\\', c)
		} else {
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		}
	}
	dst = append(dst, s[done:]...)
	return append(dst, '"')
}
