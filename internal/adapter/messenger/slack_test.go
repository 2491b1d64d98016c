package messenger

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lockstep/internal/notify"
	"lockstep/internal/notify/notifytest"
)

var update = flag.Bool("update", false, "rewrite golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func unescape(s string) string {
	return strings.NewReplacer("&amp;", "&", "&lt;", "<", "&gt;", ">").Replace(s)
}

// slackShown is what people see of a message: the texts of its blocks.
func slackShown(body []byte) string {
	var m slackMessage
	if err := json.Unmarshal(body, &m); err != nil {
		return err.Error()
	}
	var b strings.Builder
	for _, block := range m.Blocks {
		switch {
		case block.Type == "header":
			b.WriteString(block.Text.Text + "\n") // plain text
		case block.Text != nil:
			b.WriteString(unescape(block.Text.Text))
		}
		for _, f := range block.Fields {
			b.WriteString("\n" + unescape(f.Text))
		}
	}
	return b.String()
}

func TestSlackKeepsTheContract(t *testing.T) {
	notifytest.Run(t, func(t *testing.T) notifytest.Case {
		h := newHooked(t, nil)
		return notifytest.Case{
			Sender:    mustNew(t, Settings{Name: "ops-slack", Kind: KindSlack, URLEnv: "HOOK"}, env(map[string]string{"HOOK": h.URL + hookPath})),
			Recipient: "ops-slack", Set: h.set, Secrets: []string{"sEcReTtOkEn", hookPath, "T0000/B0000"},
			Shown: func() []string {
				var out []string
				bodies, _ := h.received()
				for _, b := range bodies {
					out = append(out, slackShown(b))
				}
				return out
			},
		}
	})
}

func TestTheMessageForSlack(t *testing.T) {
	m := notifytest.Message("incident prod-3 rolled-back")
	m.Text = "Rolled back <!channel> & <https://example.org|here>.\nSee @here."
	body, err := json.MarshalIndent(slackOf(m), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "slack.json", append(body, '\n'))
}

// TestSlackTakesEveryMessage checks the limits that Slack documents for blocks.
func TestSlackTakesEveryMessage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := notifytest.Message("a")
		m.Subject = notify.Brief("s"+strings.Repeat(rapid.StringMatching(`[a&<>é ]{1,9}`).Draw(t, "subject"), 30), notify.MaxSubject)
		m.Text = strings.Repeat(rapid.StringMatching(`[a&<>é \n]{0,40}`).Draw(t, "text"), rapid.IntRange(0, 600).Draw(t, "times"))
		m.Fields = nil
		for range rapid.IntRange(0, notify.MaxFields).Draw(t, "fields") {
			m.Fields = append(m.Fields, notify.Field{Name: "N&", Value: strings.Repeat(rapid.StringMatching(`[a&<>é]`).Draw(t, "value"), 500)})
		}
		if err := m.Check(); err != nil {
			t.Fatal(err)
		}
		out := slackOf(m)
		if n := len(out.Blocks); n < 2 || n > 50 {
			t.Fatalf("%d blocks", n)
		}
		if len(out.Text) == 0 || len(out.Text) > 4000 {
			t.Fatalf("%d bytes of text", len(out.Text))
		}
		for _, b := range out.Blocks {
			checkSlackWords(t, b.Text, 3000)
			if b.Type == "header" && utf8.RuneCountInString(b.Text.Text) > 150 {
				t.Fatalf("header %q", b.Text.Text)
			}
			if len(b.Fields) > 10 || b.Type == "section" && b.Text == nil && len(b.Fields) == 0 {
				t.Fatalf("section with %d fields", len(b.Fields))
			}
			for _, f := range b.Fields {
				checkSlackWords(t, f, 2000)
			}
		}
	})
}

func checkSlackWords(t *rapid.T, w *slackWords, limit int) {
	if w == nil {
		return
	}
	if strings.TrimSpace(w.Text) == "" || utf8.RuneCountInString(w.Text) > limit || !utf8.ValidString(w.Text) {
		t.Fatalf("%d characters in %.80q", utf8.RuneCountInString(w.Text), w.Text)
	}
	if w.Type != "mrkdwn" {
		return
	}
	// Every & begins what escape made, and nothing is cut inside of it.
	rest := strings.NewReplacer("&amp;", "", "&lt;", "", "&gt;", "").Replace(w.Text)
	if strings.ContainsAny(rest, "&<>") {
		t.Fatalf("not escaped: %q", w.Text)
	}
}
