package imports

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"unicode/utf8"
)

// language says how a file is read.
type language int

const (
	other language = iota
	python
	golang
)

func languageByName(name string) language {
	switch path.Ext(name) {
	case ".py", ".pyi", ".pyw":
		return python
	case ".go":
		return golang
	}
	return other
}

var pythonScript = regexp.MustCompile(`^#![^\r\n]*\bpython[0-9.]*\b`)

// languageOf also knows scripts by their first line.
func languageOf(name string, body []byte) language {
	l := languageByName(name)
	if l == other && path.Ext(name) == "" && pythonScript.Match(body) {
		return python
	}
	return l
}

// read returns the content of a file, or why it is not read.
func read(tree fs.FS, f file, limit int64) (body []byte, why string) {
	if f.size > limit {
		return nil, fmt.Sprintf("%d bytes, more than %d", f.size, limit)
	}
	r, err := tree.Open(f.actual)
	if err != nil {
		return nil, "it cannot be read: " + cause(err)
	}
	body, err = io.ReadAll(io.LimitReader(r, limit+1)) // it may have grown
	_ = r.Close()                                      // it was only read
	switch {
	case err != nil:
		return nil, "it cannot be read: " + cause(err)
	case int64(len(body)) > limit:
		return nil, fmt.Sprintf("more than %d bytes", limit)
	case bytes.IndexByte(body, 0) >= 0:
		return nil, "it is binary: it holds a zero byte"
	}
	return body, ""
}

var (
	codingLine = regexp.MustCompile(`^[ \t\f]*#.*?coding[:=][ \t]*([-_.a-zA-Z0-9]+)`)
	blankLine  = regexp.MustCompile(`^[ \t\f]*(?:#.*)?$`)
	bom        = []byte("\ufeff")
)

// decodePython checks that a Python file is UTF-8, by its own word (PEP 263) and in
// fact. The mark at its beginning becomes blanks, so that places stay what they are.
func decodePython(body []byte) ([]byte, error) {
	rest, marked := bytes.CutPrefix(body, bom)
	declared := declaredEncoding(rest)
	switch name := strings.ToLower(strings.ReplaceAll(declared, "_", "-")); {
	case name == "", name == "utf-8", name == "utf8", strings.HasPrefix(name, "utf-8-"):
	case (name == "ascii" || name == "us-ascii") && !marked && isASCII(rest):
	default:
		return nil, fmt.Errorf("its encoding is %s and not UTF-8", declared)
	}
	if !utf8.Valid(rest) {
		return nil, fmt.Errorf("it is not UTF-8 and names no other encoding")
	}
	if marked {
		body = append(bytes.Repeat([]byte{'\f'}, len(bom)), rest...) // a form feed does not indent
	}
	return body, nil
}

func declaredEncoding(body []byte) string {
	for range 2 {
		line, rest := cutLine(body)
		if m := codingLine.FindSubmatch(line); m != nil {
			return string(m[1])
		}
		if !blankLine.Match(line) {
			return ""
		}
		body = rest
	}
	return ""
}

func cutLine(body []byte) (line, rest []byte) {
	i := bytes.IndexAny(body, "\r\n")
	if i < 0 {
		return body, nil
	}
	if bytes.HasPrefix(body[i:], []byte("\r\n")) {
		return body[:i], body[i+2:]
	}
	return body[:i], body[i+1:]
}

func isASCII(body []byte) bool {
	for _, b := range body {
		if b >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// places turns offsets into lines and columns.
type places []int // where each line begins

func placesOf(src []byte) places {
	p := places{0}
	for i, b := range src {
		if b == '\n' || b == '\r' && (i+1 == len(src) || src[i+1] != '\n') {
			p = append(p, i+1)
		}
	}
	return p
}

// Position is a place in a file. Both count from 1, columns in bytes.
type Position struct {
	Line   int `json:"line"`
	Column int `json:"column"`
}

func (p places) at(offset int) Position {
	lo, hi := 0, len(p)
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; p[mid] <= offset {
			lo = mid
		} else {
			hi = mid
		}
	}
	return Position{Line: lo + 1, Column: offset - p[lo] + 1}
}

const maxQuoted = 200 // bytes of source shown

// quote is a piece of source as one line.
func quote(src []byte) string {
	if len(src) > 8*maxQuoted {
		src = src[:8*maxQuoted]
	}
	text := strings.Join(strings.Fields(strings.ToValidUTF8(string(src), "?")), " ")
	if len(text) > maxQuoted {
		text = strings.ToValidUTF8(text[:maxQuoted], "") + "..."
	}
	return text
}
