package crashtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lockstep/internal/app"
	"lockstep/internal/compact"
	"lockstep/internal/release"
)

// prepare makes an index with the table in it, and starts a release.
func prepare(t *testing.T, candidate string, steps ...release.Step) driver {
	t.Helper()
	d := driver{Dir: t.TempDir()}
	table := newTable()
	for i := range table.Len() {
		for _, o := range table.Objects(table.Receipt(i)) {
			path := filepath.Join(d.Dir, "imports", filepath.FromSlash(o.Key))
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, o.Body, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	a, err := app.Open(t.Context(), d.settings(), d.options())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	var created []compact.Input
	for e := range table.Events() {
		created = append(created, compact.Input{Message: e.Message()})
	}
	if _, err := a.Commit(t.Context(), created); err != nil {
		t.Fatal(err)
	}
	rev, err := a.Revisions.Lookup(candidate)
	if err != nil {
		t.Fatal(err)
	}
	plan := release.Plan{Name: "crash", Steps: append(append([]release.Step{{Kind: release.Preflight}}, steps...), release.Step{Kind: release.Promotion})}
	if _, err := a.Command(t.Context(), func(s release.State) (release.Transition, error) {
		return release.Start(s, a.Order("to be killed"), release.Request{Candidate: rev.ID(), Plan: plan, Head: a.Compactor.Head().Number()})
	}); err != nil {
		t.Fatal(err)
	}
	return d
}

// life is one process of a driver.
type life struct {
	cmd *exec.Cmd
	out bytes.Buffer
}

func (d driver) start(t *testing.T) *life {
	t.Helper()
	spec, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	l := &life{cmd: exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0], "-test.run=^$")}
	l.cmd.Env = append(os.Environ(), driverEnv+"="+string(spec))
	l.cmd.Stdout, l.cmd.Stderr = &l.out, &l.out
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return l
}

// kill ends it as a power switch does, and waits for it.
func (l *life) kill(t *testing.T) {
	t.Helper()
	_ = l.cmd.Process.Kill() // it may have ended, which is seen below
	err := l.cmd.Wait()
	if status, ok := l.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() {
		t.Fatalf("it had ended by itself: %v\n%s", err, &l.out)
	}
}

// marks are what has been written so far that a release is made of: entries of its ledger,
// pins, and versions that put up a fence.
func (d driver) marks(t *testing.T, control *app.Control) string {
	t.Helper()
	head, err := control.Releases.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	index, err := control.Log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pins, err := filepath.Glob(filepath.Join(d.Dir, "data", "store", "pin", "*"))
	if err != nil {
		t.Fatal(err)
	}
	fences := 0
	if index.Entry != nil {
		fences = len(index.Entry.Fenced)
	}
	return fmt.Sprint(head.Number(), len(pins), fences)
}

