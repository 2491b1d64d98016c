package guard

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// metricRows is the one list of metrics: the documentation, the check of a guard's
// question and FromFacts all read it.
func metricRows() []metricRow {
	rows := armRows()
	rows = append(rows, productionRows()...)
	rows = append(rows, integrityRows()...)
	rows = append(rows, performanceRows()...)
	rows = append(rows, artefactRows()...)
	return append(rows, documentRows()...)
}

func row(name string, unit Unit, sentence string, read func(f, previous Facts) reading) metricRow {
	return metricRow{Metric{name, unit, sentence}, read}
}

// armRows are the metrics that exist once for the candidate and once for stable.
func armRows() []metricRow {
	var rows []metricRow
	for _, arm := range []struct {
		name string
		of   func(Facts) Arm
	}{
		{"candidate", func(f Facts) Arm { return f.Candidate }},
		{"stable", func(f Facts) Arm { return f.Stable }},
	} {
		of := arm.of
		failed := "Failed first attempts of stable."
		if arm.name == "candidate" {
			failed = "Failed first attempts of the candidate where stable did not fail too."
		}
		rows = append(
			rows,
			row(arm.name+"_units", Count, "Units of work it attempted since the release began.",
				func(f, _ Facts) reading { return number64(of(f).Units) }),
			row(arm.name+"_failed_units", Count, failed,
				func(f, _ Facts) reading { return number64(of(f).Failed) }),
			row(arm.name+"_failed_share", Share, "Failed units of its units; no sample before its first unit.",
				func(f, _ Facts) reading { return share(of(f).Failed, of(f).Units) }),
			row(arm.name+"_unchanged_share", Share, "Messages it acknowledged without effect on a published record, of those it acknowledged; no sample before the first.",
				func(f, _ Facts) reading { return share(of(f).Unchanged, of(f).Messages) }),
			row(arm.name+"_unit_seconds_p50", Seconds, "Median time of a unit; no sample before it was measured.",
				func(f, _ Facts) reading { return seconds(of(f).UnitP50) }),
			row(arm.name+"_unit_seconds_p90", Seconds, "Time in which nine of ten units are done; no sample before it was measured.",
				func(f, _ Facts) reading { return seconds(of(f).UnitP90) }),
			row(arm.name+"_memory_bytes", Bytes, "Memory of its own process; no sample for a builtin revision, which has none.",
				func(f, _ Facts) reading { return measured(of(f).Memory) }),
		)
	}
	return rows
}

func productionRows() []metricRow {
	return []metricRow{
		row("analysis_fails", Count, "1 when the comparison of candidate and stable says fail, 0 when it says pass; no number while it cannot tell.",
			analysisReading),
		row("late_faults", Count, "1 when a promoted candidate has got worse than what it was promoted with, 0 when it has not; no sample without one.",
			func(f, _ Facts) reading {
				switch {
				case f.Late == nil:
					return reading{}
				case f.Late.Alarm:
					return exactly(1, f.Late.Sentence)
				}
				return exactly(0, f.Late.Sentence)
			}),
		row("versions_published", Count, "Versions published.",
			func(f, _ Facts) reading { return number64(f.Versions) }),
		row("seconds_without_version", Seconds, "Time since the last version, or since the oldest change was accepted when that is later; 0 when no change waits.",
			withoutVersion),
		row("parked_keys", Count, "Keys that wait because a message of theirs is parked.",
			func(f, _ Facts) reading { return number64(f.ParkedKeys) }),
		row("parked_keys_new", Count, "Keys parked since the last look; no sample at the first.",
			func(f, p Facts) reading { return p.since(f.ParkedEver, p.ParkedEver) }),
		row("dead_letters", Count, "Messages that a queue has given up.",
			func(f, _ Facts) reading { return number64(f.DeadLetters) }),
		row("dead_letters_new", Count, "Messages that a queue gave up since the last look; no sample at the first.",
			func(f, p Facts) reading { return p.since(f.DeadLetters, p.DeadLetters) }),
		row("publish_failures", Count, "Commits that were not published; lost races do not count.",
			func(f, _ Facts) reading { return number64(f.PublishFailures) }),
		row("publish_failures_new", Count, "Commits that were not published since the last look; no sample at the first.",
			func(f, p Facts) reading { return p.since(f.PublishFailures, p.PublishFailures) }),
	}
}

