package change

import "bytes"

// span is a stretch of input.
type span struct{ from, to int }

func (s span) of(text []byte) []byte { return text[s.from:s.to] }

// balance follows brackets and strings and nothing else. It finds where a value
// ends even when something inside is wrong, so that one bad record does not hide
// the next. It can be fed line by line.
type balance struct {
	open []byte // the closing brackets that are awaited
}

// The answers of balance.feed.
const (
	unfinished = -1 // brackets are open at the end of the text
	unbalanced = -2 // a bracket closes what it did not open, or a string does not end
)

// feed reads on from text[i] and returns the position after the value's last
// bracket, or unfinished, or unbalanced.
func (b *balance) feed(text []byte, i int) int {
	for i < len(text) {
		switch c := text[i]; c {
		case '{':
			b.open = append(b.open, '}')
		case '[':
			b.open = append(b.open, ']')
		case '"':
			end := stringEnd(text, i)
			if end < 0 {
				return unbalanced
			}
			i = end
			continue
		case '}', ']':
			top := len(b.open) - 1
			if top < 0 || b.open[top] != c {
				return unbalanced
			}
			if b.open = b.open[:top]; top == 0 {
				return i + 1
			}
		}
		i++
	}
	return unfinished
}

// stringEnd returns the position after the string that begins at text[i].
func stringEnd(text []byte, i int) int {
	for i++; ; {
		n := bytes.IndexByte(text[i:], '"')
		if n < 0 {
			return -1
		}
		back := i + n
		for back > i && text[back-1] == '\\' {
			back--
		}
		odd := (i + n - back) % 2
		i += n + 1
		if odd == 0 {
			return i
		}
	}
}

// valueEnd returns the position after the value that begins at text[i], whatever
// its type, or a negative answer of feed.
func valueEnd(text []byte, i int) int {
	if i >= len(text) {
		return unfinished
	}
	switch text[i] {
	case '{', '[':
		var b balance
		return b.feed(text, i)
	case '"':
		if end := stringEnd(text, i); end >= 0 {
			return end
		}
		return unbalanced
	}
	n := bytes.IndexAny(text[i:], ",]} \t\r\n")
	if n == 0 {
		return unbalanced
	}
	if n < 0 {
		return len(text)
	}
	return i + n
}

func skipBlank(text []byte, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\t' || text[i] == '\r' || text[i] == '\n') {
		i++
	}
	return i
}

// elements returns the stretches of the elements of the array text, at most most+1
// of them.
func elements(text []byte, most int) ([]span, *fault) {
	i := skipBlank(text, 1)
	var out []span
	if i < len(text) && text[i] == ']' {
		return nil, nil
	}
	for len(out) <= most {
		end := valueEnd(text, i)
		if end < 0 {
			return nil, faultf("broken at byte %d", i).at(len(out))
		}
		out = append(out, span{i, end})
		i = skipBlank(text, end)
		if i >= len(text) || text[i] != ',' {
			if i == len(text)-1 && text[i] == ']' {
				return out, nil
			}
			return nil, faultf(`want "," or "]" at byte %d`, i).at(len(out))
		}
		i = skipBlank(text, i+1)
	}
	return out, nil
}

// member is one member of an object: its decoded name and where its value stands.
type member struct {
	name  string
	value span
}

// members returns the members of the object text.
func members(text []byte) ([]member, *fault) {
	i := skipBlank(text, 1)
	var out []member
	if i < len(text) && text[i] == '}' {
		return nil, nil
	}
	for {
		if i >= len(text) || text[i] != '"' {
			return nil, faultf("want a string at byte %d", i)
		}
		end := stringEnd(text, i)
		if end < 0 {
			return nil, faultf("the string at byte %d does not end", i)
		}
		s := scanner{src: string(text[i:end])}
		name, f := s.text()
		if f != nil {
			return nil, f
		}
		i = skipBlank(text, end)
		if i >= len(text) || text[i] != ':' {
			return nil, faultf(`want ":" at byte %d`, i)
		}
		i = skipBlank(text, i+1)
		if end = valueEnd(text, i); end < 0 {
			return nil, faultf("broken at byte %d", i).in(segment(name))
		}
		out = append(out, member{name, span{i, end}})
		i = skipBlank(text, end)
		if i < len(text) && text[i] == ',' {
			i = skipBlank(text, i+1)
			continue
		}
		if i == len(text)-1 && text[i] == '}' {
			return out, nil
		}
		return nil, faultf(`want "," or "}" at byte %d`, i)
	}
}
