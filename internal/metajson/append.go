// Package metajson answers: how is a record's metadata written as JSON so that
// nothing of it is lost and equal metadata is equal text?
//
// There is one text for each metadata: an object with its keys sorted by bytes,
// no white space, integers without and floats always with a decimal point or an
// exponent (CHROMA and so Lockstep keep 1 and 1.0 apart), floats in the shortest
// form that reads back as the same float64, lists as arrays, and in strings only
// the escapes that JSON demands. Any JSON reader understands it; the parser here
// accepts this one form and nothing else, so text can stand for its value.
package metajson

import (
	"math"
	"strconv"

	"lockstep/internal/lockstep"
)

// AppendMetadataJSON appends the JSON object of m, which must pass
// lockstep.Metadata.Check, and returns the longer slice. Strings are written as
// they are: text that is not UTF-8 becomes JSON that is not UTF-8, and
// ParseMetadataJSON refuses it, as it refuses what comes of a value that does not
// pass Check.
func AppendMetadataJSON(dst []byte, m lockstep.Metadata) []byte {
	dst = append(dst, '{')
	for i := range m {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, m[i].Key)
		dst = append(dst, ':')
		dst = appendValue(dst, m[i].Value)
	}
	return append(dst, '}')
}

func appendValue(dst []byte, v lockstep.Value) []byte {
	switch v.Kind() {
	case lockstep.KindString:
		return appendString(dst, v.Str())
	case lockstep.KindInt:
		return strconv.AppendInt(dst, v.Int(), 10)
	case lockstep.KindFloat:
		return appendFloat(dst, v.Float())
	case lockstep.KindBool:
		return strconv.AppendBool(dst, v.Bool())
	case lockstep.KindList:
		dst = append(dst, '[')
		for i, e := range v.Elems() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendValue(dst, e)
		}
		return append(dst, ']')
	}
	return append(dst, "null"...)
}

// appendFloat switches to an exponent where ECMAScript does, so that common
// numbers look common, and adds ".0" to what would read as an integer.
func appendFloat(dst []byte, f float64) []byte {
	format, abs := byte('f'), math.Abs(f)
	if abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	from := len(dst)
	dst = strconv.AppendFloat(dst, f, format, -1, 64)
	for _, c := range dst[from:] {
		if c == '.' || c == 'e' {
			return dst
		}
	}
	return append(dst, ".0"...)
}

const lowerHex = "0123456789abcdef"

func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	done := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[done:i]...)
		done = i + 1
		if short := shortEscape(c); short != 0 {
			dst = append(dst, '\\', short)
			continue
		}
		dst = append(dst, '\\', 'u', '0', '0', lowerHex[c>>4], lowerHex[c&15])
	}
	dst = append(dst, s[done:]...)
	return append(dst, '"')
}

// shortEscape returns the letter that stands for c behind a backslash, 0 if none.
func shortEscape(c byte) byte {
	switch c {
	case '"', '\\':
		return c
	case '\b':
		return 'b'
	case '\f':
		return 'f'
	case '\n':
		return 'n'
	case '\r':
		return 'r'
	case '\t':
		return 't'
	}
	return 0
}
