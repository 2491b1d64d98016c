package receipt

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TRAPS T23: a file that is not embedded could change what a revision does without
// changing its hash.
func TestEverySourceFileIsPartOfARevision(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	one, two := names(t, v1Sources), names(t, v2Sources)
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		body, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(one, f) && !slices.Contains(two, f) {
			t.Errorf("%s belongs to no revision", f)
		}
		for _, list := range []struct {
			fs    fs.FS
			names []string
		}{{v1Sources, one}, {v2Sources, two}} {
			if !slices.Contains(list.names, f) {
				continue
			}
			if embedded, _ := fs.ReadFile(list.fs, f); string(embedded) != string(body) {
				t.Errorf("%s is not what was embedded", f)
			}
		}
	}
	// What one revision declares, the other may use only if it embeds it too.
	for _, f := range two {
		if strings.HasPrefix(f, "v1") {
			t.Errorf("receipts@2 embeds %s", f)
		}
	}
	if V1(V1Config{}).Describe().Code == V2(V2Config{}).Describe().Code {
		t.Error("both revisions have one code hash")
	}
}

func names(t *testing.T, sources fs.FS) []string {
	entries, err := fs.ReadDir(sources, ".")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}
