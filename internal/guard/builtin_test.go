package guard

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite recordings, golden files and docs/guards.md")

var noon = time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)

// goodTime returns facts in which nothing is wrong, at minute m of a release.
func goodTime(m int) Facts {
	at, n := noon.Add(time.Duration(m)*time.Minute), int64(m+1)
	return Facts{
		At:         at,
		Candidate:  Arm{Units: 10 * n, Messages: 100 * n, Unchanged: 12 * n, UnitP50: 8 * time.Millisecond, UnitP90: 20 * time.Millisecond, Memory: 40 << 20},
		Stable:     Arm{Units: 90 * n, Failed: n, Messages: 900 * n, Unchanged: 100 * n, UnitP50: 9 * time.Millisecond, UnitP90: 22 * time.Millisecond},
		ParkedEver: 3, ParkedKeys: 1, Versions: 60 * n, LastVersion: at.Add(-time.Second), Waiting: 4, OldestWaiting: at.Add(-2 * time.Second),
		PublishP90: 30 * time.Millisecond, PublishP90Before: 28 * time.Millisecond, MemoryBytes: 180 << 20, MemoryBytesBefore: 160 << 20,
		Collections: []Collection{{"lines", 4000, 4000 + n, 0}, {"words", 10_000, 9_990, 10}},
		Rederived:   50 * n, DigestsChecked: 2, RecordsCompared: 80 * n, ImportRuns: 2 * n, ImportVectors: 300 * n,
		Probe:    &Probe{At: noon, Started: true, Described: true},
		Required: &Required{Names: []string{"CompactionLambdaSuccess"}},
		Tests:    []TestRun{{Name: "unit", At: noon, Blocking: true, Passed: true}, {Name: "style", At: noon, Passed: true}},
		Packages: &Packages{At: noon, Forbidden: []string{"receipt_chroma.compaction"}},
		Findings: map[Criterion][]string{Lint: {}, Docs: {}, NonCritical: {}},
		Analysis: &Judgement{At: at, Verdict: Pass, Sentence: "no more failures than stable"},
		Late:     &Late{Sentence: "as good as it was promoted"},
		Document: &Document{LambdaSuccess: 60 * n, LambdaError: 2, ProcessedRecords: 1000 * n, MetadataUpdates: 50 * n, LabelUpdates: 300 * n},
	}
}