// TestAReleaseWhoseControllerIsKilledEndsAsItShould kills the process that drives a release
// as soon as anything of it was written, and at random moments besides, until it is over.
func TestAReleaseWhoseControllerIsKilledEndsAsItShould(t *testing.T) {
	for candidate, want := range map[string]release.Phase{"receipts@good": release.PhasePromoted, "receipts@bad": release.PhaseAborted} {
		t.Run(candidate, func(t *testing.T) {
			t.Parallel()
			moments := *seed
			if moments == 0 {
				moments = uint64(time.Now().UnixNano())
			}
			rng := rand.New(rand.NewPCG(moments, 1))
			d := prepare(t, candidate, release.Step{Kind: release.Canary, Weight: 2500, MinUnits: 20}, release.Step{Kind: release.Bake, Weight: 5000, MinUnits: 40})
			control, err := app.OpenControl(t.Context(), d.settings(), d.options())
			if err != nil {
				t.Fatal(err)
			}
			defer control.Close()
			deadline := time.Now().Add(2 * time.Minute)
			kills, idle, known := 0, 0, map[string]bool{d.marks(t, control): true}
			for over := false; !over; {
				l := d.start(t)
				// A life ends at the first thing that is written which no life before has come to, or
				// at random; the longer it takes to come further, the longer it is.
				idle++
				end := time.Now().Add(time.Duration(200+idle*rng.IntN(800)) * time.Millisecond)
				for time.Now().Before(end) {
					if m := d.marks(t, control); !known[m] {
						known[m], idle = true, 0
						break
					}
					time.Sleep(time.Millisecond)
				}
				l.kill(t)
				kills++
				head, err := control.Releases.Head(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				over = head.State().Live() == nil && len(head.State().Pending) == 0
				if time.Now().After(deadline) {
					t.Fatalf("after %d kills (seed %d):\n%s%s", kills, moments, head.State().Describe(time.Now()), &l.out)
				}
			}
			t.Logf("%d kills, seed %d", kills, moments)
			once(t, control, want)
		})
	}
}

// once checks that every transition of the only release is in the ledger one time.
func once(t *testing.T, control *app.Control, want release.Phase) {
	t.Helper()
	head, err := control.Releases.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := head.State().Release
	if r.Phase != want {
		t.Errorf("it ended as %+v", r.Ending)
	}
	var told []string
	count := map[string]int{}
	step := -1
	for e, err := range control.Releases.Range(t.Context(), 1, head.Number()) {
		if err != nil {
			t.Fatal(err)
		}
		told = append(told, e.Describe())
		key := string(e.Kind)
		switch e.Kind { //nolint:exhaustive // the others may come more than once, or not at all
		case release.KindAdvance:
			if step = max(step, 0); e.State.Release.Step != step+1 {
				t.Errorf("from step %d to %d", step, e.State.Release.Step)
			}
			step = e.State.Release.Step
			key = fmt.Sprint(key, step)
		case release.KindStart, release.KindPromote, release.KindAbort:
		default:
			continue
		}
		count[key]++
	}
	for key, n := range count {
		if n != 1 {
			t.Errorf("%s is there %d times", key, n)
		}
	}
	if ends := count[string(release.KindPromote)] + count[string(release.KindAbort)]; ends != 1 || count[string(release.KindStart)] != 1 {
		t.Errorf("transitions %v", count)
	}
	index, err := control.Log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := control.Log.Ledger().Verify(t.Context(), 1, index.Number()); err != nil {
		t.Error(err)
	}
	if want == release.PhaseAborted {
		if len(index.Entry.Fenced) != 1 {
			t.Fatalf("fences %+v", index.Entry.Fenced)
		}
		for n := index.Entry.Fenced[0].Since; n <= index.Number(); n++ {
			e, err := control.Log.Read(t.Context(), n)
			if err != nil || e.Revisions[r.Candidate] > 0 {
				t.Fatalf("version %d behind the fence has %d mutations of the candidate, %v", n, e.Revisions[r.Candidate], err)
			}
		}
	}
	if t.Failed() {
		t.Log("the ledger:\n" + strings.Join(told, "\n"))
	}
}

// TestOfTwoThatDriveOneReleaseEachTransitionHasOneWinner has two processes drive at once,
// beside the one that has the traffic.
func TestOfTwoThatDriveOneReleaseEachTransitionHasOneWinner(t *testing.T) {
	t.Parallel()
	d := prepare(t, "receipts@good", release.Step{Kind: release.Canary, Weight: 5000, MinUnits: 20})
	server := d.start(t)
	only := driver{Dir: d.Dir, Only: true}
	lives := []*life{only.start(t), only.start(t)}
	for i, l := range lives {
		if err := l.cmd.Wait(); err != nil {
			t.Errorf("driver %d: %v\n%s", i, err, &l.out)
		}
	}
	server.kill(t)
	control, err := app.OpenControl(t.Context(), d.settings(), d.options())
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	once(t, control, release.PhasePromoted)
}

// TestOfTwoThatStartAReleaseOneWinsAndTheOtherSaysSo runs the command twice at once.
func TestOfTwoThatStartAReleaseOneWinsAndTheOtherSaysSo(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.start(t)
	s.kill(t)
	for round := range 2 {
		type result struct {
			status int
			text   string
		}
		results := make(chan result, 2)
		for range 2 {
			cmd := s.command(t.Context(), "release", "start", "receipts@1", "--plan", "AllAtOnce", "--yes", "--reason", "a race")
			go func() {
				out, _ := cmd.CombinedOutput() // the status is what counts
				results <- result{cmd.ProcessState.ExitCode(), string(out)}
			}()
		}
		won, lost := <-results, <-results
		if won.status != 0 {
			won, lost = lost, won
		}
		if won.status != 0 || lost.status != 11 || !strings.Contains(lost.text, "a release is under way") && !strings.Contains(lost.text, "somebody else was first") {
			t.Errorf("round %d: status %d and %d\n%s\n%s", round, won.status, lost.status, won.text, lost.text)
		}
		if out, err := s.command(t.Context(), "release", "abort", "--reason", "the next round").CombinedOutput(); err != nil {
			t.Fatalf("abort: %v\n%s", err, out)
		}
	}
}
