package notify

import (
	"slices"
	"strings"
)

const (
	cutMark = "\n[the rest is cut]\n"
	fence   = "```"
)

// Fitted returns m cut to what Check allows in length, and with lines made single that
// have to be: a message about an incident is better told in part than not at all. It
// repairs no names and no time.
func (m Message) Fitted() Message {
	m.Subject = Brief(m.Subject, MaxSubject)
	m.Text = cut(m.Text, MaxText)
	m.Markdown = cut(m.Markdown, MaxMarkdown)
	if open := strings.Count("\n"+m.Markdown, "\n"+fence)%2 == 1; open {
		// A block that was cut would swallow what a sender puts behind it.
		m.Markdown = cut(m.Markdown, MaxMarkdown-len(fence)-2) + "\n" + fence + "\n"
	}
	m.Fields = slices.Clone(m.Fields[:min(len(m.Fields), MaxFields)])
	for i, f := range m.Fields {
		m.Fields[i] = Field{Brief(f.Name, maxName), Brief(f.Value, maxValue)}
	}
	m.Fields = slices.DeleteFunc(m.Fields, func(f Field) bool { return f.Name == "" || f.Value == "" })
	return m
}

// cut returns text in at most limit bytes, with a note when something is missing.
func cut(text string, limit int) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "?"), "\x00", "?")
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit-len(cutMark)], "") + cutMark
}
