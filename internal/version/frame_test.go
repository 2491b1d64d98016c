package version

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"

	"github.com/klauspost/compress/zstd"

	"lockstep/internal/lockstep"
)

// forge appends a frame whose header says what the caller wants.
func forge(dst []byte, plain uint32, body []byte) []byte {
	dst = append(dst, frameText)
	dst = binary.LittleEndian.AppendUint32(dst, plain)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(body)))
	dst = binary.LittleEndian.AppendUint32(dst, crc32.Checksum(body, castagnoli()))
	return append(dst, body...)
}

func compressed(t *testing.T, zeros int) []byte {
	t.Helper()
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	return enc.EncodeAll(make([]byte, zeros), nil)
}

func TestABombDoesNotUnfold(t *testing.T) {
	var many []byte
	for range MaxPlainBytes/MaxFrameBytes + 1 {
		many = forge(many, MaxFrameBytes, nil)
	}
	bomb := compressed(t, MaxFrameBytes+1)
	for _, c := range []struct {
		name   string
		frames []byte
		atMost uint64 // bytes allocated
	}{
		{"frames that state too much together", many, 1 << 20},
		{"a frame that states too much", forge(nil, MaxFrameBytes+1, compressed(t, 10)), 4 << 20},
		{"a frame that states little and holds too much", forge(nil, 10, bomb), 2 * MaxFrameBytes},
		{"a frame that states all it may and holds more", forge(nil, MaxFrameBytes, bomb), 2 * MaxFrameBytes},
		{"a frame that states more than it holds", forge(nil, 1<<20, compressed(t, 10)), 4 << 20},
		{"a frame that is not compressed", forge(nil, 3, []byte("abc")), 4 << 20},
	} {
		used := allocated(func() {
			if _, err := DecodeDelta(append(DeltaHeader(), c.frames...)); !errors.Is(err, ErrDeltaEncoding) {
				t.Errorf("%s: %v, want ErrDeltaEncoding", c.name, err)
			}
		})
		if used > c.atMost {
			t.Errorf("%s: %d bytes allocated for %d", c.name, used, len(c.frames))
		}
	}
}

func TestThePlainSizesOfADeltaAddUp(t *testing.T) {
	const most = MaxPlainBytes / MaxFrameBytes
	b := DeltaHeader()
	for range most {
		b = forge(b, MaxFrameBytes, []byte("x"))
	}
	if err := checkPlainBytes(b); err != nil {
		t.Errorf("as much as there may be: %v", err)
	}
	if err := checkPlainBytes(forge(b, 1, []byte("x"))); !errors.Is(err, ErrDeltaEncoding) {
		t.Errorf("one byte more: %v, want ErrDeltaEncoding", err)
	}
}

func TestAFrameBeyondTheLimitIsNotWritten(t *testing.T) {
	d := &Delta{Messages: []Archived{{Body: make([]byte, MaxFrameBytes)}}}
	if _, err := newFramer(t).EncodeDelta(d); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("%v, want ErrInvalid", err)
	}
}

// TestAFramerReadsBackWhatItWrote makes the reading back fail: TRAPS T32.
func TestAFramerReadsBackWhatItWrote(t *testing.T) {
	f := newFramer(t)
	f.dec.Close()
	if _, err := f.EncodeDelta(exampleDelta()); !errors.Is(err, lockstep.ErrCorrupt) {
		t.Errorf("with a decompressor that answers nothing: %v, want ErrCorrupt", err)
	}
}
