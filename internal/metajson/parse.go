package metajson

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"lockstep/internal/lockstep"
)

// MaxElements bounds the number of values in one metadata, list elements counted
// one by one: a short text must not become a large structure.
const MaxElements = 1 << 20

// ParseMetadataJSON is the reverse of AppendMetadataJSON. It returns ErrInvalid,
// with the offset in bytes, for every text that AppendMetadataJSON would not have
// written for a metadata that can be stored: other white space, order, escapes or
// number forms, null, nested objects, empty or mixed lists, an empty or repeated
// key, more than lockstep.MaxMetadataKeys keys. The strings of the result share
// the memory of s. The metadata of "{}" is nil.
func ParseMetadataJSON(s string) (lockstep.Metadata, error) {
	var p Parser
	return p.Parse(s)
}

// Parser parses many metadata and keeps its scratch space between them. The zero
// Parser is ready; one goroutine each.
type Parser struct {
	s      string
	i      int    // of the next byte to read
	bad    string // the first mistake; parsing goes on only while it is ""
	fields []lockstep.Field
	elems  []lockstep.Value
	num    []byte
	values int
}

// Parse is ParseMetadataJSON.
func (p *Parser) Parse(s string) (lockstep.Metadata, error) {
	p.s, p.i, p.bad, p.fields, p.values = s, 0, "", p.fields[:0], 0
	p.object()
	if p.bad == "" && p.i != len(s) {
		p.fail("surplus text")
	}
	if p.bad == "" && !utf8.ValidString(s) {
		p.fail("not UTF-8")
	}
	p.s = ""
	if p.bad != "" {
		clear(p.fields)
		return nil, fmt.Errorf("%w metadata JSON: byte %d: %s", lockstep.ErrInvalid, p.i, p.bad)
	}
	if len(p.fields) == 0 {
		return nil, nil
	}
	out := make(lockstep.Metadata, len(p.fields))
	copy(out, p.fields)
	clear(p.fields) // the scratch must not keep the text of past metadata alive
	return out, nil
}

func (p *Parser) fail(what string) {
	if p.bad == "" {
		p.bad = what
	}
}

// peek returns the next byte, and 0 at the end: a zero byte fits nowhere.
func (p *Parser) peek() byte {
	if p.i < len(p.s) {
		return p.s[p.i]
	}
	return 0
}

func (p *Parser) take(c byte) bool {
	if p.peek() != c {
		return false
	}
	p.i++
	return true
}

func (p *Parser) expect(c byte) {
	if p.bad == "" && !p.take(c) {
		p.fail("want " + strconv.QuoteRune(rune(c)))
	}
}

func (p *Parser) object() {
	p.expect('{')
	if p.take('}') {
		return
	}
	for p.bad == "" {
		key := p.str()
		switch n := len(p.fields); {
		case p.bad != "":
			return
		case key == "":
			p.fail("empty key")
		case n > 0 && p.fields[n-1].Key >= key:
			p.fail("key repeated or out of order")
		case n == lockstep.MaxMetadataKeys:
			p.fail("more than " + strconv.Itoa(n) + " keys")
		}
		p.expect(':')
		p.fields = append(p.fields, lockstep.Field{Key: key, Value: p.value()})
		if !p.take(',') {
			p.expect('}')
			return
		}
	}
}

// value reads one value of a field: a scalar or a list of scalars of one kind.
func (p *Parser) value() lockstep.Value {
	if p.bad != "" || !p.take('[') {
		return p.scalar()
	}
	p.elems = p.elems[:0]
	for p.bad == "" {
		e := p.scalar()
		if len(p.elems) > 0 && p.bad == "" && p.elems[0].Kind() != e.Kind() {
			p.fail("list of mixed kinds")
		}
		p.elems = append(p.elems, e)
		if !p.take(',') {
			p.expect(']')
			break
		}
	}
	out := lockstep.List(slices.Clone(p.elems))
	clear(p.elems)
	return out
}

func (p *Parser) scalar() lockstep.Value {
	if p.values++; p.values > MaxElements {
		p.fail("more than " + strconv.Itoa(MaxElements) + " values")
	}
	if p.bad != "" {
		return lockstep.Value{}
	}
	switch c := p.peek(); {
	case c == '"':
		return lockstep.String(p.str())
	case c == 't' && strings.HasPrefix(p.s[p.i:], "true"):
		p.i += len("true")
		return lockstep.Bool(true)
	case c == 'f' && strings.HasPrefix(p.s[p.i:], "false"):
		p.i += len("false")
		return lockstep.Bool(false)
	case c == '-' || '0' <= c && c <= '9':
		return p.number()
	}
	p.fail("want a string, number, truth value or list of those")
	return lockstep.Value{}
}

func (p *Parser) number() lockstep.Value {
	from, float := p.i, false
	for ; p.i < len(p.s); p.i++ {
		c := p.s[p.i]
		if c == '.' || c == 'e' {
			float = true
			continue
		}
		if c != '-' && c != '+' && (c < '0' || c > '9') {
			break
		}
	}
	text := p.s[from:p.i]
	if float {
		return p.float(text)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	p.num = strconv.AppendInt(p.num[:0], n, 10)
	if err != nil || string(p.num) != text {
		p.fail("integer out of range or not in shortest form")
	}
	return lockstep.Int(n)
}

func (p *Parser) float(text string) lockstep.Value {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) {
		p.fail("not a finite number")
		return lockstep.Value{}
	}
	v := lockstep.Float(f)
	p.num = appendFloat(p.num[:0], v.Float())
	if string(p.num) != text {
		p.fail("number not in shortest form")
	}
	return v
}

// str reads a string. One without escapes, nearly every one, is a piece of the
// text itself.
func (p *Parser) str() string {
	p.expect('"')
	from := p.i
	for ; p.i < len(p.s); p.i++ {
		switch c := p.s[p.i]; {
		case c == '"':
			p.i++
			return p.s[from : p.i-1]
		case c == '\\':
			return p.escaped(from)
		case c < ' ':
			p.fail("control character")
			return ""
		}
	}
	p.fail("string without end")
	return ""
}

func (p *Parser) escaped(from int) string {
	out := []byte(p.s[from:p.i])
	for p.i < len(p.s) {
		c := p.s[p.i]
		p.i++
		switch {
		case c == '"':
			return string(out)
		case c == '\\':
			out = append(out, p.escape())
		case c < ' ':
			p.fail("control character")
		default:
			out = append(out, c)
		}
		if p.bad != "" {
			return ""
		}
	}
	p.fail("string without end")
	return ""
}

// escape reads what follows a backslash.
func (p *Parser) escape() byte {
	c := p.peek()
	p.i++
	switch c {
	case '"', '\\':
		return c
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'u':
		return p.control()
	}
	p.fail("unknown escape")
	return 0
}

// control reads the four digits of a control character that has no short escape.
func (p *Parser) control() byte {
	if len(p.s)-p.i >= 4 && p.s[p.i:p.i+2] == "00" {
		high, low := strings.IndexByte("01", p.s[p.i+2]), strings.IndexByte(lowerHex, p.s[p.i+3])
		if c := byte(high<<4 | low); high >= 0 && low >= 0 && shortEscape(c) == 0 {
			p.i += 4
			return c
		}
	}
	p.fail("escape of what needs none")
	return 0
}
