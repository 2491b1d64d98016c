package github

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lockstep/internal/notify/notifytest"
)

func TestAFolderKeepsTheContract(t *testing.T) {
	notifytest.Run(t, func(t *testing.T) notifytest.Case {
		dir := filepath.Join(t.TempDir(), "issues")
		return notifytest.Case{
			Sender: mustNew(t, Settings{Kind: KindFile, Dir: dir}), Recipient: "issue", Recognises: true,
			Shown: func() []string { return sections(t, dir) },
			Set: func(m notifytest.Mode) bool {
				switch m {
				case notifytest.Down:
					return os.WriteFile(dir, nil, 0o600) == nil
				case notifytest.Works:
					return os.Remove(dir) == nil
				case notifytest.Refuses, notifytest.Cuts, notifytest.Hangs:
				}
				return false
			},
		}
	})
}

// sections are the messages in the one file of a directory.
func sections(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.md"))
	if err != nil || len(names) > 1 {
		t.Fatalf("%v: %v", names, err)
	}
	if len(names) == 0 {
		return nil
	}
	return strings.Split(readFile(t, names[0]), "\n---\n")
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTheFileOfAnIssue(t *testing.T) {
	dir := t.TempDir()
	s := mustNew(t, Settings{Kind: KindFile, Dir: dir, Labels: []string{"migration-blocker", "incident"}})
	for _, id := range []string{"incident prod-3 rolled-back", "incident prod-3 recovered"} {
		m := notifytest.Message(id)
		m.Text = "What happened in " + id + "."
		r, err := s.Send(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		if want := filepath.Join(dir, "incident-prod-3-8eb78965d22b.md"); r.Link != want {
			t.Errorf("%s, want %s", r.Link, want)
		}
	}
	want := readFile(t, filepath.Join("testdata", "issue.md"))
	if got := readFile(t, filepath.Join(dir, "incident-prod-3-8eb78965d22b.md")); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
