package config

import (
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestEveryKeyOfTheRollbackIsRead(t *testing.T) {
	body, err := os.ReadFile("testdata/rollback.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got, err := load(t, string(body))
	if err != nil {
		t.Fatal(err)
	}
	want := Rollback{
		Automatic: true, Data: "revert",
		Git: &Git{
			Path: ".", Branch: "upload-refactor", Paths: []string{"receipt_chroma", "infra/lambdas"}, Point: "abc123", Message: "compaction migration",
			Since: "2024-12-15T00:00:00Z", Until: "2025-01-15T00:00:00Z", Also: []string{"def456"}, Option: "reset",
			Reference: "migration-rollback-{date}", Rollback: "rollback-compaction-migration", Author: "Ops <ops@example.com>", MoveBranch: true, Hooks: true,
		},
		Package: &Package{
			Root: "receipt_chroma", Python: ".venv/bin/python", Version: "receipt_chroma", Directories: []string{"receipt_chroma/compaction"},
			Init: "receipt_chroma/__init__.py", Reinstall: []string{"pip", "install", "-e", "."}, MustImport: []string{"receipt_chroma"},
			MustFail: []string{"receipt_chroma.compaction"}, Env: []string{"VIRTUAL_ENV"},
		},
		Imports: &Imported{Root: "infra", Paths: []string{"**/*.py"}, Forbidden: []string{"receipt_chroma.compaction"}},
		Tests: []Suite{{
			Name: "package", Command: []string{"pytest", "tests"}, Dir: "receipt_chroma", Env: []string{"HOME"}, Timeout: 5 * time.Minute,
			Format: "pytest", JUnit: "out.xml", Item: "package", Minor: []string{"tests/lint/**"},
		}},
		Deploy: &Deploy{
			Name: "handlers", Tool: "command", Dir: "infra", Env: []string{"AWS_PROFILE"}, Timeout: 20 * time.Minute, Refresh: true, Probe: []string{"./probe"}, Version: "41",
			Current: []string{"./current"}, Field: "version", Up: []string{"./up"}, Back: []string{"./back"}, Preview: []string{"./preview"},
			Refreshes: []string{"./refresh"}, History: []string{"./history"}, Locked: "busy",
		},
		Watch: Watch{For: 45 * time.Minute, Every: 30 * time.Second},
		Notify: []Recipient{{
			Name: "team", Kind: "slack", Events: []string{"rolled-back"}, To: []string{"a@example.com"}, URLEnv: "SLACK_URL", SecretEnv: "HOOK_SECRET",
			From: "b@example.com", SMTP: "localhost:25", UserEnv: "U", PasswordEnv: "P", Dir: "./out", Form: "jsonl",
		}},
		Issue:      &Issue{Kind: "github", Repository: "acme/receipts", TokenEnv: "GITHUB_TOKEN", Dir: "./issues", API: "https://api.github.com", Labels: []string{"migration-blocker"}},
		Escalation: []Contact{{"Team lead", "Ada", "+1 555 0100"}},
		Drill:      Drill{MaxAge: 720 * time.Hour, Every: 168 * time.Hour},
	}
	if d := cmp.Diff(want, got.Rollback); d != "" {
		t.Error(d)
	}
}