// faults are what goes wrong from minute since on, by the guard that must say so.
var faults = map[string]struct {
	about string
	spoil func(f *Facts, since int64)
}{
	"candidate-vs-stable": {"The comparison has collected enough evidence against the candidate.", func(f *Facts, _ int64) {
		f.Analysis = &Judgement{At: f.At, Verdict: Fail, Sentence: "odds ratio 9.8, evidence 140 to 1"}
	}},
	"late-fault": {"A dependency of the promoted revision changes, and one unit in ten fails from then on.", func(f *Facts, _ int64) {
		f.Late = &Late{Alarm: true, Sentence: "batch-failure: 9 of 1860 units bad since the promotion"}
	}},
	"candidate-broken":   {"The candidate fails nearly always.", func(f *Facts, _ int64) { f.Candidate.Failed = f.Candidate.Units * 9 / 10 }},
	"candidate-failures": {"The candidate fails one time in ten.", func(f *Facts, _ int64) { f.Candidate.Failed = f.Candidate.Units / 10 }},
	"no-version": {"Nothing is published any more while changes wait.", func(f *Facts, n int64) {
		f.LastVersion = f.At.Add(-time.Duration(n) * 3 * time.Minute)
		f.OldestWaiting = f.LastVersion
	}},
	"parked-keys":      {"A key is parked every minute.", func(f *Facts, n int64) { f.ParkedEver += n }},
	"dead-letters":     {"A queue gives up four messages a minute.", func(f *Facts, n int64) { f.DeadLetters += 4 * n }},
	"publish-failures": {"Every publication fails, as when object metadata became numbers.", func(f *Facts, n int64) { f.PublishFailures += 6 * n }},
	"rederivation":     {"One record of the candidate is not what the table implies.", func(f *Facts, _ int64) { f.RederivedWrong = 1 }},
	"digests":          {"One of two collections has another digest than was published.", func(f *Facts, _ int64) { f.DigestsWrong = 1 }},
	"records-shrinking": {"Words vanish without a removal.", func(f *Facts, n int64) {
		f.Collections[1].After -= 200 * n
	}},
	"forbidden-keys": {"Removing one label wipes its siblings.", func(f *Facts, n int64) { f.KeysLost = 3 * n }},
	"empty-imports": {"Runs are completed and bring nothing, as for three months in 2026.", func(f *Facts, n int64) {
		f.ImportVectors -= 300 * n
	}},
	"without-effect":   {"Updates are dropped and acknowledged.", func(f *Facts, _ int64) { f.Candidate.Unchanged = f.Candidate.Messages }},
	"unit-time":        {"The candidate takes three times as long as stable.", func(f *Facts, _ int64) { f.Candidate.UnitP90 = 66 * time.Millisecond }},
	"publish-time":     {"Publishing takes a second.", func(f *Facts, _ int64) { f.PublishP90 = time.Second }},
	"backlog-age":      {"The backlog grows old.", func(f *Facts, n int64) { f.OldestWaiting = f.At.Add(-time.Duration(n) * 10 * time.Minute) }},
	"memory":           {"Memory grows by a quarter of a GiB a minute.", func(f *Facts, n int64) { f.MemoryBytes += n << 28 }},
	"revision-probe":   {"The artefact cannot import a module.", func(f *Facts, _ int64) { f.Probe = &Probe{At: f.At, Err: "No module named processor"} }},
	"required-metrics": {"A metric that the document names is emitted by no code.", func(f *Facts, _ int64) { f.Required.Missing = []string{"CompactionLabelUpdates"} }},
	"blocking-tests":   {"A blocking test command fails.", func(f *Facts, _ int64) { f.Tests[0].Passed, f.Tests[0].At = false, f.At }},
	"import-cycles": {"Two packages import each other.", func(f *Facts, _ int64) {
		f.Packages.At, f.Packages.Cycles = f.At, [][]string{{"compaction", "stream", "compaction"}}
	}},
	"success-grows":  {"No commit succeeds any more.", func(f *Facts, n int64) { f.Document.LambdaSuccess -= 60 * n }},
	"errors-stopped": {"Commits go on failing.", func(f *Facts, n int64) { f.Document.LambdaError += n }},
	"records-processed": {"No stream record is taken in.", func(f *Facts, n int64) {
		f.Document.ProcessedRecords -= 1000 * n
	}},
	"metadata-updated":  {"No metadata update reaches a record.", func(f *Facts, n int64) { f.Document.MetadataUpdates -= 50 * n }},
	"labels-updated":    {"No label update reaches a record.", func(f *Facts, n int64) { f.Document.LabelUpdates -= 300 * n }},
	"residual-imports":  {"A handler still imports the removed package.", func(f *Facts, _ int64) { f.Packages.At, f.Packages.Residual = f.At, []string{"label_handler.py"} }},
	"minor-tests":       {"A minor test command fails.", func(f *Facts, _ int64) { f.Tests[1].Passed, f.Tests[1].At = false, f.At }},
	"lint":              {"The linter complains.", func(f *Facts, _ int64) { f.Findings[Lint] = []string{"E501 line too long"} }},
	"docs":              {"A metric is not documented.", func(f *Facts, _ int64) { f.Findings[Docs] = []string{"CompactionLabelUpdates"} }},
	"non-critical-bugs": {"A bug is known that harms nobody.", func(f *Facts, _ int64) { f.Findings[NonCritical] = []string{"timestamps are local time"} }},
}

const (
	minutes  = 50
	faultyAt = 6
)

// record plays a release to the ledger source and records what guard g would be answered.
func record(t *testing.T, g Guard, name, about string, spoil func(f *Facts, since int64)) Recording {
	t.Helper()
	l := NewLedger(0)
	length := 12
	if g.Needs == NeedWatch && g.Test.Kind == Increase {
		length = minutes // a window of 30 minutes must have seen nothing but the fault
	}
	r := Recording{Format: RecordingFormat, Name: g.Name + "-" + name, Guard: g.Name, About: about}
	for m := range length {
		f := goodTime(m)
		if spoil != nil && m >= faultyAt {
			spoil(&f, int64(m-faultyAt+1))
		}
		if err := l.Add(f); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Collect(t.Context(), map[string]Meter{LedgerSource: l}, widened(g), noon.Add(time.Duration(length)*time.Minute))
	if err != nil || s.Err != "" {
		t.Fatal(err, s.Err)
	}
	r.Series = s
	return r
}

func widened(g Guard) Guard {
	g.Window = MaxWindow
	return g
}

func TestTheShippedRecordingsAreWhatTheFactsSay(t *testing.T) {
	names := map[string]bool{}
	for _, g := range Builtin() {
		fault, ok := faults[g.Name]
		if !ok {
			t.Errorf("no fault is written down that %s must see", g.Name)
			continue
		}
		for _, r := range []Recording{
			record(t, g, "passes", "A release in which nothing goes wrong.", nil),
			record(t, g, "fails", fault.about, fault.spoil),
		} {
			b, err := r.Encode()
			if err != nil {
				t.Fatal(err)
			}
			name := r.Name + ".json"
			names[name] = true
			golden(t, filepath.Join("recordings", name), b)
		}
	}
	files, err := os.ReadDir("recordings")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !names[f.Name()] {
			t.Errorf("recordings/%s belongs to no built-in guard", f.Name())
		}
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got) {
		t.Errorf("%s is not what is written now; look, and run with -update:\n%s", name, got)
	}
}