func analysisReading(f, _ Facts) reading {
	if f.Analysis == nil {
		return reading{}
	}
	r := exactly(math.NaN(), f.Analysis.Sentence).dated(f.Analysis.At)
	switch f.Analysis.Verdict {
	case Pass:
		r.value = 0
	case Fail:
		r.value = 1
	case Inconclusive:
	case Broken:
		r.err = "the comparison is broken: " + f.Analysis.Sentence
	default:
		r.err = fmt.Sprintf("the comparison says %.40q, which is no verdict", string(f.Analysis.Verdict))
	}
	return r
}

func withoutVersion(f, _ Facts) reading {
	if f.Waiting == 0 {
		return exactly(0, "nothing waits")
	}
	from := f.LastVersion
	if f.OldestWaiting.After(from) {
		from = f.OldestWaiting
	}
	if from.IsZero() {
		return reading{known: true, err: fmt.Sprintf("%d changes wait and nobody knows since when", f.Waiting)}
	}
	return exactly(waited(from, f.At), fmt.Sprintf("%d changes wait", f.Waiting))
}

func integrityRows() []metricRow {
	return []metricRow{
		row("rederivation_mismatches", Count, "Records of the candidate that differ from what the table implies; no sample before one was re-derived.",
			func(f, _ Facts) reading { return whenAsked(f.RederivedWrong, f.Rederived) }),
		row("rederivation_mismatch_share", Share, "The same as a share of those re-derived.",
			func(f, _ Facts) reading { return share(f.RederivedWrong, f.Rederived) }),
		row("digest_mismatches", Count, "Collections whose recomputed digest is another one; no sample before one was recomputed.",
			func(f, _ Facts) reading { return whenAsked(f.DigestsWrong, f.DigestsChecked) }),
		row("records_shrunk_share", Share, "Of the collection that lost most: the share of its records that is gone and that no removal accounts for; no sample without a collection.",
			shrunk),
		row("forbidden_keys_lost", Count, "Records that lost a metadata key that must not be lost; no sample before one was compared.",
			func(f, _ Facts) reading { return whenAsked(f.KeysLost, f.RecordsCompared) }),
		row("import_runs", Count, "Import runs completed.",
			func(f, _ Facts) reading { return number64(f.ImportRuns) }),
		row("imported_vectors", Count, "Vectors that import runs brought.",
			func(f, _ Facts) reading { return number64(f.ImportVectors) }),
		row("imports_without_vectors_new", Count, "Import runs since the last look that brought no vector; 0 when there was no run, no sample at the first look.",
			emptyImports),
	}
}

func shrunk(f, _ Facts) reading {
	r := reading{}
	for _, c := range f.Collections {
		r.known = true
		lost := c.Before - c.After - c.Removed
		if c.Before <= 0 || lost <= 0 {
			continue
		}
		if part := float64(lost) / float64(c.Before); part > r.value {
			r.value, r.note = part, fmt.Sprintf("%s: %d of %d records unaccounted for", c.Name, lost, c.Before)
		}
	}
	return r
}

func emptyImports(f, p Facts) reading {
	if f.ImportsEmpty > f.ImportRuns {
		return reading{known: true, err: fmt.Sprintf("%d empty runs of %d", f.ImportsEmpty, f.ImportRuns)}
	}
	r := p.since(f.ImportsEmpty, p.ImportsEmpty)
	if !r.known {
		return r
	}
	// Runs and no vector at all is the case that stayed unseen for months (DOMAIN 10.3),
	// whatever a counter of empty runs says.
	runs, vectors := p.since(f.ImportRuns, p.ImportRuns).value, p.since(f.ImportVectors, p.ImportVectors).value
	if vectors == 0 {
		r.value = max(r.value, runs)
	}
	r.note = fmt.Sprintf("%g runs, %g vectors", runs, vectors)
	return r
}

func performanceRows() []metricRow {
	return []metricRow{
		row("publish_seconds_p90", Seconds, "Time in which nine of ten versions are published; no sample before it was measured.",
			func(f, _ Facts) reading { return seconds(f.PublishP90) }),
		row("publish_seconds_p90_before", Seconds, "The same while stable decided alone.",
			func(f, _ Facts) reading { return seconds(f.PublishP90Before) }),
		row("backlog_age_seconds", Seconds, "Age of the oldest accepted change that is in no version; 0 when none waits.",
			func(f, _ Facts) reading {
				switch {
				case f.Waiting == 0:
					return exactly(0, "nothing waits")
				case f.OldestWaiting.IsZero():
					return reading{known: true, err: fmt.Sprintf("%d changes wait and nobody knows since when", f.Waiting)}
				}
				return exactly(waited(f.OldestWaiting, f.At), fmt.Sprintf("%d changes wait", f.Waiting))
			}),
		row("memory_bytes", Bytes, "Memory of this process and those of its handlers; no sample before it was measured.",
			func(f, _ Facts) reading { return measured(f.MemoryBytes) }),
		row("memory_bytes_before", Bytes, "The same while stable decided alone.",
			func(f, _ Facts) reading { return measured(f.MemoryBytesBefore) }),
	}
}

