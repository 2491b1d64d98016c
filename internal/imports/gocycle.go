package imports

import (
	"bytes"
	"context"
	"fmt"
	"go/ast"
	"go/build/constraint"
	goparser "go/parser"
	gotoken "go/token"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"lockstep/internal/lockstep"
)

// GoCycles reads the import graph of the Go packages of a tree. A go.mod names the
// packages below it. Packages are taken with all their files, whatever they are built
// for, except those that are never built. A test of a package may not lead back to it
// either. Directories that the go command passes over are passed over. ErrNotFound when
// there is no go.mod with a module line; the other errors are those of Residual.
func GoCycles(ctx context.Context, tree fs.FS, t Trees) (Graph, error) {
	g, limits, err := t.resolved()
	if err != nil {
		return Graph{}, err
	}
	w, err := walk(ctx, tree, limits)
	if err != nil {
		return Graph{}, err
	}
	m := &goMap{modules: map[string]string{}, packages: map[string]string{}, network: newNetwork()}
	if err := m.read(w); err != nil {
		return Graph{}, err
	}
	skips, err := sources(w, g, ".go", func(name string, body []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return m.file(name, body)
	})
	if err != nil {
		return Graph{}, err
	}
	m.link()
	out := Graph{Modules: len(m.network.names), Edges: len(m.network.edges), Skipped: skips}
	out.Cycles, err = m.cycles(ctx)
	return out, err
}

type goMap struct {
	modules  map[string]string // module path by the directory of its go.mod
	packages map[string]string // directory by import path: those with files
	found    []Edge            // To is any import path
	network  *network
}

func (m *goMap) read(w *walker) error {
	for _, f := range w.files {
		if path.Base(f.name) != "go.mod" {
			continue
		}
		body, why := read(w.tree, f, w.limits.FileBytes)
		if why != "" {
			return fmt.Errorf("%w %s: %s", lockstep.ErrInvalid, f.name, why)
		}
		if module := modulePath(body); module != "" {
			m.modules[path.Dir(f.name)] = module
		}
	}
	if len(m.modules) == 0 {
		return noSources("a go.mod with a module line")
	}
	return nil
}

// modulePath is the path in the module line of a go.mod, "" without one.
func modulePath(body []byte) string {
	for len(body) > 0 {
		var line []byte
		line, body = cutLine(body)
		line, _, _ = bytes.Cut(line, []byte("//"))
		fields := strings.Fields(string(line))
		if len(fields) != 2 || fields[0] != "module" {
			continue
		}
		if module, err := strconv.Unquote(fields[1]); err == nil {
			return module
		}
		return fields[1]
	}
	return ""
}

// importPath is how the package of a directory is imported; "" where the go command does
// not look.
func (m *goMap) importPath(dir string) string {
	inside := ""
	for {
		if module, ok := m.modules[dir]; ok {
			return path.Join(module, inside)
		}
		base := path.Base(dir)
		if dir == "." || base == "testdata" || base == "vendor" || base[0] == '.' || base[0] == '_' {
			return ""
		}
		inside, dir = path.Join(base, inside), path.Dir(dir)
	}
}

func (m *goMap) file(name string, body []byte) error {
	from := m.importPath(path.Dir(name))
	if base := path.Base(name); from == "" || base[0] == '.' || base[0] == '_' {
		return nil
	}
	set := gotoken.NewFileSet()
	f, err := goparser.ParseFile(set, path.Base(name), body, goparser.ImportsOnly|goparser.ParseComments|goparser.SkipObjectResolution)
	if err != nil {
		return fmt.Errorf("%w Go: %w", lockstep.ErrInvalid, err)
	}
	if neverBuilt(f) {
		return nil
	}
	test := strings.HasSuffix(name, "_test.go")
	if test && strings.HasSuffix(f.Name.Name, "_test") {
		return nil // a package of its own, which nobody can import
	}
	m.packages[from] = path.Dir(name)
	for _, spec := range f.Imports {
		to, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser has checked it
		}
		at := set.PositionFor(spec.Path.Pos(), false)
		m.found = append(m.found, Edge{
			From: from, To: to, Path: name, Position: Position{at.Line, at.Column}, When: WhenLoad,
			Takes: true, Test: test, Statement: "import " + spec.Path.Value,
		})
	}
	return nil
}

// neverBuilt says whether a file is kept out by "//go:build ignore" alone.
func neverBuilt(f *ast.File) bool {
	for _, g := range f.Comments {
		if g.Pos() > f.Package {
			break
		}
		for _, c := range g.List {
			if e, err := constraint.Parse(c.Text); err == nil && e.String() == "ignore" {
				return true
			}
		}
	}
	return false
}

// link keeps the imports of packages of the tree.
func (m *goMap) link() {
	for _, p := range slices.Sorted(maps.Keys(m.packages)) {
		m.network.module(p)
	}
	for _, e := range m.found {
		if _, ok := m.packages[e.To]; ok {
			m.network.add(e)
		}
	}
}

func (m *goMap) cycles(ctx context.Context) ([]Cycle, error) {
	n := m.network
	built := func(l link) bool { return !l.Test }
	group, size := n.groups(func(l link) bool { return built(l) && l.from != l.to })
	var out []Cycle
	for g, modules := range n.members(group, size) {
		var candidates []int
		for e, l := range n.edges {
			if built(l) && group[l.from] == g && group[l.to] == g && l.from != l.to {
				candidates = append(candidates, e)
			}
		}
		edges, err := n.around(ctx, n.sorted(candidates), func(l link) bool { return built(l) && group[l.to] == g })
		if err != nil {
			return nil, err
		}
		out = append(out, Cycle{Grade: Unresolvable, Edges: rotated(edges), Modules: modules})
	}
	rest, err := m.byTests(ctx, group)
	if err != nil {
		return nil, err
	}
	out = append(out, rest...)
	sortCycles(out)
	return out, nil
}

// byTests finds packages that import themselves, and those whose own tests lead back to
// them. A cycle has one test in it: those of other packages are not compiled with it.
func (m *goMap) byTests(ctx context.Context, group []int) ([]Cycle, error) {
	n := m.network
	tests := map[int][]int{}
	var out []Cycle
	for e, l := range n.edges {
		switch {
		case l.from == l.to:
			out = append(out, Cycle{Grade: Unresolvable, Edges: []Edge{l.Edge}, Modules: []string{l.From}})
		case l.Test && group[l.from] != group[l.to]:
			tests[l.from] = append(tests[l.from], e)
		}
	}
	for _, candidates := range tests {
		edges, err := n.around(ctx, n.sorted(candidates), func(l link) bool { return !l.Test })
		if err != nil {
			return nil, err
		}
		if len(edges) == 0 {
			continue
		}
		c := Cycle{Grade: Unresolvable, Edges: rotated(edges)}
		for _, e := range edges {
			c.Modules = append(c.Modules, e.From)
		}
		slices.Sort(c.Modules)
		out = append(out, c)
	}
	return out, nil
}
