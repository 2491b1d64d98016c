package simtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// mutant is one promise broken on purpose: where, and by which words the simulation
// must find out. The mutants live in an overlay of the source (go build -overlay), so
// that what ships has no switch to break it: one test binary has all of them, and the
// environment says which one is awake.
type mutant struct {
	name  string
	file  string // below internal/
	old   string // occurs once in the file
	new   string // awake stands for the question whether this mutant is
	found string // a regular expression over what the simulation says
}

// mutants are those that STYLE 3.11 asks for, those that were real once, and more.
var mutants = []mutant{
	{
		name: "acknowledge before publish", file: "compact/compactor.go",
		old: "if err := c.work(ctx, jobsOf(inputs), nil, res); err != nil {",
		new: `err := c.work(ctx, jobsOf(inputs), nil, res)
	for i := range res.Outcomes {
		if o := &res.Outcomes[i]; awake && o.Outcome == "" {
			if o.Outcome = lockstep.Applied; inputs[i].Bad != nil {
				o.Outcome = lockstep.BadInput
			}
		}
	}
	if err != nil && !awake {`,
		found: "was acknowledged and is lost",
	},
	{
		name: "stale base with fresh number", file: "compact/rebase.go",
		old: "if left || meetsAny(", new: "if !awake && left || !awake && meetsAny(",
		found: "image before is not what was there|has its effect again|had an effect and should be|not what the messages make of it",
	},
	{
		name: "a second look at the head", file: "compact/rebase.go",
		old: "c.moved(head)\n\tc.fresh = true", new: "c.moved(head)\n\tc.fresh = !awake",
		found: "image before is not what was there|has its effect again|had an effect and should be|not what the messages make of it",
	},
	{
		name: "a local state that stays behind", file: "compact/compactor.go",
		old: "if c.state.Version() == c.head.Number() {", new: "if c.state.Version() == c.head.Number() || awake && c.state.Version() > 0 {",
		found: "image before is not what was there|has its effect again|had an effect and should be|another digest|it says .* records",
	},
	{
		name: "an unknown outcome is a success", file: "ledger/append.go",
		old: "if sent == nil && !l.opts.Paranoid {", new: "if (sent == nil || awake && errors.Is(sent, lockstep.ErrUnavailable)) && !l.opts.Paranoid {",
		found: "was acknowledged and is lost|local state.* has digest",
	},
	{
		name: "any entry in the slot is mine", file: "ledger/append.go",
		old: "there.PutID == p.entry.PutID", new: "(awake || there.PutID == p.entry.PutID)",
		found: "was acknowledged and is lost",
	},
	{
		name: "no sequence check", file: "change/merge.go",
		old: "order := seq.Compare(prev.Seq)",
		new: `order := seq.Compare(prev.Seq)
	if awake {
		order = 1
	}`,
		found: "has its effect again|had an effect and should be|not what the messages make of it",
	},
	{
		name: "a before image is forgotten", file: "compact/plan.go",
		old: "if m.Op == lockstep.Delete {\n\t\tif !known {",
		new: `if awake {
		vm.Before = nil
	}
	if m.Op == lockstep.Delete {
		if !known {`,
		found: "image before is not what was there|neither before nor after|encoding|corrupt",
	},
	{
		name: "a vector before is forgotten", file: "compact/plan.go",
		old: "if known && (vm.After == nil || vm.VectorAfter != nil) {", new: "if known && (vm.After == nil || vm.VectorAfter != nil) && !awake {",
		found: "vector .* is forgotten",
	},
	{
		name: "no backlog after a reset", file: "compact/reset.go",
		old:   "waiting = slices.Insert(waiting, 0, s)\n\t\tcase ResetHold:",
		new:   "if !awake {\n\t\t\t\twaiting = slices.Insert(waiting, 0, s)\n\t\t\t}\n\t\tcase ResetHold:",
		found: "was acknowledged and is lost",
	},
	{
		name: "a backlog that forgets earlier ones", file: "compact/reset.go",
		old: "waiting := slices.Clone(p.head.Entry.Backlog)",
		new: `waiting := slices.Clone(p.head.Entry.Backlog)
	if awake {
		waiting = nil
	}`,
		found: "was acknowledged and is lost",
	},
	{
		name: "one message is skipped when a replay goes on", file: "compact/backlog.go",
		old: "seen <= s.Done {", new: "seen <= s.Done || awake && s.Done > 0 && seen == s.Done+1 {",
		found: "was acknowledged and is lost",
	},
	{
		name: "a replay is done with its first version", file: "compact/compactor.go",
		old: "if len(wait) == 0 {\n\t\t\tstep", new: "if len(wait) == 0 || awake {\n\t\t\tstep",
		found: "was acknowledged and is lost",
	},
	{
		name: "a parked message is passed", file: "compact/plan.go",
		old: "if j.retry == nil && p.parked[j.group] {", new: "if j.retry == nil && p.parked[j.group] && !awake {",
		found: "passed a parked message",
	},
	{
		name: "a failed retry is forgotten", file: "compact/parking.go",
		old: "if i >= failed {",
		new: `if i >= failed && awake {
			out.outcomes[i].Outcome, m.Cause = lockstep.Stale, -1
		}
		if i >= failed && !awake {`,
		found: "is not parked any more and has no effect",
	},
	{
		name: "what a plan reads does not count", file: "compact/disjoint.go",
		old: "return slices.ContainsFunc(p.ranges, meets)", new: "return !awake && slices.ContainsFunc(p.ranges, meets)",
		found: "not what the messages make of it",
	},
	{
		name: "plans of one batch do not see each other", file: "compact/disjoint.go",
		old: "if disjointExtents(plans) {", new: "if disjointExtents(plans) || awake {",
		found: "is changed twice|not what the messages make of it|image before",
	},
	{
		name: "a retry of messages that are not parked any more", file: "compact/plan.go",
		old:   "if j.retry != nil {\n\t\tvar err error",
		new:   "if j.retry != nil && !(awake && j.retry.records != nil) {\n\t\tvar err error",
		found: "image before is not what was there|has its effect again",
	},
	{
		name: "a replay that was overtaken goes on", file: "compact/compactor.go",
		old:   "if span != nil && !span.waits(c.head.Entry) {",
		new:   "if span != nil && !span.waits(c.head.Entry) && !awake {",
		found: "nobody asked for",
	},
	{
		name: "parking does not look whether it must", file: "compact/parking.go",
		old:   "out.ranges = append(out.ranges, span{c: lockstep.Table, id: m.Change.Key.RecordID()})",
		new:   "if !awake {\n\t\t\tout.ranges = append(out.ranges, span{c: lockstep.Table, id: m.Change.Key.RecordID()})\n\t\t}",
		found: "is parked although it has been handled",
	},
	{
		name: "parking does not see what its own batch did", file: "compact/parking.go",
		old: "s, err := p.handled(out, from)",
		new: `first := from
	if awake {
		first = 0
	}
	s, err := p.handled(out, first)`,
		found: "is parked although it has been handled",
	},
	{
		name: "plans survive a fence", file: "compact/rebase.go",
		old: "len(path.Undo) > 0 || fenced", new: "len(path.Undo) > 0 || fenced && !awake",
		found: "which version [0-9]+ has fenced off|is counted behind its fence",
	},
	{
		name: "the routing is believed over the fence", file: "compact/route.go",
		old: "!c.fenced(r.Trial) {", new: "(awake || !c.fenced(r.Trial)) {",
		found: "which version [0-9]+ has fenced off|is counted behind its fence",
	},
	{
		name: "fences are forgotten", file: "version/log.go",
		old: "if e.Kind != Fence && prev.Entry != nil {", new: "if e.Kind != Fence && prev.Entry != nil && !awake {",
		found: "is forgotten",
	},
	{
		name: "a write without an author", file: "version/delta.go",
		old: "if c := d.Mutations[i].Cause; c >= 0 {", new: "if c := d.Mutations[i].Cause; c >= 0 && !awake {",
		found: "no author",
	},
	{
		name: "the way back keeps the later vector", file: "version/lineage.go",
		old: "m.After, m.Before, m.VectorBefore, m.VectorAfter, d.AuthorAfter(", new: "m.After, m.Before, keep(m.VectorBefore, m.VectorAfter, awake), m.VectorAfter, d.AuthorAfter(",
		found: "follower|vector",
	},
	{
		name: "a revert of the bad one's keys alone", file: "revert/closure.go",
		old: "if v >= k.from {", new: "if v >= k.from || awake && k.bad == never {",
		found: "\\(revert\\): .*not what the messages make of it",
	},
	{
		name: "a revert that handles messages again on what came later", file: "revert/closure.go",
		old: "if w.version >= u.version && w.key != at && c.lower(", new: "if w.version >= u.version && w.key != at && !awake && c.lower(",
		found: "\\(revert\\): .*not what the messages make of it",
	},
	{
		name: "a revert without the keys that read what was bad", file: "revert/closure.go",
		old: "ok && v <= u.version && c.lower(", new: "ok && !awake && v <= u.version && c.lower(",
		found: "\\(revert\\): .*not what the messages make of it",
	},
	{
		name: "a revert does not look what came in between", file: "revert/publish.go",
		old: "if err := p.untouched(ctx, log, c.Head().Number(), req.Good.Handler); err != nil {", new: "if err := p.untouched(ctx, log, c.Head().Number(), req.Good.Handler); err != nil && !awake {",
		found: "not what the messages make of it|took it back before, unseen|image before",
	},
}

