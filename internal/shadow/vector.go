package shadow

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/zeebo/blake3"

	"lockstep/internal/lockstep"
)

// vector is the vector of a record as far as it is known: by components, by reference, or,
// when kept, only as the one that a record had which nobody looked at.
type vector struct {
	ref        lockstep.VectorRef
	components []float32
	kept       bool
}

func (v vector) dimension() int {
	if v.components != nil {
		return len(v.components)
	}
	return int(v.ref.Dim)
}

func (v vector) String() string {
	switch d := v.dimension(); {
	case v.kept:
		return "kept"
	case d == 0:
		return "none"
	default:
		return fmt.Sprintf("%d components", d)
	}
}

// bits makes equal what a store cannot tell apart: minus zero is zero.
func bits(x float32) uint32 {
	if x == 0 {
		return 0
	}
	return math.Float32bits(x)
}

func (v vector) reference() lockstep.VectorRef {
	if len(v.components) == 0 {
		return v.ref
	}
	b := make([]byte, 0, 4*len(v.components))
	for _, x := range v.components {
		b = binary.LittleEndian.AppendUint32(b, bits(x))
	}
	return lockstep.VectorRef{Hash: blake3.Sum256(b), Dim: uint32(len(v.components))}
}

func (v vector) equal(w vector) bool {
	if v.components != nil && w.components != nil {
		return slices.EqualFunc(v.components, w.components, func(a, b float32) bool { return bits(a) == bits(b) })
	}
	return v.reference() == w.reference()
}

// Bounds of the distance buckets: the length of the difference over the length of the
// longer vector. Another build of the same arithmetic stays below rounding; another model
// does not stay below far.
const (
	roundingDistance = 1e-6
	nearDistance     = 1e-3
	farDistance      = 0.1
)

// difference returns the kind by which w differs from v, "" when it does not.
func (v vector) difference(w vector) string {
	switch {
	case v.kept && w.kept:
		return ""
	case v.kept || w.kept:
		return kindDistanceUnknown
	case v.equal(w):
		return ""
	case w.dimension() == 0:
		return kindMissing
	case v.dimension() == 0:
		return kindExtra
	case v.dimension() != w.dimension():
		return kindDimension
	case v.components == nil || w.components == nil:
		return kindDistanceUnknown
	}
	var apart, a, b float64
	for i, x := range v.components {
		y := w.components[i]
		apart += (float64(x) - float64(y)) * (float64(x) - float64(y))
		a += float64(x) * float64(x)
		b += float64(y) * float64(y)
	}
	switch d := math.Sqrt(apart / max(a, b)); {
	case d <= roundingDistance:
		return kindDistanceRounding
	case d <= nearDistance:
		return kindDistanceNear
	case d <= farDistance:
		return kindDistanceFar
	}
	return kindDistanceUnlike // also when it is not a number
}
