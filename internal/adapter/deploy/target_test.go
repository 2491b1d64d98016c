package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
	"lockstep/internal/rollback/targettest"
)

const secret = "pul-0123456789abcdef"

// world is a stack in which v2 runs after v1.
type world struct {
	scripted
	settings Settings
	target   *Target
}

func newWorld(t *testing.T) *world {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{scripted: scripted{t.TempDir()}}
	w.settings = Settings{
		Name: "handlers", Tool: ToolPulumi, Dir: t.TempDir(), Env: []string{fakeVariable, "TOKEN", "GORACE"}, Timeout: 20 * time.Second,
		Pulumi: Pulumi{Program: program, Stack: "dev", Output: "lambda.version", Config: "handlerVersion"},
	}
	w.target = New(func(name string) (string, bool) {
		switch name {
		case fakeVariable:
			return w.dir, true
		case "TOKEN":
			return secret, true
		case "GORACE": // the scripted Pulumi is this binary, which would sleep a second at its end
			return "atexit_sleep_ms=0", true
		case "PATH":
			return "/usr/bin:/bin", true
		}
		return "", false
	})
	for _, v := range []string{"v1", "v2"} {
		w.record("update", "succeeded", "release "+v, v)
	}
	w.write("current", "v2")
	w.write("up-failed", "Diagnostics:\n  aws:lambda:Function (handler):\n    error: role cannot be assumed, token "+secret+"\n\nResources:\n    1 errored\n")
	return w
}

func (w *world) plan(t *testing.T) rollback.Step {
	t.Helper()
	s, err := w.target.Plan(t.Context(), w.settings, Wish{Want: Want{Version: "v1"}})
	if err != nil || s == nil {
		t.Fatalf("%v, %v", s, err)
	}
	return *s
}

func (w *world) same(version string) func() error {
	return func() error {
		if got := w.read("current"); got != version {
			return fmt.Errorf("%q runs", got)
		}
		return nil
	}
}

func item(s rollback.Sight, id string) *rollback.Evidence {
	for _, e := range s.Evidence {
		if e.Item == id {
			return &e
		}
	}
	return nil
}

func TestPulumiKeepsTheContract(t *testing.T) {
	targettest.Run(t, func(t *testing.T) targettest.Case {
		w := newWorld(t)
		return targettest.Case{Target: w.target, Step: w.plan(t), Same: w.same("v2")}
	})
}

func commandWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.settings.Tool, w.settings.Pulumi = ToolCommand, Pulumi{}
	file := filepath.Join(w.dir, "current")
	w.settings.Command = Command{
		Current: []string{"/bin/sh", "-c", `printf '{"alias":{"version":"%s"}}' "$(/bin/cat ` + file + `)"`}, Field: "alias.version",
		Up:       []string{"/bin/sh", "-c", `[ ! -s ` + w.dir + `/lock ] || { echo "deployment in progress by ci, $TOKEN" >&2; exit 9; }; echo "$1=$LOCKSTEP_VERSION" > ` + w.dir + `/up; printf %s "$1" > ` + file, "sh", "{version}"},
		Rollback: []string{"/bin/sh", "-c", `[ ! -s ` + w.dir + `/lock ] || { echo "deployment in progress by ci, $TOKEN" >&2; exit 9; }; echo "$1" > ` + w.dir + `/rollback; printf %s "$1" > ` + file, "sh", "{version}"},
		Locked:   "deployment in progress", History: []string{"/bin/cat", w.dir + "/list.json"},
	}
	w.write("list.json", `[{"id":"2","result":"succeeded","start":"2026-11-25T10:00:00Z","end":"2026-11-25T10:01:00Z","version":"v2"},{"id":"1","result":"succeeded","start":"2026-11-24T10:00:00Z","end":"2026-11-24T10:01:00Z","version":"v1"}]`)
	return w
}

func TestCommandsKeepTheContract(t *testing.T) {
	targettest.Run(t, func(t *testing.T) targettest.Case {
		w := commandWorld(t)
		return targettest.Case{Target: w.target, Step: w.plan(t), Same: w.same("v2")}
	})
}

