package guard

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"lockstep/internal/lockstep"
)

func TestEveryMetricCanBeMeasured(t *testing.T) {
	got := FromFacts(goodTime(1), goodTime(0))
	for _, m := range Metrics() {
		s, ok := got[m.Name]
		if m.Name == "stable_memory_bytes" { // stable is builtin in these facts
			if ok {
				t.Errorf("%s out of nothing: %+v", m.Name, s)
			}
			continue
		}
		if !ok || s.Err != "" || s.At.IsZero() {
			t.Errorf("%s: %+v, %t", m.Name, s, ok)
		}
	}
}

// What nobody measured is no sample: a zero would be read as good news.
func TestNothingKnownIsNoSample(t *testing.T) {
	got := FromFacts(Facts{At: noon}, Facts{})
	zeros := map[string]bool{
		"candidate_units": true, "candidate_failed_units": true, "stable_units": true, "stable_failed_units": true, "versions_published": true,
		"seconds_without_version": true, "parked_keys": true, "dead_letters": true, "publish_failures": true,
		"import_runs": true, "imported_vectors": true, "backlog_age_seconds": true,
	}
	for name, s := range got {
		if !zeros[name] || s.Value != 0 || s.Err != "" {
			t.Errorf("%s: %+v", name, s)
		}
	}
	if len(got) != len(zeros) {
		t.Errorf("%d metrics, want %d", len(got), len(zeros))
	}
}

func TestFactsBecomeSamples(t *testing.T) {
	for _, c := range []struct {
		metric string
		now    func(*Facts)
		want   float64
		note   string
		err    string
	}{
		{"candidate_failed_share", func(f *Facts) { f.Candidate.Units, f.Candidate.Failed = 40, 1 }, 0.025, "1 of 40", ""},
		{"candidate_failed_share", func(f *Facts) { f.Candidate.Units, f.Candidate.Failed = 4, 5 }, 0, "", "more than all"},
		{"candidate_failed_share", func(f *Facts) { f.Candidate.Units, f.Candidate.Failed = 0, 5 }, 0, "", "5 of nothing"},
		{"dead_letters", func(f *Facts) { f.DeadLetters = -1 }, 0, "", "less than nothing"},
		{"dead_letters_new", func(f *Facts) { f.DeadLetters = 7 }, 7, "", ""},
		{"parked_keys_new", func(f *Facts) { f.ParkedEver = 5 }, 2, "", ""},
		{"parked_keys_new", func(f *Facts) { f.ParkedEver = 1 }, 1, "", ""}, // counted anew
		{"seconds_without_version", func(f *Facts) { f.LastVersion = f.At.Add(-time.Hour) }, 2, "4 changes wait", ""},
		{"seconds_without_version", func(f *Facts) { f.Waiting, f.LastVersion = 0, f.At.Add(-time.Hour) }, 0, "nothing waits", ""},
		{"seconds_without_version", func(f *Facts) { f.LastVersion, f.OldestWaiting = f.At.Add(time.Hour), time.Time{} }, 0, "", ""},
		{"seconds_without_version", func(f *Facts) { f.LastVersion, f.OldestWaiting = time.Time{}, time.Time{} }, 0, "", "since when"},
		{"backlog_age_seconds", func(f *Facts) { f.OldestWaiting = f.At.Add(-time.Minute) }, 60, "", ""},
		{"backlog_age_seconds", func(f *Facts) { f.OldestWaiting = time.Time{} }, 0, "", "since when"},
		{"rederivation_mismatches", func(f *Facts) { f.RederivedWrong = 3 }, 3, "100 looked at", ""},
		{"rederivation_mismatches", func(f *Facts) { f.RederivedWrong, f.Rederived = 3, 0 }, 0, "", "3 of 0"},
		{"rederivation_mismatch_share", func(f *Facts) { f.RederivedWrong = 3 }, 0.03, "", ""},
		{"records_shrunk_share", func(f *Facts) { f.Collections = []Collection{{"a", 100, 90, 4}, {"b", 100, 80, 0}, {"c", 0, 0, 0}} }, 0.2, "b: 20 of 100", ""},
		{"records_shrunk_share", func(f *Facts) { f.Collections = []Collection{{"a", 100, 90, 12}} }, 0, "", ""},
		{"imports_without_vectors_new", func(f *Facts) { f.ImportsEmpty = 1 }, 1, "2 runs, 300 vectors", ""},
		{"imports_without_vectors_new", func(f *Facts) { f.ImportVectors = 300 }, 2, "2 runs, 0 vectors", ""},
		{"imports_without_vectors_new", func(f *Facts) { f.ImportRuns, f.ImportVectors = 2, 300 }, 0, "0 runs", ""},
		{"imports_without_vectors_new", func(f *Facts) { f.ImportsEmpty = 99 }, 0, "", "99 empty runs"},
		{"revision_probe_failed", func(f *Facts) { f.Probe = &Probe{Started: true, Err: "no formats"} }, 1, "did not describe itself: no formats", ""},
		{"required_metrics_missing", func(f *Facts) { f.Required.Missing = []string{"a", "b", "c", "d"} }, 4, "a, b, c and 1 more", ""},
		{"tests_blocking_failed", func(f *Facts) { f.Tests[1].Passed = false }, 0, "", ""},
		{"tests_minor_failed", func(f *Facts) { f.Tests[1].Passed = false }, 1, "style", ""},
		{"import_cycles", func(f *Facts) { f.Packages.Cycles = [][]string{{"a", "b", "a"}} }, 1, "a -> b -> a", ""},
		{"analysis_fails", func(f *Facts) { f.Analysis.Verdict = Fail }, 1, "no more failures", ""},
		{"analysis_fails", func(f *Facts) { f.Analysis.Verdict = Broken }, 0, "", "comparison is broken"},
		{"analysis_fails", func(f *Facts) { f.Analysis.Verdict = "ok" }, 0, "", "no verdict"},
		{"CompactionLabelUpdates", func(*Facts) {}, 600, "", ""},
		{"lint_findings", func(f *Facts) { f.Findings[Lint] = []string{strings.Repeat("é", MaxText)} }, 1, "...", ""},
	} {
		f := goodTime(1)
		c.now(&f)
		s, ok := FromFacts(f, goodTime(0))[c.metric]
		if !ok || s.Value != c.want || !strings.Contains(s.Note, c.note) || (s.Err == "") != (c.err == "") || !strings.Contains(s.Err, c.err) || s.check() != nil {
			t.Errorf("%s: %+v, %t, want %g %q %q", c.metric, s, ok, c.want, c.note, c.err)
		}
	}
}

