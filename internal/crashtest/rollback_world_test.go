package crashtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"lockstep/internal/adapter/local"
	"lockstep/internal/ledger"
	"lockstep/internal/receipt/synth"
	"lockstep/internal/rollback"
	"lockstep/internal/version"
)

// place is an environment with everything that a full rollback takes back: an index in
// which a bad revision has written, a repository with a migration, tests, a deployment,
// and people to be told. Its programs note their calls, and kill who calls them.
type place struct {
	dir, bin string
	died     map[string]int // deaths of this walk, by the step that was being done; "" between two
	ran      int            // programs that were run
}

// program is what all the programs of a place are: a death is armed by a file in die, and
// pid is whom it may kill. One whose caller is dead already kills nobody.
const program = `#!/bin/sh
here=${0%/*}/..
name=${0##*/}
read -r n 2>/dev/null < "$here/calls/$name" || n=0
n=$((n+1))
echo $n > "$here/calls/$name"
die() {
	[ -e "$here/die/$name $n $1" ] || return 1
	until [ -s "$here/pid" ]; do sleep 0.01; done
	read -r pid < "$here/pid"
	[ "$PPID" = "$pid" ] && kill -KILL "$pid"
}
die before && exit 1
die during
case $name in
git) "GIT" "$@" ;;
tests) echo tests >> "$here/effects" ;;
current) cat "$here/deployed" ;;
up) echo "$1" > "$here/deployed"; echo "up $1" >> "$here/effects" ;;
esac
status=$?
die after
exit $status
`

const settings = `version: 1
environment: dev
data: DIR/data
imports: {directory: DIR/imports}
follower: {chroma: {enabled: "off"}}
rollback:
  git: {path: DIR/repo, paths: [pkg], message: the migration, point: POINT, option: revert, author: "Ops <ops@example.com>"}
  tests:
    - {name: package, command: [DIR/bin/tests], format: exit, item: package}
  deploy: {version: "1", command: {current: [DIR/bin/current], up: [DIR/bin/up, "{version}"]}}
  notify:
    - {name: team, kind: file, events: [rolled-back], dir: DIR/messages}
  issue: {kind: file, dir: DIR/issues}
`

func newPlace(t *testing.T, bin string) *place {
	t.Helper()
	p := &place{dir: t.TempDir(), bin: bin, died: map[string]int{}}
	git, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err) // whoever has cloned this has it
	}
	for _, name := range []string{"git", "tests", "current", "up"} {
		p.write(t, filepath.Join("bin", name), strings.Replace(program, "GIT", git, 1), 0o700)
	}
	p.write(t, "deployed", "2\n", 0o600)
	p.write(t, "effects", "", 0o600)
	text := strings.ReplaceAll(strings.Replace(settings, "POINT", p.migrate(t), 1), "DIR", p.dir)
	p.write(t, "lockstep.yaml", text, 0o600)
	return p
}

func (p *place) write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// migrate makes a repository with two commits of a migration around one that is not of
// it, and returns the commit before.
func (p *place) migrate(t *testing.T) string {
	t.Helper()
	p.write(t, "repo/pkg/__init__.py", "base\n", 0o600)
	p.write(t, "repo/tools/run.py", "tool\n", 0o600)
	p.git(t, "init", "-q", "-b", "main")
	commit := func(subject string) {
		p.git(t, "add", ".")
		p.git(t, "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "core.hooksPath=/dev/null", "commit", "-q", "-m", subject)
	}
	commit("base")
	point := p.git(t, "rev-parse", "HEAD")
	p.write(t, "repo/pkg/compaction/a.py", "one\n", 0o600)
	commit("the migration, one")
	p.write(t, "repo/tools/other.py", "other\n", 0o600)
	commit("another thing")
	p.write(t, "repo/pkg/compaction/b.py", "two\n", 0o600)
	p.write(t, "repo/pkg/__init__.py", "base\nfrom pkg import compaction\n", 0o600)
	commit("the migration, two")
	return point
}

// git asks the repository, without the programs of the place.
func (p *place) git(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", filepath.Join(p.dir, "repo")}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_OPTIONAL_LOCKS=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// fill lets the good revision take a table in, the bad one some edits, and the good one
// some more, of the same receipts. bad names the revision of the second part.
func (p *place) fill(t *testing.T, data, bad string) {
	t.Helper()
	f := &feed{imports: filepath.Join(p.dir, "imports"), g: synth.New(5, synth.Options{
		Receipts: 3, Lines: synth.Range{Min: 1, Max: 2}, Words: synth.Range{Min: 1, Max: 2}, Dimension: 4, Labels: 60,
	})}
	parts := make([][]byte, 3)
	for e := range f.g.Events() {
		parts[0] = append(e.AppendJSON(parts[0]), '\n')
	}
	// Labels only: a change that the bad revision ignores is in no archive, so that nobody
	// can handle it again.
	for i := range 24 {
		edit, err := f.g.Edit(i%f.g.Len(), []string{"label-added", "validated", "relabel", "label-removed"}[i%4])
		if err != nil {
			t.Fatal(err)
		}
		if edit.Kind == "place" {
			continue
		}
		for _, e := range edit.Events {
			parts[1+i/12] = append(e.AppendJSON(parts[1+i/12]), '\n')
		}
	}
	for i := range f.g.Len() {
		f.embed(i)
	}
	for i, part := range parts {
		name := fmt.Sprintf("part%d.ndjson", i)
		p.write(t, name, string(part), 0o600)
		cmd := p.command(t.Context(), "ingest", "--data", data, filepath.Join(p.dir, name))
		if i == 1 {
			cmd.Env = append(cmd.Env, "LOCKSTEP_REVISION="+bad)
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("ingest part %d: %v\n%s", i, err, out)
		}
	}
}

func (p *place) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.bin, append([]string{"--config", filepath.Join(p.dir, "lockstep.yaml")}, args...)...)
	cmd.Env = []string{"HOME=" + p.dir, "USER=crashtest", "PATH=" + filepath.Join(p.dir, "bin") + ":/usr/local/bin:/usr/bin:/bin"}
	return cmd
}

