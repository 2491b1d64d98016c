package guard

import "time"

const (
	shortWindow = 5 * time.Minute
	longWindow  = 10 * time.Minute
	onceWindow  = 48 * time.Hour // of what is measured once per release: probe, tests, imports
	watchWindow = 30 * time.Minute
)

// Builtin lists the guards that come with the product: every row of the document's
// list, made measurable, on the source that is always there. It is data; configuration
// replaces a guard by giving another one the same name.
func Builtin() []Guard {
	guards := productionGuards()
	guards = append(guards, integrityGuards()...)
	guards = append(guards, performanceGuards()...)
	guards = append(guards, artefactGuards()...)
	guards = append(guards, watchGuards()...)
	return append(guards, forwardGuards()...)
}

// BuiltinNamed returns the built-in guard of that name; ErrNotFound lists all names.
func BuiltinNamed(name string) (Guard, error) { return Find(Builtin(), name) }

func on(metric string, t Test, window time.Duration) Guard {
	return Guard{Source: LedgerSource, Question: metric, Test: t, Window: window}
}

func (g Guard) named(name string, c Criterion, a Action, needs Need, why string) Guard {
	g.Name, g.Criterion, g.Action, g.Needs, g.Why = name, c, a, needs, why
	return g
}

func (g Guard) of(fails, looks int) Guard {
	g.Debounce = Debounce{Fails: fails, Of: looks}
	return g
}

func (g Guard) versus(metric string) Guard {
	g.Against = metric
	return g
}

func atMost(limit float64, u Unit) Test {
	return Test{Kind: Value, Reduce: Last, Op: AtMost, Limit: limit, Unit: u}
}

func sumAtMost(limit float64) Test {
	return Test{Kind: Value, Reduce: Sum, Op: AtMost, Limit: limit, Unit: Count}
}

func times(limit, floor float64, u Unit) Test {
	return Test{Kind: Ratio, Reduce: Last, Op: AtMost, Limit: limit, Floor: floor, Unit: u}
}

func productionGuards() []Guard {
	return []Guard{
		on("analysis_fails", atMost(0, Count), longWindow).named("candidate-vs-stable", ProductionFailure, Rollback, NeedAnalysis,
			"The statistical comparison says that the candidate fails more often, is slower or derives otherwise than stable."),
		on("candidate_failed_share", atMost(0.5, Share), shortWindow).of(2, 2).named("candidate-broken", ProductionFailure, Rollback, NeedRelease,
			"Half of what the candidate attempts fails: no statistics are needed to see that."),
		on("candidate_failed_share", atMost(0.05, Share), shortWindow).of(2, 3).named("candidate-failures", ProductionFailure, Hold, NeedRelease,
			"The candidate fails where stable does not: give it no more traffic while that lasts."),
		on("seconds_without_version", atMost(300, Seconds), shortWindow).of(2, 3).named("no-version", ProductionFailure, Rollback, NeedNothing,
			"Changes wait and nothing is published."),
		on("parked_keys_new", sumAtMost(0), longWindow).named("parked-keys", ProductionFailure, Hold, NeedNothing,
			"Both revisions failed on a key: bad data more often than bad code, so a person looks first."),
		on("dead_letters_new", sumAtMost(0), longWindow).of(2, 2).named("dead-letters", ProductionFailure, Rollback, NeedNothing,
			"A queue gave messages up: without a rollback they are lost to the index."),
		on("publish_failures_new", sumAtMost(2), longWindow).of(2, 3).named("publish-failures", ProductionFailure, Rollback, NeedNothing,
			"What is computed cannot be published."),
		on("late_faults", atMost(0, Count), longWindow).named("late-fault", ProductionFailure, Hold, NeedPromoted,
			"The revision that was promoted has got worse than what it was promoted with. An outage looks the same, so a person looks first."),
	}
}

func integrityGuards() []Guard {
	return []Guard{
		on("rederivation_mismatches", atMost(0, Count), longWindow).named("rederivation", DataIntegrity, Rollback, NeedRelease,
			"A record that the candidate wrote is not what the table implies. Derivation is exact, so one is enough."),
		on("digest_mismatches", atMost(0, Count), onceWindow).named("digests", DataIntegrity, Rollback, NeedNothing,
			"A digest that was recomputed is not the one that was published."),
		on("records_shrunk_share", atMost(0.01, Share), longWindow).named("records-shrinking", DataIntegrity, Rollback, NeedNothing,
			"Records vanish and no removal accounts for them."),
		on("forbidden_keys_lost", atMost(0, Count), longWindow).named("forbidden-keys", DataIntegrity, Rollback, NeedRelease,
			"A metadata key is gone that must not be lost."),
		on("imports_without_vectors_new", sumAtMost(0), longWindow).named("empty-imports", DataIntegrity, Rollback, NeedNothing,
			"An import run was completed and brought no vector."),
		on("candidate_unchanged_share", times(1.5, 0.1, Share), longWindow).versus("stable_unchanged_share").of(2, 3).
			named("without-effect", DataIntegrity, Hold, NeedRelease,
				"The candidate acknowledges more messages without effect than stable does on the same stream."),
	}
}

