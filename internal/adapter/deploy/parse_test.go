package deploy

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lockstep/internal/lockstep"
)

func recorded(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTheRecordedHistoryIsRead(t *testing.T) {
	list, err := parseHistory(recorded(t, "history.json"), "handlerVersion")
	if err != nil || len(list) != 5 {
		t.Fatal(len(list), err)
	}
	at := time.Date(2026, 11, 25, 16, 20, 56, 0, time.UTC)
	want := Update{Kind: "update", Result: "succeeded", Start: at, End: at, Version: "v3", Commit: "6cb175af70d2fef8e8c3843eaa5090b41af217c0", Message: "release 8"}
	if diff := cmp.Diff(want, list[3]); diff != "" {
		t.Error(diff)
	}
	if !list[0].Dirty || list[0].Result != "failed" || list[2].Kind != "refresh" || list[4].Version != "v1" {
		t.Errorf("%+v", list)
	}
	u, why, err := Good(list, Want{Before: at})
	if err != nil || u.Version != "v1" || len(why) != 5 {
		t.Errorf("%+v, %q, %v", u, why, err)
	}
	u, why, err = Good(list, Want{Before: at.Add(time.Hour)})
	if err != nil || u.Version != "v3" || !strings.Contains(strings.Join(why, "\n"), "passed over: update of 2026-11-25T16:20:57Z (v3): it failed\npassed over: refresh") {
		t.Errorf("%+v, %q, %v", u, why, err)
	}
	shown := strings.ReplaceAll(string(recorded(t, "history.json")), `"secret": true`, `"value": "`+secret+`", "secret": true`)
	if list, err := parseHistory([]byte(shown), "token"); err != nil || list[0].Version != "" {
		t.Errorf("a secret is a version: %+v, %v", list[0], err)
	}
}

func TestTheRecordedAnswersAreRead(t *testing.T) {
	for path, want := range map[string]string{"version": "v3", "nested.lambda.alias": "v3"} {
		if v, err := parseOutput(recorded(t, "output.json"), path); err != nil || v != want {
			t.Errorf("%s: %q, %v", path, v, err)
		}
	}
	for path, want := range map[string]error{"nothing": lockstep.ErrNotFound, "version.deeper": lockstep.ErrNotFound, "nested": lockstep.ErrInvalid, "token": lockstep.ErrRefused} {
		if v, err := parseOutput(recorded(t, "output.json"), path); !errors.Is(err, want) {
			t.Errorf("%s: %q, %v", path, v, err)
		}
	}
	if p, err := parsePreview(recorded(t, "preview.json")); err != nil || p.Changes["same"] != 1 || p.Text != "resources: 1 same" {
		t.Errorf("%+v, %v", p, err)
	}
	if o := parseUp(string(recorded(t, "up.txt")), ""); len(o.Errors) != 0 || o.Warned != 0 || o.Text != "resources: 1 unchanged" {
		t.Errorf("%+v", o)
	}
	o := parseUp(string(recorded(t, "up-failed.txt")), "")
	if diff := cmp.Diff(Outcome{Text: "resources: 1 unchanged, 1 errored", Errors: []string{`resource or variable named "nothere" could not be found`, "Error registering output [version]: no diagnostics"}}, o); diff != "" {
		t.Error(diff)
	}
}

func TestFailuresOfTheCLIAreClassed(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		text   string
		want   error
		says   string
	}{
		{"a lock of a file backend", 1, string(recorded(t, "locked.txt")), ErrLocked, "created by ci@builder (pid 14115) at 2026-11-25T16:20:37Z"},
		{"a lock, old versions", 255, string(recorded(t, "locked.txt")), ErrLocked, ""},
		{"a conflict at the service", 255, string(recorded(t, "up-conflict.txt")), ErrLocked, ""},
		{"a program that fails", 1, string(recorded(t, "up-failed.txt")), lockstep.ErrUnavailable, `"nothere" could not be found`},
		{"a stack that is not there", 6, "error: no stack named 'nowhere' found", lockstep.ErrNotFound, "nowhere"},
		{"a stack that is not there, old versions", 255, "error: no stack named 'nowhere' found", lockstep.ErrNotFound, "nowhere"},
		{"no project", 1, "error: no Pulumi.yaml project file found (searching upwards from /x)", lockstep.ErrNotFound, "Pulumi.yaml"},
		{"no token", 3, "error: PULUMI_ACCESS_TOKEN must be set for login during non-interactive CLI sessions", lockstep.ErrRefused, "PULUMI_ACCESS_TOKEN"},
		{"no passphrase", 1, "error: getting stack configuration: get stack secrets manager: passphrase must be set with PULUMI_CONFIG_PASSPHRASE", lockstep.ErrRefused, ""},
		{"a wrong flag", 1, "error: unknown flag: --nope", lockstep.ErrInvalid, "--nope"},
		{"nothing said", 4, "", lockstep.ErrUnavailable, "status 4"},
		{"killed", -1, "", lockstep.ErrUnavailable, ""},
	} {
		if err := explain(c.status, c.text); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func at(minute int) time.Time { return time.Date(2026, 11, 25, 10, minute, 0, 0, time.UTC) }

func TestGoodIsNeverSimplyTheOneBefore(t *testing.T) {
	up := func(minute int, version, result string) Update {
		return Update{Kind: "update", Result: result, Start: at(minute), End: at(minute).Add(30 * time.Second), Version: version}
	}
	full := strings.Repeat("ab", 20)
	commit := func(minute int, dirty bool) Update {
		u := up(minute, "", "succeeded")
		u.Commit, u.Dirty = full, dirty
		return u
	}
	running := up(4, "v3", "in-progress")
	running.End = time.Time{}
	destroy := up(3, "", "succeeded")
	destroy.Kind = "destroy"
	for _, c := range []struct {
		name    string
		history []Update
		want    Want
		version string
		err     error
	}{
		{"the last before", []Update{up(1, "v1", "succeeded"), up(2, "v2", "succeeded"), up(5, "v3", "succeeded")}, Want{Before: at(3)}, "v2", nil},
		{"one that failed lies between", []Update{up(1, "v1", "succeeded"), up(2, "v2", "failed"), up(5, "v3", "succeeded")}, Want{Before: at(3)}, "v1", nil},
		{"it began before and ended after", []Update{up(1, "v1", "succeeded"), {Kind: "update", Result: "succeeded", Start: at(2), End: at(9), Version: "v2"}}, Want{Before: at(3)}, "v1", nil},
		{"one has not ended", []Update{up(1, "v1", "succeeded"), running}, Want{Before: at(9)}, "v1", nil},
		{"the bad one was deployed twice", []Update{up(1, "v1", "succeeded"), up(2, "bad", "succeeded"), up(3, "bad", "succeeded")}, Want{Before: at(9), Not: []string{"bad"}}, "v1", nil},
		{"by version, the newest of them", []Update{up(1, "v1", "succeeded"), up(2, "v2", "succeeded"), up(3, "v1", "succeeded")}, Want{Version: "v1"}, "v1", nil},
		{"by a short commit", []Update{commit(1, false)}, Want{Commit: full[:10]}, full, nil},
		{"by a commit with changes", []Update{commit(1, true)}, Want{Commit: full}, "", lockstep.ErrNotFound},
		{"by time with changes", []Update{commit(1, true)}, Want{Before: at(9)}, "", lockstep.ErrNotFound},
		{"destroyed after it", []Update{up(1, "v1", "succeeded"), destroy}, Want{Before: at(9)}, "", lockstep.ErrRefused},
		{"nothing before", []Update{up(5, "v1", "succeeded")}, Want{Before: at(3)}, "", lockstep.ErrNotFound},
		{"no history", nil, Want{Version: "v1"}, "", lockstep.ErrNotFound},
		{"no wish", []Update{up(1, "v1", "succeeded")}, Want{}, "", lockstep.ErrInvalid},
	} {
		u, why, err := Good(c.history, c.want)
		if !errors.Is(err, c.err) || c.err == nil && err != nil || u.Label() != c.version || c.err == nil && len(why) == 0 {
			t.Errorf("%s: %+v, %q, %v", c.name, u, why, err)
		}
	}
}

func TestGoodNeverPicksWhatItShouldNot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		history := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Update {
			start := rapid.IntRange(0, 50).Draw(t, "start")
			u := Update{
				Kind: rapid.SampledFrom([]string{"update", "refresh", "preview"}).Draw(t, "kind"), Result: rapid.SampledFrom([]string{"succeeded", "failed", "in-progress", ""}).Draw(t, "result"),
				Start: at(start), Version: rapid.SampledFrom([]string{"", "v1", "v2", "bad"}).Draw(t, "version"),
			}
			if rapid.Bool().Draw(t, "ended") {
				u.End = at(start + rapid.IntRange(0, 5).Draw(t, "took"))
			}
			return u
		}), 0, 12).Draw(t, "history")
		want := Want{Before: at(rapid.IntRange(0, 59).Draw(t, "before")), Not: []string{"bad"}}
		fits := func(u Update) bool {
			return u.Kind == "update" && u.Result == "succeeded" && !u.End.IsZero() && u.End.Before(want.Before) && u.Version != "" && u.Version != "bad"
		}
		got, why, err := Good(history, want)
		if err != nil {
			for _, u := range history {
				if fits(u) {
					t.Fatalf("%+v was passed over: %q", u, why)
				}
			}
			return
		}
		if !fits(got) {
			t.Fatalf("%+v was chosen: %q", got, why)
		}
		for _, u := range history {
			if fits(u) && u.Start.After(got.Start) {
				t.Fatalf("%+v is newer than %+v", u, got)
			}
		}
	})
}

