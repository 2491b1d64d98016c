package imports

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"lockstep/internal/lockstep"
)

// PythonCycles reads the import graph of the Python modules of a tree. A module is named
// from its nearest source root on. Type stubs (.pyi) take no part. ErrNotFound when no
// Python file is chosen; the other errors are those of Residual. A file that does not
// parse is in Graph.Skipped, and its imports are unknown.
func PythonCycles(ctx context.Context, tree fs.FS, t Trees) (Graph, error) {
	g, limits, err := t.resolved()
	if err != nil {
		return Graph{}, err
	}
	w, err := walk(ctx, tree, limits)
	if err != nil {
		return Graph{}, err
	}
	known, err := namesOf(w.files, t.Roots, t.Package)
	if err != nil {
		return Graph{}, err
	}
	m := &pythonMap{names: known, network: newNetwork(), bound: map[string]map[string]Position{}}
	skips, err := sources(w, g, ".py", func(name string, body []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		p, err := parse(body, nil)
		if err != nil {
			return err
		}
		m.file(name, p)
		return nil
	})
	switch {
	case err != nil:
		return Graph{}, err
	case len(m.network.names) == 0 && len(skips) == 0:
		return Graph{}, noSources("a Python file")
	}
	out := Graph{Modules: len(m.network.names), Edges: len(m.network.edges), Skipped: skips}
	out.Cycles, err = m.cycles(ctx)
	return out, err
}

func isInvalid(err error) bool { return errors.Is(err, lockstep.ErrInvalid) }

// pythonMap collects the imports of a tree. Its modules are files until they are shown.
type pythonMap struct {
	names   *names
	network *network
	bound   map[string]map[string]Position // by file: where a name is bound first
	taken   []string                       // by edge: the name that it takes
	guards  []int                          // by edge: the block that catches its failure
}

func (m *pythonMap) file(name string, p *parser) {
	m.network.module(name)
	bound := make(map[string]Position, len(p.bound))
	for known, offset := range p.bound {
		bound[known] = p.places.at(offset)
	}
	m.bound[name] = bound
	for _, i := range p.found {
		for _, base := range m.names.absolute(name, i) {
			if m.imports(name, i, base) {
				break
			}
		}
	}
}

// imports adds the edges of one import whose module is called base, and says whether
// there are any. Python loads the packages around a module first; those around the
// importing file are being loaded already.
func (m *pythonMap) imports(from string, i Import, base string) bool {
	found := false
	parts := strings.Split(base, ".")
	for n := 1; n < len(parts); n++ {
		if f := m.names.find(from, strings.Join(parts[:n], ".")); f != "" {
			found = true
			if !encloses(f, from) {
				m.edge(from, f, i, "")
			}
		}
	}
	file := m.names.find(from, base)
	if i.Form != FormFrom {
		if file != "" {
			m.edge(from, file, i, "")
		}
		return found || file != ""
	}
	if sub := m.names.find(from, join(base, i.Name)); sub != "" && sub != file {
		if file != "" && !encloses(file, from) {
			m.edge(from, file, i, "")
		}
		m.edge(from, sub, i, "")
		return true
	}
	if file != "" {
		m.edge(from, file, i, i.Name)
	}
	return found || file != ""
}

// encloses says whether a file is the __init__.py of a package that another one is in.
func encloses(init, name string) bool {
	dir, ok := strings.CutSuffix(init, "__init__.py")
	return ok && strings.HasPrefix(name, dir)
}

func (m *pythonMap) edge(from, to string, i Import, taken string) {
	if from == to {
		return // a package that names itself
	}
	m.network.add(Edge{
		From: from, To: to, Path: from, Position: i.Position,
		When: i.When, Takes: taken != "", Guarded: i.Guarded, Statement: i.Statement,
	})
	m.taken, m.guards = append(m.taken, taken), append(m.guards, i.guard)
}

func loads(l link) bool { return l.When == WhenLoad }
func ever(link) bool    { return true }

func (m *pythonMap) cycles(ctx context.Context) ([]Cycle, error) {
	out, group, err := m.loading(ctx)
	if err != nil {
		return nil, err
	}
	deferred, err := m.deferred(ctx, group)
	if err != nil {
		return nil, err
	}
	out = append(out, deferred...)
	for i := range out {
		m.show(&out[i])
	}
	sortCycles(out)
	return out, nil
}

// loading finds the cycles of modules that load each other, and grades them by loading
// each of their modules first.
func (m *pythonMap) loading(ctx context.Context) ([]Cycle, []int, error) {
	n := m.network
	group, size := n.groups(loads)
	inner := map[int][]int{}
	for e, l := range n.edges {
		if g := group[l.from]; g == group[l.to] && loads(l) {
			inner[g] = append(inner[g], e)
		}
	}
	var out []Cycle
	for g, modules := range n.members(group, size) {
		c := Cycle{Grade: Plain, Modules: modules}
		candidates := inner[g]
		breaks, failing, err := m.failing(ctx, group, g)
		if err != nil {
			return nil, nil, err
		}
		if len(failing) > 0 {
			c.Grade, c.Failing, candidates = Ordered, failing, breaks
		}
		if len(failing) == len(modules) {
			c.Grade = Unresolvable
		}
		within := func(l link) bool { return loads(l) && group[l.to] == g }
		if c.Edges, err = n.around(ctx, n.sorted(candidates), within); err != nil {
			return nil, nil, err
		}
		out = append(out, c)
	}
	return out, group, nil
}

// deferred finds the cycles that only exist with imports that wait.
func (m *pythonMap) deferred(ctx context.Context, loading []int) ([]Cycle, error) {
	n := m.network
	group, size := n.groups(ever)
	members := n.members(group, size)
	waiting := map[int][]int{}
	for e, l := range n.edges {
		if g := group[l.from]; g == group[l.to] && !loads(l) && loading[l.from] != loading[l.to] {
			waiting[g] = append(waiting[g], e)
		}
	}
	var out []Cycle
	for g, edges := range waiting {
		way, err := n.around(ctx, n.sorted(edges), func(l link) bool { return group[l.to] == g })
		if err != nil {
			return nil, err
		}
		out = append(out, Cycle{Grade: Deferred, Edges: way, Modules: members[g]})
	}
	return out, nil
}

// show names the modules as Python does.
func (m *pythonMap) show(c *Cycle) {
	for i := range c.Edges {
		c.Edges[i].From, c.Edges[i].To = m.names.nameOf(c.Edges[i].From), m.names.nameOf(c.Edges[i].To)
	}
	c.Edges = rotated(c.Edges)
	for _, list := range [][]string{c.Modules, c.Failing} {
		for i := range list {
			list[i] = m.names.nameOf(list[i])
		}
		slices.Sort(list)
	}
}
