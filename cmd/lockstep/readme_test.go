package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestEveryCommandOfTheREADMERuns does what a new user does: it copies the commands out
// of README.md, in their order, into an empty directory with a clone's examples.
func TestEveryCommandOfTheREADMERuns(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program and plays the demo")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	u := &newUser{root: root, dir: t.TempDir(), address: freeAddress(t)}
	if err := os.CopyFS(filepath.Join(u.dir, "examples"), os.DirFS(filepath.Join(root, "examples"))); err != nil {
		t.Fatal(err)
	}
	// The first block is for people who have not built anything yet.
	u.run(t, "go build -o bin/lockstep ./cmd/lockstep")
	lines := shellLines(string(text))
	if len(lines) < 10 {
		t.Fatalf("README.md has %d commands, want those of a first session: %q", len(lines), lines)
	}
	for _, line := range lines {
		u.run(t, line)
	}
	if u.server == nil {
		t.Fatal("no command of README.md starts a server")
	}
	signalled(t, u.server, syscall.SIGTERM)
	if err := u.server.Wait(); err != nil {
		t.Errorf("the server ends with %v", err)
	}
}

// shellLines returns the commands of the blocks that are marked as sh.
func shellLines(text string) []string {
	var out []string
	inside := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "```"):
			inside = line == "```sh"
		case inside && line != "":
			command, _, _ := strings.Cut(line, " # ")
			out = append(out, strings.TrimSpace(command))
		}
	}
	return out
}

type newUser struct {
	root, dir string
	address   string // of the server, instead of the default one, which may be taken
	server    *exec.Cmd
}

func (u *newUser) run(t *testing.T, line string) {
	t.Helper()
	command := strings.ReplaceAll(line, "127.0.0.1:8765", u.address)
	target, isMake := strings.CutPrefix(line, "make ")
	switch {
	case strings.HasPrefix(line, "go build "):
		u.shell(t, u.root, strings.Replace(line, "bin/lockstep", filepath.Join(u.dir, "bin/lockstep"), 1))
	case isMake:
		u.make(t, target)
	case strings.HasSuffix(line, "&"):
		u.serve(t, strings.Fields(strings.TrimSuffix(command, "&")))
	default:
		u.shell(t, u.dir, command)
	}
}

// make asks what a target would do, and does it when that is a command of the program.
// The others, among them the one that runs this test, only have to exist.
func (u *newUser) make(t *testing.T, target string) {
	t.Helper()
	recipe := u.shell(t, u.root, "make -s -n "+target)
	if verb, ok := strings.CutPrefix(strings.TrimSpace(recipe), "go run ./cmd/lockstep "); ok {
		u.shell(t, u.dir, "bin/lockstep "+verb)
	}
}

func (u *newUser) serve(t *testing.T, words []string) {
	t.Helper()
	//nolint:gosec // the words are those of our README
	u.server = exec.CommandContext(t.Context(), filepath.Join(u.dir, words[0]), append(words[1:], "--listen", u.address)...)
	u.server.Dir = u.dir
	if err := u.server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = u.server.Process.Kill() })
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(announcement(u.server)); err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the server does not say where it listens")
		}
	}
}

func (*newUser) shell(t *testing.T, dir, command string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-euc", command)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