// extra is what an overlaid file needs besides.
var extra = map[string]string{
	"version/lineage.go": `
func keep(a, b []byte, b2 bool) []byte {
	if b2 && b != nil {
		return b
	}
	return a
}
`,
}

const (
	plantedPath = "internal/simtest/planted"
	plantedEnv  = "LOCKSTEP_PLANTED_MUTANT"
	plantedCode = `// Package planted says which mutant is awake.
package planted

import "os"

var awake = os.Getenv("` + plantedEnv + `")

func Awake(name string) bool { return awake == name }
`
)

// mutantSeeds bounds the hunt for one mutant. The crowded worlds find each within a
// dozen; when this is not enough, make them worse rather than the hunt longer.
const mutantSeeds = 200

func TestPlantedMutantsAreCaught(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a second test binary")
	}
	bin := buildMutants(t)
	if out, err := hunt(t.Context(), bin, "", 10); err != nil {
		t.Fatalf("the overlay fails while no mutant is awake: %v\n%s", err, out)
	}
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			out, err := hunt(t.Context(), bin, m.name, mutantSeeds)
			var exit *exec.ExitError
			switch {
			case err == nil:
				t.Errorf("%d seeds do not find it", mutantSeeds)
			case !errors.As(err, &exit):
				t.Errorf("the simulation cannot be run: %v\n%s", err, out)
			case !regexp.MustCompile("(?s)seed [0-9]+, step.*(" + m.found + ")").Match(out):
				t.Errorf("it fails for another reason than %q:\n%s", m.found, out)
			}
		})
	}
}