func performanceGuards() []Guard {
	return []Guard{
		on("candidate_unit_seconds_p90", times(2, 0.005, Seconds), shortWindow).versus("stable_unit_seconds_p90").of(3, 5).
			named("unit-time", Performance, Hold, NeedRelease, "A unit of work takes more than twice the time that stable takes now."),
		on("publish_seconds_p90", times(2, 0.05, Seconds), shortWindow).versus("publish_seconds_p90_before").of(3, 5).
			named("publish-time", Performance, Hold, NeedRelease, "Publishing takes more than twice the time that it took before the candidate."),
		on("backlog_age_seconds", atMost(900, Seconds), shortWindow).of(3, 5).named("backlog-age", Performance, Hold, NeedNothing,
			"Changes are accepted faster than they are published."),
		on("memory_bytes", times(2, 256<<20, Bytes), shortWindow).versus("memory_bytes_before").of(3, 5).
			named("memory", Performance, Rollback, NeedRelease, "Memory is more than twice what it was before the candidate."),
	}
}

func artefactGuards() []Guard {
	return []Guard{
		on("revision_probe_failed", atMost(0, Count), onceWindow).named("revision-probe", ImportErrors, Rollback, NeedRelease,
			"The artefact does not start and describe itself where it is to run."),
		on("required_metrics_missing", atMost(0, Count), shortWindow).of(2, 2).named("required-metrics", ImportErrors, Hold, NeedMetrics,
			"A metric that somebody relies on does not exist."),
		on("tests_blocking_failed", atMost(0, Count), onceWindow).named("blocking-tests", TestFailures, Rollback, NeedTests,
			"A test command failed that is configured to block."),
		on("import_cycles", atMost(0, Count), onceWindow).named("import-cycles", CircularDependencies, Rollback, NeedPackages,
			"The configured packages import each other in a circle."),
	}
}

// watchGuards are the checks that the document makes after a rollback. A quiet table
// leaves them inconclusive: that nothing arrived does not show that it would be processed.
func watchGuards() []Guard {
	grows := func(metric string) Guard {
		return on(metric, Test{Kind: Increase, Op: AtLeast, Limit: 1, Unit: Count}, watchWindow)
	}
	return []Guard{
		grows("CompactionLambdaSuccess").named("success-grows", ProductionFailure, Hold, NeedWatch,
			"The document: CompactionLambdaSuccess should increase."),
		on("CompactionLambdaError", Test{Kind: Increase, Op: AtMost, Limit: 0, Unit: Count}, watchWindow).
			named("errors-stopped", ProductionFailure, Hold, NeedWatch, "The document: CompactionLambdaError should decrease; as a counter it must stand still."),
		grows("StreamProcessorProcessedRecords").named("records-processed", ProductionFailure, Hold, NeedWatch,
			"The document: StreamProcessorProcessedRecords > 0."),
		grows("CompactionMetadataUpdates").named("metadata-updated", DataIntegrity, Hold, NeedWatch,
			"The document: CompactionMetadataUpdates > 0."),
		grows("CompactionLabelUpdates").named("labels-updated", DataIntegrity, Hold, NeedWatch,
			"The document: CompactionLabelUpdates > 0."),
		on("residual_imports", atMost(0, Count), onceWindow).named("residual-imports", ImportErrors, Hold, NeedWatch,
			"The document: no imports of the removed packages remain."),
	}
}

// forwardGuards are the four reasons not to roll back.
func forwardGuards() []Guard {
	return []Guard{
		on("tests_minor_failed", atMost(0, Count), onceWindow).named("minor-tests", MinorTests, Observe, NeedTests,
			"A test command failed that is configured as minor."),
		on("lint_findings", atMost(0, Count), onceWindow).named("lint", Lint, Observe, NeedFindings, "The linter complains."),
		on("doc_gaps", atMost(0, Count), onceWindow).named("docs", Docs, Observe, NeedFindings, "Something is not documented."),
		on("non_critical_bugs", atMost(0, Count), onceWindow).named("non-critical-bugs", NonCritical, Observe, NeedFindings,
			"A bug is known that harms nobody."),
	}
}
