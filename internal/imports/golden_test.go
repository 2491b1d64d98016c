package imports

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "rewrite golden files")

// fixture is a tree with the options of its comment, such as "forbidden: a.b c.d".
type fixture struct {
	tree    fstest.MapFS
	options map[string][]string
}

// golden runs check on every tree in a directory of testdata and compares what it
// answers with the last file of the tree, "want".
func golden(t *testing.T, dir string, check func(*testing.T, fixture) string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", dir, "*.txtar"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no fixtures in %s: %v", dir, err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			last := len(ar.Files) - 1
			if ar.Files[last].Name != "want" {
				t.Fatalf("the last file of %s is not want", name)
			}
			f := fixture{tree: fstest.MapFS{}, options: map[string][]string{}}
			for line := range strings.Lines(string(ar.Comment)) {
				if key, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok && !strings.HasPrefix(line, "#") {
					f.options[key] = strings.Fields(value)
				}
			}
			for _, file := range ar.Files[:last] {
				f.tree[file.Name] = &fstest.MapFile{Data: file.Data, Mode: 0o644}
			}
			got := check(t, f)
			if *update {
				ar.Files[last].Data = []byte(got)
				if err := os.WriteFile(name, txtar.Format(ar), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(ar.Files[last].Data), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func one(list []string) string { return strings.Join(list, " ") }

func TestResidualImportsAreFound(t *testing.T) {
	golden(t, "residual", func(t *testing.T, f fixture) string {
		r, err := Residual(t.Context(), f.tree, Search{
			Forbidden: f.options["forbidden"], Paths: f.options["paths"], Roots: f.options["roots"],
			Package: one(f.options["package"]), Patterns: f.options["pattern"],
		})
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, x := range r.Findings {
			fmt.Fprintf(&b, "%s = %s\n", x, x.Names)
		}
		for _, x := range r.Mentions {
			fmt.Fprintf(&b, "mentioned: %s\n", x)
		}
		writeSkips(&b, r.Skipped)
		fmt.Fprintf(&b, "%d files, %d local imports\n", r.Files, r.Local)
		return b.String()
	})
}

func TestCyclesOfPythonAreFound(t *testing.T) {
	golden(t, "pycycles", func(t *testing.T, f fixture) string {
		g, err := PythonCycles(t.Context(), f.tree, Trees{Roots: f.options["roots"], Paths: f.options["paths"]})
		if err != nil {
			t.Fatal(err)
		}
		return graphText(g)
	})
}

func TestCyclesOfGoAreFound(t *testing.T) {
	golden(t, "gocycles", func(t *testing.T, f fixture) string {
		g, err := GoCycles(t.Context(), f.tree, Trees{Paths: f.options["paths"]})
		if err != nil {
			t.Fatal(err)
		}
		return graphText(g)
	})
}

func graphText(g Graph) string {
	var b strings.Builder
	for _, c := range g.Cycles {
		fmt.Fprintf(&b, "%s: %s\n", c.Grade, c)
		for _, e := range c.Edges {
			fmt.Fprintf(&b, "\t%s\n", e)
		}
		if c.Grade == Ordered {
			fmt.Fprintf(&b, "\tfailing first: %s\n", strings.Join(c.Failing, " "))
		}
		if len(c.Modules) > len(c.Edges) {
			fmt.Fprintf(&b, "\tall: %s\n", strings.Join(c.Modules, " "))
		}
	}
	writeSkips(&b, g.Skipped)
	fmt.Fprintf(&b, "%d modules, %d edges\n", g.Modules, g.Edges)
	return b.String()
}

func writeSkips(b *strings.Builder, skips []Skip) {
	for _, s := range skips {
		what := "skipped"
		if s.Source {
			what = "unread"
		}
		fmt.Fprintf(b, "%s: %s: %s\n", what, s.Path, s.Reason)
	}
}
