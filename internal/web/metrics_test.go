package web_test

import (
	"flag"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/web"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestTheNamesOfMetricsStay compares names, types and labels with those that people
// have put into dashboards and alarms. Values are not compared.
func TestTheNamesOfMetricsStay(t *testing.T) {
	s := serve(t, web.Options{})
	for _, name := range []string{"created", "renamed", "tax"} {
		b, err := os.ReadFile("../cli/testdata/receipt/" + name + ".ndjson")
		if err != nil {
			t.Fatal(err)
		}
		s.post(t, "", string(b))
	}
	code, b := call(t, http.MethodGet, s.url+"/metrics", nil)
	if code != http.StatusOK {
		t.Fatalf("status %d: %s", code, b)
	}
	text := string(b)

	var names []string
	value := regexp.MustCompile(` [^ ]+$`)
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "#") {
			line = value.ReplaceAllString(line, "")
		}
		names = append(names, line)
	}
	const golden = "testdata/metrics.golden"
	got := strings.Join(names, "\n") + "\n"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Error(diff)
	}

	// The names that the rollback document tells people to watch mean what they say.
	for _, line := range []string{
		"CompactionLambdaSuccess 3", "CompactionLambdaError 0", "StreamProcessorProcessedRecords 11",
		"CompactionMetadataUpdates 4", "CompactionLabelUpdates 1",
		"lockstep_version 3", `lockstep_records{collection="words"} 2`, `lockstep_messages_total{outcome="applied"} 3`,
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("no %q in\n%s", line, text)
		}
	}
}
