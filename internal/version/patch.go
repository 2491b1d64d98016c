package version

import (
	"encoding/binary"
	"math/bits"
)

// patchLeast is how many bytes two images must have in common at both ends for the
// image after to be written as what is between them: an edit of one field then costs
// that field and not the record.
const patchLeast = 16

// commonEnds returns the lengths of the longest common beginning of both, and of the
// longest common end of what is left.
func commonEnds(before, after []byte) (prefix, suffix int) {
	prefix = commonPrefix(before, after)
	return prefix, commonSuffix(before[prefix:], after[prefix:])
}

func commonPrefix(a, b []byte) int {
	n, i := min(len(a), len(b)), 0
	for ; i+8 <= n; i += 8 {
		if x := binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:]); x != 0 {
			return i + bits.TrailingZeros64(x)/8
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}

func commonSuffix(a, b []byte) int {
	n, i := min(len(a), len(b)), 0
	for ; i+8 <= n; i += 8 {
		x := binary.LittleEndian.Uint64(a[len(a)-i-8:]) ^ binary.LittleEndian.Uint64(b[len(b)-i-8:])
		if x != 0 {
			return i + bits.LeadingZeros64(x)/8
		}
	}
	for i < n && a[len(a)-1-i] == b[len(b)-1-i] {
		i++
	}
	return i
}

// patched reads the image after of a mutation whose image before is known.
func (r *reader) patched(before []byte) []byte {
	prefix, suffix := r.uvarint(), r.uvarint()
	middle := r.bytes()
	if r.bad || prefix > uint64(len(before)) || suffix > uint64(len(before))-prefix || prefix+suffix < patchLeast {
		r.bad, r.b = true, nil
		return nil
	}
	after := make([]byte, 0, int(prefix)+len(middle)+int(suffix))
	after = append(after, before[:prefix]...)
	after = append(after, middle...)
	after = append(after, before[uint64(len(before))-suffix:]...)
	if p, s := commonEnds(before, after); uint64(p) != prefix || uint64(s) != suffix {
		r.bad, r.b = true, nil // there is one way to write it
		return nil
	}
	return after
}
