package messenger

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"lockstep/internal/lockstep"
)

func TestSettingsAreReadFromYAML(t *testing.T) {
	var all []Settings
	if err := yaml.Unmarshal([]byte(`
- {name: ops-slack, kind: slack, url_env: SLACK_URL, events: [rolled-back, recovered]}
- {name: hook, kind: webhook, url_env: HOOK_URL, secret_env: HOOK_SECRET}
- {name: team, kind: email, to: ["Team <team@example.org>"], from: lockstep@example.org, smtp: "mail.example.org:587", user_env: U, password_env: P}
- {name: archive, kind: file, dir: ./told, form: jsonl}
`), &all); err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if err := s.Check(); err != nil {
			t.Error(err)
		}
		if _, err := New(s, env(map[string]string{"SLACK_URL": "https://hooks.example.org/x", "HOOK_URL": "https://example.org", "HOOK_SECRET": signingSecret, "U": "u", "P": "p"})); err != nil {
			t.Error(err)
		}
	}
	if got := Recipients(all, "rolled-back"); !slices.Equal(got, []string{"ops-slack", "hook", "team", "archive"}) {
		t.Error(got)
	}
	if got := Recipients(all, "opened"); !slices.Equal(got, []string{"hook", "team", "archive"}) {
		t.Error(got)
	}
}

func TestEveryMistakeInTheSettingsIsFound(t *testing.T) {
	for _, c := range []struct {
		s    Settings
		want []string
	}{
		{Settings{Name: "Ops", Kind: "pager"}, []string{"name:", `kind "pager": want one of [slack webhook email file]`}},
		{Settings{Name: "ops", Kind: KindSlack, To: []string{"a@b.c"}, Dir: "x", SecretEnv: "S", Events: []string{"Two Words"}}, []string{"url_env: a recipient of kind slack needs it", "to: it has no effect", "dir: it has no effect", "secret_env: it has no effect", `"Two Words" is no kind`}},
		{Settings{Name: "ops", Kind: KindEmail, To: []string{"nobody", "a@b.c\r\nBcc: d@e.f"}, From: "x@y.z", SMTP: "mail", UserEnv: "U"}, []string{`"nobody" is no address`, "Bcc", `smtp "mail": want host:port`, "belong together"}},
		{Settings{Name: "ops", Kind: KindFile, Form: "xml"}, []string{"dir: a recipient of kind file needs it", `form "xml"`}},
	} {
		err := c.s.Check()
		if !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%+v: %v", c.s, err)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%+v: %v lacks %q", c.s, err, w)
			}
		}
		if _, err := New(c.s, env(nil)); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("new: %v", err)
		}
	}
}

func TestAnAddressMustBeSafeAndIsNeverShown(t *testing.T) {
	for address, ok := range map[string]bool{
		"":                                    false,
		"https://hooks.example.org/s3cret":    true,
		"http://hooks.example.org/s3cret":     false,
		"http://127.0.0.1:8065/s3cret":        true,
		"http://localhost/s3cret":             true,
		"http://[::1]/s3cret":                 true,
		"http://127.0.0.1.example.org/s3cret": false,
		"ftp://example.org/s3cret":            false,
		"hooks.example.org/s3cret":            false,
		"https:///s3cret":                     false,
		"https://example.org/%zzs3cret":       false,
	} {
		_, err := New(Settings{Name: "ops", Kind: KindSlack, URLEnv: "HOOK"}, env(map[string]string{"HOOK": address}))
		if (err == nil) != ok || err != nil && (!errors.Is(err, lockstep.ErrInvalid) || strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), "HOOK")) {
			t.Errorf("%q: %v", address, err)
		}
	}
}
