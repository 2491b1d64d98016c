package rollback

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of what is stored. What others say is cut to them: a step that prints a book must
// not end the journal. Together with those of the plan and of what is kept they keep an
// entry below maxEntry.
const (
	maxText     = 4 << 10 // an error, a hint, a reason, a detail
	maxLine     = 512     // the text and the link of a piece of evidence, a name, a state
	maxEvidence = 32      // pieces of it, of one look
)

// clip makes a text storable: valid UTF-8, of no control characters but line ends and
// tabs, and of at most limit bytes.
func clip(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s[:min(len(s), 2*limit)], "\uFFFD"))
	if len(s) <= limit {
		return s
	}
	const cut = " [cut]"
	end := limit - len(cut)
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + cut
}

// clip makes a sight storable. A state that is longer than any end of a step is none.
func (s Sight) clip() Sight {
	s.State, s.Detail = clip(s.State, maxLine), clip(s.Detail, maxText)
	all := s.Evidence
	s.Evidence = nil
	for _, e := range all[:min(len(all), maxEvidence)] {
		s.Evidence = append(s.Evidence, Evidence{clip(e.Item, maxLine), e.OK, clip(e.Text, maxLine), clip(e.Link, maxLine)})
	}
	return s
}

// oneLine keeps a text inside one line.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
