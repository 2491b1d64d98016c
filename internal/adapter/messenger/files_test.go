package messenger

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"lockstep/internal/notify"
	"lockstep/internal/notify/notifytest"
)

// blocked makes a directory that cannot be written: a file is in its place.
func blocked(dir string) func(notifytest.Mode) bool {
	return func(m notifytest.Mode) bool {
		switch m {
		case notifytest.Down:
			return os.WriteFile(dir, nil, 0o600) == nil
		case notifytest.Works:
			return os.Remove(dir) == nil
		case notifytest.Refuses, notifytest.Cuts, notifytest.Hangs:
		}
		return false
	}
}

func TestPagesKeepTheContract(t *testing.T) {
	notifytest.Run(t, func(t *testing.T) notifytest.Case {
		dir := filepath.Join(t.TempDir(), "told")
		return notifytest.Case{
			Sender:    mustNew(t, Settings{Name: "archive", Kind: KindFile, Dir: dir}, env(nil)),
			Recipient: "archive", Set: blocked(dir), Recognises: true,
			// By time, which is the same, and then by name: in the order of the IDs.
			Shown: func() []string { return inOrder(readAll(t, filepath.Join(dir, "*.md"))) },
		}
	})
}

// inOrder sorts files of the suite, whose messages have one time, by what they tell.
func inOrder(texts []string) []string {
	var out []string
	for _, id := range []string{"opened", "rolled-back", "recovered"} {
		for _, text := range texts {
			if strings.HasPrefix(text, notify.MessageMarker("incident prod-3 "+id)) {
				out = append(out, text)
			}
		}
	}
	return out
}

func readAll(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(b))
	}
	return out
}

func TestLinesKeepTheContract(t *testing.T) {
	notifytest.Run(t, func(t *testing.T) notifytest.Case {
		dir := filepath.Join(t.TempDir(), "told")
		return notifytest.Case{
			Sender:    mustNew(t, Settings{Name: "archive", Kind: KindFile, Dir: dir, Form: FormLines}, env(nil)),
			Recipient: "archive", Set: blocked(dir), Recognises: true,
			Shown: func() []string { return shownLines(t, dir) },
		}
	})
}

func shownLines(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	for _, file := range readAll(t, filepath.Join(dir, linesName)) {
		for line := range strings.Lines(file) {
			var e envelope
			if json.Unmarshal([]byte(line), &e) == nil && strings.HasSuffix(line, "\n") {
				out = append(out, e.Subject+"\n"+e.Plain())
			}
		}
	}
	return out
}

func TestThePageOfAMessage(t *testing.T) {
	dir := t.TempDir()
	m := notifytest.Message("incident prod-3 rolled-back")
	m.Text = "It is stable.\n```\nlog\n```"
	r, err := mustNew(t, Settings{Name: "archive", Kind: KindFile, Dir: dir}, env(nil)).Send(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "20260504T080500Z-incident-prod-3-rolled-back-a66d2c5f194b.md"); r.Link != want {
		t.Errorf("%s, want %s", r.Link, want)
	}
	golden(t, "page.md", []byte(readAll(t, filepath.Join(dir, "*.md"))[0]))
}

func TestFilesOfDifferentMessagesNeverMeet(t *testing.T) {
	names := map[string]bool{}
	for _, id := range []string{"a/b", "a-b", "a b", "a.b", strings.Repeat("x", 199), strings.Repeat("x", 200), "../../etc/passwd1", "a/../b"} {
		m := notifytest.Message(id)
		n := pageName(m)
		if names[n] || strings.ContainsAny(n, `/\ `) || len(n) > 200 || strings.HasPrefix(n, ".") {
			t.Errorf("%q: %s", id, n)
		}
		names[n] = true
	}
}

// TestALineThatACrashCutIsWrittenAgain cuts the file at every byte of the last line.
func TestALineThatACrashCutIsWrittenAgain(t *testing.T) {
	first, second := notifytest.Message("incident prod-3 opened"), notifytest.Message("incident prod-3 rolled-back")
	second.Text, second.Fields = "Short.", nil
	dir := t.TempDir()
	s := mustNew(t, Settings{Name: "archive", Kind: KindFile, Dir: dir, Form: FormLines}, env(nil))
	send := func(m notify.Message) {
		t.Helper()
		if _, err := s.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	send(first)
	path := filepath.Join(dir, linesName)
	before, _ := os.ReadFile(path)
	send(second)
	whole, _ := os.ReadFile(path)
	for cut := len(before); cut < len(whole); cut++ {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		send(second)
		send(second)
		shown := shownLines(t, dir)
		if len(shown) < 2 || len(shown) > 3 || shown[0] != first.Subject+"\n"+first.Plain() || shown[len(shown)-1] != second.Subject+"\n"+second.Plain() {
			t.Fatalf("cut at %d of %d: %q", cut-len(before), len(whole)-len(before), shown)
		}
		// Only a line that lacks nothing but its end may be there twice.
		if len(shown) == 3 && cut != len(whole)-1 {
			t.Fatalf("cut at %d of %d: it is there twice", cut-len(before), len(whole)-len(before))
		}
	}
}

func TestManyWritersAppendWholeLines(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for n := range 8 {
		s := mustNew(t, Settings{Name: "archive", Kind: KindFile, Dir: dir, Form: FormLines}, env(nil)) // as another process would
		wg.Go(func() {
			m := notifytest.Message("incident prod-3 opened" + strings.Repeat("x", n))
			if _, err := s.Send(t.Context(), m); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(shownLines(t, dir)); n != 8 {
		t.Errorf("%d lines", n)
	}
}
