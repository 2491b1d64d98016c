package version

import (
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"

	"lockstep/internal/lockstep"
)

// ErrRecordEncoding says that bytes are not one canonical record.
var ErrRecordEncoding = fmt.Errorf("record encoding: %w", lockstep.ErrCorrupt)

// Flags of an encoded record (docs/format/record.md).
const (
	flagDocument = 1 << 0
	flagVector   = 1 << 1
)

// AppendRecord appends the canonical encoding of r without its id: the one form
// in which a record is hashed, compared, kept in deltas and in the local state.
// Equal records have equal encodings and the reverse.
func AppendRecord(dst []byte, r *lockstep.Record) []byte {
	var flags byte
	if r.HasDocument {
		flags |= flagDocument
	}
	if r.Vector.Dim > 0 {
		flags |= flagVector
	}
	dst = append(dst, flags)
	if r.HasDocument {
		dst = appendString(dst, r.Document)
	}
	if r.Vector.Dim > 0 {
		dst = binary.AppendUvarint(dst, uint64(r.Vector.Dim))
		dst = append(dst, r.Vector.Hash[:]...)
	}
	dst = binary.AppendUvarint(dst, uint64(len(r.Metadata)))
	for i := range r.Metadata {
		dst = appendString(dst, r.Metadata[i].Key)
		dst = append(dst, byte(r.Metadata[i].Value.Kind()))
		dst = appendValue(dst, r.Metadata[i].Value)
	}
	return dst
}

func appendString(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

func appendValue(dst []byte, v lockstep.Value) []byte {
	switch v.Kind() {
	case lockstep.KindString:
		return appendString(dst, v.Str())
	case lockstep.KindInt:
		return binary.LittleEndian.AppendUint64(dst, uint64(v.Int()))
	case lockstep.KindFloat:
		return binary.LittleEndian.AppendUint64(dst, math.Float64bits(v.Float()))
	case lockstep.KindBool:
		if v.Bool() {
			return append(dst, 1)
		}
		return append(dst, 0)
	case lockstep.KindList:
		elems := v.Elems()
		dst = append(dst, byte(elems[0].Kind()))
		dst = binary.AppendUvarint(dst, uint64(len(elems)))
		for _, e := range elems {
			dst = appendValue(dst, e)
		}
	}
	return dst
}

// DecodeRecord reads what AppendRecord wrote, and nothing else: ErrRecordEncoding
// for any other bytes. The record's strings share one copy of b.
func DecodeRecord(id string, b []byte) (lockstep.Record, error) {
	return decodeRecord(id, string(b))
}

// DecodeShared is DecodeRecord without the copy: the record's strings share b itself,
// which nobody may change from then on. It is for the hot path, where the bytes are
// kept beside the record as its image.
func DecodeShared(id string, b []byte) (lockstep.Record, error) {
	return decodeRecord(id, unsafe.String(unsafe.SliceData(b), len(b)))
}

func decodeRecord(id, s string) (lockstep.Record, error) {
	d := decoder{s: s}
	r := lockstep.Record{ID: id}
	flags := d.byte()
	if flags&^(flagDocument|flagVector) != 0 {
		return r, fmt.Errorf("%w: %q: unknown flags %#x", ErrRecordEncoding, id, flags)
	}
	if flags&flagDocument != 0 {
		r.HasDocument, r.Document = true, d.string()
	}
	if flags&flagVector != 0 {
		dim := d.uvarint()
		if dim == 0 || dim > lockstep.MaxDimension {
			d.fail("dimension")
		}
		r.Vector.Dim = uint32(dim)
		copy(r.Vector.Hash[:], d.take(len(r.Vector.Hash)))
	}
	r.Metadata = d.metadata()
	if d.bad == "" && d.s != "" {
		d.fail("surplus bytes")
	}
	if d.bad != "" {
		return lockstep.Record{}, fmt.Errorf("%w: %q: %s", ErrRecordEncoding, id, d.bad)
	}
	return r, nil
}

// decoder reads from a string, so that every part it returns shares it. After the
// first mistake it returns zero values and keeps the mistake's name.
type decoder struct {
	s   string
	bad string
}

func (d *decoder) fail(what string) {
	if d.bad == "" {
		d.bad = what
	}
	d.s = ""
}

func (d *decoder) take(n int) string {
	if n < 0 || n > len(d.s) {
		d.fail("cut short")
		return ""
	}
	out := d.s[:n]
	d.s = d.s[n:]
	return out
}

func (d *decoder) byte() byte {
	if s := d.take(1); s != "" {
		return s[0]
	}
	return 0
}

// uvarint reads a minimally encoded unsigned varint.
func (d *decoder) uvarint() uint64 {
	var x uint64
	for i := 0; i < len(d.s) && i < binary.MaxVarintLen64; i++ {
		c := d.s[i]
		if c < 0x80 {
			if i > 0 && c == 0 || i == 9 && c > 1 {
				d.fail("number not minimal")
				return 0
			}
			d.s = d.s[i+1:]
			return x | uint64(c)<<(7*i)
		}
		x |= uint64(c&0x7f) << (7 * i)
	}
	d.fail("number cut short")
	return 0
}

// count reads a number of things of at least that many bytes each, so that it can bound
// an allocation by the bytes that are really there.
func (d *decoder) count(least int) int {
	n := d.uvarint()
	if n > uint64(len(d.s)/least) {
		d.fail("count exceeds the bytes that follow")
		return 0
	}
	return int(n)
}

func (d *decoder) string() string {
	n := d.uvarint()
	if n > uint64(len(d.s)) {
		d.fail("text cut short")
		return ""
	}
	return d.take(int(n))
}

func (d *decoder) uint64() uint64 {
	s := d.take(8)
	if s == "" {
		return 0
	}
	var x uint64
	for i := 7; i >= 0; i-- {
		x = x<<8 | uint64(s[i])
	}
	return x
}

func (d *decoder) metadata() lockstep.Metadata {
	n := d.count(3)
	if n == 0 {
		return nil
	}
	m := make(lockstep.Metadata, n)
	for i := range m {
		m[i].Key = d.string()
		if i > 0 && m[i-1].Key >= m[i].Key {
			d.fail("metadata keys out of order")
		}
		m[i].Value = d.value(lockstep.Kind(d.byte()))
	}
	return m
}

func (d *decoder) value(k lockstep.Kind) lockstep.Value {
	switch k {
	case lockstep.KindString:
		return lockstep.String(d.string())
	case lockstep.KindInt:
		return lockstep.Int(int64(d.uint64()))
	case lockstep.KindFloat:
		bits := d.uint64()
		f := math.Float64frombits(bits)
		if math.Float64bits(f) != bits || bits == 1<<63 || math.IsNaN(f) || math.IsInf(f, 0) {
			d.fail("number is not finite or is minus zero")
		}
		return lockstep.Float(f)
	case lockstep.KindBool:
		b := d.byte()
		if b > 1 {
			d.fail("truth value")
		}
		return lockstep.Bool(b == 1)
	case lockstep.KindList:
		return d.list()
	}
	d.fail("unknown kind of value")
	return lockstep.Value{}
}

func (d *decoder) list() lockstep.Value {
	kind := lockstep.Kind(d.byte())
	n := d.count(1)
	if n == 0 || kind == lockstep.KindList {
		d.fail("empty or nested list")
		return lockstep.Value{}
	}
	elems := make([]lockstep.Value, n)
	for i := range elems {
		elems[i] = d.value(kind)
	}
	return lockstep.List(elems)
}
