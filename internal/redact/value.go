package redact

import (
	"regexp"
	"strings"
)

// assigned hides the value that follows the name of a secret and a sign of assignment.
func assigned(text string, m []int) span {
	key := strings.ToLower(text[m[2]:m[3]])
	if m[0] > 0 && text[m[0]-1] == ':' && key == "secret" {
		return span{} // arn:aws:secretsmanager:…:secret:name is a name
	}
	if key == "pwd" && strings.HasPrefix(strings.TrimLeft(text[m[1]:min(len(text), m[1]+3)], "\"'\\"), "/") {
		return span{} // the working directory
	}
	from, to := valueAt(text, m[1])
	value, kind := text[from:to], kindOf(key)
	switch {
	case harmless(value):
		return span{}
	case kind != KindPassword && len(value) < 4:
		return span{} // "unexpected token: '}'"
	}
	return span{from, to, kind}
}

// flagged hides what follows --password on a command line.
func flagged(text string, m []int) span {
	if strings.HasPrefix(text[m[1]:], "-") {
		return span{} // the next option
	}
	return assigned(text, m)
}

func kindOf(key string) string {
	switch {
	case strings.HasPrefix(key, "pass") || key == "pwd":
		return KindPassword
	case key == "token":
		return KindToken
	case strings.HasPrefix(key, "private"):
		return KindPrivateKey
	case key != "secret" && strings.HasSuffix(key, "key"):
		return KindAPIKey
	}
	return KindSecret
}

// opener is what may stand between a sign of assignment and the quote: a bracket of a
// list, the b of a Python literal.
var opener = regexp.MustCompile(`^(?:[\[({]{1,2}[ \t]*|[bBrRuUfF]{1,2})\\*["'\x60]`)

// valueAt returns where the value that begins at i lies: inside its quotes, if it has
// any, and without the punctuation of the sentence that it ends.
func valueAt(s string, i int) (from, to int) {
	if m := opener.FindStringIndex(s[i:min(len(s), i+16)]); m != nil {
		i += m[1] - 1
		for i > 0 && s[i-1] == '\\' {
			i--
		}
	}
	j := i
	for j < len(s) && s[j] == '\\' {
		j++
	}
	if j < len(s) && strings.IndexByte("\"'`", s[j]) >= 0 {
		open := s[i : j+1]
		if triple := strings.Repeat(s[j:j+1], 3); strings.HasPrefix(s[j:], triple) {
			return j + 3, j + 3 + quotedLen(s[j+3:], triple)
		}
		return j + 1, j + 1 + quotedLen(s[j+1:], open)
	}
	return i, i + bareLen(s[i:])
}

// quotedLen returns the length of what is quoted at the beginning of s, up to the
// closing quote. A quote that is not closed ends with the line.
func quotedLen(s, quote string) int {
	for i := 0; i < len(s); i++ {
		switch {
		case strings.HasPrefix(s[i:], quote):
			return i
		case s[i] == '\\' && len(quote) == 1:
			i++ // whatever it escapes
		case s[i] == '\n' && len(quote) != 3:
			return i
		}
	}
	return len(s)
}

// bareLen returns the length of the value without quotes at the beginning of s: up to
// white space, a quote, or the next one of a list of assignments.
func bareLen(s string) int {
	n := 0
	for n < len(s) && s[n] > ' ' && strings.IndexByte("\"'`<&", s[n]) < 0 && !nextBegins(s[n:]) {
		n++
	}
	if n < len(s) && strings.IndexByte("\"'`", s[n]) >= 0 {
		n = len(strings.TrimRight(s[:n], `\`)) // the quote is an escaped one
	}
	if harmless(s[:n]) {
		return n // ${NAME} ends with what would else be punctuation
	}
	if k := MarkerAt(s[:n]); k > 0 && strings.Trim(s[k:n], punctuation) == "" {
		return k
	}
	return len(strings.TrimRight(s[:n], punctuation))
}

// nextBegins says whether a list of assignments goes on here: password=x;server=y.
func nextBegins(s string) bool {
	if strings.IndexByte(",;|", s[0]) < 0 {
		return false
	}
	for i := 1; i < len(s); i++ {
		c := s[i]
		word := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || i > 1 && (c == '-' || c == '.' || '0' <= c && c <= '9')
		if !word {
			return i > 1 && (c == '=' || c == ':')
		}
	}
	return false
}

const punctuation = ",;:.)}]"

// placeholder is what people and programs write where no secret is.
var placeholder = regexp.MustCompile(`(?i)^(?:\*+|x{3,}|\.{2,}|…|null|nil|none|true|false|unset|undefined|empty|redacted|<[^>]*>|\$\{[^}]*\}|\$[A-Za-z_][A-Za-z0-9_]*|\$\([^)]*\)|\{\{[^}]*\}\}|%[sdvq])$`)

// harmless says whether a value is none: empty, a placeholder, the name of a variable,
// or redacted already. None of these is long.
func harmless(value string) bool {
	return value == "" || len(value) <= 64 && (Is(value) || placeholder.MatchString(value))
}
