package arch

import (
	"go/ast"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// MaxLines is the hard stop of STYLE 3.7 for code; tests may have more.
const (
	maxLines     = 600
	maxTestLines = 800
)

func tree(t *testing.T) []*Package {
	t.Helper()
	packages, _, err := Tree(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) < 5 {
		t.Fatalf("only %d packages found below %s", len(packages), root)
	}
	return packages
}

func TestEveryPackageHasOnePackageComment(t *testing.T) {
	for _, p := range tree(t) {
		var with []string
		shipped := 0
		for _, f := range p.Files {
			if f.Test {
				continue
			}
			shipped++
			if f.Syntax.Doc != nil {
				with = append(with, f.Path)
			}
		}
		if shipped > 0 && len(with) != 1 {
			t.Errorf("%s: want one package comment, found %d %v", p.Dir, len(with), with)
		}
	}
}

func TestNoTwoPackagesShareAName(t *testing.T) {
	dirs := map[string]string{}
	for _, p := range tree(t) {
		if p.Name == "main" {
			continue
		}
		if other, ok := dirs[p.Name]; ok {
			t.Errorf("package %s is in %s and in %s; a reader cannot tell which is meant", p.Name, other, p.Dir)
		}
		dirs[p.Name] = p.Dir
	}
}

func TestFilesAreSmall(t *testing.T) {
	for _, p := range tree(t) {
		for _, f := range p.Files {
			limit := maxLines
			if f.Test {
				limit = maxTestLines
			}
			if f.Lines > limit {
				t.Errorf("%s has %d lines of code, at most %d", f.Path, f.Lines, limit)
			}
		}
	}
}

func TestImportsPointDown(t *testing.T) {
	checked := 0
	for _, p := range tree(t) {
		for _, f := range p.Files {
			if f.Test {
				continue // a test may stand anywhere; the suites do
			}
			for _, im := range f.Imports {
				to, ok := strings.CutPrefix(im, Module+"/")
				if !ok {
					continue
				}
				checked++
				if why := Forbidden(p.Dir, to); why != "" {
					t.Errorf("%s imports %s: %s", f.Path, im, why)
				}
			}
		}
	}
	if checked == 0 {
		t.Error("no import was checked")
	}
}

func TestTheRuleRefusesWhatItShould(t *testing.T) {
	for _, tc := range []struct {
		from, to  string
		forbidden bool
	}{
		{"internal/lockstep", "internal/blob", true},
		{"internal/blob", "internal/lockstep", false},
		{"internal/version", "internal/guard", true},
		{"internal/rollback", "internal/compact", true},
		{"internal/app", "internal/adapter/local", false},
		{"internal/cli", "internal/adapter/local", true},
		{"internal/adapter/chroma", "internal/adapter/local", true},
		{"internal/adapter/chroma", "internal/follow", false},
		{"internal/mapping", "internal/blob", true},
		{"internal/mapping", "internal/config", false},
		{"internal/compact", "internal/receipt", true},
		{"internal/blob", "internal/handler", true},
		{"internal/app", "cmd/lockstep", true},
		{"cmd/lockstep", "internal/cli", false},
		{"internal/handler/handlertest", "internal/change", false},
	} {
		if got := Forbidden(tc.from, tc.to); (got != "") != tc.forbidden {
			t.Errorf("%s -> %s: %q", tc.from, tc.to, got)
		}
	}
}

// unlayered packages stand beside the house: arch reads it, interop only tests it.
var unlayered = []string{"internal/arch", "internal/interop", "internal/crashtest"}

func TestEveryPackageHasALayer(t *testing.T) {
	for _, p := range tree(t) {
		r := room(p.Dir)
		if r == "" || slices.Contains(unlayered, p.Dir) {
			continue
		}
		if _, ok := layer(r); !ok {
			t.Errorf("%s has no layer; add it to layers and to .golangci.yml", p.Dir)
		}
	}
}

// TestEveryBlobAdapterRunsTheSuite finds the packages that state
// `var _ blob.Store = …` and wants blobtest imported by a test of the same package.
func TestEveryBlobAdapterRunsTheSuite(t *testing.T) {
	const suite = Module + "/internal/blob/blobtest"
	found := 0
	for _, p := range tree(t) {
		if room(p.Dir) == "" || !slices.ContainsFunc(p.Files, statesStore) {
			continue
		}
		found++
		if !slices.ContainsFunc(p.Files, func(f File) bool { return f.Test && slices.Contains(f.Imports, suite) }) {
			t.Errorf("%s implements blob.Store and does not run blobtest", p.Dir)
		}
	}
	if found == 0 {
		t.Error("no implementation of blob.Store found: has the convention changed?")
	}
}

func statesStore(f File) bool {
	if f.Test {
		return false
	}
	for _, d := range f.Syntax.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, s := range g.Specs {
			v, ok := s.(*ast.ValueSpec)
			if !ok || len(v.Names) != 1 || v.Names[0].Name != "_" {
				continue
			}
			switch typ := v.Type.(type) {
			case *ast.SelectorExpr:
				if x, ok := typ.X.(*ast.Ident); ok && x.Name == "blob" && typ.Sel.Name == "Store" {
					return true
				}
			case *ast.Ident:
				if typ.Name == "Store" && f.Syntax.Name.Name == "blob" {
					return true
				}
			}
		}
	}
	return false
}

func TestEveryFormatPageIsReadByATest(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join(root, "docs", "format", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	packages := tree(t)
	for _, page := range pages {
		name := "format/" + filepath.Base(page)
		named := slices.ContainsFunc(packages, func(p *Package) bool {
			return slices.ContainsFunc(p.Files, func(f File) bool {
				return f.Test && p.Dir != "internal/arch" && strings.Contains(f.Text, name)
			})
		})
		if !named {
			t.Errorf("no test names docs/%s: its example may have rotted", name)
		}
	}
}

// TestEveryFuzzTargetHasSeeds wants f.Add in the target's package or a corpus
// under testdata/fuzz: fuzzing from nothing mostly tests the first byte.
func TestEveryFuzzTargetHasSeeds(t *testing.T) {
	for _, p := range tree(t) {
		for _, f := range p.Files {
			for _, d := range f.Syntax.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if !ok || !f.Test || fn.Recv != nil || !strings.HasPrefix(fn.Name.Name, "Fuzz") {
					continue
				}
				corpus, err := os.ReadDir(filepath.Join(root, p.Dir, "testdata", "fuzz", fn.Name.Name))
				if (err != nil || len(corpus) == 0) && !addsSeeds(p, fn) {
					t.Errorf("%s: %s has no seeds", f.Path, fn.Name.Name)
				}
			}
		}
	}
}

// addsSeeds says whether fn, or a function of the package that it hands its
// *testing.F to, calls Add.
func addsSeeds(p *Package, fn *ast.FuncDecl) bool {
	called := map[string]bool{}
	adds := false
	ast.Inspect(fn, func(n ast.Node) bool {
		c, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		switch f := c.Fun.(type) {
		case *ast.SelectorExpr:
			adds = adds || f.Sel.Name == "Add"
		case *ast.Ident:
			called[f.Name] = true
		}
		return true
	})
	if adds {
		return true
	}
	for _, f := range p.Files {
		for _, d := range f.Syntax.Decls {
			helper, ok := d.(*ast.FuncDecl)
			if ok && f.Test && called[helper.Name.Name] && strings.Contains(f.Text, ".Add(") {
				return true
			}
		}
	}
	return false
}
