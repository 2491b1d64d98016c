package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// wrongLabels is the rollback of the revision that has written something wrong.
var wrongLabels = []string{"rollback", "run", "--revision", "receipts@1", "--reason", "wrong labels", "--without", "watch", "--yes"}

// TestTheMigrationOfTheExampleIsRolledBack rolls the repository of examples/receipts back
// in every scenario and by both procedures, undoes it, and rolls it back again.
func TestTheMigrationOfTheExampleIsRolledBack(t *testing.T) {
	migrated := generate(t)
	harmed, unharmed := migrated.deployed, migrated.undeployed
	for _, c := range []struct {
		name    string
		ground  func(*testing.T) *ground
		command []string
		want    kind
	}{
		{"before deployment, as it is found", unharmed, []string{"rollback", "run", "--without", "watch", "--yes"}, kind{"pre-deploy", true, false}},
		{"before deployment, quick", harmed, append(slices.Clone(wrongLabels), "--scenario", "pre-deploy", "--quick"), kind{"pre-deploy", false, true}},
		{"in dev, as it is found", harmed, wrongLabels, kind{"dev", false, true}},
		{"in dev, full", harmed, append(slices.Clone(wrongLabels), "--full"), kind{"dev", true, true}},
		{"in production, quick", harmed, append(slices.Clone(wrongLabels), "--scenario", "prod", "--quick"), kind{"prod", false, true}},
		{"in production, full", harmed, append(slices.Clone(wrongLabels), "--scenario", "prod", "--full"), kind{"prod", true, true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := c.ground(t)
			before := g.snapshot()
			after := g.rolledBack(before, c.want, c.command)
			g.checklist(c.want)

			if got := g.walk(0, "rollback", "undo", "--yes"); got.Outcome != "complete" {
				t.Errorf("the undo is %s", got.Outcome)
			}
			undone := g.snapshot()
			if d := cmp.Diff(before, undone); d != "" {
				t.Errorf("not as before the rollback: %s", d)
			}

			again := g.rolledBack(undone, c.want, c.command)
			// The commits are new ones, at another time.
			again.Head = after.Head
			if d := cmp.Diff(after, again); d != "" {
				t.Errorf("the second time it is not as the first time: %s", d)
			}
		})
	}
	t.Run("what is in the way", func(t *testing.T) { hindered(t, migrated) })
}

// kind is what a rollback is to be.
type kind struct {
	scenario string
	full     bool
	harm     bool // something was deployed and written
}

// rolledBack rolls back, looks itself whether everything is, and returns how it is.
func (g *ground) rolledBack(before snapshot, want kind, command []string) snapshot {
	g.t.Helper()
	got := g.walk(0, command...)
	if got.Plan.Scenario != want.scenario || (got.Plan.Procedure == "full") != want.full || got.Outcome != "complete" {
		g.t.Errorf("%s %s is %s", got.Plan.Scenario, got.Plan.Procedure, got.Outcome)
	}
	now := g.snapshot()
	if now.Digest != g.good {
		g.t.Errorf("the data is %s, and %s where the wrong revision has never been", now.Digest, g.good)
	}
	if proof := got.progress("proof"); want.harm && proof != "done" {
		g.t.Errorf("the proof is %q", proof)
	}
	for _, kind := range []string{"messages", "issues"} {
		if text := g.newest(kind); !strings.Contains(text, "has been rolled back due to: ") || !strings.Contains(text, "plan "+got.Plan.ID) {
			g.t.Errorf("the newest of %s says %q", kind, text)
		}
	}
	if !want.full {
		before.Digest = now.Digest
		if d := cmp.Diff(before, now); d != "" {
			g.t.Errorf("a quick rollback changes more than data: %s", d)
		}
		return now
	}
	if now.Status != "" || now.Version != "1.4.0" || now.Deployed != "handlers-1" {
		g.t.Errorf("git says %q, the package is %s, %s runs", now.Status, now.Version, now.Deployed)
	}
	g.atPoint()
	return now
}

// atPoint looks whether the named paths are as they were, and nothing else is.
func (g *ground) atPoint() {
	g.t.Helper()
	for _, path := range []string{"receipt_chroma", "infra/chromadb_compaction/lambdas"} {
		if is, was := g.git("rev-parse", "HEAD:"+path), g.git("rev-parse", g.point+":"+path); is != was {
			g.t.Errorf("%s is the tree %s, and was %s", path, is, was)
		}
	}
	for _, dir := range []string{"compaction", "stream"} {
		if _, err := os.Lstat(filepath.Join(g.dir, "repo/receipt_chroma/receipt_chroma", dir)); !os.IsNotExist(err) {
			g.t.Errorf("%s: %v", dir, err)
		}
		if out, ok := g.python("import receipt_chroma." + dir); ok || !strings.Contains(out, "No module named 'receipt_chroma."+dir) {
			g.t.Errorf("the import of %s says %s", dir, out)
		}
	}
	if later := g.read("repo/README.md"); !strings.Contains(later, "Ask Ada") {
		g.t.Errorf("a commit is gone that is not the migration's: %s", later)
	}
	if out := g.shell("./deploy.sh probe"); !strings.Contains(out, "TOTAL") {
		g.t.Errorf("what runs answers %s", out)
	}
}