// The controller restarts: what happened last month is not news.
func TestTheFirstLookHasNoNews(t *testing.T) {
	f := goodTime(3)
	f.DeadLetters = 4790
	got := FromFacts(f, Facts{})
	for _, name := range []string{"dead_letters_new", "parked_keys_new", "publish_failures_new", "imports_without_vectors_new"} {
		if s, ok := got[name]; ok {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestAComparisonThatCannotTellIsNoNumber(t *testing.T) {
	f := goodTime(1)
	f.Analysis = &Judgement{At: f.At, Verdict: Inconclusive, Sentence: "12 of 59 units"}
	g, err := BuiltinNamed("candidate-vs-stable")
	if err != nil {
		t.Fatal(err)
	}
	r, _ := Judge(g, Series{Samples: []Sample{FromFacts(f, Facts{})["analysis_fails"]}}, DebounceState{}, f.At)
	if r.Verdict != Inconclusive || !strings.Contains(r.Reason, "12 of 59 units") {
		t.Errorf("%+v", r)
	}
}

func TestLedgerRemembersWindows(t *testing.T) {
	l := NewLedger(10 * time.Minute)
	for m := range 30 {
		if err := l.Add(goodTime(m)); err != nil {
			t.Fatal(err)
		}
	}
	read := func(metric string, from, to int) []Sample {
		t.Helper()
		s, err := l.Read(t.Context(), Query{Question: metric, From: goodTime(from).At, To: goodTime(to).At})
		if err != nil {
			t.Fatal(err)
		}
		return s.Samples
	}
	if got := read("candidate_units", 25, 27); len(got) != 3 || got[0].Value != 260 || got[2].Value != 280 {
		t.Errorf("%+v", got)
	}
	if got := read("candidate_units", 0, 29); len(got) != 11 {
		t.Errorf("%d samples are kept for ten minutes", len(got))
	}
	if got := read("candidate_units", 40, 50); len(got) != 1 || got[0].Value != 300 {
		t.Errorf("of an empty window the newest before it is wanted: %+v", got)
	}
	if got := read("tests_blocking_failed", 25, 27); len(got) != 1 || !got[0].At.Equal(noon) {
		t.Errorf("a test that ran once is one sample of its own date: %+v", got)
	}
	if got := read("stable_memory_bytes", 0, 29); got != nil {
		t.Errorf("%+v", got)
	}
	if _, err := l.Read(t.Context(), Query{Question: "memory"}); !errors.Is(err, lockstep.ErrNotFound) || !strings.Contains(err.Error(), "memory_bytes") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Read(ctx, Query{Question: "memory_bytes"}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	for _, f := range []Facts{{}, goodTime(29), goodTime(3)} {
		if err := l.Add(f); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("facts of %s were added: %v", f.At, err)
		}
	}
}

func TestLedgerMayBeReadWhileItIsFilled(t *testing.T) {
	l := NewLedger(5 * time.Minute)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for m := range 200 {
				s, err := l.Read(t.Context(), Query{Question: "candidate_units", From: noon, To: goodTime(m).At})
				if err != nil {
					t.Error(err)
				}
				for _, one := range s.Samples {
					if one.Err != "" || one.Value <= 0 {
						t.Errorf("%+v", one)
					}
				}
			}
		})
	}
	for m := range 200 {
		if err := l.Add(goodTime(m)); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
}