func TestACommandOfItsOwnRollsBackAndUpGoesForward(t *testing.T) {
	w := commandWorld(t)
	step, keep := w.plan(t), &targettest.Keeper{}
	if err := w.target.Do(t.Context(), rollback.At{Step: step}, keep); err != nil {
		t.Fatal(err)
	}
	undo, err := w.target.Undo(t.Context(), rollback.At{Step: step, Kept: keep.Kept})
	if err != nil {
		t.Fatal(err)
	}
	if w.read("up") != "" || w.read("rollback") != "v1" {
		t.Errorf("up %q, rollback %q", w.read("up"), w.read("rollback"))
	}
	if err := w.target.Do(t.Context(), rollback.At{Step: *undo}, &targettest.Keeper{}); err != nil || w.read("up") != "v2=v2" {
		t.Errorf("%v, up %q", err, w.read("up"))
	}
}

func TestTheStepNamesBothEndsAndWhy(t *testing.T) {
	w := newWorld(t)
	s := w.plan(t)
	if s.From != "v2" || s.To != "v1" || s.Phase != rollback.PhaseCode || s.Target != Name || !strings.Contains(s.Changes, "the release's record names") ||
		s.Manual != "cd "+w.settings.Dir+" && pulumi up --yes --stack dev --config handlerVersion=v1" || s.Deadline <= 0 {
		t.Errorf("%+v", s)
	}
	if strings.Contains(string(s.Params), secret) {
		t.Error("a value of the environment is in the plan")
	}
	if s, err := w.target.Plan(t.Context(), w.settings, Wish{To: "v2"}); s != nil || err != nil {
		t.Errorf("it runs already: %+v, %v", s, err)
	}
	if _, err := w.target.Plan(t.Context(), w.settings, Wish{Want: Want{Version: "v9"}}); !errors.Is(err, lockstep.ErrNotFound) || !strings.Contains(err.Error(), "passed over: update") {
		t.Errorf("%v", err)
	}
}

func TestALockedStackIsLeftAlone(t *testing.T) {
	for name, w := range map[string]*world{"pulumi": newWorld(t), "command": commandWorld(t)} {
		step := w.plan(t)
		w.write("lock", lockText)
		err := w.target.Do(t.Context(), rollback.At{Step: step}, &targettest.Keeper{})
		if !errors.Is(err, ErrLocked) || !errors.Is(err, lockstep.ErrUnavailable) || !strings.Contains(lockstep.HintOf(err), "made sure that nobody runs it any more") || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v, hint %q", name, err, lockstep.HintOf(err))
		}
		if name == "pulumi" && (!strings.Contains(err.Error(), "ci@builder (pid 14115) at 2026-11-25T16:20:37Z") || !strings.Contains(lockstep.HintOf(err), "pulumi cancel --stack dev")) {
			t.Errorf("%s: %v, hint %q", name, err, lockstep.HintOf(err))
		}
		if w.read("current") != "v2" || strings.Contains(w.read("calls"), "cancel") {
			t.Errorf("%s: %q runs after\n%s", name, w.read("current"), w.read("calls"))
		}
		w.write("lock", "")
		if err := w.target.Do(t.Context(), rollback.At{Step: step}, &targettest.Keeper{}); err != nil || w.read("current") != "v1" {
			t.Errorf("%s, later: %v", name, err)
		}
	}
}

