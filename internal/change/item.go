package change

import (
	"encoding/base64"
	"fmt"
	"slices"
	"unicode/utf8"

	"lockstep/internal/lockstep"
)

// EncodeItem returns the canonical DynamoDB JSON of it: one spelling per item, so
// that equal items have equal bytes. Names are sorted, sets sorted and without
// repetition, binary values in padded base64, nothing escaped that need not be.
// A nil item is written as an empty one.
func EncodeItem(it lockstep.Item) []byte { return AppendItem(nil, it) }

// AppendItem appends what EncodeItem returns to dst.
func AppendItem(dst []byte, it lockstep.Item) []byte {
	var few [32]string
	names := few[:0]
	for n := range it {
		names = append(names, n)
	}
	slices.Sort(names)
	dst = append(dst, '{')
	for i, n := range names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendText(dst, n), ':')
		dst = appendAttr(dst, it[n])
	}
	return append(dst, '}')
}

// DecodeItem reads one item in DynamoDB JSON, canonical or not. It returns
// lockstep.ErrInvalid with the path at fault.
func DecodeItem(text []byte, limits Limits) (lockstep.Item, error) {
	limits = limits.resolved()
	if len(text) > limits.RecordBytes {
		return nil, fmt.Errorf("decode item: %w: %d bytes, at most %d", lockstep.ErrInvalid, len(text), limits.RecordBytes)
	}
	s := scanner{src: string(text), depth: limits.Depth}
	it, f := s.item(1)
	if f == nil {
		f = s.end()
	}
	if f != nil {
		return nil, fmt.Errorf("decode item: %w: %w", lockstep.ErrInvalid, f)
	}
	return it, nil
}

func appendAttr(dst []byte, a lockstep.Attr) []byte {
	dst = append(append(append(dst, `{"`...), a.Type...), `":`...)
	switch a.Type {
	case lockstep.AttrS, lockstep.AttrN, lockstep.AttrB:
		dst = appendScalar(dst, a.Type, a.Text)
	case lockstep.AttrBool:
		if a.Truth {
			dst = append(dst, "true"...)
		} else {
			dst = append(dst, "false"...)
		}
	case lockstep.AttrNull:
		dst = append(dst, "true"...)
	case lockstep.AttrM:
		dst = AppendItem(dst, a.Map)
	case lockstep.AttrL:
		dst = append(dst, '[')
		for i, e := range a.List {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendAttr(dst, e)
		}
		dst = append(dst, ']')
	case lockstep.AttrSS, lockstep.AttrNS, lockstep.AttrBS:
		dst = appendSet(dst, a)
	}
	return append(dst, '}')
}

func appendSet(dst []byte, a lockstep.Attr) []byte {
	set := a.Set
	if !slices.IsSorted(set) {
		set = slices.Clone(set)
		slices.Sort(set)
	}
	dst = append(dst, '[')
	for i, e := range set {
		if i > 0 {
			if e == set[i-1] {
				continue
			}
			dst = append(dst, ',')
		}
		dst = appendScalar(dst, elementOf(a.Type), e)
	}
	return append(dst, ']')
}

func appendScalar(dst []byte, t lockstep.AttrType, text string) []byte {
	if t != lockstep.AttrB {
		return appendText(dst, text)
	}
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, []byte(text))
	return append(dst, '"')
}

const lowerHex = "0123456789abcdef"

// appendText appends a JSON string. Only what JSON requires is escaped. Bytes that
// are not UTF-8, which Decode never lets in, become U+FFFD.
func appendText(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(append(dst, s[start:i]...), "\uFFFD"...)
				start = i + 1
			}
			i += size
			continue
		}
		if c >= 0x20 && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = appendEscape(append(dst, s[start:i]...), c)
		i++
		start = i
	}
	return append(append(dst, s[start:]...), '"')
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', lowerHex[c>>4], lowerHex[c&15])
}
