package config

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// scalar returns the text of a scalar that is there. want is the end of the
// problem otherwise.
func (n *Node) scalar(want string) (string, bool) {
	if n.unusable() {
		return "", false
	}
	if n.node.Kind != yaml.ScalarNode || n.isNull() {
		n.Reject("want %s, found %s", want, n.found())
		return "", false
	}
	return n.node.Value, true
}

// Text returns a non-empty string. A number, date or boolean must be quoted: 1.10
// as a number is 1.1.
func (n *Node) Text(def string) string {
	s, ok := n.scalar("text")
	switch {
	case !ok:
		return def
	case n.node.Tag != "!!str":
		n.Reject("want text, found %s, which reads as %s; put it in quotes", n.found(), tagNoun(n.node.Tag))
		return def
	case s == "":
		n.Reject("want text, found an empty string; remove the key to get the default")
		return def
	}
	return s
}

// Int returns an integer from least to most.
func (n *Node) Int(def, least, most int64) int64 {
	want := fmt.Sprintf("an integer from %d to %d", least, most)
	s, ok := n.scalar(want)
	if !ok {
		return def
	}
	i, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n.quoted() || i < least || i > most {
		n.Reject("want %s, found %s", want, n.found())
		return def
	}
	return i
}

// Float returns a number from least to most.
func (n *Node) Float(def, least, most float64) float64 {
	want := fmt.Sprintf("a number from %v to %v", least, most)
	s, ok := n.scalar(want)
	if !ok {
		return def
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || n.quoted() || f < least || f > most {
		n.Reject("want %s, found %s", want, n.found())
		return def
	}
	return f
}

// Duration returns a duration, written as in 5ms, 1s or 168h, from least to most.
func (n *Node) Duration(def, least, most time.Duration) time.Duration {
	want := fmt.Sprintf("a duration such as 5ms, 1m30s or 168h, from %v to %v", least, most)
	s, ok := n.scalar(want)
	if !ok {
		return def
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < least || d > most {
		n.Reject("want %s, found %s", want, n.found())
		return def
	}
	return d
}

// Bool returns true or false; yes, no, on and off are refused because YAML 1.1
// and 1.2 read them differently.
func (n *Node) Bool(def bool) bool {
	s, ok := n.scalar("true or false")
	switch {
	case !ok:
		return def
	case s == "true" && !n.quoted():
		return true
	case s == "false" && !n.quoted():
		return false
	}
	n.Reject("want true or false, found %s", n.found())
	return def
}

// Enum returns one of the values.
func (n *Node) Enum(def string, values ...string) string {
	want := "one of " + strings.Join(values, ", ")
	s, ok := n.scalar(want)
	switch {
	case !ok:
		return def
	case contains(values, s):
		return s
	}
	if v := nearest(s, values); v != "" {
		n.Reject("want %s, found %s; did you mean %q?", want, n.found(), v)
	} else {
		n.Reject("want %s, found %s", want, n.found())
	}
	return def
}

// MaxPatternBytes bounds a regular expression of a file. Go's engine runs in
// linear time, so the length is the only bound that is needed.
const MaxPatternBytes = 1 << 10

// Pattern returns a regular expression in Go's syntax that must match the whole
// of a text, nil when the node is absent or wrong.
func (n *Node) Pattern() *regexp.Regexp {
	s := n.Text("")
	if s == "" {
		return nil
	}
	if len(s) > MaxPatternBytes {
		n.Reject("a regular expression of %d bytes, at most %d", len(s), MaxPatternBytes)
		return nil
	}
	// Compiled alone first: "a)(b" would be valid between the parentheses below.
	if _, err := regexp.Compile(s); err != nil {
		n.Reject("want a regular expression, %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		return nil
	}
	re, err := regexp.Compile(`\A(?:` + s + `)\z`)
	if err != nil {
		n.Reject("want a regular expression, %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		return nil
	}
	return re
}

func (n *Node) quoted() bool {
	return n.node.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
}
