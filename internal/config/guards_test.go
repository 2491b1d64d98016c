package config

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lockstep/internal/lockstep"
)

func TestGuardsAndChecksAreRead(t *testing.T) {
	body, err := os.ReadFile("testdata/guards.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got, err := load(t, string(body))
	if err != nil {
		t.Fatal(err)
	}
	want := Guards{
		Recordings: "./recordings", KeepKeys: []string{"text", "confidence"},
		Sources: []Source{
			{
				Name: "prom", Kind: SourcePrometheus, URL: "https://prometheus.example", Timeout: 2 * time.Second,
				Header: map[string]string{"Authorization": "PROM_AUTH"}, Env: map[string]string{},
			},
			{
				Name: "disk", Kind: SourceExec, Command: []string{"df", "--output=pcent"}, Dir: "/", Timeout: 5 * time.Second,
				Header: map[string]string{}, Env: map[string]string{"LANG": "C"},
			},
		},
		Set: []GuardSetting{{Name: "no-version"}, {Name: "own"}},
	}
	if d := cmp.Diff(want, got.Guards, cmpopts.IgnoreTypes(Entry{}, &Map{})); d != "" {
		t.Error(d)
	}
	if n := got.Guards.Set[0].Get(GuardLimit).Float(0, 0, 1e6); n != 600 {
		t.Errorf("limit %v", n)
	}
	checks := Checks{Every: 30 * time.Minute, Tests: []Test{
		{Name: "unit", Command: []string{"make", "test"}, Dir: "./handlers", Env: map[string]string{"PATH": "/usr/bin"}, Blocking: true, Timeout: time.Minute},
		{Name: "lint", Command: []string{"make", "lint"}, Env: map[string]string{}, Timeout: 10 * time.Minute},
	}}
	if d := cmp.Diff(checks, got.Checks); d != "" {
		t.Error(d)
	}
}

func TestMistakesAboutGuardsHaveTheirPlace(t *testing.T) {
	for text, want := range map[string]string{
		"guards: {set: {x: {lmit: 1}}}":                                                        `:1:20: guards.set.x.lmit: unknown key "lmit"; did you mean "limit"?`,
		"guards: {sources: {p: {url: x}}}":                                                     `:1:23: guards.sources.p: key "kind" is missing`,
		"guards: {sources: {p: {kind: http}}}":                                                 `:1:20: guards.sources.p: key "url" is missing: a source of kind http needs it`,
		"guards: {sources: {p: {kind: exec}}}":                                                 `key "command" is missing: a source of kind exec needs it`,
		"guards: {sources: {p: {kind: exec, command: []}}}":                                    `key "command" is missing`,
		"guards: {sources: {p: {kind: exec, command: [a], url: x}}}":                           `:1:55: guards.sources.p.url: a source of kind exec has no url`,
		"guards: {sources: {p: {kind: http, url: x, command: [a]}}}":                           `guards.sources.p.command: a source of kind http has no command`,
		`guards: {sources: {p: {kind: http, url: x, header: {Authorization: "Bearer s3cr"}}}}`: "want the name of the environment variable",
		"guards: {keep_keys: 7}":                                                               "want a list, found",
		"checks: {tests: [{command: [a]}]}":                                                    `key "name" is missing`,
		"checks: {tests: [{name: a}]}":                                                         `key "command" is missing`,
		"checks: {tests: [{name: a, command: []}]}":                                            "want the program and its arguments",
		"checks: {tests: [{name: a, command: [b], x: 1}]}":                                     `unknown key "x"`,
		"checks: {tests: [{name: a, command: [b], blocking: yes}]}":                            "want true or false",
	} {
		_, err := load(t, text)
		if !errors.Is(err, lockstep.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "s3cr") {
			t.Errorf("the secret is shown: %v", err)
		}
	}
}
