package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// ground is a directory in which examples/receipts was generated, with a store beside it.
type ground struct {
	t     *testing.T
	dir   string
	point string // the last commit before the migration
	good  string // the digest of an index in which nothing wrong was ever written
}

// generate makes the example once; the tests work on copies of it.
func generate(t *testing.T) *ground {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "python3", "-m", "venv", "--without-pip", filepath.Join(t.TempDir(), "venv")).CombinedOutput(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("python3 with venv is missing: %v: %s", err, out)
		}
		t.Skipf("SKIPPED, nothing was checked: python3 with venv is missing: %v: %s", err, out)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	g := &ground{t: t, dir: filepath.Join(t.TempDir(), "example")}
	out, err := exec.CommandContext(t.Context(), filepath.Join(root, "examples/receipts/generate.sh"), g.dir, "undeployed").CombinedOutput()
	if err != nil {
		t.Fatalf("generate.sh: %v\n%s", err, out)
	}
	if err := os.CopyFS(g.dir, os.DirFS(filepath.Join(root, "internal/cli/testdata/receipt"))); err != nil {
		t.Fatal(err)
	}
	g.point = g.git("rev-parse", ":/Begin a runbook")
	g.text(0, "ingest", "created.ndjson")
	g.text(0, "ingest", "--data", "alone", "created.ndjson")
	g.text(0, "ingest", "--data", "alone", "tax.ndjson")
	g.good = g.digest("--data", "alone")
	return g
}

// copy makes a ground of its own for a test, in which everything that is wrong is the code.
func (g *ground) copy(t *testing.T) *ground {
	t.Helper()
	c := &ground{t: t, dir: filepath.Join(t.TempDir(), "example"), point: g.point, good: g.good}
	if out, err := exec.CommandContext(t.Context(), "cp", "-Rp", g.dir, c.dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c.shell("cd repo/receipt_chroma && ../../venv/bin/python ../../reinstall.py")
	return c
}

// undeployed is a ground on which nothing of the migration was ever in operation.
func (g *ground) undeployed(t *testing.T) *ground {
	t.Helper()
	c := g.copy(t)
	c.text(0, "ingest", "tax.ndjson")
	return c
}

// deployed is a ground on which the migration runs, and a revision has handled an edit wrongly.
func (g *ground) deployed(t *testing.T) *ground {
	t.Helper()
	c := g.copy(t)
	c.shell("./deploy.sh up handlers-2")
	cmd := c.program("ingest", "tax.ndjson")
	cmd.Env = append(cmd.Env, "LOCKSTEP_REVISION=receipts@1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if c.digest() == c.good {
		t.Fatal("the wrong revision has written nothing wrong")
	}
	return c
}

// snapshot is everything that a rollback may change.
type snapshot struct {
	Branch, Head, Status string
	Files                map[string]string // of the working tree, with their hashes
	Version              string            // of the package
	Deployed             string
	Digest               string // of the data
}

func (g *ground) snapshot() snapshot {
	g.t.Helper()
	s := snapshot{
		Branch: g.git("branch", "--show-current"), Head: g.git("rev-parse", "HEAD"), Status: g.git("status", "--porcelain"),
		Files: map[string]string{}, Deployed: strings.TrimSpace(g.shell("./deploy.sh current")), Digest: g.digest(),
	}
	version, ok := g.python("import receipt_chroma; print(receipt_chroma.__version__)")
	if !ok {
		g.t.Errorf("the package cannot be imported: %s", version)
	}
	s.Version = strings.TrimSpace(version)
	repo := os.DirFS(filepath.Join(g.dir, "repo"))
	err := fs.WalkDir(repo, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.Name() == ".git" || d.Name() == "__pycache__":
			return fs.SkipDir
		case d.IsDir():
			return nil
		}
		body, err := fs.ReadFile(repo, name)
		s.Files[name] = fmt.Sprintf("%x", sha256.Sum256(body))
		return err
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return s
}

func (g *ground) program(args ...string) *exec.Cmd {
	cmd := program(g.t, args...)
	cmd.Dir = g.dir
	cmd.Env = append(cmd.Env, "USER=tester")
	return cmd
}

// text runs the program, wants a status, and returns what it prints.
func (g *ground) text(status int, args ...string) string {
	g.t.Helper()
	cmd := g.program(args...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if cmd.ProcessState == nil {
		g.t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != status {
		g.t.Fatalf("%v ended with status %d, want %d\n%s%s", args, got, status, stdout.String(), stderr.String())
	}
	return stdout.String()
}

func (g *ground) decode(into any, args ...string) {
	g.t.Helper()
	if text := g.text(0, args...); json.Unmarshal([]byte(text), into) != nil {
		g.t.Fatalf("%v prints %s", args, text)
	}
}

func (g *ground) digest(flags ...string) string {
	g.t.Helper()
	var s struct{ Digest string }
	g.decode(&s, append([]string{"status", "-o", "json"}, flags...)...)
	if s.Digest == "" {
		g.t.Fatal("the status has no digest")
	}
	return s.Digest
}

func (g *ground) shell(command string) string {
	g.t.Helper()
	cmd := exec.CommandContext(g.t.Context(), "sh", "-euc", command)
	cmd.Dir = g.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		g.t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}

func (g *ground) git(args ...string) string {
	g.t.Helper()
	out, err := exec.CommandContext(g.t.Context(), "git", append([]string{"-C", filepath.Join(g.dir, "repo")}, args...)...).Output()
	if err != nil {
		g.t.Fatalf("git %v: %v", args, err)
	}
	return strings.TrimSpace(string(out))
}

// python runs a line in the virtual environment, from somewhere else.
func (g *ground) python(line string) (out string, ok bool) {
	g.t.Helper()
	cmd := exec.CommandContext(g.t.Context(), filepath.Join(g.dir, "venv/bin/python"), "-B", "-c", line)
	cmd.Dir = g.t.TempDir()
	body, err := cmd.CombinedOutput()
	return string(body), err == nil
}

func (g *ground) read(name string) string {
	g.t.Helper()
	body, err := os.ReadFile(filepath.Join(g.dir, name))
	if err != nil {
		g.t.Fatal(err)
	}
	return string(body)
}

// newest is the last file that was written to a directory.
func (g *ground) newest(dir string) string {
	g.t.Helper()
	return g.read(filepath.Join(dir, strings.TrimSpace(g.shell("ls -t "+dir+" | head -n 1"))))
}
