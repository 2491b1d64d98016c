package suite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
	"lockstep/internal/rollback/targettest"
	"lockstep/internal/testreport"
)

const secret = "tok-0123456789abcdef"

func target(opts Options) *Target {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	opts.Lookup = func(name string) (string, bool) {
		if name == "TOKEN" {
			return secret, true
		}
		return os.LookupEnv(name)
	}
	return New(opts)
}

// shell is a suite whose command is a script.
func shell(t *testing.T, script string) Suite {
	t.Helper()
	return Suite{Name: "package", Command: []string{"/bin/sh", "-c", script}, Dir: t.TempDir(), Env: []string{"TOKEN"}, Timeout: 20 * time.Second, Item: rollback.ItemTestPackage}
}

func step(t *testing.T, s Suite, tree string) rollback.Step {
	t.Helper()
	steps, err := Plan(Settings{[]Suite{s}}, tree, []string{"git"})
	if err != nil {
		t.Fatal(err)
	}
	return steps[0]
}

func look(t *testing.T, g *Target, s rollback.Step, k *targettest.Keeper) rollback.Sight {
	t.Helper()
	sight, err := g.Look(t.Context(), rollback.At{Step: s, Kept: k.Kept})
	if err != nil {
		t.Fatal(err)
	}
	return sight
}

const (
	good    = `printf 'tests/test_a.py::test_a PASSED [100%%]\n== 3 passed in 0.10s ==\n'`
	bad     = `printf '===== short test summary info =====\nFAILED tests/test_merge.py::test_a - assert 1 == 2 %s\n== 1 failed, 2 passed in 0.10s ==\n' "$TOKEN"; exit 1`
	lint    = `printf '===== short test summary info =====\nFAILED tests/lint/test_style.py::test_a - too long\n== 1 failed, 2 passed in 0.10s ==\n'; exit 1`
	nothing = `printf '== no tests ran in 0.10s ==\n'; exit 5`
)

func TestASuiteKeepsTheContract(t *testing.T) {
	targettest.Run(t, func(t *testing.T) targettest.Case {
		return targettest.Case{Target: target(Options{}), Step: step(t, shell(t, good), "")}
	})
}

func TestWhatFailsAndBlocksIsRefusedByName(t *testing.T) {
	g, s, k := target(Options{}), step(t, shell(t, bad), ""), &targettest.Keeper{}
	err := g.Do(t.Context(), rollback.At{Step: s}, k)
	if !errors.Is(err, lockstep.ErrRefused) || !strings.Contains(err.Error(), "tests/test_merge.py::test_a (tests/test_merge.py): assert 1 == 2 [secret]") {
		t.Fatal(err)
	}
	if strings.Contains(err.Error()+string(k.Kept), secret) {
		t.Error("the secret is there")
	}
	sight := look(t, g, s, k)
	if sight.State != Failed || len(sight.Evidence) != 1 || sight.Evidence[0].OK || sight.Evidence[0].Item != rollback.ItemTestPackage || !strings.Contains(sight.Evidence[0].Text, "test_merge.py::test_a") {
		t.Errorf("%+v", sight)
	}
}

func TestWhatIsMinorIsDoneAndToBeFixedForward(t *testing.T) {
	one := shell(t, lint)
	one.Rules = []testreport.Rule{{Tests: "tests/lint/**", Minor: true}}
	g, s, k := target(Options{}), step(t, one, ""), &targettest.Keeper{}
	if err := g.Do(t.Context(), rollback.At{Step: s}, k); err != nil {
		t.Fatal(err)
	}
	sight := look(t, g, s, k)
	if sight.State != Accepted || !sight.Evidence[0].OK || !strings.Contains(sight.Evidence[0].Text, "1 minor by rule, fix forward") || !strings.Contains(sight.Evidence[0].Text, "test_style.py") {
		t.Errorf("%+v", sight)
	}
}

func TestASuiteThatStopsNothingIsDoneAndTicksNothing(t *testing.T) {
	one, no := shell(t, bad), false
	one.Blocking = &no
	g, s, k := target(Options{}), step(t, one, ""), &targettest.Keeper{}
	if err := g.Do(t.Context(), rollback.At{Step: s}, k); err != nil {
		t.Fatal(err)
	}
	if sight := look(t, g, s, k); sight.State != Accepted || sight.Evidence[0].OK || !strings.Contains(sight.Detail, "it stops nothing, fix forward") {
		t.Errorf("%+v", sight)
	}
}

