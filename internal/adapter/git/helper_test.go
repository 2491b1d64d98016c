package git

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lockstep/internal/rollback"
)

// start is when the first commit of every test is made; each is a day after the one before.
var start = time.Date(2024, 12, 1, 12, 0, 0, 0, time.UTC)

// planned is when every plan is made.
var planned = time.Date(2026, 1, 5, 9, 30, 0, 0, time.UTC)

// box is a real repository.
type box struct {
	t    *testing.T
	dir  string
	home string
	made int
}

func newBox(t *testing.T) *box {
	t.Helper()
	b := &box{t: t, dir: filepath.Join(t.TempDir(), "repo"), home: t.TempDir()}
	b.in(b.home, "init", "--quiet", "--template=", "-b", "main", b.dir)
	b.git("config", "user.name", "Ada")
	b.git("config", "user.email", "ada@example.org")
	return b
}

// in runs the real git like a person would: with hooks, locks and all.
func (b *box) in(dir string, args ...string) string {
	b.t.Helper()
	out, err := b.try(dir, args...)
	if err != nil {
		b.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (b *box) try(dir string, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	date := start.AddDate(0, 0, b.made).Format(time.RFC3339)
	cmd.Env = []string{
		"HOME=" + b.home, "PATH=" + os.Getenv("PATH"), "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_DATE=" + date, "GIT_COMMITTER_DATE=" + date,
		"GIT_EDITOR=true", "LC_ALL=C", "TZ=UTC",
	}
	out, err := cmd.CombinedOutput()
	return strings.TrimSuffix(string(out), "\n"), err
}

func (b *box) git(args ...string) string {
	b.t.Helper()
	return b.in(b.dir, args...)
}

func (b *box) write(path, content string) {
	b.t.Helper()
	full := filepath.Join(b.dir, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

func (b *box) read(path string) string {
	b.t.Helper()
	c, err := os.ReadFile(filepath.Join(b.dir, path))
	if err != nil {
		b.t.Fatal(err)
	}
	return string(c)
}

func (b *box) has(path string) bool {
	_, err := os.Lstat(filepath.Join(b.dir, path))
	return err == nil
}

// commit writes files, path and content in turn, and commits all there is.
func (b *box) commit(message string, files ...string) string {
	b.t.Helper()
	for i := 0; i < len(files); i += 2 {
		b.write(files[i], files[i+1])
	}
	b.git("add", "--all")
	b.git("commit", "--quiet", "--allow-empty", "-m", message)
	b.made++
	return b.git("rev-parse", "HEAD")
}

// merge merges a branch, always with a commit.
func (b *box) merge(message string, branches ...string) string {
	b.t.Helper()
	b.git(append([]string{"merge", "--quiet", "--no-ff", "-m", message}, branches...)...)
	b.made++
	return b.git("rev-parse", "HEAD")
}

func (b *box) head() string { b.t.Helper(); return b.git("rev-parse", "HEAD") }

// repo opens it; change changes the settings.
func (b *box) repo(change func(*Settings)) *Repo {
	b.t.Helper()
	s := Settings{Path: b.dir, Paths: paths, Message: "compaction migration"}
	if change != nil {
		change(&s)
	}
	r, err := New(s, Options{Env: map[string]string{"HOME": b.home, "PATH": os.Getenv("PATH"), "GIT_DIR": "/nowhere"}, Now: time.Now})
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// print is all of a repository that a person would miss: where HEAD is, the branches
// that are named, the index, and every file with its content.
func (b *box) print() string {
	b.t.Helper()
	var out strings.Builder
	head, err := os.ReadFile(filepath.Join(b.dir, ".git/HEAD"))
	fmt.Fprintln(&out, string(head), err, b.git("for-each-ref", "--format=%(objectname)", "refs/heads/main"))
	fmt.Fprintln(&out, b.git("ls-files", "--stage"))
	err = filepath.WalkDir(b.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.Name() == ".git" {
			if d != nil && d.IsDir() && err == nil {
				return filepath.SkipDir
			}
			return err
		}
		if d.Type().IsRegular() {
			c, err := os.ReadFile(path)
			fmt.Fprintf(&out, "%s %q %v\n", strings.TrimPrefix(path, b.dir), c, err)
		} else {
			fmt.Fprintln(&out, strings.TrimPrefix(path, b.dir), d.Type())
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return out.String()
}

// same compares with an earlier print.
func (b *box) same(before string) error {
	if now := b.print(); now != before {
		return fmt.Errorf("it was\n%s\nand is\n%s", before, now)
	}
	return nil
}

var paths = []string{"lambdas", "receipt_chroma/__init__.py", "receipt_chroma/compaction", "receipt_chroma/stream"}

// migrated is the layout of the document after its migration, with other work between.
type migrated struct {
	*box
	point, create, docs, stream, merge, handler, typo string
}

// newMigrated copies what makeMigrated made once: making it takes git longer than most
// tests take.
func newMigrated(t *testing.T) migrated {
	t.Helper()
	once.Do(func() {
		model = makeMigrated(t)
		if err := os.CopyFS(filepath.Join(modelDir, "repo"), os.DirFS(model.dir)); err != nil {
			t.Fatal(err)
		}
	})
	m := model
	m.box = &box{t: t, dir: filepath.Join(t.TempDir(), "repo"), home: t.TempDir(), made: model.made}
	if err := os.CopyFS(m.dir, os.DirFS(filepath.Join(modelDir, "repo"))); err != nil {
		t.Fatal(err)
	}
	return m
}

var (
	once     sync.Once
	model    migrated
	modelDir string // outlives the test that makes the model
)

func TestMain(m *testing.M) {
	var err error
	if modelDir, err = os.MkdirTemp("", "lockstep-git-test-"); err != nil {
		panic(err)
	}
	status := m.Run()
	_ = os.RemoveAll(modelDir)
	os.Exit(status)
}

func makeMigrated(t *testing.T) migrated {
	t.Helper()
	m := migrated{box: newBox(t)}
	m.commit("first", "README.md", "receipts\n", "receipt_chroma/__init__.py", "VERSION = 1\n", "lambdas/handler.py", "from local import update\n\n\ndef handle():\n    pass\n")
	m.point = m.commit("last before", ".gitignore", "*.pyc\n*.data\n")
	m.create = m.commit("compaction migration: create modules", "receipt_chroma/compaction/__init__.py", "", "receipt_chroma/compaction/ops.py", "def update(): ...\n")
	m.docs = m.commit("docs", "docs/guide.md", "how\n")
	m.git("switch", "--quiet", "-c", "stream")
	m.stream = m.commit("stream processor", "receipt_chroma/stream/processor.py", "def run(): ...\n")
	m.git("switch", "--quiet", "main")
	m.commit("other work", "other.txt", "other\n")
	m.merge = m.box.merge("Merge pull request #517 from ada/stream\n\ncompaction migration, stream half", "stream")
	m.git("branch", "--quiet", "-D", "stream")
	m.handler = m.commit("compaction migration: imports", "lambdas/handler.py", "from receipt_chroma.compaction import update\n\n\ndef handle():\n    pass\n", "receipt_chroma/__init__.py", "VERSION = 2\n")
	m.typo = m.commit("fix a typo", "README.md", "Receipts\n")
	return m
}

func find(t *testing.T, r *Repo) Point {
	t.Helper()
	p, err := r.FindPoint(t.Context(), r.Query())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// steps finds the point and plans.
func steps(t *testing.T, r *Repo, o Option) []rollback.Step {
	t.Helper()
	list, err := r.Plan(t.Context(), find(t, r), o, planned)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// pristine returns the steps for what newMigrated returns, which are always the same but
// for the path in what a person would type.
func pristine(t *testing.T, o Option) []rollback.Step {
	t.Helper()
	plans.Lock()
	defer plans.Unlock()
	if plans.of[o] == nil {
		plans.of[o] = steps(t, newMigrated(t).repo(nil), o)
	}
	return slices.Clone(plans.of[o])
}

var plans = struct {
	sync.Mutex
	of map[Option][]rollback.Step
}{of: map[Option][]rollback.Step{}}

func stepOf(t *testing.T, list []rollback.Step, id string) rollback.Step {
	t.Helper()
	for _, s := range list {
		if s.ID == id {
			return s
		}
	}
	t.Fatalf("no step %s in %+v", id, list)
	return rollback.Step{}
}

func names(commits []Commit) string {
	var out bytes.Buffer
	for _, c := range commits {
		fmt.Fprintln(&out, c.Subject)
	}
	return out.String()
}
