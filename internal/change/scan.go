package change

import (
	"unicode/utf16"
	"unicode/utf8"
)

// scanner reads JSON strictly: RFC 8259 with duplicate names, invalid UTF-8 and
// lone surrogates refused, which encoding/json lets pass or repairs. It reads from
// a string so that values without escapes are slices of the input, not copies.
type scanner struct {
	src       string
	pos       int
	depth     int  // how deep attribute values may nest
	canonical bool // accept only what AppendItem writes
}

func (s *scanner) ws() {
	if s.canonical {
		return
	}
	for s.pos < len(s.src) {
		switch s.src[s.pos] {
		case ' ', '\t', '\r', '\n':
			s.pos++
		default:
			return
		}
	}
}

func (s *scanner) unexpected(want string) *fault {
	if s.pos >= len(s.src) {
		return faultf("want %s, found the end at byte %d", want, s.pos)
	}
	r, _ := utf8.DecodeRuneInString(s.src[s.pos:])
	return faultf("want %s, found %q at byte %d", want, r, s.pos)
}

func (s *scanner) peek() byte {
	if s.pos < len(s.src) {
		return s.src[s.pos]
	}
	return 0
}

// open consumes the bracket that begins an object or array and says whether a
// member or element follows.
func (s *scanner) open(begin, end byte) (bool, *fault) {
	s.ws()
	if s.peek() != begin {
		if begin == '{' {
			return false, s.unexpected("an object")
		}
		return false, s.unexpected("an array")
	}
	s.pos++
	s.ws()
	if s.peek() == end {
		s.pos++
		return false, nil
	}
	return true, nil
}

// more consumes what stands after a member or element and says whether another
// one follows.
func (s *scanner) more(end byte) (bool, *fault) {
	s.ws()
	switch s.peek() {
	case ',':
		s.pos++
		return true, nil
	case end:
		s.pos++
		return false, nil
	}
	return false, s.unexpected(`"," or "` + string(end) + `"`)
}

// name reads a member's name and its colon.
func (s *scanner) name() (string, *fault) {
	n, f := s.text()
	if f != nil {
		return "", f
	}
	s.ws()
	if s.peek() != ':' {
		return "", s.unexpected(`":"`)
	}
	s.pos++
	return n, nil
}

// end refuses what stands after the value.
func (s *scanner) end() *fault {
	s.ws()
	if s.pos < len(s.src) {
		return s.unexpected("nothing more")
	}
	return nil
}

// text reads a string.
func (s *scanner) text() (string, *fault) {
	s.ws()
	if s.peek() != '"' {
		return "", s.unexpected("a string")
	}
	start := s.pos + 1
	src := s.src[start:]
	var high byte
	for i := 0; i < len(src); i++ {
		c := src[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			high |= c
			continue
		}
		switch c {
		case '"':
			if high >= utf8.RuneSelf && !utf8.ValidString(src[:i]) {
				return "", faultf("invalid UTF-8 in the string at byte %d", s.pos)
			}
			s.pos = start + i + 1
			return src[:i], nil
		case '\\':
			return s.escaped(start)
		}
		return "", faultf("control character %#02x in a string at byte %d", c, start+i)
	}
	return "", faultf("the string at byte %d does not end", s.pos)
}

// escaped reads the rest of a string that has escapes; start is its first byte.
func (s *scanner) escaped(start int) (string, *fault) {
	out := make([]byte, 0, 64)
	i := start
	for i < len(s.src) {
		c := s.src[i]
		switch {
		case c == '"':
			if !utf8.Valid(out) {
				return "", faultf("invalid UTF-8 in the string at byte %d", start-1)
			}
			s.pos = i + 1
			t := string(out)
			if s.canonical && string(appendText(nil, t)) != s.src[start-1:s.pos] {
				return "", faultf("the string at byte %d is not escaped in the canonical way", start-1)
			}
			return t, nil
		case c == '\\':
			var f *fault
			if out, i, f = s.escape(out, i+1); f != nil {
				return "", f
			}
		case c < 0x20:
			return "", faultf("control character %#02x in a string at byte %d", c, i)
		default:
			out = append(out, c)
			i++
		}
	}
	return "", faultf("the string at byte %d does not end", start-1)
}

// escape decodes the escape whose letter is at i and returns where it ends.
func (s *scanner) escape(out []byte, i int) ([]byte, int, *fault) {
	var c byte
	if i < len(s.src) {
		c = s.src[i]
	}
	switch c {
	case '"', '\\', '/':
		return append(out, c), i + 1, nil
	case 'b':
		return append(out, '\b'), i + 1, nil
	case 'f':
		return append(out, '\f'), i + 1, nil
	case 'n':
		return append(out, '\n'), i + 1, nil
	case 'r':
		return append(out, '\r'), i + 1, nil
	case 't':
		return append(out, '\t'), i + 1, nil
	case 'u':
		r, ok := s.hex(i + 1)
		if !ok {
			break
		}
		i += 5
		if !utf16.IsSurrogate(r) {
			return utf8.AppendRune(out, r), i, nil
		}
		if i+1 < len(s.src) && s.src[i] == '\\' && s.src[i+1] == 'u' {
			if low, ok := s.hex(i + 2); ok {
				if full := utf16.DecodeRune(r, low); full != utf8.RuneError {
					return utf8.AppendRune(out, full), i + 6, nil
				}
			}
		}
		return nil, 0, faultf("half a surrogate pair in a string at byte %d", i-6)
	}
	return nil, 0, faultf("unknown escape in a string at byte %d", i-1)
}

func (s *scanner) hex(i int) (rune, bool) {
	if i+4 > len(s.src) {
		return 0, false
	}
	var r rune
	for _, c := range []byte(s.src[i : i+4]) {
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case 'A' <= c && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// word consumes w, a literal, if it comes next.
func (s *scanner) word(w string) bool {
	s.ws()
	if len(s.src)-s.pos < len(w) || s.src[s.pos:s.pos+len(w)] != w {
		return false
	}
	s.pos += len(w)
	return true
}

// truth reads true or false.
func (s *scanner) truth() (bool, *fault) {
	if s.word("true") {
		return true, nil
	}
	if s.word("false") {
		return false, nil
	}
	return false, s.unexpected("true or false")
}