func TestEndsThatAreNoPass(t *testing.T) {
	for _, c := range []struct {
		name, script string
		change       func(*Suite)
		want         string // "": accepted
	}{
		{"no test ran", nothing, nil, "no test ran"},
		{"a status that nobody explains", `printf '== 3 passed in 0.1s ==\n'; exit 1`, nil, "the runner says otherwise"},
		{"an unknown runner, by its status", `echo all checks done`, nil, ""},
		{"an unknown runner that fails", `echo checks failed; exit 4`, nil, "ended with status 4: checks failed"},
		{"it is said to be pytest and is not", `echo all checks done`, func(s *Suite) { s.Format = testreport.Pytest }, "neither its first nor its last line"},
		{"by its status alone", `echo FAILED; echo 1 failed in 0.1s`, func(s *Suite) { s.Format = testreport.Exit }, ""},
		{"too slow", `echo begun; sleep 30`, func(s *Suite) { s.Timeout = 100 * time.Millisecond }, "not done within 100ms"},
		{"it kills itself", `kill -9 $$`, nil, "a signal"},
		{"a report that is not written", `echo 3 passed in 0.1s`, func(s *Suite) { s.JUnit = "out.xml" }, "the run wrote no out.xml"},
		{"a report that is written", `printf '<testsuite tests="1"><testcase classname="a" name="b"/></testsuite>' > out.xml`, func(s *Suite) { s.JUnit = "out.xml" }, ""},
		{"a report that is cut", `printf '<testsuite tests="1"><testcase classname="a" name="b"/>' > out.xml`, func(s *Suite) { s.JUnit = "out.xml" }, "invalid JUnit report"},
		{"a report of failures", `printf '<testsuite tests="1"><testcase classname="a" name="b"><failure message="m"/></testcase></testsuite>' > out.xml`, func(s *Suite) { s.JUnit = "out.xml" }, "a::b: m"},
	} {
		one := shell(t, c.script)
		if c.change != nil {
			c.change(&one)
		}
		g, s, k := target(Options{}), step(t, one, ""), &targettest.Keeper{}
		err := g.Do(t.Context(), rollback.At{Step: s}, k)
		if c.want == "" {
			if sight := look(t, g, s, k); err != nil || sight.State != Accepted {
				t.Errorf("%s: %+v, %v", c.name, sight, err)
			}
			continue
		}
		if sight := look(t, g, s, k); !errors.Is(err, lockstep.ErrRefused) || !strings.Contains(err.Error(), c.want) || sight.State != Failed {
			t.Errorf("%s: %+v, %v", c.name, sight, err)
		}
	}
}