// checklist wants every item ticked, or open with a reason, and those ticked that a
// rollback of this kind can show.
func (g *ground) checklist(kind kind) {
	g.t.Helper()
	var groups []struct {
		Items []struct{ ID, Status, Text string }
	}
	g.decode(&groups, "rollback", "checklist", "-o", "json")
	ticked := map[string]bool{}
	for _, group := range groups {
		for _, i := range group.Items {
			if ticked[i.ID] = i.Status == "ticked"; i.Text == "" || !ticked[i.ID] && i.Status != "open" && i.Status != "n/a" {
				g.t.Errorf("%s is %s: %q", i.ID, i.Status, i.Text)
			}
		}
	}
	want := []string{"docs.issue", "docs.notified"}
	if kind.full {
		want = append(want, "git.reference-branch", "git.reverted", "git.no-migration-code", "git.clean", "package.removed", "package.init-reverted",
			"package.reinstalled", "package.imports", "lambda.handlers-reverted", "lambda.local-imports", "lambda.no-imports",
			"tests.package", "tests.lambda", "tests.integration")
	}
	if kind.harm {
		want = append(want, "data.routing", "data.quarantine", "data.back", "data.proven")
	}
	if kind.full && kind.harm {
		want = append(want, "deploy.done", "deploy.no-errors", "deploy.executing")
	}
	for _, id := range want {
		if !ticked[id] {
			g.t.Errorf("%s is not ticked", id)
		}
	}
	if len(ticked) < 27 || ticked["monitor.customers"] {
		g.t.Errorf("%d items, and %t without a person", len(ticked), ticked["monitor.customers"])
	}
}

// hindered lets something be in the way: what can be done is done, what is left is said,
// and it goes on once the way is free.
func hindered(t *testing.T, migrated *ground) {
	full := append(slices.Clone(wrongLabels), "--full")
	left := func(g *ground, want ...string) {
		g.t.Helper()
		got := g.walk(12, full...)
		if d := cmp.Diff(want, got.Stuck); d != "" || got.progress("proof") != "done" || g.snapshot().Digest != g.good {
			g.t.Errorf("stuck: %s; the proof is %q", d, got.progress("proof"))
		}
		if said := g.text(12, "rollback", "status"); !strings.Contains(said, "by hand: ") || !strings.Contains(said, "Ada") {
			g.t.Errorf("it does not say what is left, or whom to call: %s", said)
		}
		if told := g.newest("messages"); !strings.Contains(told, "Incomplete: ") || !strings.Contains(told, "Not everything is back: "+want[0]) {
			g.t.Errorf("the team is told %s", told)
		}
	}
	finished := func(g *ground, command ...string) {
		g.t.Helper()
		if got := g.walk(0, command...); got.Outcome != "complete" {
			g.t.Errorf("it is %s", got.Outcome)
		}
		if now := g.snapshot(); now.Digest != g.good || now.Deployed != "handlers-1" {
			g.t.Errorf("%s runs on the data %s", now.Deployed, now.Digest)
		}
		g.atPoint()
	}
	for name, test := range map[string]func(*ground){
		"the deployment is locked": func(g *ground) {
			g.shell("mkdir deployed/lock")
			left(g, "deploy")
			g.shell("rmdir deployed/lock")
			finished(g, "rollback", "resume")
		},
		"a later commit changes the same lines": func(g *ground) {
			handlers := "infra/chromadb_compaction/lambdas"
			g.shell("cd repo && sed -i.old 's/return {/return {\"later\": True, /' " + handlers + "/enhanced_compaction_handler.py && rm " + handlers + "/*.old && git commit -qam later")
			left(g, "git-revert", "package", "imports", "tests-package", "tests-lambda", "tests-integration", "deploy")
			// As the hint says, and the conflict solved for the rollback.
			g.shell("cd repo && git switch -q -c rollback-compaction-migration && ! git revert --no-edit ':/handlers import receipt_chroma' 2>&1 && git checkout -q " + g.point + " -- " + handlers +
				" && git -c core.editor=true revert --continue && git revert --no-edit -m 1 ':/Merge the compaction'")
			finished(g, "rollback", "resume")
		},
		"a server holds the data directory, and hangs": func(g *ground) {
			server := g.program("up", "--listen", "127.0.0.1:0")
			if err := server.Start(); err != nil {
				g.t.Fatal(err)
			}
			g.t.Cleanup(func() { _, _ = server.Process.Kill(), server.Wait() })
			for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
				if _, err := os.Stat(announcement(server)); err == nil {
					break
				}
				if time.Now().After(end) {
					g.t.Fatal("the server does not say where it listens")
				}
			}
			signalled(g.t, server, syscall.SIGSTOP)
			finished(g, full...)
		},
		"a revision hangs when it is started": func(g *ground) {
			hangs := "revisions:\n  hangs: {command: [/bin/sh, -c, 'sleep 600'], start_timeout: 5m}\n"
			if err := os.WriteFile(filepath.Join(g.dir, "lockstep.yaml"), []byte(g.read("lockstep.yaml")+hangs), 0o600); err != nil {
				g.t.Fatal(err)
			}
			begun := time.Now()
			finished(g, full...)
			if took := time.Since(begun); took > 2*time.Minute {
				g.t.Errorf("it took %s: it has waited for the revision", took)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(migrated.deployed(t))
		})
	}
}

// walked is what a command says of a rollback.
type walked struct {
	Plan struct {
		ID, Scenario, Procedure string
		Steps                   []struct{ ID string }
	}
	Steps   []struct{ Progress string }
	Outcome string
	Stuck   []string
}

// progress is that of a step, "" when there is none.
func (w walked) progress(id string) string {
	for i, s := range w.Plan.Steps {
		if s.ID == id {
			return w.Steps[i].Progress
		}
	}
	return ""
}

func (g *ground) walk(status int, args ...string) walked {
	g.t.Helper()
	var got walked
	text := g.text(status, append(slices.Clone(args), "-o", "json")...)
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		g.t.Fatal(fmt.Errorf("%v: %w: %s", args, err, text))
	}
	return got
}
