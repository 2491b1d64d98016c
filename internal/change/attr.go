package change

import (
	"encoding/base64"
	"slices"
	"strings"

	"lockstep/internal/lockstep"
)

// item reads an object of attributes: an image, the keys, or the value of an M.
func (s *scanner) item(depth int) (lockstep.Item, *fault) {
	more, f := s.open('{', '}')
	it := make(lockstep.Item, s.sizeHint(depth))
	last := ""
	for more && f == nil {
		var name string
		if name, f = s.name(); f != nil {
			return nil, f
		}
		if f = s.checkName(it, name, last); f != nil {
			return nil, f
		}
		last = name
		a, f := s.attr(depth)
		if f != nil {
			return nil, f.in(segment(name))
		}
		it[name] = a
		if more, f = s.more('}'); f != nil {
			return nil, f
		}
	}
	return it, f
}

// sizeHint guesses how many attributes a whole item has: growing a map costs more
// than reading what goes into it. It is bounded whatever the input claims.
func (s *scanner) sizeHint(depth int) int {
	const bytesPerAttr, most = 48, 14
	if depth > 1 {
		return 0
	}
	return min((len(s.src)-s.pos)/bytesPerAttr, most)
}

// attr reads one attribute value, {"<type>": <value>}.
func (s *scanner) attr(depth int) (lockstep.Attr, *fault) {
	if depth > s.depth {
		return lockstep.Attr{}, faultf("nested more than %d levels deep", s.depth)
	}
	more, f := s.open('{', '}')
	if f != nil {
		return lockstep.Attr{}, f
	}
	if !more {
		return lockstep.Attr{}, faultf("no type")
	}
	name, f := s.name()
	if f != nil {
		return lockstep.Attr{}, f
	}
	a, f := s.typed(name, depth)
	if f != nil {
		return lockstep.Attr{}, f
	}
	if more, f = s.more('}'); f != nil {
		return lockstep.Attr{}, f
	}
	if more {
		return lockstep.Attr{}, faultf("two types in one attribute")
	}
	return a, nil
}

func (s *scanner) typed(name string, depth int) (a lockstep.Attr, f *fault) {
	switch t := lockstep.AttrType(name); t {
	case lockstep.AttrS:
		a.Type = lockstep.AttrS
		a.Text, f = s.text()
	case lockstep.AttrN, lockstep.AttrB:
		a.Type = t
		a.Text, f = s.scalar(t)
	case lockstep.AttrBool:
		a.Type = t
		a.Truth, f = s.truth()
	case lockstep.AttrNull:
		a.Type = t
		if !s.word("true") {
			f = s.unexpected("true")
		}
	case lockstep.AttrM:
		a.Type = t
		a.Map, f = s.item(depth + 1)
	case lockstep.AttrL:
		a.Type = t
		a.List, f = s.list(depth + 1)
	case lockstep.AttrSS, lockstep.AttrNS, lockstep.AttrBS:
		a.Type = t
		a.Set, f = s.set(t)
	default:
		return a, faultf("unknown type %s", segment(name))
	}
	if f != nil {
		return a, f.in(name)
	}
	return a, nil
}

// scalar reads the text of an S, N or B.
func (s *scanner) scalar(t lockstep.AttrType) (string, *fault) {
	text, f := s.text()
	if f != nil || t == lockstep.AttrS {
		return text, f
	}
	if t == lockstep.AttrN {
		return text, checkNumber(text)
	}
	// The decoder skips line breaks, which would give one value two spellings.
	if strings.ContainsAny(text, "\r\n") {
		return "", faultf("not base64")
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return "", faultf("not base64")
	}
	return string(raw), nil
}

func (s *scanner) list(depth int) ([]lockstep.Attr, *fault) {
	var out []lockstep.Attr
	more, f := s.open('[', ']')
	for i := 0; more && f == nil; i++ {
		a, f := s.attr(depth)
		if f != nil {
			return nil, f.at(i)
		}
		out = append(out, a)
		if more, f = s.more(']'); f != nil {
			return nil, f
		}
	}
	return out, f
}

// set reads an SS, NS or BS. It is returned sorted: a set has no order, DynamoDB
// promises none, and an item must look the same whether it comes from the stream
// or from the mirror.
func (s *scanner) set(t lockstep.AttrType) ([]string, *fault) {
	var out []string
	more, f := s.open('[', ']')
	for i := 0; more && f == nil; i++ {
		text, f := s.scalar(elementOf(t))
		if f != nil {
			return nil, f.at(i)
		}
		out = append(out, text)
		if more, f = s.more(']'); f != nil {
			return nil, f
		}
	}
	if f != nil {
		return nil, f
	}
	if len(out) == 0 {
		return nil, faultf("an empty set, which DynamoDB does not have")
	}
	if !slices.IsSorted(out) {
		if s.canonical {
			return nil, faultf("the set is not sorted")
		}
		slices.Sort(out)
	}
	for i := 1; i < len(out); i++ {
		if out[i] == out[i-1] {
			return nil, faultf("an element appears twice in the set")
		}
	}
	return out, nil
}

// elementOf returns the type of the elements of a set.
func elementOf(set lockstep.AttrType) lockstep.AttrType { return set[:1] }

// checkName refuses a name that it already holds, and in canonical text one that
// does not come after the last.
func (s *scanner) checkName(it lockstep.Item, name, last string) *fault {
	if name == "" {
		return faultf("an empty attribute name")
	}
	if s.canonical && name > last {
		return nil
	}
	if _, ok := it[name]; ok {
		return faultf("the name appears twice").in(segment(name))
	}
	if s.canonical {
		return faultf("the names are not sorted").in(segment(name))
	}
	return nil
}
