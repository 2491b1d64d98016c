package guard

// Criterion is the line of the rollback document that a guard belongs to: one of the
// six reasons to roll back or one of the four reasons not to.
type Criterion string

// The lines of the document, in its order.
const (
	ProductionFailure    Criterion = "production-failure"
	DataIntegrity        Criterion = "data-integrity"
	Performance          Criterion = "performance"
	ImportErrors         Criterion = "import-errors"
	TestFailures         Criterion = "test-failures"
	CircularDependencies Criterion = "circular-dependencies"

	MinorTests  Criterion = "minor-tests"
	Lint        Criterion = "lint"
	Docs        Criterion = "docs"
	NonCritical Criterion = "non-critical"
)

// Criteria lists the lines in the order of the document.
func Criteria() []Criterion {
	return []Criterion{
		ProductionFailure, DataIntegrity, Performance, ImportErrors, TestFailures, CircularDependencies,
		MinorTests, Lint, Docs, NonCritical,
	}
}

// Title is the document's own name of the line, "" for an unknown one.
func (c Criterion) Title() string {
	switch c {
	case ProductionFailure:
		return "Critical production failure"
	case DataIntegrity:
		return "Data integrity issues"
	case Performance:
		return "Performance degradation"
	case ImportErrors:
		return "Import errors"
	case TestFailures:
		return "Test failures"
	case CircularDependencies:
		return "Circular dependencies"
	case MinorTests:
		return "Minor test failures"
	case Lint:
		return "Linting issues"
	case Docs:
		return "Documentation gaps"
	case NonCritical:
		return "Non-critical bugs"
	}
	return ""
}

// Sentence says what the document means by the line, "" for an unknown one.
func (c Criterion) Sentence() string {
	switch c {
	case ProductionFailure:
		return "Compaction fails in production."
	case DataIntegrity:
		return "Metadata is updated wrongly, or data is lost."
	case Performance:
		return "Compaction has become significantly slower or larger."
	case ImportErrors:
		return "The revision cannot be loaded in the place where it is to run."
	case TestFailures:
		return "Tests fail that block a deployment."
	case CircularDependencies:
		return "The packages import each other in a circle."
	case MinorTests:
		return "Tests fail that block nothing: fix forward."
	case Lint:
		return "The linter complains: fix forward."
	case Docs:
		return "Something is not documented: fix forward."
	case NonCritical:
		return "A bug is known and nobody is harmed by it: fix forward."
	}
	return ""
}

// Trigger says whether the line is a reason to roll back. Of the four others the
// document says not to; whatever a guard of theirs asks for, it never rolls back.
func (c Criterion) Trigger() bool {
	switch c {
	case ProductionFailure, DataIntegrity, Performance, ImportErrors, TestFailures, CircularDependencies:
		return true
	case MinorTests, Lint, Docs, NonCritical:
		return false
	}
	return true // of an unknown line the worse is believed
}

// Action is what a failing guard asks for.
type Action string

// The three actions.
const (
	Observe  Action = "observe"  // it is shown and decides nothing
	Hold     Action = "hold"     // nothing advances until it passes
	Rollback Action = "rollback" // the candidate goes, and what it wrote may follow
)

// Actions lists the actions from the weakest to the strongest.
func Actions() []Action { return []Action{Observe, Hold, Rollback} }

// NoData is what a guard makes of a window in which nothing was measured.
type NoData string

// What may be made of no data. The zero value is NoDataHold.
const (
	NoDataHold NoData = "hold" // inconclusive; the default
	NoDataFail NoData = "fail" // silence is the failure that is looked for
	NoDataPass NoData = "pass" // only where absence is what must hold, and for observers
)

// NoDatas lists what may be made of no data.
func NoDatas() []NoData { return []NoData{NoDataHold, NoDataFail, NoDataPass} }

// Need names the circumstance without which a guard has nothing to ask. Whoever
// assembles the guards selects by it, from configuration and never from samples: a
// guard that drops out because its data are missing would read silence as good news.
type Need string

// The circumstances.
const (
	NeedNothing  Need = ""         // always asked
	NeedRelease  Need = "release"  // a candidate decides for a share of the keys
	NeedAnalysis Need = "analysis" // candidate and stable are compared
	NeedMetrics  Need = "metrics"  // required metrics are configured
	NeedTests    Need = "tests"    // test commands are configured
	NeedPackages Need = "packages" // packages are configured for the import graph
	NeedFindings Need = "findings" // linter, documents and bug list are configured
	NeedWatch    Need = "watch"    // a recovery is being watched after a rollback
	NeedPromoted Need = "promoted" // a candidate is being watched after its promotion
)

// Needs lists the circumstances.
func Needs() []Need {
	return []Need{NeedNothing, NeedRelease, NeedAnalysis, NeedMetrics, NeedTests, NeedPackages, NeedFindings, NeedWatch, NeedPromoted}
}

// Sentence says when guards with this need are asked.
func (n Need) Sentence() string {
	switch n {
	case NeedNothing:
		return "always"
	case NeedRelease:
		return "while a candidate decides for a share of the keys"
	case NeedAnalysis:
		return "while candidate and stable are compared statistically"
	case NeedMetrics:
		return "when required metrics are configured"
	case NeedTests:
		return "when test commands are configured"
	case NeedPackages:
		return "when packages are configured for the import graph"
	case NeedFindings:
		return "when linter, documents or a bug list are configured"
	case NeedWatch:
		return "while a recovery is watched after a rollback"
	case NeedPromoted:
		return "for seven days after a promotion"
	}
	return ""
}