func TestADeploymentThatLeavesTheOldVersionHasFailed(t *testing.T) {
	w := newWorld(t)
	step, keep := w.plan(t), &targettest.Keeper{}
	w.write("mode", "lie")
	err := w.target.Do(t.Context(), rollback.At{Step: step}, keep)
	if !errors.Is(err, lockstep.ErrConflict) || !strings.Contains(err.Error(), "v2 runs") {
		t.Fatal(err)
	}
	s, err := w.target.Look(t.Context(), rollback.At{Step: step, Kept: keep.Kept})
	if err != nil || s.State != "v2" || item(s, rollback.ItemDeployed).OK || item(s, rollback.ItemDeployClean).OK {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestTheTreeIsDeployedWhenThereIsNoKey(t *testing.T) {
	w := newWorld(t)
	w.settings.Pulumi.Config = ""
	if err := os.WriteFile(filepath.Join(w.settings.Dir, "VERSION"), []byte("v2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := w.target.Plan(t.Context(), w.settings, Wish{To: "v1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.target.Do(t.Context(), rollback.At{Step: *s}, &targettest.Keeper{}); !errors.Is(err, lockstep.ErrConflict) || !strings.Contains(lockstep.HintOf(err), "deploys what is in the tree") {
		t.Fatalf("%v, hint %q", err, lockstep.HintOf(err))
	}
	if err := os.WriteFile(filepath.Join(w.settings.Dir, "VERSION"), []byte("v1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := w.target.Do(t.Context(), rollback.At{Step: *s}, &targettest.Keeper{}); err != nil {
		t.Fatal(err)
	}
}

func TestAFailedDeploymentSaysWhyAndKeepsSecrets(t *testing.T) {
	w := newWorld(t)
	step, keep := w.plan(t), &targettest.Keeper{}
	w.write("mode", "fail")
	err := w.target.Do(t.Context(), rollback.At{Step: step}, keep)
	if !errors.Is(err, lockstep.ErrUnavailable) || !strings.Contains(err.Error(), "role cannot be assumed, token [secret]") {
		t.Fatal(err)
	}
	if all := err.Error() + lockstep.HintOf(err) + string(keep.Kept); strings.Contains(all, secret) {
		t.Error(all)
	}
	s, err := w.target.Look(t.Context(), rollback.At{Step: step, Kept: keep.Kept})
	if e := item(s, rollback.ItemDeployClean); err != nil || s.State != "v2" || e == nil || e.OK || !strings.Contains(e.Text, "1 errors: role cannot be assumed") {
		t.Errorf("%+v, %v", s, err)
	}
	w.write("mode", "")
	if err := w.target.Do(t.Context(), rollback.At{Step: step, Kept: keep.Kept}, keep); err != nil {
		t.Fatal(err)
	}
	s, err = w.target.Look(t.Context(), rollback.At{Step: step, Kept: keep.Kept})
	if e := item(s, rollback.ItemDeployClean); err != nil || s.State != "v1" || !e.OK || !strings.Contains(e.Text, "~ 1 updated, 3 unchanged; foreseen: resources: 3 same, 1 update") {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestFailuresBeforeTheDeploymentChangeNothing(t *testing.T) {
	for _, c := range []struct {
		mode string
		want error
		text string
	}{{"login", lockstep.ErrRefused, "PULUMI_ACCESS_TOKEN must be set"}, {"unwell", lockstep.ErrUnavailable, "Preview failed: unknown stack"}} {
		w := newWorld(t)
		step := w.plan(t)
		w.write("mode", c.mode)
		if err := w.target.Do(t.Context(), rollback.At{Step: step}, &targettest.Keeper{}); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", c.mode, err)
		}
		if strings.Contains(w.read("calls"), "\nup ") {
			t.Errorf("%s: it deployed", c.mode)
		}
	}
}

func TestACancelledDeploymentGivesItsLockBack(t *testing.T) {
	w := newWorld(t)
	step := w.plan(t)
	w.write("mode", "slow")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.target.Do(ctx, rollback.At{Step: step}, &targettest.Keeper{}) }()
	for range 500 {
		if w.read("waiting") != "" {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if l := w.read("lock"); l != "" || w.read("waiting") == "" {
		t.Errorf("lock %q", l)
	}
}

func TestAKilledDeploymentLeavesItsLockToAPerson(t *testing.T) {
	w := newWorld(t)
	step, keep := w.plan(t), &targettest.Keeper{}
	w.write("mode", "die")
	if err := w.target.Do(t.Context(), rollback.At{Step: step}, keep); !errors.Is(err, lockstep.ErrUnavailable) {
		t.Fatal(err)
	}
	w.write("mode", "")
	if err := w.target.Do(t.Context(), rollback.At{Step: step, Kept: keep.Kept}, keep); !errors.Is(err, ErrLocked) {
		t.Fatal(err)
	}
	w.write("lock", "") // a person did
	if err := w.target.Do(t.Context(), rollback.At{Step: step, Kept: keep.Kept}, keep); err != nil || w.read("current") != "v1" {
		t.Fatal(err)
	}
}

func TestTheProbeSpeaksForTheHandlers(t *testing.T) {
	for _, c := range []struct {
		script string
		ok     bool
		text   string
	}{{`test "$1" = v1 && echo 42 receipts`, true, "42 receipts"}, {`echo "no answer, $TOKEN" >&2; exit 7`, false, "status 7: no answer, [secret]"}} {
		w := newWorld(t)
		w.settings.Probe = []string{"/bin/sh", "-c", c.script, "sh", "{version}"}
		step, keep := w.plan(t), &targettest.Keeper{}
		if err := w.target.Do(t.Context(), rollback.At{Step: step}, keep); err != nil {
			t.Fatal(err)
		}
		s, err := w.target.Look(t.Context(), rollback.At{Step: step, Kept: keep.Kept})
		if e := item(s, rollback.ItemExecuting); err != nil || e == nil || e.OK != c.ok || !strings.Contains(e.Text, c.text) {
			t.Errorf("%s: %+v, %v", c.script, s, err)
		}
	}
}

func TestWhatRanAlreadyIsNotDeployedAgainNorTakenBack(t *testing.T) {
	w := newWorld(t)
	step, keep := w.plan(t), &targettest.Keeper{}
	w.write("current", "v1")
	if err := w.target.Do(t.Context(), rollback.At{Step: step}, keep); err != nil || strings.Contains(w.read("calls"), "\nup ") {
		t.Fatalf("%v\n%s", err, w.read("calls"))
	}
	if undo, err := w.target.Undo(t.Context(), rollback.At{Step: step, Kept: keep.Kept}); undo != nil || err != nil {
		t.Errorf("%+v, %v", undo, err)
	}
}

func TestAStackThatWasNeverDeployedIsUnknown(t *testing.T) {
	w := newWorld(t)
	w.write("current", "")
	step := w.plan(t)
	if step.From != "" || !strings.Contains(step.Risk, "could not be read") {
		t.Errorf("%+v", step)
	}
	if s, err := w.target.Look(t.Context(), rollback.At{Step: step}); err != nil || s.State != unknown {
		t.Errorf("%+v, %v", s, err)
	}
	keep := &targettest.Keeper{}
	if err := w.target.Do(t.Context(), rollback.At{Step: step}, keep); err != nil || w.read("current") != "v1" {
		t.Fatal(err)
	}
	if _, err := w.target.Undo(t.Context(), rollback.At{Step: step, Kept: keep.Kept}); !errors.Is(err, lockstep.ErrRefused) {
		t.Errorf("undo: %v", err)
	}
}

func TestAStateIsRefreshedFirstIfWished(t *testing.T) {
	w := newWorld(t)
	w.settings.Refresh = true
	if err := w.target.Do(t.Context(), rollback.At{Step: w.plan(t)}, &targettest.Keeper{}); err != nil {
		t.Fatal(err)
	}
	refresh, up := strings.Index(w.read("calls"), "\nrefresh "), strings.Index(w.read("calls"), "\nup ")
	if refresh < 0 || up < refresh {
		t.Error(w.read("calls"))
	}
}

func TestAToolThatIsNotThere(t *testing.T) {
	w := newWorld(t)
	step := w.plan(t)
	step.Params = json.RawMessage(strings.Replace(string(step.Params), w.settings.Pulumi.Program, "/nowhere/pulumi", 1))
	if err := w.target.Do(t.Context(), rollback.At{Step: step}, &targettest.Keeper{}); !errors.Is(err, lockstep.ErrNotFound) {
		t.Error(err)
	}
	w.settings.Pulumi.Stack = "nowhere"
	if _, err := w.target.Plan(t.Context(), w.settings, Wish{Want: Want{Version: "v1"}}); !errors.Is(err, lockstep.ErrNotFound) {
		t.Error(err)
	}
}

func TestACancelledContextIsHonoured(t *testing.T) {
	w := newWorld(t)
	step := w.plan(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.target.Plan(ctx, w.settings, Wish{Want: Want{Version: "v1"}}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := w.target.Look(ctx, rollback.At{Step: step}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := w.target.Do(ctx, rollback.At{Step: step}, &targettest.Keeper{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
