package receipt

import (
	"encoding/binary"
	"math"

	"github.com/zeebo/blake3"

	"lockstep/internal/lockstep"
)

// holds says whether ref names v, as lockstep.VectorRef defines it.
func holds(ref lockstep.VectorRef, v []float32) bool {
	if int(ref.Dim) != len(v) {
		return false
	}
	b := make([]byte, 0, 4*len(v))
	for _, c := range v {
		if c == 0 {
			c = 0 // minus zero and zero are one value
		}
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(c))
	}
	return blake3.Sum256(b) == ref.Hash
}
