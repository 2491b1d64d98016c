// Package arch answers "is the house still built as its documents say?" with
// tests, for what a linter cannot say: one package comment per package, one
// package per name, imports that point down, suites that every adapter runs,
// formats that a test reads, fuzz targets that have seeds. It has no code that
// ships; this file reads the source tree for the tests.
package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// Module is the module's path.
const Module = "lockstep"

// File is one Go source file.
type File struct {
	Path    string // from the root, with slashes
	Test    bool
	Syntax  *ast.File
	Imports []string
	Lines   int // that hold code: neither blank nor only a comment
	Text    string
}

// Package is one directory of Go files.
type Package struct {
	Dir   string // from the root, with slashes
	Name  string // without the _test of external tests
	Files []File
}

// Tree parses all Go files below root. It skips directories that the go command
// skips: testdata and names that begin with a dot or an underscore.
func Tree(root string) ([]*Package, *token.FileSet, error) {
	fset := token.NewFileSet()
	byDir := map[string]*Package{}
	var packages []*Package
	err := filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := e.Name()
		if e.IsDir() {
			if name != root && (base == "testdata" || base == "bin" || base == "dist" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") {
			return nil
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		f, err := parse(fset, name, filepath.ToSlash(rel))
		if err != nil {
			return err
		}
		dir := path.Dir(f.Path)
		p := byDir[dir]
		if p == nil {
			p = &Package{Dir: dir, Name: strings.TrimSuffix(f.Syntax.Name.Name, "_test")}
			byDir[dir] = p
			packages = append(packages, p)
		}
		p.Files = append(p.Files, f)
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read the source tree: %w", err)
	}
	return packages, fset, nil
}

func parse(fset *token.FileSet, name, rel string) (File, error) {
	body, err := os.ReadFile(name)
	if err != nil {
		return File{}, fmt.Errorf("read %s: %w", rel, err)
	}
	syntax, err := parser.ParseFile(fset, name, body, parser.ParseComments)
	if err != nil {
		return File{}, fmt.Errorf("parse %s: %w", rel, err)
	}
	f := File{Path: rel, Test: strings.HasSuffix(rel, "_test.go"), Syntax: syntax, Text: string(body)}
	for _, im := range syntax.Imports {
		p, err := strconv.Unquote(im.Path.Value)
		if err != nil {
			return File{}, fmt.Errorf("parse %s: import %s: %w", rel, im.Path.Value, err)
		}
		f.Imports = append(f.Imports, p)
	}
	f.Lines = codeLines(fset, syntax, f.Text)
	return f, nil
}

// codeLines counts the lines that are neither blank nor wholly inside a comment.
func codeLines(fset *token.FileSet, syntax *ast.File, text string) int {
	comment := map[int]bool{}
	for _, group := range syntax.Comments {
		for _, c := range group.List {
			first, last := fset.Position(c.Pos()), fset.Position(c.End())
			for line := first.Line; line <= last.Line; line++ {
				comment[line] = true
			}
		}
	}
	n := 0
	for i, line := range strings.Split(text, "\n") {
		s := strings.TrimSpace(line)
		if s == "" {
			continue
		}
		// A comment after code shares its line; one that begins the line, or a line
		// inside a block comment, does not.
		if comment[i+1] && (strings.HasPrefix(s, "//") || strings.HasPrefix(s, "/*") || strings.HasPrefix(s, "*") || strings.HasSuffix(s, "*/")) {
			continue
		}
		n++
	}
	return n
}
