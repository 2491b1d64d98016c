package chromadir

import (
	"encoding/binary"
	"fmt"

	"lockstep/internal/lockstep"
)

// maxSeq is far above any number of writes, and far below what a watermark becomes
// when the integer migration runs on an integer: 0x1111… from the ASCII digits
// (CHROMA 5.4; MemPalace#1134). Behind such a watermark every write is lost.
const maxSeq = 1 << 56

// decodeSeq reads a sequence number as Chroma stores it: an integer (>= 1.0) or
// eight bytes, big-endian (0.4 to 0.6). Both live side by side in one file.
func decodeSeq(v any) (int64, error) {
	var seq uint64
	switch v := v.(type) {
	case int64:
		seq = uint64(v)
	case []byte:
		if len(v) != 8 {
			return 0, fmt.Errorf("%w: a sequence number of %d bytes, want 8", lockstep.ErrCorrupt, len(v))
		}
		seq = binary.BigEndian.Uint64(v)
	default:
		return 0, fmt.Errorf("%w: a sequence number of type %T", lockstep.ErrCorrupt, v)
	}
	if seq >= maxSeq {
		return 0, lockstep.Hint(
			fmt.Errorf("%w: sequence number %d is ahead of every possible write", lockstep.ErrCorrupt, int64(seq)),
			"a migration damaged max_seq_id; set it to the highest seq_id of embeddings_queue, then let Chroma index what it missed")
	}
	return int64(seq), nil
}
