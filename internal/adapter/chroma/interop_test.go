//go:build interop

package chroma

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/follow"
	"lockstep/internal/lockstep"
)

// pythons are the interpreters that can import chromadb, one per version under test.
func pythons(t *testing.T) []string {
	t.Helper()
	list := os.Getenv("LOCKSTEP_INTEROP_PYTHONS")
	if list == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("LOCKSTEP_INTEROP_PYTHONS is empty: no real Chroma was tested; run make interop")
		}
		t.Skip("SKIPPED: LOCKSTEP_INTEROP_PYTHONS is empty, NO real Chroma was tested; run make interop")
	}
	return filepath.SplitList(list)
}

// rig is one follower and the Chroma that judges it.
type rig struct {
	t      *testing.T
	python string
	root   string
	dir    *Directory
}

func newRig(t *testing.T, python string, opts Options) *rig {
	t.Helper()
	if len(opts.Template.Command) == 0 && opts.Template.Dir == "" {
		opts.Template.Command = []string{python}
	}
	root := filepath.Join(t.TempDir(), "follower")
	d, err := OpenDirectory(root, opts)
	if err != nil {
		t.Fatal(err)
	}
	return &rig{t: t, python: python, root: root, dir: d}
}

// script runs scripts/interop/check_directory.py.
func (r *rig) script(mode string, arg any) (string, error) {
	r.t.Helper()
	args := []string{"../../../scripts/interop/check_directory.py", mode, filepath.Join(r.root, currentName)}
	if arg != nil {
		body, err := json.Marshal(arg)
		if err != nil {
			r.t.Fatal(err)
		}
		file := filepath.Join(r.t.TempDir(), "arg.json")
		if err := os.WriteFile(file, body, 0o644); err != nil {
			r.t.Fatal(err)
		}
		args = append(args, file)
	}
	out, err := exec.Command(r.python, args...).CombinedOutput()
	return string(out), err
}

func (r *rig) mustScript(mode string, arg any) {
	r.t.Helper()
	if out, err := r.script(mode, arg); err != nil {
		r.t.Fatalf("%s: %v\n%s", mode, err, out)
	}
}

// check lets Chroma and then our own reader say whether the directory holds m.
func (r *rig) check(m, before model) {
	r.t.Helper()
	r.mustScript("check", m.expectation(before))
	r.checkRecords(m)
}

func (r *rig) checkRecords(m model) {
	r.t.Helper()
	for name, c := range m {
		got := map[string]lockstep.Record{}
		for s, err := range r.dir.Records(r.t.Context(), name) {
			if err != nil {
				r.t.Fatal(err)
			}
			want := c.records[s.Record.ID]
			if !near(s.Vector, want.vector) {
				r.t.Errorf("%s %s: vector %v, want %v", name, s.Record.ID, s.Vector, want.vector)
			}
			s.Record.Vector = lockstep.VectorRef{}
			got[s.Record.ID] = s.Record
		}
		want := map[string]lockstep.Record{}
		for id, x := range c.records {
			want[id] = x.record
		}
		if diff := cmp.Diff(want, got); diff != "" {
			r.t.Errorf("%s read back (-want +got):\n%.2000s", name, diff)
		}
	}
}

func near(a, b []float32) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if math.Abs(float64(a[i]-b[i])) > 1e-5 {
			return false
		}
	}
	return true
}