func artefactRows() []metricRow {
	rows := []metricRow{
		row("revision_probe_failed", Count, "1 when the artefact did not start and describe itself where it is to run, 0 when it did; no sample before it was tried.",
			probed),
		row("required_metrics_missing", Count, "Required metrics that do not exist; no sample when none is required.",
			func(f, _ Facts) reading {
				if f.Required == nil {
					return reading{}
				}
				return named(f.Required.Missing)
			}),
		row("tests_blocking_failed", Count, "Blocking test commands that failed; no sample before one has run.",
			func(f, _ Facts) reading {
				return testsFailed(f.Tests, func(t TestRun) bool { return t.Blocking })
			}),
		row("import_cycles", Count, "Circles in the import graph of the configured packages; no sample before it was read.",
			func(f, _ Facts) reading {
				if f.Packages == nil {
					return reading{}
				}
				cycles := make([]string, len(f.Packages.Cycles))
				for i, c := range f.Packages.Cycles {
					cycles[i] = strings.Join(c, " -> ")
				}
				return named(cycles).dated(f.Packages.At)
			}),
		row("residual_imports", Count, "Imports of packages that nobody may import any more; no sample when there are no such packages.",
			func(f, _ Facts) reading {
				if f.Packages == nil || len(f.Packages.Forbidden) == 0 {
					return reading{}
				}
				return named(f.Packages.Residual).dated(f.Packages.At)
			}),
		row("tests_minor_failed", Count, "Minor test commands that failed; no sample before one has run.",
			func(f, _ Facts) reading {
				return testsFailed(f.Tests, func(t TestRun) bool { return !t.Blocking })
			}),
	}
	for _, c := range []struct {
		name, sentence string
		of             Criterion
	}{
		{"lint_findings", "Complaints of the linter; no sample before it has run.", Lint},
		{"doc_gaps", "Things that are not documented; no sample before somebody looked.", Docs},
		{"non_critical_bugs", "Known bugs that harm nobody; no sample before somebody looked.", NonCritical},
	} {
		rows = append(rows, row(c.name, Count, c.sentence, func(f, _ Facts) reading {
			found, ok := f.Findings[c.of]
			if !ok {
				return reading{}
			}
			return named(found)
		}))
	}
	return rows
}

func probed(f, _ Facts) reading {
	switch {
	case f.Probe == nil:
		return reading{}
	case !f.Probe.Started:
		return exactly(1, "it did not start: "+f.Probe.Err).dated(f.Probe.At)
	case !f.Probe.Described:
		return exactly(1, "it did not describe itself: "+f.Probe.Err).dated(f.Probe.At)
	}
	return exactly(0, "").dated(f.Probe.At)
}

// testsFailed counts failed runs among those chosen, dated to the oldest of them: a
// result is as fresh as its oldest part.
func testsFailed(runs []TestRun, chosen func(TestRun) bool) reading {
	var failed []string
	var oldest time.Time
	n := 0
	for _, t := range runs {
		if !chosen(t) {
			continue
		}
		if n == 0 || t.At.Before(oldest) {
			oldest = t.At
		}
		n++
		if !t.Passed {
			failed = append(failed, t.Name)
		}
	}
	if n == 0 {
		return reading{}
	}
	return named(failed).dated(oldest)
}

// documentRows are the five names that the rollback document tells people to watch.
func documentRows() []metricRow {
	var rows []metricRow
	for _, c := range []struct {
		name, sentence string
		of             func(Document) int64
	}{
		{"CompactionLambdaSuccess", "Commits after which every message is in a version.", func(d Document) int64 { return d.LambdaSuccess }},
		{"CompactionLambdaError", "Commits that failed.", func(d Document) int64 { return d.LambdaError }},
		{"StreamProcessorProcessedRecords", "Stream records taken in.", func(d Document) int64 { return d.ProcessedRecords }},
		{"CompactionMetadataUpdates", "Published records changed by metadata and place items.", func(d Document) int64 { return d.MetadataUpdates }},
		{"CompactionLabelUpdates", "Published records changed by label items.", func(d Document) int64 { return d.LabelUpdates }},
	} {
		rows = append(rows, row(c.name, Count, c.sentence, func(f, _ Facts) reading {
			if f.Document == nil {
				return reading{}
			}
			return number64(c.of(*f.Document))
		}))
	}
	return rows
}
