package imports

import (
	"fmt"
	"strings"

	"lockstep/internal/lockstep"
)

// Trees says what of a source tree takes part in its import graph.
type Trees struct {
	// Paths choose the files, as in Search. None: all.
	Paths []string
	// Roots are the directories from which Python modules are named, as in Search.
	Roots []string
	// Package is the dotted name of the tree itself, where it is a Python package.
	Package string
	Limits  Limits
}

func (t Trees) resolved() (globs, Limits, error) {
	g, err := parseGlobs(t.Paths)
	if err != nil {
		return g, t.Limits, err
	}
	limits, err := t.Limits.resolved()
	return g, limits, err
}

// Grade is how bad a cycle is.
type Grade string

// The grades, from the worst on.
const (
	// Unresolvable cycles cannot be loaded: one of Go does not compile, and one of Python
	// fails with whichever of its modules is imported first, since a name is taken from a
	// module that has not got as far as binding it.
	Unresolvable Grade = "unresolvable"
	// Ordered cycles fail with some of their modules first, and load with others.
	Ordered Grade = "ordered"
	// Plain cycles are of modules that name each other while they are loaded, and find what
	// they take: they load, as long as none uses another one at once.
	Plain Grade = "plain"
	// Deferred cycles exist only because a function, a script or a type checker imports.
	Deferred Grade = "deferred"
)

// Edge is one import of one module of a tree by another.
type Edge struct {
	From string `json:"from"`
	To   string `json:"to"`
	Path string `json:"path"` // the file that imports
	Position
	When      When   `json:"when"`
	Takes     bool   `json:"takes,omitempty"`   // a name that is no module: it must be there by then
	Guarded   bool   `json:"guarded,omitempty"` // an ImportError is caught
	Test      bool   `json:"test,omitempty"`    // by a test of the package (Go)
	Statement string `json:"statement"`
}

// String is the edge as a line for people.
func (e Edge) String() string {
	return fmt.Sprintf("%s imports %s at %s:%d (%s)", e.From, e.To, e.Path, e.Line, e.Statement)
}

// Cycle is a group of modules each of which reaches every other one, shown by a shortest
// way around.
type Cycle struct {
	Grade   Grade    `json:"grade"`
	Edges   []Edge   `json:"edges"`   // the way around: each begins where the one before ends
	Modules []string `json:"modules"` // the whole group, sorted
	// Failing are those of them that cannot be imported first (Python).
	Failing []string `json:"failing,omitempty"`
}

// String is the way around in one line.
func (c Cycle) String() string {
	var b strings.Builder
	for _, e := range c.Edges {
		fmt.Fprintf(&b, "%s -> ", e.From)
	}
	if len(c.Edges) > 0 {
		b.WriteString(c.Edges[0].From)
	}
	return b.String()
}

// Graph is what is to be said of the imports in a tree.
type Graph struct {
	Cycles  []Cycle `json:"cycles,omitempty"` // the worst first, then by name
	Modules int     `json:"modules"`
	Edges   int     `json:"edges"` // imports of a module of the tree by another
	Skipped []Skip  `json:"skipped,omitempty"`
}

// Of lists the cycles of one grade.
func (g Graph) Of(grade Grade) []Cycle {
	var out []Cycle
	for _, c := range g.Cycles {
		if c.Grade == grade {
			out = append(out, c)
		}
	}
	return out
}

// sources walks the tree and hands over the content of every chosen file with a suffix.
func sources(w *walker, g globs, suffix string, each func(name string, body []byte) error) ([]Skip, error) {
	var skips []Skip
	for _, s := range w.skips {
		if g.choose(s.Path) {
			skips = append(skips, s)
		}
	}
	for _, f := range w.files {
		if !strings.HasSuffix(f.name, suffix) || !g.choose(f.name) {
			continue
		}
		body, why := read(w.tree, f, w.limits.FileBytes)
		if why == "" {
			if err := each(f.name, body); err != nil {
				if !isInvalid(err) {
					return nil, err
				}
				why = err.Error()
			}
		}
		if why != "" {
			skips = append(skips, Skip{Path: f.name, Reason: why, Source: true})
		}
	}
	return skips, nil
}

func noSources(what string) error {
	return lockstep.Hint(fmt.Errorf("%s in the tree: %w", what, lockstep.ErrNotFound), "look at the root and the paths of the configuration")
}
