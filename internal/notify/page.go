package notify

import (
	"fmt"
	"strings"
	"time"
)

// Marker is a line that people do not see and by which a text that holds messages of a
// topic is found again.
func Marker(topic string) string { return "<!-- lockstep:" + topic + " -->" }

// MessageMarker is the same for one message.
func MessageMarker(id string) string { return "<!-- lockstep-message:" + id + " -->" }

// HasLine says whether text has line as one of its lines. Whoever edits a text in a
// browser may leave carriage returns behind.
func HasLine(text, line string) bool {
	for l := range strings.Lines(text) {
		if strings.TrimRight(l, " \r\n") == line {
			return true
		}
	}
	return false
}

// Page returns m in Markdown, without a heading: its Markdown, or its text in a block,
// then the fields and the time. Nothing in it is a marker, whatever the message quotes.
func (m Message) Page() string {
	var b strings.Builder
	switch {
	case m.Markdown != "":
		b.WriteString(strings.TrimRight(m.Markdown, "\n") + "\n")
	case m.Text != "":
		edge := fenceFor(m.Text)
		fmt.Fprintf(&b, "%stext\n%s\n%s\n", edge, strings.TrimRight(m.Text, "\n"), edge)
	}
	if len(m.Fields) > 0 {
		b.WriteString("\n")
		for _, f := range m.Fields {
			fmt.Fprintf(&b, "- **%s**: %s\n", f.Name, f.Value)
		}
	}
	page := strings.ReplaceAll(strings.TrimLeft(b.String(), "\n"), "<!-- lockstep", "<!-- quoted lockstep")
	return fmt.Sprintf("%s\n_%s, %s_\n", page, m.Kind, m.At.UTC().Format(time.RFC3339))
}

// Plain returns m as plain text without a heading: its text, or its Markdown, then the
// fields.
func (m Message) Plain() string {
	text := m.Text
	if text == "" {
		text = m.Markdown
	}
	var b strings.Builder
	if text = strings.TrimRight(text, "\n"); text != "" {
		b.WriteString(text + "\n")
	}
	if len(m.Fields) > 0 && text != "" {
		b.WriteString("\n")
	}
	for _, f := range m.Fields {
		fmt.Fprintf(&b, "%s: %s\n", f.Name, f.Value)
	}
	return b.String()
}

// fenceFor returns a fence that text cannot close.
func fenceFor(text string) string {
	longest, run := 0, 0
	for _, r := range text {
		if r != '`' {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	return strings.Repeat("`", max(3, longest+1))
}
