package imports

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// kind of a Python token. Numbers are operators to us.
type kind uint8

const (
	op     kind = iota
	name        // keywords too
	text        // a string or bytes literal
	format      // an f- or t-string; the tokens of its fields follow
)

// token is src[start:end].
type token struct {
	kind       kind
	start, end int32
}

// As in CPython.
const (
	maxFormats  = 150 // format strings in each other
	maxBrackets = 200 // brackets in each other
)

// lexer cuts Python source into logical lines. It knows no grammar: it is right about
// where strings, comments, brackets and lines end, for source of any Python, and refuses
// what no Python can read.
type lexer struct {
	src      []byte
	at       int
	open     []int // where the brackets stand that are open
	formats  int   // format strings that are open
	tokens   []token
	comments []token
}

// lexError is source that is no Python, and where.
type lexError struct {
	offset int
	reason string
}

func (e *lexError) Error() string { return fmt.Sprintf("byte %d: %s", e.offset, e.reason) }

// line reads the next logical line that holds a token. indent is its column, with tabs
// to multiples of eight. Its tokens are valid until the next call; none is the end.
func (x *lexer) line() (indent int, tokens []token, err error) {
	x.tokens = x.tokens[:0]
	for x.at < len(x.src) && len(x.tokens) == 0 {
		indent = x.indent()
		for ended := false; !ended && err == nil; {
			ended, err = x.step()
		}
		if err != nil {
			return 0, nil, err
		}
	}
	return indent, x.tokens, nil
}

func (x *lexer) indent() int {
	column := 0
	for ; x.at < len(x.src); x.at++ {
		switch x.src[x.at] {
		case ' ':
			column++
		case '\t':
			column = column/8*8 + 8
		case '\f':
			column = 0
		default:
			return column
		}
	}
	return column
}

// step reads one token or what is between them; ended says that the logical line is over.
func (x *lexer) step() (ended bool, err error) {
	if x.at >= len(x.src) {
		if len(x.open) > 0 {
			return true, &lexError{x.open[len(x.open)-1], "the bracket is never closed"}
		}
		return true, nil
	}
	switch c := x.src[x.at]; {
	case c == ' ' || c == '\t' || c == '\f':
		x.at++
	case c == '\n' || c == '\r':
		x.newline()
		return len(x.open) == 0, nil
	case c == '#':
		start := x.at
		for x.at < len(x.src) && x.src[x.at] != '\n' && x.src[x.at] != '\r' {
			x.at++
		}
		x.comments = append(x.comments, token{op, int32(start), int32(x.at)})
	case c == '\\' && x.at+1 < len(x.src) && (x.src[x.at+1] == '\n' || x.src[x.at+1] == '\r'):
		x.at++
		x.newline()
	case c == '"' || c == '\'':
		return false, x.literal(x.at)
	case isNameByte(c) && !isDigit(c):
		return false, x.word()
	case isDigit(c) || c == '.' && x.at+1 < len(x.src) && isDigit(x.src[x.at+1]):
		start := x.at
		for x.at < len(x.src) && (isNameByte(x.src[x.at]) || x.src[x.at] == '.') {
			x.at++
		}
		x.emit(op, start)
	default:
		return false, x.operator(c)
	}
	return false, nil
}

func (x *lexer) operator(c byte) error {
	start := x.at
	x.at++
	switch c {
	case '(', '[', '{':
		if x.open = append(x.open, start); len(x.open) > maxBrackets {
			return &lexError{start, "too many brackets in each other"}
		}
	case ')', ']', '}':
		if len(x.open) == 0 || closing(x.src[x.open[len(x.open)-1]]) != c {
			return &lexError{start, "the bracket was never opened"}
		}
		x.open = x.open[:len(x.open)-1]
	case ':', '=', '!', '<', '>': // so that a comparison is not read as an assignment
		if x.at < len(x.src) && x.src[x.at] == '=' {
			x.at++
		}
	}
	x.emit(op, start)
	return nil
}

func closing(open byte) byte {
	if open == '(' {
		return ')'
	}
	return open + 2 // in ASCII
}

// newline passes one end of a line, of which CR LF is one.
func (x *lexer) newline() {
	if bytes.HasPrefix(x.src[x.at:], []byte("\r\n")) {
		x.at++
	}
	x.at++
}

func (x *lexer) emit(k kind, start int) {
	x.tokens = append(x.tokens, token{k, int32(start), int32(x.at)})
}

// word reads a name, or the letters before a string.
func (x *lexer) word() error {
	start := x.at
	for x.at < len(x.src) && isNameByte(x.src[x.at]) {
		x.at++
	}
	if x.at < len(x.src) && (x.src[x.at] == '"' || x.src[x.at] == '\'') && isPrefix(x.src[start:x.at]) {
		return x.literal(start)
	}
	x.emit(name, start)
	return nil
}

func isPrefix(word []byte) bool {
	switch strings.ToLower(string(word)) {
	case "r", "u", "b", "f", "t", "br", "rb", "fr", "rf", "tr", "rt", "ur":
		return true
	}
	return false
}

// literal reads a string whose prefix begins at start and whose quote is next.
func (x *lexer) literal(start int) error {
	prefix := bytes.ToLower(x.src[start:x.at])
	quote := x.src[x.at : x.at+1]
	if triple := bytes.Repeat(quote, 3); bytes.HasPrefix(x.src[x.at:], triple) {
		quote = triple
	}
	x.at += len(quote)
	if bytes.ContainsAny(prefix, "ft") {
		// Its fields hold code; the token comes first, with the end of its opening.
		x.emit(format, start)
		if x.formats++; x.formats > maxFormats {
			return &lexError{start, "too many format strings in each other"}
		}
		defer func() { x.formats-- }()
		return x.formatted(start, quote, rawness(bytes.ContainsRune(prefix, 'r')))
	}
	for x.at < len(x.src) {
		switch {
		case bytes.HasPrefix(x.src[x.at:], quote):
			x.at += len(quote)
			x.emit(text, start)
			return nil
		case x.escape():
		case x.endsIn(quote):
			return &lexError{start, "the string does not end"}
		default:
			x.at++
		}
	}
	return &lexError{start, "the string does not end"}
}

// escape passes a backslash and what it stands before: a quote does not end a string
// after it, in raw strings either.
func (x *lexer) escape() bool {
	if x.src[x.at] != '\\' {
		return false
	}
	x.at++
	switch {
	case x.at >= len(x.src):
	case x.src[x.at] == '\r':
		x.newline()
	default:
		x.at++
	}
	return true
}

// endsIn says whether the line ends here inside a string that may not hold one.
func (x *lexer) endsIn(quote []byte) bool {
	return len(quote) == 1 && (x.src[x.at] == '\n' || x.src[x.at] == '\r')
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isNameByte(c byte) bool {
	return c == '_' || isDigit(c) || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c >= utf8.RuneSelf
}
