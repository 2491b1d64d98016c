//go:build pulumi

package deploy

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
	"lockstep/internal/rollback/targettest"
)

const project = `name: receipts-infra
runtime: yaml
config:
  handlerVersion:
    type: string
  token:
    type: string
    secret: true
outputs:
  lambda:
    version: ${handlerVersion}
  token: ${token}
`

// realStack is a stack of the real CLI, which must be on the path together with its
// language plugin for YAML. It keeps its state in files and asks no network.
func realStack(t *testing.T) (*Target, Settings, string) {
	t.Helper()
	if _, err := exec.LookPath("pulumi"); err != nil {
		t.Fatal(err)
	}
	dir, state := t.TempDir(), t.TempDir()
	vars := map[string]string{
		"PATH": os.Getenv("PATH"), "HOME": t.TempDir(), "PULUMI_HOME": t.TempDir(), "PULUMI_BACKEND_URL": "file://" + state,
		"PULUMI_CONFIG_PASSPHRASE": "correct-horse", "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
	}
	if err := os.WriteFile(filepath.Join(dir, "Pulumi.yaml"), []byte(project), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"stack", "init", "dev"}, {"config", "set", "--secret", "token", secret}, {"up", "--yes", "--skip-preview", "--config", "handlerVersion=v1"}, {"up", "--yes", "--skip-preview", "--config", "handlerVersion=v2"},
	} {
		cmd := exec.Command("pulumi", append(args, "--non-interactive")...)
		cmd.Dir = dir
		for k, v := range vars {
			cmd.Env = append(cmd.Env, k+"="+v)
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
	}
	s := Settings{
		Name: "handlers", Tool: ToolPulumi, Dir: dir, Env: []string{"PULUMI_HOME", "PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"},
		Timeout: time.Minute, Refresh: true, Pulumi: Pulumi{Stack: "dev", Output: "lambda.version", Config: "handlerVersion"},
	}
	return New(func(k string) (string, bool) { v, ok := vars[k]; return v, ok }), s, state
}

func TestTheRealCLIKeepsTheContract(t *testing.T) {
	targettest.Run(t, func(t *testing.T) targettest.Case {
		target, s, _ := realStack(t)
		step, err := target.Plan(t.Context(), s, Wish{Want: Want{Version: "v1"}})
		if err != nil {
			t.Fatal(err)
		}
		return targettest.Case{Target: target, Step: *step, Same: func() error {
			sight, err := target.Look(t.Context(), rollback.At{Step: *step})
			if err == nil && sight.State != "v2" {
				err = fmt.Errorf("%s runs", sight.State)
			}
			return err
		}}
	})
}

func TestTheRealLockIsRecognised(t *testing.T) {
	target, s, state := realStack(t)
	step, err := target.Plan(t.Context(), s, Wish{Want: Want{Version: "v1"}})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(state, ".pulumi", "locks", "organization", "receipts-infra", "dev")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "e849518f-56c9-4244-8935-c074c76fcecc.json"), []byte(`{"pid":14115,"username":"ci","hostname":"builder","timestamp":"2026-11-25T16:20:37Z"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	err = target.Do(t.Context(), rollback.At{Step: *step}, &targettest.Keeper{})
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "ci@builder (pid 14115)") {
		t.Error(err)
	}
}

func TestTheRealFailureSaysWhy(t *testing.T) {
	target, s, _ := realStack(t)
	step, err := target.Plan(t.Context(), s, Wish{To: "v1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.Dir, "Pulumi.yaml"), []byte(strings.Replace(project, "${handlerVersion}", "${nothere}", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	err = target.Do(t.Context(), rollback.At{Step: *step}, &targettest.Keeper{})
	if !errors.Is(err, lockstep.ErrUnavailable) || !strings.Contains(err.Error(), `"nothere" could not be found`) {
		t.Error(err)
	}
}
