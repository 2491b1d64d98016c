package embedding

import (
	"encoding/binary"
	"fmt"

	"lockstep/internal/lockstep"
)

// Wire types of Thrift's compact protocol (thrift-compact-protocol.md), in which
// Parquet writes its footer and its page headers.
const (
	thriftStop   = 0
	thriftTrue   = 1
	thriftFalse  = 2
	thriftByte   = 3
	thriftI16    = 4
	thriftI32    = 5
	thriftI64    = 6
	thriftDouble = 7
	thriftBinary = 8
	thriftList   = 9
	thriftSet    = 10
	thriftStruct = 12
)

// maxThriftDepth is more than twice what Parquet's structures need.
const maxThriftDepth = 16

// field names an integer by its number in the outer struct and, when it is in a
// struct there, its number within.
type field struct{ outer, inner int16 }

// skimmer walks a Thrift struct without building it. It exists because the Parquet
// decoder makes slices of any length that a list states; here every list and every
// text must fit into the bytes that are left.
type skimmer struct {
	in   []byte
	at   int
	ints map[field]int64 // booleans as 0 and 1
}

// skim walks the struct at the start of in, and returns its integers and its length.
func skim(in []byte) (map[field]int64, int, error) {
	s := &skimmer{in: in, ints: map[field]int64{}}
	if err := s.structure(0, field{}); err != nil {
		return nil, 0, err
	}
	return s.ints, s.at, nil
}

func (s *skimmer) broken(what string) error {
	return fmt.Errorf("%w: not a whole Parquet file: %s at offset %d of a Thrift struct", lockstep.ErrCorrupt, what, s.at)
}

func (s *skimmer) skip(n uint64) error {
	if n > uint64(len(s.in)-s.at) {
		return s.broken("a length beyond the end")
	}
	s.at += int(n)
	return nil
}

func (s *skimmer) byte() (byte, error) {
	if err := s.skip(1); err != nil {
		return 0, err
	}
	return s.in[s.at-1], nil
}

func (s *skimmer) uvarint() (uint64, error) {
	v, n := binary.Uvarint(s.in[s.at:])
	if n <= 0 {
		return 0, s.broken("a torn number")
	}
	s.at += n
	return v, nil
}

func (s *skimmer) varint() (int64, error) {
	u, err := s.uvarint()
	return int64(u>>1) ^ -int64(u&1), err
}

// structure walks fields until the stop byte.
func (s *skimmer) structure(depth int, parent field) error {
	if depth > maxThriftDepth {
		return s.broken("nesting too deep")
	}
	id := int16(0)
	for {
		b, err := s.byte()
		if err != nil || b == thriftStop {
			return err
		}
		if delta := b >> 4; delta != 0 {
			id += int16(delta)
		} else {
			v, err := s.varint()
			if err != nil {
				return err
			}
			id = int16(v)
		}
		name := field{outer: id}
		if depth == 1 {
			name = field{parent.outer, id}
		}
		if kind := b & 0x0f; kind == thriftTrue || kind == thriftFalse {
			s.note(depth, name, int64(thriftFalse-kind))
		} else if err := s.value(kind, depth, name); err != nil {
			return err
		}
	}
}

func (s *skimmer) note(depth int, name field, v int64) {
	if depth <= 1 {
		s.ints[name] = v
	}
}

// value walks one value that is not a boolean field.
func (s *skimmer) value(kind byte, depth int, name field) error {
	switch kind {
	case thriftTrue, thriftFalse, thriftByte: // booleans have a byte of their own in lists
		return s.skip(1)
	case thriftI16, thriftI32, thriftI64:
		v, err := s.varint()
		s.note(depth, name, v)
		return err
	case thriftDouble:
		return s.skip(8)
	case thriftBinary:
		n, err := s.uvarint()
		if err != nil {
			return err
		}
		return s.skip(n)
	case thriftList, thriftSet:
		return s.list(depth)
	case thriftStruct:
		return s.structure(depth+1, name)
	}
	return s.broken("an unknown type") // Parquet has no maps
}

func (s *skimmer) list(depth int) error {
	b, err := s.byte()
	if err != nil {
		return err
	}
	n := uint64(b >> 4)
	if n == 15 {
		if n, err = s.uvarint(); err != nil {
			return err
		}
	}
	if n > uint64(len(s.in)-s.at) { // every element takes a byte at least
		return s.broken("a list beyond the end")
	}
	for range n {
		// depth+2: the integers of an element have no name of their own.
		if err := s.value(b&0x0f, depth+2, field{}); err != nil {
			return err
		}
	}
	return nil
}
