package imports

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/lockstep"
)

const bad = "import gone.away\n"

func put(t *testing.T, name, body string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(body), 0o644); err != nil {
		t.Fatal(err)
	}
}

func symlink(t *testing.T, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
}

func TestLinksAreFollowedInsideTheTreeOnly(t *testing.T) {
	outside := t.TempDir()
	put(t, filepath.Join(outside, "x.py"), bad)
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	put(t, in("shared/a.py"), bad)
	put(t, in("lambdas/b.py"), "")
	symlink(t, "../shared", in("lambdas/shared"))
	symlink(t, "../shared/a.py", in("lambdas/c.py"))
	symlink(t, "..", in("lambdas/up"))
	symlink(t, outside, in("lambdas/absolute"))
	symlink(t, "../../"+filepath.Base(outside)+"/x.py", in("lambdas/out.py"))
	symlink(t, "loop.py", in("lambdas/loop.py"))
	symlink(t, "nowhere", in("lambdas/dangling"))
	if err := syscall.Mkfifo(in("lambdas/fifo.py"), 0o644); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for kind, tree := range map[string]func() (Residue, error){
		"a directory": func() (Residue, error) {
			return Residual(t.Context(), os.DirFS(dir), Search{Forbidden: []string{"gone.away"}, Paths: []string{"lambdas"}})
		},
		"a root": func() (Residue, error) {
			return Residual(t.Context(), root.FS(), Search{Forbidden: []string{"gone.away"}, Paths: []string{"lambdas"}})
		},
	} {
		r, err := tree()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range r.Findings {
			got = append(got, f.Path)
		}
		for _, s := range r.Skipped {
			got = append(got, fmt.Sprintf("%s: %s (%t)", s.Path, s.Reason, s.Source))
		}
		want := []string{
			"lambdas/c.py", "lambdas/shared/a.py",
			"lambdas/absolute: a link out of the tree (false)",
			"lambdas/dangling: a link that cannot be followed: no such file or directory (false)",
			"lambdas/fifo.py: not a regular file (true)",
			"lambdas/loop.py: a link that leads to itself (true)",
			"lambdas/out.py: a link out of the tree (true)",
			"lambdas/up: a link to a directory that it is in (false)",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", kind, diff)
		}
	}
}

func TestWhatIsNotReadIsListed(t *testing.T) {
	tree := fstest.MapFS{
		"big.py":     {Data: []byte(bad + strings.Repeat("#", 100))},
		"big.txt":    {Data: []byte(strings.Repeat("gone.away ", 100))},
		"binary.py":  {Data: []byte(bad + "\x00")},
		"binary.bin": {Data: []byte("gone.away\x00")},
		"fine.py":    {Data: []byte(bad)},
	}
	r, err := Residual(t.Context(), tree, Search{Forbidden: []string{"gone.away"}, Limits: Limits{FileBytes: 60}})
	if err != nil {
		t.Fatal(err)
	}
	var unread []string
	for _, s := range r.Unread() {
		unread = append(unread, s.Path)
	}
	if diff := cmp.Diff([]string{"big.py", "binary.py"}, unread); diff != "" {
		t.Error(diff)
	}
	if len(r.Skipped) != 4 || len(r.Findings) != 1 || r.Files != 1 {
		t.Errorf("%+v", r)
	}
}

func TestALimitIsAnErrorAndNotAShorterList(t *testing.T) {
	tree := fstest.MapFS{}
	for i := range 20 {
		tree[fmt.Sprintf("a/b/c/%d.py", i)] = &fstest.MapFile{Data: []byte(bad)}
	}
	for name, l := range map[string]Limits{"files": {Files: 5}, "depth": {Depth: 2}, "nonsense": {Found: -1}} {
		_, err := Residual(t.Context(), tree, Search{Forbidden: []string{"gone.away"}, Limits: l})
		if !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := PythonCycles(t.Context(), tree, Trees{Limits: l}); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r, err := Residual(t.Context(), tree, Search{Forbidden: []string{"gone.away"}, Limits: Limits{Found: 3}})
	if err != nil || len(r.Findings) != 3 || !r.Cut {
		t.Errorf("%d findings, cut %t, %v", len(r.Findings), r.Cut, err)
	}
}

func TestSearchesThatCannotBeMadeAreRefused(t *testing.T) {
	tree := fstest.MapFS{"a.py": {Data: []byte(bad)}}
	for name, q := range map[string]Search{
		"nothing forbidden":     {},
		"an empty name":         {Forbidden: []string{""}},
		"a blank":               {Forbidden: []string{"a b"}},
		"a dot at the end":      {Forbidden: []string{"a."}},
		"an absolute path":      {Forbidden: []string{"a"}, Paths: []string{"/etc"}},
		"a path out":            {Forbidden: []string{"a"}, Paths: []string{"x/../../y"}},
		"no pattern":            {Forbidden: []string{"a"}, Paths: []string{"[a"}},
		"no expression":         {Forbidden: []string{"a"}, Patterns: []string{"("}},
		"a source root outside": {Forbidden: []string{"a"}, Roots: []string{"../x"}},
	} {
		if _, err := Residual(t.Context(), tree, q); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Residual(ctx, tree, Search{Forbidden: []string{"a"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := PythonCycles(ctx, tree, Trees{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := GoCycles(ctx, tree, Trees{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	gone := os.DirFS(filepath.Join(t.TempDir(), "gone"))
	if _, err := Residual(t.Context(), gone, Search{Forbidden: []string{"a"}}); !errors.Is(err, lockstep.ErrNotFound) {
		t.Errorf("no root: %v", err)
	}
	if _, err := PythonCycles(t.Context(), fstest.MapFS{"x.txt": {}}, Trees{}); !errors.Is(err, lockstep.ErrNotFound) {
		t.Errorf("no Python: %v", err)
	}
	if _, err := GoCycles(t.Context(), tree, Trees{}); !errors.Is(err, lockstep.ErrNotFound) {
		t.Errorf("no go.mod: %v", err)
	}
}
