package imports

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"lockstep/internal/lockstep"
)

// names knows under which dotted names the Python files of a tree can be imported.
type names struct {
	roots []string // source roots, the longest first
	given bool     // they are the caller's, and there are no others
	// self is the dotted name of the tree where the tree itself is a package, unknown
	// when nobody said so, and "" where it is none.
	self  string
	inits map[string]bool // directories with an __init__.py
	files map[string][]module
}

// module is a file under one of its names.
type module struct{ root, file string }

// unknown is the package of a tree that is a package whose name nobody said.
const unknown = "?"

// namesOf lists the modules of a tree. Without roots, every directory that is no package
// and holds a Python file or a package is one, as it is for a script that is started in
// it, and the tree itself is one too. ErrInvalid names the root that is none.
func namesOf(files []file, roots []string, self string) (*names, error) {
	n := &names{inits: map[string]bool{}, files: map[string][]module{}, given: len(roots) > 0}
	for _, r := range roots {
		clean := path.Clean(r)
		if r == "" || !fs.ValidPath(clean) {
			return nil, lockstep.Hint(fmt.Errorf("%w source root %.80q", lockstep.ErrInvalid, r), "write it from the root of the tree, such as src")
		}
		n.roots = append(n.roots, clean)
	}
	var sources, compiled []string
	for _, f := range files {
		switch path.Ext(f.name) {
		case ".py":
			sources = append(sources, f.name)
			if path.Base(f.name) == "__init__.py" {
				n.inits[path.Dir(f.name)] = true
			}
		case ".so", ".pyd":
			compiled = append(compiled, f.name)
		}
	}
	if n.inits["."] {
		n.self = cmp.Or(self, unknown)
	}
	if !n.given {
		n.roots = append(n.roots, ".")
		for _, s := range sources {
			n.roots = append(n.roots, n.top(path.Dir(s)))
		}
	}
	slices.SortFunc(n.roots, func(a, b string) int {
		return cmp.Or(depth(b)-depth(a), strings.Compare(a, b))
	})
	n.roots = slices.Compact(n.roots)
	for _, s := range slices.Concat(sources, compiled) {
		n.index(s)
	}
	return n, nil
}

// depth is how many directories a path names.
func depth(dir string) int {
	if dir == "." {
		return 0
	}
	return strings.Count(dir, "/") + 1
}

func (n *names) index(source string) {
	rest := strings.TrimSuffix(source, ".py")
	if rest == source { // compiled: x.cpython-311-x86_64-linux-gnu.so
		base, _, _ := strings.Cut(path.Base(source), ".")
		rest = path.Join(path.Dir(source), base)
	}
	if rest == "__init__" {
		rest = ""
	}
	rest = strings.TrimSuffix(rest, "/__init__")
	if strings.Contains(rest, ".") {
		return // no statement can name it
	}
	for _, r := range n.roots {
		if dotted, ok := below(r, rest); ok && dotted != "" {
			n.files[dotted] = append(n.files[dotted], module{r, source})
		}
	}
	if n.self != "" {
		dotted := join(n.self, strings.ReplaceAll(rest, "/", "."))
		n.files[dotted] = append(n.files[dotted], module{".", source})
	}
}

// below is the dotted name of a path from a source root on.
func below(root, name string) (dotted string, ok bool) {
	if root == "." {
		return strings.ReplaceAll(name, "/", "."), true
	}
	rest, ok := strings.CutPrefix(name, root)
	if !ok || rest != "" && rest[0] != '/' {
		return "", false
	}
	return strings.ReplaceAll(strings.TrimPrefix(rest, "/"), "/", "."), true
}

// top is the directory that the outermost package around a directory is in.
func (n *names) top(dir string) string {
	for dir != "." && n.inits[dir] {
		dir = path.Dir(dir)
	}
	return dir
}

// packages are the dotted names that the package of a file can have, the likeliest
// first; "" is none. One without __init__.py may begin at any directory above.
func (n *names) packages(name string) []string {
	dir := path.Dir(name)
	top := n.top(dir)
	inner := dir
	if dir == "." {
		inner = ""
	}
	if top == "." && n.self != "" && n.chained(dir) {
		return []string{join(n.self, strings.ReplaceAll(inner, "/", "."))}
	}
	var out []string
	for _, r := range n.roots {
		if !n.given && !covers(r, top) {
			continue
		}
		if p, ok := below(r, inner); ok {
			out = append(out, p)
		}
	}
	if !n.given && !n.inits[dir] {
		for r := path.Dir(dir); r != "."; r = path.Dir(r) {
			if p, ok := below(r, inner); ok && !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out
}

// chained says whether every directory from here up to the tree is a package.
func (n *names) chained(dir string) bool {
	for ; dir != "."; dir = path.Dir(dir) {
		if !n.inits[dir] {
			return false
		}
	}
	return n.inits["."]
}

func covers(root, dir string) bool {
	_, ok := below(root, dir)
	return ok
}

// absolute are the names that the module of an import can have, seen from a file.
func (n *names) absolute(name string, i Import) []string {
	if i.Level == 0 {
		return []string{i.Module}
	}
	var out []string
	for _, base := range n.packages(name) {
		if base == "" || i.Level > strings.Count(base, ".")+1 {
			continue // above the outermost package
		}
		out = append(out, relative(base, i.Level, i.Module))
	}
	if len(out) == 0 && n.self == unknown {
		out = append(out, join(unknown, i.Module)) // above the tree
	}
	return out
}

// find returns the file of a module, "" when it is not in the tree. A source root around
// the file that asks comes first. Where roots were only guessed, any other counts for
// packages alone: the scripts of one directory are not seen from another.
func (n *names) find(from, dotted string) string {
	candidates := n.files[dotted]
	for _, m := range candidates {
		if covers(m.root, path.Dir(from)) {
			return m.file
		}
	}
	head, _, _ := strings.Cut(dotted, ".")
	for _, m := range candidates {
		if n.given || n.inits[path.Join(m.root, head)] {
			return m.file
		}
	}
	return ""
}

// nameOf is the name by which a file is shown: from its nearest source root on.
func (n *names) nameOf(source string) string {
	rest := strings.TrimSuffix(strings.TrimSuffix(source, ".py"), "/__init__")
	for _, r := range n.roots {
		if dotted, ok := below(r, rest); ok && dotted != "" {
			return dotted
		}
	}
	return source
}
