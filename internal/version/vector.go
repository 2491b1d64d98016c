package version

import (
	"encoding/binary"
	"math"

	"github.com/zeebo/blake3"

	"lockstep/internal/lockstep"
)

// AppendVector appends the components as little-endian float32: the form in which
// vectors are hashed and kept.
func AppendVector(dst []byte, v []float32) []byte {
	for _, x := range v {
		if x == 0 {
			x = 0 // minus zero and zero are one value to Chroma, so to a digest too
		}
		dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(x))
	}
	return dst
}

// VectorOf is the reverse of AppendVector; surplus bytes are ignored.
func VectorOf(b []byte) []float32 { return AppendVectorOf(make([]float32, 0, len(b)/4), b) }

// AppendVectorOf is VectorOf into dst.
func AppendVectorOf(dst []float32, b []byte) []float32 {
	for ; len(b) >= 4; b = b[4:] {
		dst = append(dst, math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	return dst
}

// RefOf returns the reference by which a record names the vector whose bytes,
// as AppendVector makes them, are b. No bytes: no vector.
func RefOf(b []byte) lockstep.VectorRef {
	if len(b) == 0 {
		return lockstep.VectorRef{}
	}
	return lockstep.VectorRef{Hash: blake3.Sum256(b), Dim: uint32(len(b) / 4)}
}
