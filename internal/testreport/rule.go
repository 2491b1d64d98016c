package testreport

import (
	"fmt"
	"regexp"
	"strings"

	"lockstep/internal/lockstep"
)

// Rule says how bad it is when certain tests fail. Exactly one of Tests and Regexp is set.
type Rule struct {
	// Tests is a pattern for the whole id: * stands for anything but "/", ** for anything,
	// ? for one character that is not "/". Everything else, brackets too, is itself.
	Tests  string `json:"tests,omitempty" yaml:"tests"`
	Regexp string `json:"regexp,omitempty" yaml:"regexp"` // matches anywhere in the id
	Minor  bool   `json:"minor,omitempty" yaml:"minor"`   // fix forward; otherwise it blocks
}

// Rules are rules that were checked. The first that matches decides; without a match a
// failure blocks. Their zero value has no rule.
type Rules struct{ list []compiled }

type compiled struct {
	match *regexp.Regexp
	minor bool
}

const (
	maxRules   = 200
	maxPattern = 500
)

// Compile checks rules. ErrInvalid names every one that is wrong.
func Compile(rules []Rule) (Rules, error) {
	var out Rules
	var wrong []string
	if len(rules) > maxRules {
		return Rules{}, fmt.Errorf("%w rules: %d, at most %d", lockstep.ErrInvalid, len(rules), maxRules)
	}
	for i, r := range rules {
		expression := r.Regexp
		if r.Tests != "" {
			expression = fromGlob(r.Tests)
		}
		match, err := regexp.Compile(expression)
		switch {
		case (r.Tests == "") == (r.Regexp == ""):
			wrong = append(wrong, fmt.Sprintf("rule %d: want tests or regexp, one of them", i+1))
		case len(r.Tests)+len(r.Regexp) > maxPattern:
			wrong = append(wrong, fmt.Sprintf("rule %d: %d bytes, at most %d", i+1, len(r.Tests)+len(r.Regexp), maxPattern))
		case err != nil:
			wrong = append(wrong, fmt.Sprintf("rule %d: %v", i+1, err))
		default:
			out.list = append(out.list, compiled{match, r.Minor})
		}
	}
	if len(wrong) > 0 {
		return Rules{}, fmt.Errorf("%w rules:\n  %s", lockstep.ErrInvalid, strings.Join(wrong, "\n  "))
	}
	return out, nil
}

// Minor says whether the failure of a test is minor.
func (r Rules) Minor(id string) bool {
	for _, c := range r.list {
		if c.match.MatchString(id) {
			return c.minor
		}
	}
	return false
}

// Any says whether a failure can be minor at all.
func (r Rules) Any() bool {
	for _, c := range r.list {
		if c.minor {
			return true
		}
	}
	return false
}

func fromGlob(glob string) string {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	// In this order: "**/x" is also "x".
	tokens := []struct{ glob, expression string }{{"**/", `(?:.*/)?`}, {"**", `.*`}, {"*", `[^/]*`}, {"?", `[^/]`}}
	for rest := glob; rest != ""; {
		plain := strings.IndexAny(rest, "*?")
		if plain < 0 {
			plain = len(rest)
		}
		b.WriteString(regexp.QuoteMeta(rest[:plain]))
		rest = rest[plain:]
		for _, t := range tokens {
			if after, ok := strings.CutPrefix(rest, t.glob); ok {
				b.WriteString(t.expression)
				rest = after
				break
			}
		}
	}
	b.WriteString(`\z`)
	return b.String()
}
