package imports

import "bytes"

// formatted reads the rest of a format string by the rules of Python 3.12 (PEP 701),
// under which a field may hold the quotes of its string. What older ones accept is read
// the same way.
func (x *lexer) formatted(start int, quote []byte, raw rawness) error {
	for x.at < len(x.src) {
		rest := x.src[x.at:]
		switch {
		case bytes.HasPrefix(rest, quote):
			x.at += len(quote)
			return nil
		case bytes.HasPrefix(rest, []byte("{{")), bytes.HasPrefix(rest, []byte("}}")):
			x.at += 2
		case rest[0] == '{':
			if err := x.field(quote, raw); err != nil {
				return err
			}
		case x.endsIn(quote):
			return &lexError{start, "the string does not end"}
		default:
			x.literally(raw)
		}
	}
	return &lexError{start, "the string does not end"}
}

const maxCharacterName = 128 // bytes; the longest has 88

// rawness says whether a backslash is only a backslash.
type rawness bool

// literally passes one piece of a format string that is no field.
func (x *lexer) literally(raw rawness) {
	rest := x.src[x.at:]
	switch {
	case rest[0] != '\\':
		x.at++
	case !bool(raw) && bytes.HasPrefix(rest, []byte(`\N{`)):
		// The name of a character; without an end only what is certainly none of a field.
		x.at += max(2, bytes.IndexByte(rest[:min(len(rest), maxCharacterName)], '}')+1)
	case len(rest) > 1 && (rest[1] == '{' || rest[1] == '}'):
		x.at++ // the brace counts
	default:
		x.escape()
	}
}

// field reads {expression!r:specification}. Its braces are tokens, which keep what is
// inside apart from the statement around it; the specification has none but its fields.
func (x *lexer) field(quote []byte, raw rawness) error {
	start := x.at
	x.at++
	x.emit(op, start)
	outer := x.open
	x.open = append(outer, start) // no bracket in the field closes one outside of it
	for {
		if x.at >= len(x.src) {
			return &lexError{start, "the field does not end"}
		}
		if len(x.open) == len(outer)+1 {
			switch x.src[x.at] {
			case '}':
				x.at++
				x.open = outer
				x.emit(op, x.at-1)
				return nil
			case ':':
				x.at++
				x.open = outer
				return x.specification(start, quote, raw)
			}
		}
		if _, err := x.step(); err != nil {
			return err
		}
	}
}

// specification reads what is after the colon of a field, to the end of the field.
func (x *lexer) specification(start int, quote []byte, raw rawness) error {
	for x.at < len(x.src) {
		switch c := x.src[x.at]; {
		case c == '}':
			x.at++
			x.emit(op, x.at-1)
			return nil
		case c == '{':
			if x.formats++; x.formats > maxFormats {
				return &lexError{start, "too many fields in each other"}
			}
			err := x.field(quote, raw)
			x.formats--
			if err != nil {
				return err
			}
		case bytes.HasPrefix(x.src[x.at:], quote), x.endsIn(quote):
			return &lexError{start, "the field does not end"}
		default:
			x.literally(raw)
		}
	}
	return &lexError{start, "the field does not end"}
}
