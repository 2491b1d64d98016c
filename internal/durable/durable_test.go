package durable

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/lockstep"
)

var update = flag.Bool("update", false, "rewrite golden files")

var tempPattern = regexp.MustCompile(`~[0-9a-z]+\.tmp`)

// recorder notes the steps of one operation with paths relative to root.
func recorder(root string, log *strings.Builder) disk {
	return disk{hook: func(step string, paths ...string) error {
		fmt.Fprintf(log, "  %s", step)
		for _, p := range paths {
			rel, err := filepath.Rel(root, p)
			if err != nil {
				return err
			}
			fmt.Fprintf(log, " %s", tempPattern.ReplaceAllString(rel, "TEMP"))
		}
		log.WriteByte('\n')
		return nil
	}}
}

func TestOrderOfSyncsAndRenames(t *testing.T) {
	root := t.TempDir()
	at := func(p string) string { return filepath.Join(root, p) }
	var log strings.Builder
	d := recorder(root, &log)
	must(t, os.MkdirAll(at("staging"), 0o777))
	for _, op := range []struct {
		name string
		run  func() error
	}{
		{"mkdir all a/b", func() error { return d.mkdirAll(at("a/b")) }},
		{"mkdir all a/b again", func() error { return d.mkdirAll(at("a/b")) }},
		{"mkdir a/b again", func() error { return d.mkdir(at("a/b")) }},
		{"create new", func() error { return d.createNew(at("a"), at("a/f"), []byte("1")) }},
		{"create new, via staging", func() error { return d.createNew(at("staging"), at("a/g"), []byte("1")) }},
		{"create new, taken", func() error { return d.createNew(at("a"), at("a/f"), []byte("2")) }},
		{"replace", func() error { return d.replace(at("a/f"), []byte("3")) }},
		{"replace unsynced", func() error { return d.replaceUnsynced(at("staging"), at("a/f"), []byte("4")) }},
		{"switch link", func() error { return d.switchLink(at("now"), "a") }},
		{"rename dir", func() error { return d.renameDir(at("a/b"), at("a/c")) }},
		{"rename dir to another parent", func() error { return d.renameDir(at("a/c"), at("c")) }},
		{"sync tree", func() error { return d.syncTree(at("a")) }},
	} {
		fmt.Fprintf(&log, "%s\n", op.name)
		if err := op.run(); err != nil && !errors.Is(err, fs.ErrExist) {
			t.Fatalf("%s: %v", op.name, err)
		}
	}
	golden := filepath.Join("testdata", "order.golden")
	if *update {
		must(t, os.WriteFile(golden, []byte(log.String()), 0o644))
	}
	want, err := os.ReadFile(golden)
	must(t, err)
	if diff := cmp.Diff(string(want), log.String()); diff != "" {
		t.Errorf("order of steps (-want +got):\n%s", diff)
	}
}

func TestCreateNewNeverOverwrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	must(t, CreateNew(path, []byte("first")))
	if err := CreateNew(path, []byte("second")); !errors.Is(err, os.ErrExist) {
		t.Fatalf("second create: %v, want os.ErrExist", err)
	}
	wantContent(t, path, "first")
	wantNoTemps(t, filepath.Dir(path))
}

func TestOneOfManyConcurrentCreatesWins(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	errs := make([]error, 16)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = CreateNew(path, fmt.Appendf(nil, "writer %d", i)) })
	}
	wg.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Fatalf("writers %d and %d both won", winner, i)
		case err == nil:
			winner = i
		case !errors.Is(err, fs.ErrExist):
			t.Fatalf("writer %d: %v", i, err)
		}
	}
	wantContent(t, path, fmt.Sprintf("writer %d", winner))
	wantNoTemps(t, filepath.Dir(path))
}

func TestAFailureAtAnyStepLeavesAWholeFileOrNone(t *testing.T) {
	broken := errors.New("broken")
	ops := map[string]func(d disk, dir string) error{
		"create":           func(d disk, dir string) error { return d.createNew(dir, filepath.Join(dir, "f"), []byte("new")) },
		"replace":          func(d disk, dir string) error { return d.replace(filepath.Join(dir, "f"), []byte("new")) },
		"replace unsynced": func(d disk, dir string) error { return d.replaceUnsynced(dir, filepath.Join(dir, "f"), []byte("new")) },
	}
	for name, op := range ops {
		for _, step := range []string{"write", "sync file", "link", "rename"} {
			t.Run(name+"/"+step, func(t *testing.T) {
				dir, failed := t.TempDir(), false
				err := op(disk{hook: func(s string, _ ...string) error {
					if s != step {
						return nil
					}
					failed = true
					return broken
				}}, dir)
				if failed != errors.Is(err, broken) {
					t.Fatalf("error %v, step failed: %v", err, failed)
				}
				if failed {
					if _, err := os.Stat(filepath.Join(dir, "f")); !errors.Is(err, fs.ErrNotExist) {
						t.Errorf("file is there after a failed %s: %v", step, err)
					}
				} else {
					wantContent(t, filepath.Join(dir, "f"), "new")
				}
				wantNoTemps(t, dir)
			})
		}
	}
}

