package version

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"unsafe"

	"github.com/zeebo/blake3"

	"lockstep/internal/lockstep"
)

// The digest of a collection is LtHash (Bellare, Micciancio 1997; Lewi et al.,
// "Securing Update Propagation with Homomorphic Hashing", 2019) with 1,024 lanes
// of 16 bits: the lane-wise sum of one pseudo-random element per record. Adding a
// record adds its element, removing one subtracts it, and the order never matters.
//
// It is a multiset hash and would accept the subtraction of what was never there
// (TRAPS T11). Therefore the id is part of the element and before images come from
// the state alone.

// SumSize is the size of a Sum in bytes.
const SumSize = 2048

const sumWords = SumSize / 8

// elementTag separates record elements from every other use of the hash.
const elementTag = "lockstep/record/1\x00"

// Sum is the homomorphic hash of a set of records. The zero Sum is the empty set.
// It is lanes of 16 bits, four to a word, little-endian within the word.
type Sum [sumWords]uint64

const (
	laneLow  = 0x7fff7fff7fff7fff
	laneHigh = 0x8000800080008000
)

// Add adds every element counted in t.
func (s *Sum) Add(t *Sum) {
	for i, y := range t {
		x := s[i]
		s[i] = (x&laneLow + y&laneLow) ^ ((x ^ y) & laneHigh)
	}
}

// Sub removes every element counted in t.
func (s *Sum) Sub(t *Sum) {
	for i, y := range t {
		x := s[i]
		s[i] = ((x | laneHigh) - (y & laneLow)) ^ ((x ^ ^y) & laneHigh)
	}
}

// Bytes returns the sum in the form in which bases keep it.
func (s *Sum) Bytes() []byte {
	out := make([]byte, 0, SumSize)
	for _, w := range s {
		out = binary.LittleEndian.AppendUint64(out, w)
	}
	return out
}

// SumOf is the reverse of Bytes; ErrCorrupt unless b has SumSize bytes.
func SumOf(b []byte) (Sum, error) {
	var s Sum
	if len(b) != SumSize {
		return s, fmt.Errorf("sum of %d bytes, want %d: %w", len(b), SumSize, lockstep.ErrCorrupt)
	}
	for i := range s {
		s[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return s, nil
}

// Digest is the short form that people and entries compare: BLAKE3-256 of the sum
// in hex. Equal digests mean equal sets of records.
func (s *Sum) Digest() string {
	h := blake3.Sum256(s.Bytes())
	return hex.EncodeToString(h[:])
}

// Hasher turns records into elements. It keeps scratch space: one goroutine each.
type Hasher struct {
	buf  []byte
	zero [SumSize]byte
	elem Sum
}

// Add adds the record with that id and canonical encoding to s.
func (h *Hasher) Add(s *Sum, id string, record []byte) {
	h.element(id, record)
	s.Add(&h.elem)
}

// Sub removes the record with that id and canonical encoding from s.
func (h *Hasher) Sub(s *Sum, id string, record []byte) {
	h.element(id, record)
	s.Sub(&h.elem)
}

// element expands BLAKE3-256(tag, id, record) by AES-256-CTR from a zero counter,
// about twice as fast as BLAKE3's own extendable output (DESIGN 6).
func (h *Hasher) element(id string, record []byte) {
	h.buf = append(h.buf[:0], elementTag...)
	h.buf = appendString(h.buf, id)
	h.buf = append(h.buf, record...)
	key := blake3.Sum256(h.buf)
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // the key is 32 bytes long, always
	}
	var iv [aes.BlockSize]byte
	out := unsafe.Slice((*byte)(unsafe.Pointer(&h.elem)), SumSize)
	cipher.NewCTR(block, iv[:]).XORKeyStream(out, h.zero[:])
	if !littleEndian {
		for i := range h.elem {
			h.elem[i] = binary.LittleEndian.Uint64(out[8*i:])
		}
	}
}

var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1