func (r *rig) apply(step follow.Step) {
	r.t.Helper()
	if err := r.dir.Apply(r.t.Context(), step); err != nil {
		r.t.Fatal(err)
	}
	got, err := r.dir.Position(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	if diff := cmp.Diff(step.To, got); diff != "" {
		r.t.Fatalf("position after the step (-want +got):\n%s", diff)
	}
}

// wantPersisted fails unless Chroma has moved vectors from the queue to its files.
func (r *rig) wantPersisted() {
	r.t.Helper()
	files, err := filepath.Glob(filepath.Join(r.root, currentName, "*", "index_metadata.pickle"))
	if err != nil || len(files) == 0 {
		r.t.Fatalf("no persisted vector segment (%v): the round proves too little", err)
	}
}

func eachPython(t *testing.T, f func(t *testing.T, python string)) {
	for _, python := range pythons(t) {
		out, err := exec.Command(python, "-c", "import chromadb; print(chromadb.__version__)").Output()
		if err != nil {
			t.Fatalf("%s cannot import chromadb: %v", python, err)
		}
		t.Run("chromadb-"+strings.TrimSpace(string(out)), func(t *testing.T) { f(t, python) })
	}
}

func hasLists(t *testing.T, r *rig) bool {
	t.Helper()
	tmpl, err := r.dir.template(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	db, err := openDatabase(t.Context(), tmpl.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer db.close()
	is, err := readStructure(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	return is.arrays
}

func TestChromaReadsWhatStepsForwardAndBackwardLeave(t *testing.T) {
	eachPython(t, func(t *testing.T, python string) {
		for _, inPlace := range []bool{false, true} {
			t.Run(fmt.Sprintf("in-place=%v", inPlace), func(t *testing.T) {
				r := newRig(t, python, Options{InPlace: inPlace})
				v1 := firstModel()
				v2 := secondModel(v1)
				if hasLists(t, r) {
					v1 = listsBefore(v1)
					v2 = listsAfter(secondModel(v1))
				}
				r.apply(v1.full(1))
				r.check(v1, nil)
				r.wantPersisted()
				r.apply(diffStep(v1, v2, 1, 2))
				r.check(v2, v1)
				r.apply(diffStep(v2, v1, 2, 1))
				r.check(v1, v2)
				r.check(v1, v2) // and again, now that Chroma has brought its files up to date
			})
		}
	})
}

func TestADirectoryThatANewerChromaOpenedIsFollowedOn(t *testing.T) {
	all := pythons(t)
	if len(all) < 2 {
		t.Skip("one interpreter only: no newer Chroma to open the directory with")
	}
	r := newRig(t, all[0], Options{})
	v1 := firstModel()
	v2 := secondModel(v1) // with a collection of a space that v1 lacks: written after the old form
	r.apply(v1.full(1))
	r.check(v1, nil)
	r.python = all[len(all)-1]
	r.check(v1, nil) // migrates
	r.apply(diffStep(v1, v2, 1, 2))
	r.check(v2, v1)
	r.apply(diffStep(v2, v1, 2, 1))
	r.check(v1, v2)
}

func TestADirectoryOutlivesSeveralStepsWithoutChromaInBetween(t *testing.T) {
	eachPython(t, func(t *testing.T, python string) {
		r := newRig(t, python, Options{})
		v1 := firstModel()
		v2 := secondModel(v1)
		r.apply(v1.full(1))
		r.apply(diffStep(v1, v2, 1, 2))
		r.apply(diffStep(v2, v1, 2, 1))
		r.checkRecords(v1)
		r.check(v1, v2)
	})
}

func TestWritesByChromaAreSeenAndRepairedByAFullStep(t *testing.T) {
	eachPython(t, func(t *testing.T, python string) {
		for _, kind := range []string{"add", "update", "delete"} {
			t.Run(kind, func(t *testing.T) {
				r := newRig(t, python, Options{})
				v1 := firstModel()
				v2 := secondModel(v1)
				r.apply(v1.full(1))
				r.check(v1, nil)
				if _, err := r.dir.Position(t.Context()); err != nil {
					t.Fatalf("reading alone counts as divergence: %v", err)
				}
				w := map[string]any{"collection": "lines", "op": kind, "ids": []string{"l-00003"}}
				switch kind {
				case "add":
					w["ids"] = []string{"stranger"}
					w["embeddings"] = [][]float32{vectorOf(99, dimension)}
					w["metadatas"] = []any{map[string]any{"by": "somebody"}}
				case "update":
					w["metadatas"] = []any{map[string]any{"text": "else"}}
				}
				r.mustScript("write", []any{w})
				_, err := r.dir.Position(t.Context())
				if !errors.Is(err, follow.ErrDiverged) {
					t.Fatalf("position: %v, want ErrDiverged", err)
				}
				if id := w["ids"].([]string)[0]; !strings.Contains(err.Error(), id) {
					t.Errorf("the error does not name %s: %v", id, err)
				}
				if err := r.dir.Apply(t.Context(), diffStep(v1, v2, 1, 2)); !errors.Is(err, follow.ErrDiverged) {
					t.Fatalf("apply: %v, want ErrDiverged", err)
				}
				r.apply(v2.full(2))
				r.check(v2, v1)
			})
		}
	})
}

func TestAStepIsRefusedWhileChromaHasTheDirectoryOpen(t *testing.T) {
	eachPython(t, func(t *testing.T, python string) {
		r := newRig(t, python, Options{})
		v1 := firstModel()
		v2 := secondModel(v1)
		r.apply(v1.full(1))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, python, "../../../scripts/interop/check_directory.py", "hold", filepath.Join(r.root, currentName))
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for lines.Scan() && lines.Text() != "open" {
		}
		err = r.dir.Apply(ctx, diffStep(v1, v2, 1, 2))
		if !errors.Is(err, lockstep.ErrRefused) || !strings.Contains(err.Error(), fmt.Sprint(cmd.Process.Pid)) || lockstep.HintOf(err) == "" {
			t.Errorf("apply: %v (hint %q), want ErrRefused with process %d", err, lockstep.HintOf(err), cmd.Process.Pid)
		}
		held, err := r.dir.Holders()
		if err != nil || len(held) != 1 || held[0].PID != cmd.Process.Pid {
			t.Errorf("holders %v, %v, want process %d", held, err, cmd.Process.Pid)
		}
		r.apply(v1.full(1)) // builds from the template and leaves the reader its directory
		if err := in.Close(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		r.apply(diffStep(v1, v2, 1, 2))
		r.check(v2, v1)
	})
}

func TestAnEmptiedQueueDoesNotSwallowLaterWrites(t *testing.T) {
	eachPython(t, func(t *testing.T, python string) {
		r := newRig(t, python, Options{})
		v1 := firstModel()
		delete(v1, "lines") // its vectors are still in the queue only
		r.apply(v1.full(1))
		r.check(v1, nil) // Chroma now has the vectors in its files
		r.wantPersisted()
		r.mustScript("vacuum", nil)
		v2 := v1.clone()
		x := v2["words"].records["w-00007"]
		x.record.Metadata = x.record.Metadata.With("text", lockstep.String("seven"))
		v2["words"].records["w-00007"] = x
		r.apply(diffStep(v1, v2, 1, 2))
		r.check(v2, v1)
		r.mustScript("write", []any{map[string]any{
			"collection": "words", "op": "add", "ids": []string{"late"}, "embeddings": [][]float32{vectorOf(77, dimension)},
		}})
		v3 := v2.clone()
		v3["words"].records["late"] = item{record: lockstep.Record{ID: "late", Metadata: lockstep.Metadata{}}, vector: vectorOf(77, dimension)}
		r.mustScript("check", v3.expectation(nil))
	})
}

func TestAServerMakesTheSameTemplateAsTheLibrary(t *testing.T) {
	eachPython(t, func(t *testing.T, python string) {
		server := filepath.Join(filepath.Dir(python), "chroma")
		if _, err := os.Stat(server); err != nil {
			t.Fatalf("no chroma command beside %s: %v", python, err)
		}
		r := newRig(t, python, Options{Template: Template{Command: []string{server}}})
		v1 := firstModel()
		r.apply(v1.full(1))
		r.check(v1, nil)
		left, err := os.ReadDir(filepath.Join(r.root, templateName))
		if err != nil || len(left) != 2 {
			t.Errorf("template holds %v, %v, want the database and the forms", left, err)
		}
	})
}

func TestADirectoryOfChromaServesAsTemplate(t *testing.T) {
	eachPython(t, func(t *testing.T, python string) {
		first := newRig(t, python, Options{})
		v1 := firstModel()
		first.apply(v1.full(1))
		first.check(v1, nil)
		current, err := first.dir.Current()
		if err != nil {
			t.Fatal(err)
		}
		r := newRig(t, python, Options{Template: Template{Dir: current}})
		r.apply(v1.full(1))
		r.check(v1, nil)
		first.check(v1, nil)
	})
}

func TestListsAreRefusedWhereChromaCannotStoreThem(t *testing.T) {
	eachPython(t, func(t *testing.T, python string) {
		r := newRig(t, python, Options{})
		if hasLists(t, r) {
			return // covered by the forward and backward test
		}
		err := r.dir.Apply(t.Context(), listsBefore(firstModel()).full(1))
		if !errors.Is(err, lockstep.ErrRefused) || !strings.Contains(err.Error(), `"tags"`) || lockstep.HintOf(err) == "" {
			t.Fatalf("apply: %v (hint %q), want ErrRefused naming the key", err, lockstep.HintOf(err))
		}
		if current, err := r.dir.Current(); err != nil || current != "" {
			t.Errorf("published %q, %v after a refusal", current, err)
		}
	})
}

func TestPreviousDirectoriesAreKeptAndOlderOnesRemoved(t *testing.T) {
	python := pythons(t)[0]
	r := newRig(t, python, Options{Keep: 1})
	v1 := firstModel()
	v2 := secondModel(v1)
	r.apply(v1.full(1))
	r.apply(diffStep(v1, v2, 1, 2))
	r.apply(diffStep(v2, v1, 2, 1))
	names, err := r.dir.builds()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{buildName(1, 3), buildName(2, 2)}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("directories (-want +got):\n%s", diff)
	}
}

func TestAStepThatFailsLeavesTheFollowerWhereItWas(t *testing.T) {
	python := pythons(t)[0]
	for _, inPlace := range []bool{false, true} {
		r := newRig(t, python, Options{InPlace: inPlace})
		v1 := firstModel()
		v2 := secondModel(v1)
		r.apply(v1.full(1))
		broken := errors.New("the store went away")
		step := diffStep(v1, v2, 1, 2)
		whole := step.Changes
		step.Changes = func(yield func(follow.Change, error) bool) {
			n := 0
			for ch, err := range whole {
				if n++; n > 20 {
					yield(follow.Change{}, broken)
					return
				}
				if !yield(ch, err) {
					return
				}
			}
		}
		if err := r.dir.Apply(t.Context(), step); !errors.Is(err, broken) {
			t.Fatalf("apply: %v, want the source's error", err)
		}
		if got, err := r.dir.Position(t.Context()); err != nil || got.Version != 1 {
			t.Fatalf("position %v, %v, want version 1", got, err)
		}
		r.checkRecords(v1)
		if names, err := r.dir.builds(); err != nil || len(names) != 1 {
			t.Errorf("directories %v, %v, want the published one only", names, err)
		}
		if err := r.dir.Apply(t.Context(), diffStep(v2, v1, 2, 1)); !errors.Is(err, lockstep.ErrConflict) {
			t.Errorf("a step from another version: %v, want ErrConflict", err)
		}
	}
}

func TestStepsAreFast(t *testing.T) {
	python := pythons(t)[0]
	r := newRig(t, python, Options{})
	const n = 20000
	v1 := model{"words": newColl("cosine", n, "w", 64)}
	began := time.Now()
	r.apply(v1.full(1))
	built := time.Since(began)
	v2 := v1.clone()
	i := 0
	for id, x := range v2["words"].records {
		if i++; i > n/2 {
			break
		}
		x.record.Metadata = x.record.Metadata.With("text", lockstep.String("changed")).With("label", lockstep.String("TOTAL"))
		v2["words"].records[id] = x
	}
	step := diffStep(v1, v2, 1, 2)
	began = time.Now()
	r.apply(step)
	stepped := time.Since(began)
	t.Logf("full build of %d 64-d records %v, metadata step of %d records %v", n, built, n/2, stepped)
	if built > slowdown*40*time.Second || stepped > slowdown*10*time.Second { // four and five times the aim: machines differ
		t.Errorf("too slow: full build %v, step %v", built, stepped)
	}
}
