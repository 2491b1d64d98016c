package version

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/klauspost/compress/zstd"

	"lockstep/internal/lockstep"
)

// A delta is a magic number and then frames. Each frame is compressed by itself,
// so that several goroutines can fill one delta, and carries its own checksum
// (docs/format/delta.md).
const (
	deltaMagic  = "LSD1"
	frameHeader = 13 // kind, plain size, stored size, CRC-32C of the stored bytes
	frameText   = 'M'
	frameMuts   = 'U'
)

// MaxFrameBytes bounds the plain size of one frame, and so what a reader allocates
// for it.
const MaxFrameBytes = 64 << 20

// MaxPlainBytes bounds the plain size of all frames of one delta together.
const MaxPlainBytes = 4 << 30

// FrameBytes is the plain size at which a writer begins a new frame.
const FrameBytes = 4 << 20

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// Framer compresses frames. It is not safe for concurrent use.
type Framer struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
	// Kept between calls, so that the hot path does not grow them anew.
	chk   []byte
	plain []byte
}

// NewFramer returns a Framer.
func NewFramer() (*Framer, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<20))
	if err != nil {
		return nil, fmt.Errorf("delta compressor: %w", err)
	}
	dec, err := newFrameDecoder()
	if err != nil {
		return nil, err
	}
	return &Framer{enc: enc, dec: dec}, nil
}

func newFrameDecoder() (*zstd.Decoder, error) {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(MaxFrameBytes), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		return nil, fmt.Errorf("delta decompressor: %w", err)
	}
	return dec, nil
}

// append compresses plain as one frame behind dst, and reads it back before it
// answers: what will be published is what was meant (TRAPS T32).
func (f *Framer) append(dst []byte, kind byte, plain []byte) ([]byte, error) {
	if len(plain) > MaxFrameBytes {
		return nil, fmt.Errorf("delta frame of %d bytes, at most %d: %w", len(plain), MaxFrameBytes, lockstep.ErrInvalid)
	}
	start := len(dst)
	dst = append(dst, make([]byte, frameHeader)...)
	dst = f.enc.EncodeAll(plain, dst)
	stored := dst[start+frameHeader:]
	h := dst[start : start+frameHeader]
	h[0] = kind
	binary.LittleEndian.PutUint32(h[1:], uint32(len(plain)))
	binary.LittleEndian.PutUint32(h[5:], uint32(len(stored)))
	binary.LittleEndian.PutUint32(h[9:], crc32.Checksum(stored, castagnoli()))
	var err error
	f.chk, err = f.dec.DecodeAll(stored, f.chk[:0])
	if err != nil {
		return nil, fmt.Errorf("delta frame does not read back: %w: %w", lockstep.ErrCorrupt, err)
	}
	if string(f.chk) != string(plain) {
		return nil, fmt.Errorf("delta frame reads back as something else: %w", lockstep.ErrCorrupt)
	}
	return dst, nil
}

// checkPlainBytes adds up the plain sizes that the frames of a delta state, without
// decompressing any, and refuses more than MaxPlainBytes: a few kilobytes that would
// unfold to fill the memory.
func checkPlainBytes(delta []byte) error {
	if !bytes.HasPrefix(delta, []byte(deltaMagic)) {
		return fmt.Errorf("%w: no %q at its beginning", ErrDeltaEncoding, deltaMagic)
	}
	total := int64(0)
	for b := delta[len(deltaMagic):]; len(b) > 0; {
		if len(b) < frameHeader {
			return fmt.Errorf("%w: frame header cut short", ErrDeltaEncoding)
		}
		total += int64(binary.LittleEndian.Uint32(b[1:]))
		stored := uint64(binary.LittleEndian.Uint32(b[5:]))
		if total > MaxPlainBytes || stored > uint64(len(b)-frameHeader) {
			return fmt.Errorf("%w: frames of %d bytes, the last of %d stored, %d there", ErrDeltaEncoding, total, stored, len(b)-frameHeader)
		}
		b = b[frameHeader+stored:]
	}
	return nil
}

type frame struct {
	kind  byte
	plain []byte
}

// nextFrame splits the first frame off b and decompresses it.
func nextFrame(dec *zstd.Decoder, b []byte) (frame, []byte, error) {
	if len(b) < frameHeader {
		return frame{}, nil, fmt.Errorf("%w: frame header cut short", ErrDeltaEncoding)
	}
	plain, stored := binary.LittleEndian.Uint32(b[1:]), binary.LittleEndian.Uint32(b[5:])
	sum, kind := binary.LittleEndian.Uint32(b[9:]), b[0]
	b = b[frameHeader:]
	if plain > MaxFrameBytes || uint64(stored) > uint64(len(b)) {
		return frame{}, nil, fmt.Errorf("%w: frame of %d bytes, %d stored, %d there", ErrDeltaEncoding, plain, stored, len(b))
	}
	body, rest := b[:stored], b[stored:]
	if crc32.Checksum(body, castagnoli()) != sum {
		return frame{}, nil, fmt.Errorf("%w: frame checksum", ErrDeltaEncoding)
	}
	out, err := dec.DecodeAll(body, nil)
	if err != nil {
		return frame{}, nil, fmt.Errorf("%w: frame: %w", ErrDeltaEncoding, err)
	}
	if len(out) != int(plain) {
		return frame{}, nil, fmt.Errorf("%w: frame of %d bytes, %d expected", ErrDeltaEncoding, len(out), plain)
	}
	return frame{kind, out}, rest, nil
}
