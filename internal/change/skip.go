package change

import "slices"

// skip reads one value of any type, with the same strictness, and returns its text.
// depth is how many more levels of nesting are allowed.
func (s *scanner) skip(depth int) (string, *fault) {
	s.ws()
	start := s.pos
	f := s.skipValue(depth)
	return s.src[start:s.pos], f
}

func (s *scanner) skipValue(depth int) *fault {
	if depth <= 0 {
		return faultf("nested too deeply at byte %d", s.pos)
	}
	switch c := s.peek(); {
	case c == '{':
		return s.skipObject(depth)
	case c == '[':
		return s.skipArray(depth)
	case c == '"':
		_, f := s.text()
		return f
	case c == '-' || '0' <= c && c <= '9':
		_, f := s.number()
		return f
	case s.word("true") || s.word("false") || s.word("null"):
		return nil
	}
	return s.unexpected("a value")
}

func (s *scanner) skipObject(depth int) *fault {
	var seen names
	more, f := s.open('{', '}')
	for more && f == nil {
		var n string
		if n, f = s.name(); f != nil {
			return f
		}
		if !seen.add(n) {
			return faultf("the name appears twice").in(segment(n))
		}
		if _, f = s.skip(depth - 1); f != nil {
			return f.in(segment(n))
		}
		more, f = s.more('}')
	}
	return f
}

func (s *scanner) skipArray(depth int) *fault {
	more, f := s.open('[', ']')
	for i := 0; more && f == nil; i++ {
		if _, f = s.skip(depth - 1); f != nil {
			return f.at(i)
		}
		more, f = s.more(']')
	}
	return f
}

// number reads a JSON number and returns its text.
func (s *scanner) number() (string, *fault) {
	s.ws()
	start := s.pos
	if s.peek() == '-' {
		s.pos++
	}
	first := s.peek()
	if n := s.digits(); n == 0 || first == '0' && n > 1 {
		s.pos = start
		return "", s.unexpected("a number")
	}
	if s.peek() == '.' {
		s.pos++
		if s.digits() == 0 {
			return "", s.unexpected("a digit")
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		if s.digits() == 0 {
			return "", s.unexpected("a digit")
		}
	}
	return s.src[start:s.pos], nil
}

func (s *scanner) digits() int {
	start := s.pos
	for c := s.peek(); '0' <= c && c <= '9'; c = s.peek() {
		s.pos++
	}
	return s.pos - start
}

// names is a set of member names that needs no map while it is small.
type names struct {
	few  []string
	many map[string]struct{}
}

// add says whether n is new.
func (n *names) add(name string) bool {
	const small = 16
	if n.many == nil {
		if slices.Contains(n.few, name) {
			return false
		}
		n.few = append(n.few, name)
		if len(n.few) > small {
			n.many = make(map[string]struct{}, 2*small)
			for _, s := range n.few {
				n.many[s] = struct{}{}
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
