package meter

import (
	"fmt"
	"slices"
	"strings"

	"lockstep/internal/lockstep"
)

// secrets are the texts that no error may show.
type secrets []string

const (
	struck    = "[secret]"
	minSecret = 4   // shorter ones would strike out ordinary words
	maxQuoted = 300 // bytes of foreign text in an error
)

// secretsOf returns the values and, of those such as "Bearer x", their words. The
// longest come first, so that no rest of a longer one stays.
func secretsOf(values []string) secrets {
	var out secrets
	for _, v := range values {
		for _, s := range append(strings.Fields(v), v) {
			if len(s) >= minSecret && !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	slices.SortFunc(out, func(a, b string) int { return len(b) - len(a) })
	return out
}

// strike replaces every secret. It comes before text is shortened: half a secret would
// not be found.
func (s secrets) strike(text string) string {
	for _, secret := range s {
		text = strings.ReplaceAll(text, secret, struck)
	}
	return text
}

// explain returns the error of reading body, of which parse gives the class and the
// words. Words that quote a body with a secret in it are those of the struck body
// instead; values are never read from that, since a secret may look like a number.
func (s secrets) explain(body []byte, parse func([]byte) error) error {
	err := parse(body)
	if err == nil || s.strike(string(body)) == string(body) {
		return err
	}
	if err = parse([]byte(s.strike(string(body)))); err == nil {
		return fmt.Errorf("%w answer: it cannot be read, and holds a secret", lockstep.ErrInvalid)
	}
	return err
}

// quote returns one line of foreign text, struck out, for an error: its beginning.
func (s secrets) quote(text string) string {
	text = s.line(text)
	if len(text) > maxQuoted {
		text = strings.ToValidUTF8(text[:maxQuoted], "") + "..."
	}
	return text
}

// quoteEnd returns the end of it: what a program says last says why it stopped.
func (s secrets) quoteEnd(text string) string {
	text = s.line(text)
	if len(text) > maxQuoted {
		text = "..." + strings.ToValidUTF8(text[len(text)-maxQuoted:], "")
	}
	return text
}

func (s secrets) line(text string) string {
	return strings.Join(strings.Fields(strings.ToValidUTF8(s.strike(text), "?")), " ")
}
