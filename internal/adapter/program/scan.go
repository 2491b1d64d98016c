package program

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// scanner reads JSON from a program that nobody trusts. encoding/json would take a
// name in the wrong case, a name twice and half a surrogate pair in silence.
//
// The first mistake stays in err; every method does nothing after it.
type scanner struct {
	src  string
	pos  int
	path []string // where we are, for the mistake
	err  error
}

func (s *scanner) fail(format string, args ...any) {
	if s.err != nil {
		return
	}
	at := strings.Join(s.path, "")
	if at != "" {
		at = strings.TrimPrefix(at, ".") + ": "
	}
	s.err = fmt.Errorf("%s%w", at, fmt.Errorf(format, args...))
}

// peek passes over white space and returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	for s.pos < len(s.src) {
		switch c := s.src[s.pos]; c {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

// expect reads c, or fails with what there is instead.
func (s *scanner) expect(c byte, what string) bool {
	if s.err != nil {
		return false
	}
	got := s.peek()
	if got == c {
		s.pos++
		return true
	}
	s.fail("want %s at byte %d, found %s", what, s.pos, found(s.src[s.pos:]))
	return false
}

func found(rest string) string {
	if rest == "" {
		return "the end"
	}
	r, _ := utf8.DecodeRuneInString(rest)
	return strconv.QuoteRune(r)
}

// object calls member for each name; member reads the value. A name that comes
// twice is a mistake.
func (s *scanner) object(member func(name string)) {
	if !s.expect('{', "an object") {
		return
	}
	if s.peek() == '}' {
		s.pos++
		return
	}
	var names seen
	for s.err == nil {
		if s.peek() != '"' {
			s.expect('"', "a name")
			return
		}
		name := s.str()
		s.expect(':', "a colon")
		if s.err != nil {
			return
		}
		s.path = append(s.path, "."+clip(name))
		if !names.add(name) {
			s.fail("the name comes twice")
		}
		member(name)
		s.path = s.path[:len(s.path)-1]
		if s.err == nil && s.peek() == ',' {
			s.pos++
			continue
		}
		s.expect('}', "a comma or the end of the object")
		return
	}
}

// array calls element for each index; element reads the value.
func (s *scanner) array(element func(i int)) {
	if !s.expect('[', "an array") {
		return
	}
	if s.peek() == ']' {
		s.pos++
		return
	}
	for i := 0; s.err == nil; i++ {
		s.path = append(s.path, "["+strconv.Itoa(i)+"]")
		element(i)
		s.path = s.path[:len(s.path)-1]
		if s.err == nil && s.peek() == ',' {
			s.pos++
			continue
		}
		s.expect(']', "a comma or the end of the array")
		return
	}
}

// unknown is the mistake of a member that the protocol does not have.
func (s *scanner) unknown(name string) { s.fail("unknown member %q", clip(name)) }

// null reads null if that is what comes next.
func (s *scanner) null() bool { return s.word("null") }

func (s *scanner) word(w string) bool {
	s.peek()
	if s.err != nil || !strings.HasPrefix(s.src[s.pos:], w) {
		return false
	}
	s.pos += len(w)
	return true
}

func (s *scanner) truth() bool {
	switch {
	case s.word("true"):
		return true
	case s.word("false"):
	default:
		s.fail("want true or false at byte %d", s.pos)
	}
	return false
}

// number returns the text of a number in the grammar of JSON.
func (s *scanner) number() string {
	s.peek()
	start := s.pos
	digits := func() bool {
		from := s.pos
		for s.pos < len(s.src) && '0' <= s.src[s.pos] && s.src[s.pos] <= '9' {
			s.pos++
		}
		return s.pos > from
	}
	is := func(set string) bool { return s.pos < len(s.src) && strings.IndexByte(set, s.src[s.pos]) >= 0 }
	if is("-") {
		s.pos++
	}
	whole := s.pos
	ok := digits() && (s.src[whole] != '0' || s.pos == whole+1)
	if ok && is(".") {
		s.pos++
		ok = digits()
	}
	if ok && is("eE") {
		s.pos++
		if is("+-") {
			s.pos++
		}
		ok = digits()
	}
	if !ok {
		s.pos = start
		s.fail("want a number at byte %d, found %s", start, found(s.src[start:]))
		return ""
	}
	return s.src[start:s.pos]
}

// integer reads a whole number from 0 to most, without a point or an exponent.
func (s *scanner) integer(most int64) int64 {
	text := s.number()
	if s.err != nil {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > most {
		s.fail("%s is not a whole number from 0 to %d", clip(text), most)
		return 0
	}
	return n
}

// str reads a string. One without escapes shares the memory of the line.
func (s *scanner) str() string {
	if !s.expect('"', "a string") {
		return ""
	}
	start := s.pos
	for ; s.pos < len(s.src); s.pos++ {
		switch c := s.src[s.pos]; {
		case c == '"':
			s.pos++
			return s.src[start : s.pos-1]
		case c == '\\':
			return s.escaped(start)
		case c < ' ':
			s.fail("control character %q in a string at byte %d", c, s.pos)
			return ""
		}
	}
	s.fail("the string at byte %d does not end", start-1)
	return ""
}

func (s *scanner) escaped(start int) string {
	out := []byte(s.src[start:s.pos])
	for s.pos < len(s.src) && s.err == nil {
		c := s.src[s.pos]
		switch {
		case c == '"':
			s.pos++
			return string(out)
		case c < ' ':
			s.fail("control character %q in a string at byte %d", c, s.pos)
		case c == '\\':
			out = s.escape(out)
		default:
			out = append(out, c)
			s.pos++
		}
	}
	s.fail("the string at byte %d does not end", start-1)
	return ""
}

func (s *scanner) escape(out []byte) []byte {
	at := s.pos
	if at+1 >= len(s.src) {
		s.pos = len(s.src)
		return out
	}
	s.pos += 2
	const letters, meanings = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	if i := strings.IndexByte(letters, s.src[at+1]); i >= 0 {
		return append(out, meanings[i])
	}
	if s.src[at+1] != 'u' {
		s.fail("unknown escape in a string at byte %d", at)
		return out
	}
	r := s.hex()
	if utf16.IsSurrogate(r) {
		low := rune(-1)
		if strings.HasPrefix(s.src[s.pos:], `\u`) {
			s.pos += 2
			low = s.hex()
		}
		if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
			s.fail("half a surrogate pair in a string at byte %d", at)
		}
	}
	return utf8.AppendRune(out, r)
}

func (s *scanner) hex() rune {
	if len(s.src)-s.pos < 4 {
		s.fail("unknown escape in a string at byte %d", s.pos)
		return 0
	}
	n, err := strconv.ParseUint(s.src[s.pos:s.pos+4], 16, 16)
	if err != nil {
		s.fail("unknown escape in a string at byte %d", s.pos)
	}
	s.pos += 4
	return rune(n)
}

// end fails when something follows.
func (s *scanner) end() {
	if s.peek(); s.pos < len(s.src) {
		s.fail("surplus text at byte %d", s.pos)
	}
}

// seen remembers names: few in a list, many in a map.
type seen struct {
	few  []string
	many map[string]struct{}
}

const fewNames = 16

// add says whether name is new.
func (n *seen) add(name string) bool {
	if n.many == nil {
		if slices.Contains(n.few, name) {
			return false
		}
		if n.few = append(n.few, name); len(n.few) > fewNames {
			n.many = make(map[string]struct{}, 2*len(n.few))
			for _, f := range n.few {
				n.many[f] = struct{}{}
			}
		}
		return true
	}
	if _, ok := n.many[name]; ok {
		return false
	}
	n.many[name] = struct{}{}
	return true
}

// clip bounds what a message quotes.
func clip(text string) string {
	const most = 80
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
