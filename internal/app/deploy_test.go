package app

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"lockstep/internal/config"
	"lockstep/internal/guard"
	"lockstep/internal/release"
)

// metricsText is what the server answers to Prometheus.
func metricsText(t *testing.T, s *Server) string {
	t.Helper()
	w := httptest.NewRecorder()
	s.Metrics().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

var typeLine = regexp.MustCompile(`(?m)^# TYPE (\S+) (\S+)$`)

// exportedNames are the names that a query may use.
func exportedNames(text string) map[string]bool {
	names := map[string]bool{"up": true}
	for _, m := range typeLine.FindAllStringSubmatch(text, -1) {
		names[m[1]] = true
		if m[2] == "histogram" {
			names[m[1]+"_bucket"], names[m[1]+"_sum"], names[m[1]+"_count"] = true, true, true
		}
	}
	return names
}

var (
	inQuery   = regexp.MustCompile(`"[^"]*"|\{[^}]*\}|\[[^\]]*\]|\b(?:by|without|on|ignoring)\s*\([^)]*\)|\$\w+`)
	identWord = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*\s*\(?`)
	selector  = regexp.MustCompile(`(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"`)
	number    = regexp.MustCompile(`\b[0-9][0-9.]*(?:e[+-]?[0-9]+)?\b`)
)

// functions are those of PromQL that the queries use.
var functions = []string{"rate", "increase", "sum", "histogram_quantile", "time"}

// queryMistakes says what is wrong with a query: metrics that nobody exports, functions that
// are not known, brackets that do not match, values of labels that never occur.
func queryMistakes(query string, names map[string]bool) []string {
	var wrong []string
	for _, pair := range []string{"()", "{}", "[]"} {
		if strings.Count(query, pair[:1]) != strings.Count(query, pair[1:]) {
			wrong = append(wrong, "brackets "+pair)
		}
	}
	bare := number.ReplaceAllString(inQuery.ReplaceAllString(query, " "), " ")
	for _, word := range identWord.FindAllString(bare, -1) {
		name := strings.TrimRight(strings.TrimSuffix(word, "("), " \n\t")
		switch {
		case strings.HasSuffix(word, "("):
			if !slices.Contains(functions, name) && name != "and" {
				wrong = append(wrong, "function "+name)
			}
		case name == "and" || name == "or" || name == "unless" || name == "by":
		case !names[name]:
			wrong = append(wrong, "metric "+name)
		}
	}
	for _, m := range selector.FindAllStringSubmatch(query, -1) {
		for v := range strings.SplitSeq(m[3], "|") {
			if known := labelValues(m[1]); known != nil && !slices.Contains(known, v) {
				wrong = append(wrong, m[1]+"="+v)
			}
		}
	}
	return wrong
}

// labelValues are the values that a label may have; nil: any.
func labelValues(label string) []string {
	var out []string
	switch label {
	case "metric":
		for _, m := range guard.Metrics() {
			out = append(out, m.Name)
		}
	case "verdict":
		for _, v := range guard.Verdicts() {
			out = append(out, string(v))
		}
		out = append(out, "none", "no-data", string(release.Healthy), string(release.Hold), string(release.Bad))
	case "phase":
		out = releasePhases()
	case "result":
		out = []string{"ok", "failed"}
	}
	return out
}

func TestWhatIsDeployedWatchesMetricsThatExist(t *testing.T) {
	x := newTrial(t, newVariant("good", nil))
	x.start("receipts@good", release.Step{Kind: release.Canary, Weight: 5000, MinUnits: 20})
	x.until()
	names := exportedNames(metricsText(t, x.server))
	for _, wrong := range []string{"lockstep_nothing > 0", `rate(lockstep_version[5m]`, `lockstep_fact{metric="nothing"}`, `guess(lockstep_version)`} {
		if queryMistakes(wrong, names) == nil {
			t.Fatalf("nothing is wrong with %s", wrong)
		}
	}
	queries := append(rules(t), dashboard(t)...)
	if len(queries) < 40 {
		t.Fatalf("%d queries were found", len(queries))
	}
	all := strings.Join(queries, "\n")
	for _, q := range queries {
		for _, m := range queryMistakes(q, names) {
			t.Errorf("%s: %s", q, m)
		}
	}
	for _, name := range []string{
		"CompactionLambdaSuccess", "CompactionLambdaError", "StreamProcessorProcessedRecords", "CompactionMetadataUpdates", "CompactionLabelUpdates",
	} {
		if !strings.Contains(all, name) {
			t.Errorf("nobody watches %s, which the rollback document names", name)
		}
	}
}

// rules reads the alerts, strictly.
func rules(t *testing.T) []string {
	t.Helper()
	const name = "../../deploy/prometheus/rules.yaml"
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	root, err := config.Parse(f, name)
	if err != nil {
		t.Fatal(err)
	}
	var queries []string
	seen := map[string]bool{}
	for _, g := range root.Map("groups").Need("groups").List() {
		group := g.Map("name", "rules")
		group.Need("name").Text("")
		for _, r := range group.Need("rules").List() {
			m := r.Map("alert", "expr", "for", "labels", "annotations")
			if alert := m.Need("alert").Text(""); seen[alert] {
				t.Errorf("alert %s is there twice", alert)
			} else {
				seen[alert] = true
			}
			m.Get("for").Duration(0, 0, 24*time.Hour)
			m.Need("labels").Map("severity").Need("severity").Enum("", "critical", "warning", "info")
			a := m.Need("annotations").Map("summary", "description")
			a.Need("summary").Text("")
			a.Need("description").Text("")
			queries = append(queries, m.Need("expr").Text(""))
		}
	}
	if err := root.Err(); err != nil {
		t.Error(err)
	}
	return queries
}

// dashboard reads the queries of all panels.
func dashboard(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile("../../deploy/grafana/lockstep.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Title, UID string
		Panels     []struct {
			ID      int
			Type    string
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ RefID, Expr string }
		}
	}
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	if d.Title == "" || d.UID == "" {
		t.Error("the dashboard has no name")
	}
	var queries []string
	ids := map[int]bool{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.Title == "" || p.GridPos.X+p.GridPos.W > 24 || p.GridPos.H == 0 {
			t.Errorf("panel %d %q: its number, title or place", p.ID, p.Title)
		}
		ids[p.ID] = true
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %q asks nothing", p.Title)
		}
		for _, target := range p.Targets {
			queries = append(queries, target.Expr)
		}
	}
	return queries
}