func TestEveryMistakeInTheSettingsIsNamed(t *testing.T) {
	err := Settings{Tool: "terraform", Timeout: -1, Env: []string{"A=b"}, Probe: []string{""}}.Check()
	for _, want := range []string{"name:", "timeout", `env "A=b"`, `tool "terraform": known are pulumi, command`, "probe"} {
		if !errors.Is(err, lockstep.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not in %v", want, err)
		}
	}
	for want, s := range map[string]Settings{
		"output or current": {Name: "n", Tool: ToolPulumi}, "current and up": {Name: "n", Tool: ToolCommand},
		"command.locked": {Name: "n", Tool: ToolCommand, Command: Command{Current: []string{"a"}, Up: []string{"b"}, Locked: "("}},
		"refresh":        {Name: "n", Tool: ToolCommand, Refresh: true, Command: Command{Current: []string{"a"}, Up: []string{"b"}}},
	} {
		if err := s.Check(); !errors.Is(err, lockstep.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func classed(t *testing.T, err error) {
	t.Helper()
	for _, c := range []error{lockstep.ErrInvalid, lockstep.ErrNotFound, lockstep.ErrRefused, lockstep.ErrUnavailable} {
		if err == nil || errors.Is(err, c) {
			return
		}
	}
	t.Fatal(err)
}

func FuzzHistory(f *testing.F) {
	f.Add(recorded(f, "history.json"))
	f.Add([]byte(`[{"id":"2","result":"succeeded","start":"2026-11-25T10:00:00Z","version":"v2"}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, parse := range []func([]byte) ([]Update, error){parseCommandHistory, func(b []byte) ([]Update, error) { return parseHistory(b, "handlerVersion") }} {
			list, err := parse(body)
			classed(t, err)
			_, _, err = Good(list, Want{Before: at(1)})
			classed(t, err)
		}
	})
}

func FuzzAnswers(f *testing.F) {
	for _, name := range []string{"output.json", "preview.json", "up.txt", "up-failed.txt", "locked.txt"} {
		f.Add(recorded(f, name))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		v, err := parseOutput(body, "nested.lambda.alias")
		classed(t, err)
		if err == nil && (v == "" || len(v) > maxVersion || strings.ContainsAny(v, "\n\x00")) {
			t.Fatalf("version %q", v)
		}
		_, err = parseCurrent(body, "")
		classed(t, err)
		_, err = parsePreview(body)
		classed(t, err)
		if o := parseUp(string(body), string(body)); len(o.Errors) > maxDiagnostics {
			t.Fatal(o)
		}
		classed(t, explain(1, string(body)))
	})
}
