package change

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// fault says what is wrong with a piece of input and where in it. It is built from
// the inside out, so that good input pays nothing for paths.
type fault struct {
	reason string
	path   []string // innermost first
}

func faultf(format string, args ...any) *fault {
	return &fault{reason: fmt.Sprintf(format, args...)}
}

// in says that the fault lies inside the named member or element.
func (f *fault) in(segment string) *fault {
	f.path = append(f.path, segment)
	return f
}

func (f *fault) clone() *fault { return &fault{reason: f.reason, path: slices.Clone(f.path)} }

func (f *fault) at(index int) *fault { return f.in("[" + strconv.Itoa(index) + "]") }

func (f *fault) Error() string {
	var b strings.Builder
	for _, seg := range slices.Backward(f.path) {
		if b.Len() > 0 && seg[:min(1, len(seg))] != "[" {
			b.WriteByte('.')
		}
		b.WriteString(seg)
	}
	if b.Len() > 0 {
		b.WriteString(": ")
	}
	b.WriteString(f.reason)
	return clip(b.String(), MaxReasonBytes)
}

// segment makes a member name fit for a path: names are input and may hold
// anything, of any length.
func segment(name string) string {
	for _, c := range []byte(name) {
		if c != '_' && c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return "[" + strconv.Quote(clip(name, 64)) + "]"
		}
	}
	if name == "" {
		return `[""]`
	}
	return clip(name, 64)
}

// clip returns at most n bytes of s and does not split a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	const mark = "…"
	return strings.ToValidUTF8(s[:n-len(mark)], "") + mark
}
