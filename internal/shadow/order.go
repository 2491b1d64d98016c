package shadow

import (
	"encoding/binary"
	"hash/fnv"
)

// Side is one of the two that run on a unit.
type Side string

// The sides.
const (
	Stable    Side = "stable"
	Candidate Side = "candidate"
)

// Order says which side runs first on a unit: a fair coin per unit, since the second finds
// warm what the first had to fetch. The same seed and unit give the same order.
func Order(seed uint64, unit string) [2]Side {
	h := fnv.New64a()
	_, _ = h.Write(binary.LittleEndian.AppendUint64(nil, seed)) // a hash does not fail
	_, _ = h.Write([]byte(unit))
	if mix(h.Sum64())&1 == 0 {
		return [2]Side{Stable, Candidate}
	}
	return [2]Side{Candidate, Stable}
}
