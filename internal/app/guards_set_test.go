package app

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lockstep/internal/config"
	"lockstep/internal/guard"
)

func settings(t *testing.T, text string) config.Config {
	t.Helper()
	c, err := config.Load(strings.NewReader(text), "lockstep.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAFileChangesBuiltInGuardsAndLeavesTheRest(t *testing.T) {
	set, err := NewGuardSet(settings(t, "guards: {set: {unit-time: {limit: 3, window: 10m, debounce: {fails: 1, of: 2}}, no-version: {action: observe}}}"), os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range guard.Builtin() {
		g, err := guard.Find(set.Guards, b.Name)
		if err != nil {
			t.Fatal(err)
		}
		switch b.Name {
		case "unit-time":
			b.Test.Limit, b.Window, b.Debounce = 3, 10*time.Minute, guard.Debounce{Fails: 1, Of: 2}
		case "no-version":
			b.Action = guard.Observe
		}
		if g != b {
			t.Errorf("%+v, want %+v", g, b)
		}
	}
	if len(set.Guards) != len(guard.Builtin()) {
		t.Errorf("%d guards", len(set.Guards))
	}
}

func TestAGuardThatWasNotShownFailingHolds(t *testing.T) {
	text := `
guards:
  recordings: DIR
  sources: {s: {kind: exec, command: [sh, -c, "echo 7"]}}
  set:
    own:
      criterion: performance
      source: s
      question: x
      window: 5m
      action: rollback
      test: {kind: value, op: at-most, limit: 5, unit: count}
`
	dir := t.TempDir()
	result := func() guard.Result {
		set, err := NewGuardSet(settings(t, strings.Replace(text, "DIR", dir, 1)), os.Getenv)
		if err != nil {
			t.Fatal(err)
		}
		own, err := guard.Find(set.Guards, "own")
		if err != nil {
			t.Fatal(err)
		}
		g := &guards{set: set, memory: map[string]guard.DebounceState{}, ledger: guard.NewLedger(0)}
		results, err := g.judge(t.Context(), []guard.Guard{own}, time.Now())
		if err != nil || len(results) != 1 {
			t.Fatal(results, err)
		}
		return results[0]
	}
	if r := result(); r.Verdict != guard.Broken || !strings.Contains(r.Reason, "there is no recording for it") {
		t.Errorf("without recordings it is %s: %s", r.Verdict, r.Reason)
	}
	for name, value := range map[string]string{"good": "1", "bad": "9"} {
		body := `{"format":1,"name":"` + name + `","guard":"own","samples":[{"at":"2026-01-01T00:00:00Z","value":` + value + `}]}`
		if err := os.WriteFile(filepath.Join(dir, name+".json"), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if r := result(); r.Verdict != guard.Fail {
		t.Errorf("with recordings it is %s: %s", r.Verdict, r.Reason)
	}
}

func TestASecretComesFromTheEnvironment(t *testing.T) {
	var got string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("Authorization")
		_, _ = w.Write([]byte("1"))
	}))
	defer s.Close()
	set, err := NewGuardSet(settings(t, `guards: {sources: {s: {kind: http, url: "`+s.URL+`", header: {Authorization: TOKEN}}}}`), func(name string) string {
		return map[string]string{"TOKEN": "Bearer abc"}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := set.meters["s"].Read(t.Context(), guard.Query{Question: "/x", To: time.Now()}); err != nil || got != "Bearer abc" {
		t.Errorf("the header was %q, %v", got, err)
	}
}

func TestRecordingsThatAreNotThereAreAMistake(t *testing.T) {
	for _, text := range []string{"guards: {recordings: /nowhere/at/all}"} {
		if _, err := NewGuardSet(settings(t, text), os.Getenv); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
}

// TestTheConfigurationOnThePageOfGuardsIsOne reads the example of docs/guards.md.
func TestTheConfigurationOnThePageOfGuardsIsOne(t *testing.T) {
	page, err := os.ReadFile("../../docs/guards.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "```yaml\n")
	text, _, found := strings.Cut(text, "```")
	if !found {
		t.Fatal("there is no example on the page")
	}
	t.Chdir(t.TempDir())
	if err := os.Mkdir("recordings", 0o700); err != nil {
		t.Fatal(err)
	}
	cfg := settings(t, "version: 1\n"+text)
	set, err := NewGuardSet(cfg, func(string) string { return "a secret" })
	if err != nil {
		t.Fatal(err)
	}
	changed, err := guard.Find(set.Guards, "no-version")
	if err != nil || changed.Test.Limit != 600 || changed.Action != guard.Hold {
		t.Errorf("%+v, %v", changed, err)
	}
	own, err := guard.Find(set.Guards, "disk-full")
	if err != nil || own.Action != guard.Hold || set.unreliable["disk-full"] == nil {
		t.Errorf("%+v, %v: one without recordings is not relied on", own, err)
	}
	if c := cfg.Checks; c.Every != time.Hour || len(c.Tests) != 2 || c.Tests[1].Blocking {
		t.Errorf("%+v", c)
	}
}
