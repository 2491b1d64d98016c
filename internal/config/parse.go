package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// Limits of a file.
const (
	MaxFileBytes = 1 << 20
	MaxDepth     = 32 // maps and lists inside each other
)

// Parse reads one YAML file and returns its root. name is what problems call the
// file. A file that is not YAML or is too long is answered with a *Problems and
// no root; an error of r itself is wrapped. What this package refuses everywhere
// (aliases, anchors, merge keys, tags, duplicate keys, more than MaxDepth) is
// reported at the root, which is returned so that decoding finds the other
// mistakes: ask Err at the end. An empty file is an empty map.
func Parse(r io.Reader, name string) (*Node, error) {
	body, err := io.ReadAll(io.LimitReader(r, MaxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	rep := &report{name: name}
	if len(body) > MaxFileBytes {
		rep.add(Problem{Text: fmt.Sprintf("the file is longer than %s", formatBytes(MaxFileBytes))})
		return nil, rep.err()
	}
	if p, ok := foreignByte(body); ok {
		rep.add(p)
		return nil, rep.err()
	}
	root := compose(body, rep)
	if root == nil {
		return nil, rep.err()
	}
	inspect(root, "", 1, rep)
	return &Node{node: root, rep: rep}, nil
}

// foreignByte finds the first byte that text cannot hold. The YAML reader would
// refuse it too, without saying where.
func foreignByte(body []byte) (Problem, bool) {
	line, column := 1, 1
	for i := 0; i < len(body); {
		r, n := utf8.DecodeRune(body[i:])
		p := Problem{Line: line, Column: column}
		switch {
		case r == utf8.RuneError && n <= 1:
			p.Text = fmt.Sprintf("byte 0x%02x is not UTF-8; save the file as UTF-8", body[i])
			return p, true
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', r == 0x7f:
			p.Text = fmt.Sprintf("control character 0x%02x; want plain text", r)
			return p, true
		case r == '\n':
			line, column = line+1, 0
		}
		column++
		i += n
	}
	return Problem{}, false
}

// compose parses the one document of a file. It returns nil, with a problem,
// when there is none to speak of, and an empty map for an empty file.
func compose(body []byte, rep *report) *yaml.Node {
	loader, err := yaml.NewLoader(bytes.NewReader(body))
	if err != nil {
		rep.add(syntaxProblem(err))
		return nil
	}
	var doc, second yaml.Node
	switch err := loader.Load(&doc); {
	case errors.Is(err, io.EOF):
		return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: 1, Column: 1}
	case err != nil:
		rep.add(syntaxProblem(err))
		return nil
	}
	switch err := loader.Load(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		rep.add(syntaxProblem(err))
		return nil
	default:
		rep.add(Problem{Line: second.Line, Column: second.Column, Text: "a second document begins here; want one document in one file"})
		return nil
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: 1, Column: 1}
	}
	return doc.Content[0]
}

func syntaxProblem(err error) Problem {
	le, ok := errors.AsType[*yaml.LoadError](err)
	if !ok {
		return Problem{Text: "not YAML: " + err.Error()}
	}
	text := "not YAML: " + le.Message
	if le.ContextMsg != "" {
		text += " " + le.ContextMsg
	}
	return Problem{Line: le.Mark.Line, Column: le.Mark.Column, Text: text}
}

// inspect reports, for a whole tree, what no key of any file may use.
func inspect(n *yaml.Node, path string, depth int, rep *report) {
	at := func(text string) {
		rep.add(Problem{Line: n.Line, Column: n.Column, Path: path, Text: text})
	}
	switch {
	case n.Kind == yaml.AliasNode:
		at("an alias (*" + quoteShort(n.Value) + "); write the value out")
		return
	case n.Anchor != "":
		at("an anchor (&" + quoteShort(n.Anchor) + "); write the value out where it is needed")
	case n.Style&yaml.TaggedStyle != 0:
		at("a tag (" + quoteShort(n.Tag) + "); remove it, the type follows from the key")
	}
	if depth > MaxDepth {
		at(fmt.Sprintf("nested deeper than %d levels", MaxDepth))
		return
	}
	switch n.Kind {
	case yaml.MappingNode:
		inspectMap(n, path, depth, rep)
	case yaml.SequenceNode:
		for i, c := range n.Content {
			inspect(c, indexPath(path, i), depth+1, rep)
		}
	case yaml.DocumentNode, yaml.ScalarNode, yaml.AliasNode, yaml.StreamNode:
	}
}

func inspectMap(n *yaml.Node, path string, depth int, rep *report) {
	seen := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := func(text string) {
			rep.add(Problem{Line: key.Line, Column: key.Column, Path: path, Text: text})
		}
		switch {
		case key.Kind != yaml.ScalarNode:
			at("a key that is a map, a list or an alias; want text")
			continue
		case key.Tag == "!!merge" || key.Value == "<<":
			at("a merge key (<<); write the keys out")
			continue
		case key.Tag != "!!str":
			at(fmt.Sprintf("key %q reads as %s; put it in quotes", quoteShort(key.Value), tagNoun(key.Tag)))
		case key.Anchor != "":
			at("an anchor (&" + quoteShort(key.Anchor) + ") on a key; remove it")
		case key.Value == "":
			at("an empty key")
		}
		if first, ok := seen[key.Value]; ok {
			at(fmt.Sprintf("key %q is set twice, first in line %d", quoteShort(key.Value), first))
		} else {
			seen[key.Value] = key.Line
		}
		inspect(value, keyPath(path, key.Value), depth+1, rep)
	}
}
