package config

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Node is one value of a file, with its place. Its accessors return the value or,
// when the node is nil (the key is absent), the default they were given. When the
// value has another type or breaks a limit they report a problem and return the
// default too, so that decoding goes on and finds the next mistake.
type Node struct {
	node *yaml.Node
	path string
	rep  *report
}

// Err returns a *Problems with everything reported for the file so far, or nil.
func (n *Node) Err() error {
	if n == nil {
		return nil
	}
	return n.rep.err()
}

// Path returns where the node is: dotted keys and list indexes, "" for the root
// and for an absent node.
func (n *Node) Path() string {
	if n == nil {
		return ""
	}
	return n.path
}

// Reject reports a mistake at the node. It does nothing to an absent node, whose
// absence was reported or was no mistake.
func (n *Node) Reject(format string, args ...any) {
	if n == nil {
		return
	}
	n.rep.add(Problem{Line: n.node.Line, Column: n.node.Column, Path: n.path, Text: fmt.Sprintf(format, args...)})
}

// IsMap says whether the node is present and a map.
func (n *Node) IsMap() bool { return n != nil && n.node.Kind == yaml.MappingNode }

// unusable says that there is nothing to read and nothing more to report: the key
// is absent, or its value is an alias or has a tag, which Parse has reported.
func (n *Node) unusable() bool {
	return n == nil || n.node.Kind == yaml.AliasNode || n.node.Style&yaml.TaggedStyle != 0
}

func (n *Node) isNull() bool { return n.node.Kind == yaml.ScalarNode && n.node.Tag == "!!null" }

// Map returns the node as a map with the known keys and reports every other key.
// An absent or empty node is a map without entries.
func (n *Node) Map(known ...string) *Map {
	m := n.Entries()
	for _, e := range m.entries {
		if !contains(known, e.Key) {
			rejectKey(e, known)
		}
	}
	return m
}

// Entries returns the node as a map whose keys the file chooses.
func (n *Node) Entries() *Map {
	m := &Map{node: n}
	if n.unusable() || n.isNull() {
		return m
	}
	if n.node.Kind != yaml.MappingNode {
		n.Reject("want a map of keys, found %s", n.found())
		return m
	}
	for i := 0; i+1 < len(n.node.Content); i += 2 {
		key := n.node.Content[i]
		if key.Kind != yaml.ScalarNode || key.Tag != "!!str" || key.Value == "" || key.Value == "<<" {
			continue // Parse has reported it
		}
		m.entries = append(m.entries, Entry{
			Key:   key.Value,
			Value: &Node{node: n.node.Content[i+1], path: keyPath(n.path, key.Value), rep: n.rep},
			line:  key.Line, column: key.Column,
		})
	}
	return m
}

// List returns the elements of a list; an absent node has none.
func (n *Node) List() []*Node {
	if n.unusable() {
		return nil
	}
	if n.node.Kind != yaml.SequenceNode {
		n.Reject("want a list, found %s", n.found())
		return nil
	}
	out := make([]*Node, len(n.node.Content))
	for i, c := range n.node.Content {
		out[i] = &Node{node: c, path: indexPath(n.path, i), rep: n.rep}
	}
	return out
}

// found names what the file says at the node, for the end of a problem.
func (n *Node) found() string {
	switch n.node.Kind {
	case yaml.MappingNode:
		return "a map"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode, yaml.DocumentNode, yaml.AliasNode, yaml.StreamNode:
	}
	if n.isNull() {
		return "nothing"
	}
	return strconv.Quote(quoteShort(n.node.Value))
}

// Map is a map of the file.
type Map struct {
	node    *Node
	entries []Entry
}

// Entry is one key of a map with its value.
type Entry struct {
	Key          string
	Value        *Node
	line, column int
}

// Reject reports a mistake at the entry's key.
func (e Entry) Reject(format string, args ...any) {
	e.Value.rep.add(Problem{Line: e.line, Column: e.column, Path: e.Value.path, Text: fmt.Sprintf(format, args...)})
}

// All returns the entries in the order of the file.
func (m *Map) All() []Entry { return m.entries }

// Get returns the value of an optional key, nil when it is absent.
func (m *Map) Get(key string) *Node {
	for _, e := range m.entries {
		if e.Key == key {
			return e.Value
		}
	}
	return nil
}

// Need returns the value of a key that must be there and reports its absence.
func (m *Map) Need(key string) *Node {
	v := m.Get(key)
	if v == nil {
		m.node.Reject("key %q is missing", key)
	}
	return v
}

func rejectKey(e Entry, known []string) {
	if s := nearest(e.Key, known); s != "" {
		e.Reject("unknown key %q; did you mean %q?", quoteShort(e.Key), s)
		return
	}
	e.Reject("unknown key %q; known keys: %s", quoteShort(e.Key), strings.Join(known, ", "))
}

var plainKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

func keyPath(path, key string) string {
	switch {
	case !plainKey.MatchString(key):
		return path + "[" + strconv.Quote(quoteShort(key)) + "]"
	case path == "":
		return key
	}
	return path + "." + key
}

func indexPath(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// maxQuoted bounds what a problem repeats of the file.
const maxQuoted = 60

func quoteShort(s string) string {
	if r := []rune(s); len(r) > maxQuoted {
		return string(r[:maxQuoted]) + "…"
	}
	return s
}

func tagNoun(tag string) string {
	switch tag {
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!null":
		return "nothing"
	case "!!timestamp":
		return "a date"
	}
	return tag
}
