package ledger

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/zeebo/blake3"

	"lockstep/internal/lockstep"
)

// Entry is one entry of a log. Body must not be changed: the entry may share it.
type Entry struct {
	N     uint64    // number, from 1
	Prev  [32]byte  // Hash of entry N-1; zero for entry 1
	Hash  [32]byte  // BLAKE3-256 of the whole object
	PutID string    // 32 hex digits: which attempt of which writer this is
	At    time.Time // by the writer's clock, UTC, to the nanosecond; information only
	Body  []byte
}

// MaxBodyBytes bounds the body of an entry.
const MaxBodyBytes = 64 << 20

// The object, all integers big-endian (docs/format/ledger.md).
const (
	magic       = "LSL1"
	putIDBytes  = 16
	numberAt    = 4
	prevAt      = 12
	putIDAt     = 44
	timeAt      = 60
	lengthAt    = 68
	bodyAt      = 72
	crcBytes    = 4
	frameBytes  = bodyAt + crcBytes
	magicFamily = "LSL" // the digit that follows is the format's version

	maxObjectBytes = frameBytes + MaxBodyBytes
)

var errFormat = fmt.Errorf("unknown ledger format: %w", lockstep.ErrRefused)

// encode builds the object of an entry. It copies the body once; the entry that
// seal returns shares that copy.
func encode(n uint64, prev [32]byte, putID [putIDBytes]byte, at time.Time, body []byte) []byte {
	o := make([]byte, 0, frameBytes+len(body))
	o = append(o, magic...)
	o = binary.BigEndian.AppendUint64(o, n)
	o = append(o, prev[:]...)
	o = append(o, putID[:]...)
	o = binary.BigEndian.AppendUint64(o, uint64(at.UnixNano()))
	o = binary.BigEndian.AppendUint32(o, uint32(len(body)))
	o = append(o, body...)
	return binary.BigEndian.AppendUint32(o, crc32.Checksum(o, castagnoli()))
}

// castagnoli is the table of CRC32C; the standard library makes it once.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// Decode parses the object of an entry. Its Body shares the object's memory.
// ErrCorrupt: it is damaged, or no entry at all. ErrRefused: it has a version of
// the format that this binary does not know.
func Decode(object []byte) (Entry, error) {
	if len(object) < frameBytes || len(object) > maxObjectBytes {
		return Entry{}, fmt.Errorf("%w: %d bytes, want %d to %d", lockstep.ErrCorrupt, len(object), frameBytes, maxObjectBytes)
	}
	if got := string(object[:len(magic)]); got != magic {
		if got[:len(magicFamily)] == magicFamily {
			return Entry{}, lockstep.Hint(fmt.Errorf("%w: %q, this binary knows %q", errFormat, got, magic),
				"use the release of lockstep that wrote this store, or a newer one")
		}
		return Entry{}, fmt.Errorf("%w: it begins with %q, want %q", lockstep.ErrCorrupt, got, magic)
	}
	end := len(object) - crcBytes
	if want, got := binary.BigEndian.Uint32(object[end:]), crc32.Checksum(object[:end], castagnoli()); got != want {
		return Entry{}, fmt.Errorf("%w: checksum is %08x, want %08x", lockstep.ErrCorrupt, got, want)
	}
	if n := binary.BigEndian.Uint32(object[lengthAt:]); int64(n) != int64(end-bodyAt) {
		return Entry{}, fmt.Errorf("%w: it says its body has %d bytes, it has %d", lockstep.ErrCorrupt, n, end-bodyAt)
	}
	e := seal(object)
	if e.N == 0 {
		return Entry{}, fmt.Errorf("%w: it says it is entry 0", lockstep.ErrCorrupt)
	}
	return e, nil
}

// seal reads the fields of an object that is known to be whole, and hashes it.
func seal(object []byte) Entry {
	return Entry{
		N:     binary.BigEndian.Uint64(object[numberAt:]),
		Prev:  [32]byte(object[prevAt:putIDAt]),
		Hash:  blake3.Sum256(object),
		PutID: hex.EncodeToString(object[putIDAt:timeAt]),
		At:    time.Unix(0, int64(binary.BigEndian.Uint64(object[timeAt:]))).UTC(),
		Body:  object[bodyAt : len(object)-crcBytes : len(object)-crcBytes],
	}
}
