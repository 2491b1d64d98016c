package deploy

import (
	"slices"
	"strings"
)

const (
	struck    = "[secret]"
	minSecret = 6   // shorter ones would strike out ordinary words
	maxQuoted = 600 // bytes of foreign text in an error
)

// always are the variables that every program needs to find itself.
var always = []string{"PATH", "HOME", "USER", "LANG", "TMPDIR"}

// surroundings is the environment of a program, and which of it nobody may read.
type surroundings struct {
	env     []string
	secrets []string
}

// surround takes the named variables; one that is not set is left out, and the program
// says what it misses.
func surround(names []string, lookup func(string) (string, bool)) surroundings {
	var s surroundings
	for _, name := range slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(always), names...)))) {
		value, ok := lookup(name)
		if !ok {
			continue
		}
		s.env = append(s.env, name+"="+value)
		if len(value) >= minSecret && slices.Contains(names, name) && !slices.Contains(always, name) {
			s.secrets = append(s.secrets, value)
		}
	}
	// The longest first, so that no rest of a longer one stays.
	slices.SortFunc(s.secrets, func(a, b string) int { return len(b) - len(a) })
	return s
}

// strike replaces every secret. It comes before text is shortened: half a secret would
// not be found.
func (s surroundings) strike(text string) string {
	for _, secret := range s.secrets {
		text = strings.ReplaceAll(text, secret, struck)
	}
	return text
}

// quote is foreign text for an error: one line, struck out, its beginning.
func (s surroundings) quote(text string) string {
	text = strings.Join(strings.Fields(strings.ToValidUTF8(s.strike(text), "?")), " ")
	if len(text) > maxQuoted {
		text = strings.ToValidUTF8(text[:maxQuoted], "") + "..."
	}
	return text
}
