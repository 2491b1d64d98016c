package main

import (
	"os"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// TestEveryKeyOfTheRollbackIsExplained looks for each key that the configuration knows in
// docs/rollback.md.
func TestEveryKeyOfTheRollbackIsExplained(t *testing.T) {
	body, err := os.ReadFile("../../internal/config/testdata/rollback.yaml")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/rollback.md")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Rollback yaml.Node `yaml:"rollback"`
	}
	if err := yaml.Unmarshal(body, &file); err != nil {
		t.Fatal(err)
	}
	keys := keysOf(&file.Rollback, "")
	if len(keys) < 60 {
		t.Fatalf("%d keys: %v", len(keys), keys)
	}
	for _, key := range keys {
		_, last, _ := strings.Cut(key, ".")
		if !strings.Contains(string(page), "`"+key+"`") && !strings.Contains(string(page), "`"+last+"`") {
			t.Errorf("docs/rollback.md does not explain %s", key)
		}
	}
}

// keysOf returns the keys that hold a value or a list of values, with that of the mapping
// that they are in.
func keysOf(n *yaml.Node, in string) []string {
	var out []string
	if n.Kind == yaml.SequenceNode {
		for _, item := range n.Content {
			out = append(out, keysOf(item, in)...)
		}
	}
	if n.Kind != yaml.MappingNode {
		return out
	}
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i].Value
		below := keysOf(n.Content[i+1], key)
		if len(below) == 0 {
			below = []string{in + "." + key}
		}
		out = append(out, below...)
	}
	return out
}
