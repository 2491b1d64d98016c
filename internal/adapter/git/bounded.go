package git

import (
	"bytes"
	"errors"
	"strings"
	"unicode"
)

var errTooLong = errors.New("output too long")

// bounded keeps output up to a limit and ends the run beyond it.
type bounded struct {
	body     bytes.Buffer
	left     int64
	exceeded bool
	over     func()
}

func (b *bounded) Write(p []byte) (int, error) {
	if int64(len(p)) > b.left {
		b.exceeded = true
		b.over()
		return 0, errTooLong
	}
	b.left -= int64(len(p))
	return b.body.Write(p)
}

const tailKept = 4096

// tail keeps the end of what was written.
type tail struct{ text []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p[max(0, len(p)-tailKept):]...)
	t.text = t.text[max(0, len(t.text)-tailKept):]
	return len(p), nil
}

// oneLine returns foreign text as one line of no more than most bytes, without anything that
// a terminal would obey.
func oneLine(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}

const listed = 8 // items of a list in a sentence

// list names some of many.
func list(items []string) string {
	if len(items) <= listed {
		return strings.Join(items, ", ")
	}
	return strings.Join(items[:listed], ", ") + ", " + count(len(items)-listed, "other")
}