func TestALinkWhoseAnswerWasLostIsOurs(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	retried := disk{hook: func(step string, paths ...string) error {
		if step != "link" {
			return nil
		}
		// The first attempt lands; the file system's own retry then meets it.
		return errors.Join(os.Link(paths[0], paths[1]), os.Link(paths[0], paths[1]))
	}}
	if err := retried.createNew(dir, path, []byte("ours")); err != nil {
		t.Fatalf("our own file was taken for another's: %v", err)
	}
	wantContent(t, path, "ours")
	wantNoTemps(t, dir)
}

func TestAFailedDirectorySyncEndsTheProcess(t *testing.T) {
	dir := t.TempDir()
	d := disk{hook: func(step string, _ ...string) error {
		if step == "sync dir" {
			return syscall.EIO
		}
		return nil
	}}
	defer func() {
		if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), dir) {
			t.Errorf("recovered %v, want a panic that names %s", r, dir)
		}
	}()
	_ = d.replace(filepath.Join(dir, "f"), nil)
	t.Error("a failed directory sync went unnoticed")
}

func TestAFileSystemThatCannotSyncDirectoriesIsRefused(t *testing.T) {
	d := disk{hook: func(step string, _ ...string) error { return syscall.EINVAL }}
	err := d.syncDir(t.TempDir())
	if !errors.Is(err, lockstep.ErrRefused) || lockstep.HintOf(err) == "" {
		t.Errorf("got %v with hint %q, want ErrRefused with a hint", err, lockstep.HintOf(err))
	}
}

func TestSwitchLinkReplacesALinkButNotADirectory(t *testing.T) {
	root := t.TempDir()
	link := filepath.Join(root, "now")
	for _, name := range []string{"one", "two", "dir"} {
		must(t, os.Mkdir(filepath.Join(root, name), 0o777))
	}
	for _, target := range []string{"one", "two"} {
		must(t, SwitchLink(link, target))
		if got, err := os.Readlink(link); err != nil || got != target {
			t.Fatalf("link is %q, %v; want %q", got, err, target)
		}
	}
	if err := SwitchLink(filepath.Join(root, "dir"), "one"); err == nil {
		t.Error("a directory was replaced by a link")
	}
	wantNoTemps(t, root)
}

func TestRenameDirRefusesATakenName(t *testing.T) {
	root := t.TempDir()
	a, b := filepath.Join(root, "a"), filepath.Join(root, "b")
	must(t, os.Mkdir(a, 0o777))
	must(t, os.Mkdir(b, 0o777))
	if err := RenameDir(a, b); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("got %v, want fs.ErrExist", err)
	}
	must(t, RenameDir(a, filepath.Join(root, "c")))
	if isDir(a) || !isDir(filepath.Join(root, "c")) {
		t.Error("directory was not renamed")
	}
}

func TestMkdirOverAFileIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	must(t, CreateNew(path, nil))
	if err := Mkdir(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Mkdir: %v, want fs.ErrExist", err)
	}
	if err := MkdirAll(filepath.Join(path, "x")); err == nil {
		t.Error("a directory was made inside a file")
	}
}

func TestSweepRemovesOnlyOldTemps(t *testing.T) {
	dir := t.TempDir()
	old := time.Now().Add(-2 * time.Hour)
	for name, age := range map[string]bool{"~old.tmp": true, "~young.tmp": false, "old.tmp": true, "~old": true} {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, nil, 0o644))
		if age {
			must(t, os.Chtimes(path, old, old))
		}
	}
	must(t, Sweep(dir, time.Hour))
	entries, err := os.ReadDir(dir)
	must(t, err)
	var left []string
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if diff := cmp.Diff([]string{"old.tmp", "~old", "~young.tmp"}, left); diff != "" {
		t.Errorf("left behind (-want +got):\n%s", diff)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantContent(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s holds %q, %v; want %q", path, got, err, want)
	}
}

func wantNoTemps(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		if IsTemp(e.Name()) {
			t.Errorf("temporary file %s was left behind", e.Name())
		}
	}
}