// death is where the process dies next.
type death struct {
	program string        // killed by this program,
	call    int           // when it is called the so manyth time from now,
	when    string        // before, during or after what it does;
	entry   int           // or when so many more entries are in the journal,
	later   time.Duration // and a while later
}

func (d death) String() string {
	if d.program != "" {
		return fmt.Sprintf("%s call %d of %s", d.when, d.call, d.program)
	}
	return fmt.Sprintf("%s after entry %d", d.later, d.entry)
}

// arm prepares the next death.
func (p *place) arm(t *testing.T, d death) {
	t.Helper()
	for _, name := range []string{"calls", "die", "pid"} {
		if err := os.RemoveAll(filepath.Join(p.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	p.write(t, "calls/none", "", 0o600)
	if d.program != "" {
		p.write(t, fmt.Sprintf("die/%s %d %s", d.program, d.call, d.when), "", 0o600)
	}
}

// entries is how many entries the journal of a plan has.
func (p *place) entries(t *testing.T, plan string) int {
	t.Helper()
	names, err := os.ReadDir(filepath.Join(p.dir, "data", "store", "plan", plan))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return len(names)
}

// run runs the program until it ends or dies, and says whether it died.
func (p *place) run(t *testing.T, plan string, d death, args ...string) (died bool) {
	t.Helper()
	p.arm(t, d)
	p.ran++
	due := filepath.Join(p.dir, "data", "store", "plan", plan, fmt.Sprintf("%020d", p.entries(t, plan)+d.entry))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := p.command(ctx, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second // a program that outlives its caller has the output open
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.write(t, "pid", strconv.Itoa(cmd.Process.Pid)+"\n", 0o600)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	err := p.await(cmd.Process, due, d, ended)
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	switch {
	case ok && status.Signaled() && status.Signal() == syscall.SIGKILL && ctx.Err() == nil:
		return true
	case err != nil || ctx.Err() != nil:
		t.Fatalf("%v, to die %s: %v\n%s", args, d, err, &out)
	}
	return false
}

// await kills the process when its entry is there, and waits for its end.
func (*place) await(proc *os.Process, due string, d death, ended <-chan error) error {
	if d.entry == 0 {
		return <-ended
	}
	for {
		select {
		case err := <-ended:
			return err
		case <-time.After(time.Millisecond):
		}
		if _, err := os.Stat(due); err != nil {
			continue
		}
		time.Sleep(d.later)
		_ = proc.Kill() // it may have ended by itself
		return <-ended
	}
}

// journal returns the entries of a plan, oldest first.
func (p *place) journal(t *testing.T, plan string) []*rollback.Entry {
	t.Helper()
	blobs, err := local.OpenBlobs(filepath.Join(p.dir, "data", "store"))
	if err != nil {
		t.Fatal(err)
	}
	j, err := rollback.NewJournals(blobs, ledger.Options{Now: time.Now}).Open(plan)
	if err != nil {
		t.Fatal(err)
	}
	var out []*rollback.Entry
	for e, err := range j.Range(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

// aftermath is everything that a walk leaves and that may be compared between places.
type aftermath struct {
	Digest   string // of the index
	Versions uint64
	Tree     string   // what is checked out
	Branches []string // the trees of all branches, sorted
	Deployed string
	Releases int // entries of the ledger of releases: routing and quarantine
	Messages int
	Issues   int
	Told     int // how often a message is in the issue
}

func (p *place) aftermath(t *testing.T) aftermath {
	t.Helper()
	x, err := examine(t.Context(), filepath.Join(p.dir, "data"), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if status := p.git(t, "status", "--porcelain"); status != "" {
		t.Fatalf("the working tree is not clean:\n%s", status)
	}
	a := aftermath{Digest: version.IndexDigest(x.head.Entry.Digests()), Versions: x.head.Number(), Tree: p.git(t, "rev-parse", "HEAD^{tree}")}
	a.Branches = strings.Fields(p.git(t, "for-each-ref", "--format=%(tree)", "refs/heads"))
	slices.Sort(a.Branches)
	deployed, err := os.ReadFile(filepath.Join(p.dir, "deployed"))
	if err != nil {
		t.Fatal(err)
	}
	a.Deployed = strings.TrimSpace(string(deployed))
	a.Releases = len(p.files(t, "data/store/release"))
	a.Messages = len(p.files(t, "messages"))
	issues := p.files(t, "issues")
	a.Issues = len(issues)
	for _, name := range issues {
		body, err := os.ReadFile(filepath.Join(p.dir, "issues", name))
		if err != nil {
			t.Fatal(err)
		}
		a.Told += bytes.Count(body, []byte("<!-- lockstep-message:"))
	}
	return a
}

func (p *place) files(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(filepath.Join(p.dir, dir))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var out []string
	for _, e := range list {
		if !e.IsDir() {
			out = append(out, e.Name())
		}
	}
	return out
}

// effects returns what the programs have done since the file had skip lines.
func (p *place) effects(t *testing.T, skip int) []string {
	t.Helper()
	body, err := os.ReadFile(filepath.Join(p.dir, "effects"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.Collect(strings.Lines(string(body)))[skip:]
}
