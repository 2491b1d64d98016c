package github

import (
	"errors"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"lockstep/internal/lockstep"
)

func TestSettingsAreReadFromYAML(t *testing.T) {
	for _, text := range []string{
		"{kind: github, repository: acme/receipts, token_env: GITHUB_TOKEN}",
		"{name: tracker, kind: github, repository: acme/receipts, labels: [migration-blocker, incident], token_env: GITHUB_TOKEN, api: 'https://git.example.org/api/v3', events: [rolled-back]}",
		"{kind: file, dir: ./issues}",
	} {
		var s Settings
		if err := yaml.Unmarshal([]byte(text), &s); err != nil {
			t.Fatal(err)
		}
		if err := s.Check(); err != nil {
			t.Error(err)
		}
		mustNew(t, s)
		if !s.Wants("rolled-back") || s.Wants("opened") != (len(s.Events) == 0) {
			t.Errorf("%+v", s)
		}
	}
	if name := (Settings{}).Recipient(); name != "issue" {
		t.Error(name)
	}
}

func TestEveryMistakeInTheSettingsIsFound(t *testing.T) {
	good := Settings{Kind: KindGitHub, Repository: repo, TokenEnv: "T"}
	change := func(f func(*Settings)) Settings { s := good; f(&s); return s }
	for _, c := range []struct {
		s    Settings
		want []string
	}{
		{Settings{Name: "A B", Kind: "jira", Events: []string{"X"}, Labels: []string{"a,b", ""}}, []string{"name", `kind "jira": want one of [github file]`, `"X" is no kind`, `"a,b"`, `""`}},
		{change(func(s *Settings) { s.Repository, s.TokenEnv, s.Dir = "acme", "", "x" }), []string{`repository "acme"`, "token_env", "dir: it has no effect"}},
		{change(func(s *Settings) { s.Repository = "acme/.." }), []string{"repository"}},
		{change(func(s *Settings) { s.Repository = "acme/a/b" }), []string{"repository"}},
		{change(func(s *Settings) { s.Repository = "acme/a?b" }), []string{"repository"}},
		{change(func(s *Settings) { s.API = "http://git.example.org" }), []string{"want https://"}},
		{change(func(s *Settings) { s.API = "https://u:hunter2@git.example.org" }), []string{"want no user"}},
		{change(func(s *Settings) { s.API = "https://git.example.org?a=b" }), []string{"want no user, query"}},
		{Settings{Kind: KindFile, Repository: repo}, []string{"dir: it is needed", "have no effect"}},
	} {
		err := c.s.Check()
		if !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%+v: %v", c.s, err)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%v lacks %q", err, w)
			}
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v shows a secret", err)
		}
		if _, err := New(c.s, Options{}); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("new: %v", err)
		}
	}
	if _, err := New(good, Options{Getenv: func(string) string { return "" }}); !errors.Is(err, lockstep.ErrInvalid) || !strings.Contains(err.Error(), "variable T") {
		t.Errorf("without a token: %v", err)
	}
}