func TestEveryBuiltInGuardIsReliable(t *testing.T) {
	recordings, err := Recordings()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range Builtin() {
		if err := Reliable(g, recordings); err != nil {
			t.Errorf("%v: %+v", err, Proof(g, recordings))
		}
	}
}

func TestBuiltInGuardsCheckAndCoverEveryLine(t *testing.T) {
	if err := CheckAll(Builtin()); err != nil {
		t.Error(err)
	}
	asked := map[Criterion]int{}
	for _, g := range Builtin() {
		asked[g.Criterion]++
		if g.Why == "" || g.Needs.Sentence() == "" {
			t.Errorf("%s does not say why, or when", g.Name)
		}
	}
	for _, c := range Criteria() {
		if asked[c] == 0 {
			t.Errorf("no guard asks about %s", c)
		}
	}
}

// TestAFaultIsSeenByItsGuard plays every fault against all guards at once, as a release
// would, and wants the assessment that the document asks for.
func TestAFaultIsSeenByItsGuard(t *testing.T) {
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			mine, err := BuiltinNamed(name)
			if err != nil {
				t.Fatal(err)
			}
			needs := []Need{NeedRelease, NeedAnalysis, NeedMetrics, NeedTests, NeedPackages, NeedFindings, NeedPromoted}
			length := 12
			if mine.Needs == NeedWatch {
				needs, length = []Need{NeedWatch}, minutes
			}
			l := NewLedger(0)
			state := map[string]DebounceState{}
			var a Assessment
			reached := false
			for m := range length {
				f := goodTime(m)
				if m >= faultyAt {
					fault.spoil(&f, int64(m-faultyAt+1))
				}
				if err := l.Add(f); err != nil {
					t.Fatal(err)
				}
				var results []Result
				for _, g := range Select(Builtin(), needs...) {
					s, err := Collect(t.Context(), map[string]Meter{LedgerSource: l}, g, f.At)
					if err != nil {
						t.Fatal(err)
					}
					var r Result
					r, state[g.Name] = Judge(g, s, state[g.Name], f.At)
					results = append(results, r)
				}
				a = Assess(results)
				if m > 1 && m < faultyAt && a.Verdict != Healthy {
					t.Fatalf("before the fault, minute %d:\n%s", m, a.Text())
				}
				for _, d := range a.Decided {
					reached = reached || d == name
				}
			}
			want := map[Action]Decision{Rollback: RollBack, Hold: Holding, Observe: FixForward}[mine.Action]
			if !reached || a.Verdict != want {
				t.Errorf("want %s because of %s:\n%s", want, name, a.Text())
			}
		})
	}
}

func TestThePageIsWhatTheTablesSay(t *testing.T) {
	golden(t, "../../docs/guards.md", []byte(Page()))
}

func TestMetricsAreListedOnceWithASentence(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range Metrics() {
		if seen[m.Name] || m.Sentence == "" || m.Unit == "" {
			t.Errorf("%+v", m)
		}
		seen[m.Name] = true
	}
	for _, name := range []string{"CompactionLambdaSuccess", "CompactionLambdaError", "StreamProcessorProcessedRecords", "CompactionMetadataUpdates", "CompactionLabelUpdates"} {
		if !seen[name] {
			t.Errorf("the document names %s and nobody counts it", name)
		}
	}
	if len(faults) != len(Builtin()) {
		t.Error(fmt.Errorf("%d faults for %d guards", len(faults), len(Builtin())))
	}
}
