package mapping

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// template is text with references to named groups: "PRODUCT#{partition.id}".
// "{{" and "}}" stand for the braces themselves.
type template struct {
	parts []part
}

// part is a literal, or a reference when ref is set.
type part struct {
	literal string
	ref     string
}

var errBrace = errors.New(`a brace that is not closed or opened; write {{ or }} for the character`)

var refName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$`)

func parseTemplate(s string) (template, error) {
	var t template
	var literal strings.Builder
	flush := func() {
		if literal.Len() > 0 {
			t.parts = append(t.parts, part{literal: literal.String()})
			literal.Reset()
		}
	}
	for s != "" {
		i := strings.IndexAny(s, "{}")
		if i < 0 {
			literal.WriteString(s)
			break
		}
		literal.WriteString(s[:i])
		brace := s[i]
		s = s[i+1:]
		switch {
		case s != "" && s[0] == brace:
			literal.WriteByte(brace)
			s = s[1:]
		case brace == '}':
			return template{}, errBrace
		default:
			ref, rest, ok := strings.Cut(s, "}")
			if !ok {
				return template{}, errBrace
			}
			if !refName.MatchString(ref) {
				return template{}, fmt.Errorf("{%.60s} is not a reference; want a group such as {partition.id}", ref)
			}
			flush()
			t.parts = append(t.parts, part{ref: ref})
			s = rest
		}
	}
	flush()
	return t, nil
}

// refs returns the references in order of appearance.
func (t template) refs() []string {
	var out []string
	for _, p := range t.parts {
		if p.ref != "" {
			out = append(out, p.ref)
		}
	}
	return out
}

// fill replaces every reference by its group; a group that took no part in the
// match is "".
func (t template) fill(groups map[string]string) string {
	var b strings.Builder
	for _, p := range t.parts {
		b.WriteString(p.literal)
		if p.ref != "" {
			b.WriteString(groups[p.ref])
		}
	}
	return b.String()
}

// addGroups stores what re captures in text under prefix and the group's name. It
// says whether the whole of text matches.
func addGroups(groups map[string]string, re *regexp.Regexp, prefix, text string) bool {
	found := re.FindStringSubmatch(text)
	if found == nil {
		return false
	}
	for i, name := range re.SubexpNames() {
		if name != "" {
			groups[prefix+name] = found[i]
		}
	}
	return true
}
