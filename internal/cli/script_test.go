package cli

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"lockstep": func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		code := Main(ctx, Env{
			Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
			Getenv: os.Getenv, LookPath: lookPath(), Now: clock(),
		})
		stop()
		os.Exit(code)
	}})
}

// A script that sets these has the same words on every machine and every day: a clock
// that stands still, and no Chroma, whatever is installed.
const (
	clockVariable = "LOCKSTEP_TEST_NOW"
	bareVariable  = "LOCKSTEP_TEST_BARE"
)

func clock() func() time.Time {
	if fixed, err := time.Parse(time.RFC3339, os.Getenv(clockVariable)); err == nil {
		return func() time.Time { return fixed }
	}
	return time.Now
}

func lookPath() func(string) (string, error) {
	if os.Getenv(bareVariable) != "" {
		return func(string) (string, error) { return "", exec.ErrNotFound }
	}
	return exec.LookPath
}

var update = flag.Bool("update", false, "rewrite the expected output in the scripts")

// TestScripts runs every command as a user would, with a real store on disk.
func TestScripts(t *testing.T) {
	// $RECEIPT holds the changes of one receipt, as created.ndjson with its imports, and
	// four edits of it, each a file of one change.
	receipt, err := filepath.Abs("testdata/receipt")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("USER", "tester")
			e.Setenv("RECEIPT", receipt)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": wantStatus, "serving": serving, "post": post, "flip": flip, "field": field, "fetch": fetch,
		},
	})
}

// wantStatus runs a command and wants an exit status, the first argument.
func wantStatus(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("run %s: %v", args[1], err)
		}
		got = strings.TrimPrefix(exit.Error(), "exit status ")
	}
	if got != args[0] {
		ts.Fatalf("%v ended with status %s, want %s", args[1:], got, args[0])
	}
}

// serving waits until the server of a data directory answers.
func serving(ts *testscript.TestScript, _ bool, args []string) {
	for range 200 {
		if url := address(ts, args[0]); url != "" {
			if res, err := http.Get(url + "/healthz"); err == nil {
				_ = res.Body.Close()
				ts.Setenv("URL", url)
				return
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("no server answers for %s", args[0])
}

func address(ts *testscript.TestScript, dir string) string {
	b, err := os.ReadFile(filepath.Join(ts.MkAbs(dir), "server.json"))
	var a struct{ URL string }
	if err != nil || json.Unmarshal(b, &a) != nil {
		return ""
	}
	return a.URL
}

// post sends a file to the server and prints the answer.
func post(ts *testscript.TestScript, _ bool, args []string) {
	res, err := http.Post(ts.Getenv("URL")+"/v1/changes", "application/json", strings.NewReader(ts.ReadFile(args[0])))
	ts.Check(err)
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	ts.Check(err)
	ts.Logf("%s %s", res.Status, body)
	if res.StatusCode != http.StatusOK {
		ts.Fatalf("POST of %s: %s", args[0], res.Status)
	}
}

// fetch asks the server for a path, wants an HTTP status, the first argument, and has
// the answer as the output.
func fetch(ts *testscript.TestScript, _ bool, args []string) {
	res, err := http.Get(ts.Getenv("URL") + args[1])
	ts.Check(err)
	defer func() { _ = res.Body.Close() }()
	_, err = io.Copy(ts.Stdout(), res.Body)
	ts.Check(err)
	if got := strconv.Itoa(res.StatusCode); got != args[0] {
		ts.Fatalf("GET %s: status %s, want %s", args[1], got, args[0])
	}
}

// flip changes one byte of the only file that matches a pattern and is larger than 200 bytes.
func flip(ts *testscript.TestScript, _ bool, args []string) {
	names, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(names) == 0 {
		ts.Fatalf("nothing matches %s", args[0])
	}
	b, err := os.ReadFile(names[0])
	ts.Check(err)
	b[len(b)/2] ^= 0x40
	ts.Check(os.WriteFile(names[0], b, 0o644))
}

// field sets a variable to a field of the JSON that a command printed last:
// field NAME path.to.field, where a number picks an element.
func field(ts *testscript.TestScript, _ bool, args []string) {
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &v))
	for part := range strings.SplitSeq(args[1], ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[part]
		case []any:
			v = at[len(at)-1]
			if part == "0" {
				v = at[0]
			}
		}
		if v == nil {
			break
		}
	}
	b, err := json.Marshal(v)
	ts.Check(err)
	ts.Setenv(args[0], strings.Trim(string(b), `"`))
}
