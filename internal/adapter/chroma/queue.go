package chroma

import (
	"encoding/binary"
	"math"
	"strconv"
)

// Operations of embeddings_queue (CHROMA 5.3). We write upserts and deletes; the
// others are only named.
const (
	opAdd      = 0
	opUpdate   = 1
	opUpsert   = 2
	opDelete   = 3
	opBackfill = 4
)

// vectorEncoding names raw little-endian float32. It is the only encoding Chroma's
// Rust core reads.
const vectorEncoding = "FLOAT32"

func operationName(op int64) string {
	switch op {
	case opAdd:
		return "add"
	case opUpdate:
		return "update"
	case opUpsert:
		return "upsert"
	case opDelete:
		return "delete"
	case opBackfill:
		return "backfill"
	}
	return "operation " + strconv.FormatInt(op, 10)
}

// topicOf is the queue topic of a collection in a local Chroma (CHROMA 5.3).
func topicOf(collectionID string) string { return "persistent://default/default/" + collectionID }

// appendVector appends the components as little-endian float32.
func appendVector(b []byte, v []float32) []byte {
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

// sequence hands out queue numbers. A number at or below any watermark would never
// be applied (CHROMA 5.4), so it starts above both the queue and all watermarks.
type sequence struct{ last int64 }

func sequenceAfter(queued, applied int64) sequence { return sequence{max(queued, applied, 0)} }

func (s *sequence) next() int64 {
	s.last++
	return s.last
}

// needsSentinel says whether the queue must get a row at the highest watermark:
// the next number Chroma gives is one more than the last row, and if that is not
// above every watermark, Chroma's next write would answer 201 and vanish (CHROMA 5.4).
func needsSentinel(queued, applied int64) bool { return queued < applied }