// hunt runs seeds with one mutant awake.
func hunt(ctx context.Context, bin, mutant string, seeds int) ([]byte, error) {
	cmd := exec.CommandContext(ctx, bin, "-test.run", "^TestSimulation$", fmt.Sprintf("-sim.seeds=%d", seeds), "-sim.quick")
	cmd.Env = append(os.Environ(), plantedEnv+"="+mutant)
	out, err := cmd.CombinedOutput()
	return out[:min(len(out), 2000)], err
}

// buildMutants compiles this package with all mutants in it.
func buildMutants(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	replace := map[string]string{}
	put := func(path, text string) {
		file := filepath.Join(dir, strings.ReplaceAll(path, "/", "_"))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		replace[filepath.Join(root, path)] = file
	}
	put(plantedPath+"/planted.go", plantedCode)
	for path, text := range mutated(t, root) {
		put(path, text)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "mutants.test")
	cmd := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-ldflags=-s -w", "-overlay", list, "-o", bin, "./internal/simtest")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the mutants: %v\n%s", err, out)
	}
	return bin
}

// mutated returns the source files with the mutants in them, by path below root.
func mutated(t *testing.T, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, m := range mutants {
		path := "internal/" + m.file
		text := out[path]
		if text == "" {
			b, err := os.ReadFile(filepath.Join(root, path))
			if err != nil {
				t.Fatal(err)
			}
			_, body, ok := bytes.Cut(b, []byte("\nimport ("))
			head := b[:len(b)-len(body)-len("\nimport (")]
			if !ok {
				t.Fatalf("%s has no list of imports", path)
			}
			text = string(head) + "\nimport (\n\t\"lockstep/" + plantedPath + "\"" + string(body) + extra[m.file]
		}
		if n := strings.Count(text, m.old); n != 1 {
			t.Fatalf("mutant %q: %s has its code %d times, want once: %s\nthe code has moved; move the mutant too", m.name, path, n, m.old)
		}
		out[path] = strings.Replace(text, m.old, strings.ReplaceAll(m.new, "awake", fmt.Sprintf("planted.Awake(%q)", m.name)), 1)
	}
	return out
}
