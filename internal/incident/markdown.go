package incident

import (
	"fmt"
	"strconv"
	"strings"

	"lockstep/internal/redact"
)

// markdown renders the page as GitHub's Markdown. Nothing in a text can become markup.
func (p page) markdown(level int) string {
	var b strings.Builder
	if p.Title != "" {
		fmt.Fprintf(&b, "%s %s\n", strings.Repeat("#", level), escape(p.Title))
		level++
	}
	markdownBlocks(&b, p.Lead)
	for _, s := range p.Sections {
		fmt.Fprintf(&b, "\n%s %s\n", strings.Repeat("#", level), escape(s.Title))
		markdownBlocks(&b, s.Blocks)
	}
	return strings.TrimLeft(b.String(), "\n")
}

func markdownBlocks(b *strings.Builder, blocks []block) {
	for _, k := range blocks {
		b.WriteByte('\n')
		switch {
		case k.Table != nil:
			markdownTable(b, k.Table)
		case k.Log != "":
			fence := strings.Repeat("`", max(3, longestRun(k.Log, '`')+1))
			fmt.Fprintf(b, "%stext\n%s\n%s\n", fence, k.Log, fence)
		case len(k.List) > 0:
			for i, r := range k.List {
				fmt.Fprintf(b, "%s %s%s\n", k.bullet(i), r.Box.markdown(), r.markdown())
			}
		case k.Gap:
			fmt.Fprintf(b, "*%s*\n", escape(k.Para))
		default:
			lines := strings.Split(k.Para, "\n")
			for i, l := range lines {
				lines[i] = escape(strings.TrimSpace(l))
			}
			b.WriteString(strings.Join(lines, "\\\n") + "\n")
		}
	}
}

func (k block) bullet(i int) string {
	if k.Numbered {
		return strconv.Itoa(i+1) + "."
	}
	return "-"
}

func (x box) markdown() string {
	switch x {
	case boxNone:
		return ""
	case boxOpen:
		return "[ ] "
	case boxDone:
		return "[x] "
	case boxVoid:
		return "[ ] (not applicable) "
	}
	return ""
}

func (r row) markdown() string {
	s := escape(r.Text)
	if r.Mono && r.Text != "" {
		s = code(r.Text)
	}
	switch {
	case r.Link == "" || r.Link == r.Text:
		return s
	case isAddress(r.Link):
		return s + " ([link](<" + strings.NewReplacer("<", "%3C", ">", "%3E", "\\", "%5C").Replace(r.Link) + ">))"
	}
	return s + " (" + code(r.Link) + ")"
}

func markdownTable(b *strings.Builder, t *table) {
	rule := make([]string, len(t.Head))
	for i := range rule {
		rule[i] = "---"
	}
	fmt.Fprintf(b, "| %s |\n| %s |\n", strings.Join(t.Head, " | "), strings.Join(rule, " | "))
	for _, cells := range t.Rows {
		texts := make([]string, len(cells))
		for i, c := range cells {
			texts[i] = cell(c.markdown())
		}
		fmt.Fprintf(b, "| %s |\n", strings.Join(texts, " | "))
	}
}

// cell escapes what would end a cell of a table; a bar does so inside code as well.
func cell(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if s[i] == '|' && (i == 0 || s[i-1] != '\\') {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func isAddress(link string) bool {
	return strings.HasPrefix(link, "https://") || strings.HasPrefix(link, "http://")
}

// code is s as a span of code, whatever is in it.
func code(s string) string {
	fence := strings.Repeat("`", longestRun(s, '`')+1)
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		s = " " + s + " "
	}
	return fence + s + fence
}

func longestRun(s string, c byte) int {
	longest, run := 0, 0
	for i := range len(s) {
		if s[i] != c {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	return longest
}

// escape makes one line of text stand in Markdown for itself. An underscore inside a
// word means nothing there and stays readable, and so does a marker of the redactor.
func escape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '[' {
			if n := redact.MarkerAt(s[i:]); n > 0 && (i+n == len(s) || strings.IndexByte("([:", s[i+n]) < 0) {
				b.WriteString(s[i : i+n])
				i += n - 1
				continue
			}
		}
		if special(s, i) {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String()
}

func special(s string, i int) bool {
	switch c := s[i]; c {
	case '\\', '`', '*', '[', ']', '<', '>', '|', '~':
		return true
	case '&':
		return i+1 < len(s) && (wordByte(s[i+1]) || s[i+1] == '#')
	case '_':
		return i == 0 || i+1 == len(s) || !wordByte(s[i-1]) || !wordByte(s[i+1])
	case '#', '-', '+', '=':
		return i == 0
	case '.', ')':
		// "1. " at the beginning of a line is a list.
		return i > 0 && i < 10 && strings.Trim(s[:i], "0123456789") == ""
	}
	return false
}

func wordByte(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c >= 0x80
}

// plain renders the page for a mail or a terminal.
func (p page) plain() string {
	var b strings.Builder
	if p.Title != "" {
		b.WriteString(p.Title + "\n")
	}
	plainBlocks(&b, p.Lead)
	for _, s := range p.Sections {
		fmt.Fprintf(&b, "\n%s:\n", s.Title)
		plainBlocks(&b, s.Blocks)
	}
	return strings.TrimLeft(b.String(), "\n")
}

func plainBlocks(b *strings.Builder, blocks []block) {
	for _, k := range blocks {
		switch {
		case k.Table != nil:
			for _, cells := range k.Table.Rows {
				var texts []string
				for _, c := range cells {
					texts = append(texts, c.plain())
				}
				fmt.Fprintf(b, "- %s\n", strings.Join(texts, ", "))
			}
		case len(k.List) > 0:
			for i, r := range k.List {
				fmt.Fprintf(b, "%s %s%s\n", k.bullet(i), r.Box.markdown(), r.plain())
			}
		default:
			fmt.Fprintf(b, "\n%s\n", k.Para+k.Log)
		}
	}
}

func (r row) plain() string {
	if r.Link == "" || r.Link == r.Text {
		return r.Text
	}
	return r.Text + " (" + r.Link + ")"
}