func TestAReportOfAnEarlierRunDoesNotCount(t *testing.T) {
	one := shell(t, "true")
	one.JUnit = "out.xml"
	if err := os.WriteFile(filepath.Join(one.Dir, "out.xml"), []byte(`<testsuite tests="1"><testcase classname="a" name="b"/></testsuite>`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := target(Options{}).Do(t.Context(), rollback.At{Step: step(t, one, "")}, &targettest.Keeper{}); !errors.Is(err, lockstep.ErrRefused) || !strings.Contains(err.Error(), "out.xml is older than the run") {
		t.Error(err)
	}
}

func TestAResultCountsForItsCommandAndItsTreeOnly(t *testing.T) {
	tree := "aaa"
	g := target(Options{Tree: func(context.Context, string) (string, error) { return tree, nil }})
	one := shell(t, good)
	s, k := step(t, one, "aaa"), &targettest.Keeper{}
	if err := g.Do(t.Context(), rollback.At{Step: s}, k); err != nil {
		t.Fatal(err)
	}
	if sight := look(t, g, s, k); sight.State != Accepted {
		t.Fatalf("%+v", sight)
	}
	one.Command = []string{"/bin/sh", "-c", good + "; true"}
	if sight := look(t, g, step(t, one, "aaa"), k); sight.State != NotRun {
		t.Errorf("another command: %+v", sight)
	}
	tree = "bbb"
	if sight := look(t, g, s, k); sight.State != NotRun {
		t.Errorf("another tree: %+v", sight)
	}
	if err := g.Do(t.Context(), rollback.At{Step: s, Kept: k.Kept}, k); !errors.Is(err, lockstep.ErrConflict) {
		t.Errorf("the tree of another plan: %v", err)
	}
	if sight := look(t, target(Options{}), step(t, shell(t, good), "ccc"), k); sight.State != NotRun {
		t.Errorf("the step says another tree: %+v", sight)
	}
}

func TestAnAcceptedSuiteIsNotRunAgainAndARefusedOneIs(t *testing.T) {
	for script, want := range map[string]int{good: 1, bad: 2} {
		one := shell(t, "echo x >> runs; "+script)
		g, s, k := target(Options{}), step(t, one, ""), &targettest.Keeper{}
		for range 2 {
			if err := g.Do(t.Context(), rollback.At{Step: s, Kept: k.Kept}, k); err != nil && !errors.Is(err, lockstep.ErrRefused) {
				t.Fatal(err)
			}
		}
		if b, err := os.ReadFile(filepath.Join(one.Dir, "runs")); err != nil || strings.Count(string(b), "x") != want {
			t.Errorf("%q, %v, want %d runs", b, err, want)
		}
	}
}

// gone waits for the end of a process.
func gone(t *testing.T, pid int) {
	t.Helper()
	for range 100 {
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(state), ") Z ") || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("process %d still runs", pid)
}

func TestNothingOutlivesARunThatEndsWell(t *testing.T) {
	one := shell(t, `/bin/sleep 60 >/dev/null 2>&1 & echo $! > pid; `+good)
	if err := target(Options{}).Do(t.Context(), rollback.At{Step: step(t, one, "")}, &targettest.Keeper{}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(one.Dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	gone(t, pid)
}

func TestARunThatIsEndedIsPartialAndLeavesNobody(t *testing.T) {
	one := shell(t, `/bin/sleep 60 >/dev/null & echo $! > pid; echo begun; /bin/sleep 60`)
	g, s, k := target(Options{}), step(t, one, ""), &targettest.Keeper{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Do(ctx, rollback.At{Step: s}, k) }()
	pid := 0
	for range 500 {
		if b, err := os.ReadFile(filepath.Join(one.Dir, "pid")); err == nil && len(b) > 0 && b[len(b)-1] == '\n' {
			pid, _ = strconv.Atoi(strings.TrimSpace(string(b)))
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || pid == 0 {
		t.Fatal(pid, err)
	}
	if sight := look(t, g, s, k); sight.State != rollback.Partial {
		t.Errorf("%+v", sight)
	}
	gone(t, pid)
}

func TestACommandThatIsNotThere(t *testing.T) {
	for program, want := range map[string]error{"/nowhere/at-all": lockstep.ErrNotFound, "no-such-program-here": lockstep.ErrNotFound, t.TempDir(): lockstep.ErrRefused} {
		one := shell(t, "")
		one.Command = []string{program}
		g, s, k := target(Options{}), step(t, one, ""), &targettest.Keeper{}
		if err := g.Do(t.Context(), rollback.At{Step: s}, k); !errors.Is(err, want) {
			t.Errorf("%s: %v", program, err)
		}
		if sight := look(t, g, s, k); sight.State != rollback.Partial {
			t.Errorf("%s: %+v", program, sight)
		}
	}
}

func TestTheCommandSeesWhatIsNamedAndNothingElse(t *testing.T) {
	t.Setenv("LOCKSTEP_TEST_LEAK", "1")
	one := shell(t, "/usr/bin/env > seen; "+good)
	if err := target(Options{}).Do(t.Context(), rollback.At{Step: step(t, one, "")}, &targettest.Keeper{}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(one.Dir, "seen"))
	if err != nil || strings.Contains(string(b), "LEAK") || !strings.Contains(string(b), "TOKEN="+secret) || !strings.Contains(string(b), "PATH=") {
		t.Errorf("%v:\n%s", err, b)
	}
}

type teller struct {
	targettest.Keeper
	said []string
}

func (k *teller) Say(text string, done, total int64) {
	k.said = append(k.said, fmt.Sprintf("%s %d/%d", text, done, total))
}

func TestPeopleHearHowFarItIs(t *testing.T) {
	var clock int64 // the only caller is the one that copies the output
	g := target(Options{Now: func() time.Time { clock++; return time.Unix(clock, 0) }})
	one := shell(t, `printf 'collected 2 items\ntests/a.py::test_a PASSED [ 50%%]\ntests/a.py::test_b PASSED [100%%]\n'"$TOKEN"'\n== 2 passed in 0.1s ==\n'`)
	k := &teller{}
	if err := g.Do(t.Context(), rollback.At{Step: step(t, one, "")}, k); err != nil {
		t.Fatal(err)
	}
	all := strings.Join(k.said, "\n")
	if !strings.Contains(all, "package: tests/a.py::test_b PASSED [100%] 2/2\npackage: [secret] 2/2") || strings.Contains(all, secret) {
		t.Error(all)
	}
}

func TestLongOutputIsBoundedAndItsEndsAreKept(t *testing.T) {
	o := &output{heard: func(string) {}}
	for i := range 3 {
		block := strings.Repeat(strconv.Itoa(i)+strings.Repeat("x", 99)+"\n", maxOutput/200)
		if _, err := o.Write([]byte(block)); err != nil {
			t.Fatal(err)
		}
	}
	text, cut := o.text()
	if !cut || len(text) > maxOutput+maxOutput/8 || text[0] != '0' || !strings.HasSuffix(string(text), strings.Repeat("x", 99)+"\n") {
		t.Errorf("%d bytes, cut %t", len(text), cut)
	}
	for line := range strings.Lines(string(text)) {
		if len(line) != 101 {
			t.Fatalf("half a line: %q", line)
		}
	}
}

func TestEveryMistakeInTheSettingsIsNamed(t *testing.T) {
	_, err := Plan(Settings{[]Suite{
		{Name: "a b", Timeout: -1, Format: "tap", Item: "git.clean", JUnit: "../out.xml", Env: []string{"A=b"}, Rules: []testreport.Rule{{}}},
		{Name: "two", Command: []string{"go", "test", "-failfast"}, Rules: []testreport.Rule{{Tests: "x", Minor: true}}},
		{Name: "two", Command: []string{"x"}, JUnit: "o.xml", Format: testreport.Go},
	}}, "", nil)
	if !errors.Is(err, lockstep.ErrInvalid) {
		t.Fatal(err)
	}
	for _, want := range []string{
		"name: want letters", "command: want the program", "timeout -1ns", `format "tap"`, `item "git.clean"`, `junit "../out.xml"`, `env "A=b"`, "rule 1: want tests or regexp",
		"-failfast leaves tests out", "there is another of that name", "format go does not read it",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in:\n%v", want, err)
		}
	}
	if _, err := Plan(Settings{}, "", nil); !errors.Is(err, lockstep.ErrInvalid) {
		t.Error(err)
	}
}

func TestDamagedStepsAreNotRun(t *testing.T) {
	g, s := target(Options{}), step(t, shell(t, "touch ran"), "")
	if err := g.Do(t.Context(), rollback.At{Step: s, Kept: json.RawMessage(`{`)}, &targettest.Keeper{}); !errors.Is(err, lockstep.ErrCorrupt) {
		t.Error(err)
	}
	s.Params = json.RawMessage(`{"suite":{},"more":1}`)
	if err := g.Do(t.Context(), rollback.At{Step: s}, &targettest.Keeper{}); !errors.Is(err, lockstep.ErrInvalid) {
		t.Error(err)
	}
}

// The real runners, where they are.
func TestRealRunners(t *testing.T) {
	write := func(dir, name, body string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("go", func(t *testing.T) {
		one := shell(t, "")
		write(one.Dir, "go.mod", "module example.com/receipts\n\ngo 1.26\n")
		write(one.Dir, "merge_test.go", "package receipts\n\nimport \"testing\"\n\nfunc TestGood(t *testing.T) {}\nfunc TestLint(t *testing.T) { t.Error(\"too long\") }\n")
		one.Command, one.Env, one.Timeout = []string{"go", "test", "-vet=off", "-json", "./..."}, []string{"GOCACHE", "GOPATH", "GOROOT"}, time.Minute
		one.Rules = []testreport.Rule{{Regexp: "::TestLint$", Minor: true}}
		g, s, k := target(Options{}), step(t, one, ""), &targettest.Keeper{}
		if err := g.Do(t.Context(), rollback.At{Step: s}, k); err != nil {
			t.Fatal(err)
		}
		if sight := look(t, g, s, k); !strings.Contains(sight.Evidence[0].Text, "1 failed, 1 passed") || !strings.Contains(sight.Evidence[0].Text, "example.com/receipts::TestLint (merge_test.go:6): merge_test.go:6: too long") {
			t.Errorf("%+v", sight)
		}
	})
	t.Run("pytest", func(t *testing.T) {
		if err := exec.Command("python3", "-m", "pytest", "--version").Run(); err != nil {
			t.Skipf("SKIPPED, no pytest was run: %v; package testreport reads what it printed elsewhere", err)
		}
		one := shell(t, "")
		write(one.Dir, "test_merge.py", "def test_good(): pass\ndef test_bad(): assert 1 == 2\n")
		one.Command, one.Timeout = []string{"python3", "-m", "pytest", "-v", "-p", "no:cacheprovider"}, time.Minute
		err := target(Options{}).Do(t.Context(), rollback.At{Step: step(t, one, "")}, &targettest.Keeper{})
		if !errors.Is(err, lockstep.ErrRefused) || !strings.Contains(err.Error(), "test_merge.py::test_bad (test_merge.py:2): assert 1 == 2") {
			t.Error(err)
		}
	})
}
