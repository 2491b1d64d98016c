package deploy

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fakeVariable names the directory in which the scripted Pulumi keeps its state. The test
// binary is that Pulumi when it is set.
const fakeVariable = "LOCKSTEP_FAKE_PULUMI"

func TestMain(m *testing.M) {
	if dir := os.Getenv(fakeVariable); dir != "" {
		os.Exit(scripted{dir}.main(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// scripted behaves as the recorded CLI does: its lock, its exit statuses, its words, its
// history. Its state is files: current, config, lock, mode, history.json.
type scripted struct{ dir string }

func (s scripted) read(name string) string {
	b, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func (s scripted) write(name, text string) {
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		panic(err)
	}
}

func (s scripted) history() []map[string]any {
	list := []map[string]any{}
	if text := s.read("history.json"); text != "" {
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			panic(err)
		}
	}
	return list
}

func (s scripted) record(kind, result, message, version string) {
	entry := map[string]any{
		"version": 0, "kind": kind, "startTime": time.Now().UTC().Format(time.RFC3339), "endTime": time.Now().UTC().Format(time.RFC3339), "message": message, "result": result,
		"environment": map[string]string{"exec.kind": "cli"}, "config": map[string]any{"receipts-infra:handlerVersion": map[string]any{"value": version, "secret": false}},
	}
	body, err := json.Marshal(append([]map[string]any{entry}, s.history()...))
	if err != nil {
		panic(err)
	}
	s.write("history.json", string(body))
}

func flag(args []string, name string) string {
	if i := slices.Index(args, name); i >= 0 && i+1 < len(args) {
		return args[i+1]
	}
	return ""
}

func (s scripted) main(args []string) int {
	s.write("calls", s.read("calls")+"\n"+strings.Join(args, " "))
	if !slices.Contains(args, "--non-interactive") || os.Getenv("PULUMI_SKIP_UPDATE_CHECK") != "true" {
		fmt.Fprintln(os.Stderr, "error: it would ask somebody")
		return 2
	}
	if stack := flag(args, "--stack"); stack != "dev" {
		fmt.Fprintf(os.Stderr, "error: no stack named '%s' found\n", stack)
		return 6
	}
	if s.read("mode") == "login" {
		fmt.Fprintf(os.Stderr, "error: PULUMI_ACCESS_TOKEN must be set for login during non-interactive CLI sessions, not %s\n", os.Getenv("TOKEN"))
		return 3
	}
	switch args[0] + " " + args[1] {
	case "stack output":
		out := map[string]any{}
		if v := s.read("current"); v != "" {
			out = map[string]any{"lambda": map[string]any{"version": v}, "token": "[secret]"}
		}
		return s.print(out)
	case "stack history":
		return s.print(s.history())
	case "preview --json":
		if s.read("mode") == "unwell" {
			s.print(map[string]any{"changeSummary": map[string]int{"same": 1}, "diagnostics": []map[string]string{{"severity": "error", "message": "error: Preview failed: unknown stack\n"}}})
			return 1
		}
		return s.print(map[string]any{"config": map[string]string{"receipts-infra:token": "[secret]"}, "steps": []any{}, "changeSummary": map[string]int{"same": 3, "update": 1}})
	case "up --yes", "refresh --yes":
		return s.change(args)
	}
	fmt.Fprintf(os.Stderr, "error: unknown command %q for \"pulumi\"\n", args[0])
	return 1
}

func (scripted) print(v any) int {
	if err := json.NewEncoder(os.Stdout).Encode(v); err != nil {
		panic(err)
	}
	return 0
}

// change is up and refresh, which take the lock.
func (s scripted) change(args []string) int {
	version := s.read("config")
	if _, v, ok := strings.Cut(flag(args, "--config"), "="); ok {
		version = v
		s.write("config", v) // it is saved even when the stack is locked, as recorded
	}
	if wd, err := os.ReadFile("VERSION"); err == nil { // the program in the tree
		version = strings.TrimSpace(string(wd))
	}
	if s.read("lock") != "" {
		fmt.Fprint(os.Stderr, s.read("lock")+"\n")
		return 1
	}
	if args[0] == "refresh" {
		s.record("refresh", "succeeded", "", version)
		fmt.Print("Refreshing (dev):\n\nResources:\n    1 unchanged\n\nDuration: 1s\n\n")
		return 0
	}
	mode, message := s.read("mode"), flag(args, "--message")
	switch mode {
	case "fail":
		s.record("update", "failed", message, version)
		fmt.Print(s.read("up-failed"))
		return 1
	case "slow", "die":
		s.write("lock", lockText)
		if mode == "die" {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		interrupted := make(chan os.Signal, 1)
		signal.Notify(interrupted, os.Interrupt)
		s.write("waiting", "1")
		<-interrupted
		s.write("lock", "")
		s.record("update", "failed", message, version)
		fmt.Fprintln(os.Stderr, "error: update canceled")
		return 8
	case "lie":
	default:
		s.write("current", version)
	}
	s.record("update", "succeeded", message, version)
	fmt.Print("Updating (dev):\n\n    aws:lambda:Function handler updated (2s) \n")
	if mode == "warn" {
		fmt.Print("Diagnostics:\n  aws:lambda:Function (handler):\n    warning: runtime is deprecated\n\n")
	}
	fmt.Print("Resources:\n    ~ 1 updated\n    3 unchanged\n\nDuration: 4s\n\n")
	return 0
}

const lockText = "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete the lock file with `pulumi cancel`.\n" +
	"  file:///srv/state/.pulumi/locks/organization/receipts-infra/dev/e849518f.json?no_tmp_dir=true: created by ci@builder (pid 14115) at 2026-11-25T16:20:37Z"
