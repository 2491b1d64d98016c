package guard

import "time"

// Facts are what the ledgers, the local state and the processes say at one time. The
// app fills them in; nobody else measures. Numbers count since the release began (or,
// without one, since the ledger did) unless they say otherwise; all are exact. What
// nobody asked about stays zero or nil and becomes no sample, which is not a zero.
type Facts struct {
	At        time.Time
	Candidate Arm
	Stable    Arm

	ParkedKeys      int64 // keys that wait now
	ParkedEver      int64 // times a key was set aside
	DeadLetters     int64 // messages given up by a queue
	Versions        int64 // published
	PublishFailures int64 // commits that were not published for another reason than a lost race
	LastVersion     time.Time
	Waiting         int64     // changes accepted and in no version yet
	OldestWaiting   time.Time // when the oldest of them was accepted

	PublishP90        time.Duration // time to publish, now
	PublishP90Before  time.Duration // the same while stable decided alone
	MemoryBytes       int64         // this process and those of its handlers, now
	MemoryBytesBefore int64         // the same while stable decided alone

	Collections     []Collection
	Rederived       int64 // records of the candidate that were re-derived from the table
	RederivedWrong  int64 // of those, the ones that differ
	DigestsChecked  int64 // collections whose digest was recomputed
	DigestsWrong    int64
	RecordsCompared int64 // records whose metadata before and after a write were compared
	KeysLost        int64 // of those, the ones that lost a key that must not be lost
	ImportRuns      int64 // import runs completed
	ImportVectors   int64 // vectors they brought
	ImportsEmpty    int64 // of the runs, those that brought no vector

	Probe    *Probe                 // nil: nobody started the artefact
	Required *Required              // nil: no metrics are required
	Tests    []TestRun              // none: no test command has run
	Packages *Packages              // nil: nobody looked at imports
	Findings map[Criterion][]string // Lint, Docs, NonCritical; a key that is there was looked for
	Analysis *Judgement             // nil: candidate and stable are not compared
	Late     *Late                  // nil: no candidate was promoted in the last days
	Document *Document              // nil: not counted here
}

// Arm is what one revision did.
type Arm struct {
	Units     int64 // first attempts of units of work
	Failed    int64 // of those, the failed ones; of the candidate, where stable did not fail too
	Messages  int64 // acknowledged
	Unchanged int64 // of those, the ones without effect on a published record
	UnitP50   time.Duration
	UnitP90   time.Duration
	Memory    int64 // bytes of its process; 0: it has none of its own
}

// Collection is one collection before the release (or the last look) and now.
type Collection struct {
	Name          string
	Before, After int64
	Removed       int64 // records that a removal of their item accounts for
}

// Probe is what came of starting the artefact in the place where it is to run.
type Probe struct {
	At        time.Time
	Started   bool
	Described bool   // it answered with its name, version and formats
	Err       string // what it said instead
}

// Required are the metrics that must exist, and those of them that do not.
type Required struct {
	Names   []string
	Missing []string
}

// TestRun is the result of one configured test command.
type TestRun struct {
	Name     string
	At       time.Time
	Blocking bool // by configuration; the others are minor
	Passed   bool
}

// Packages is what the import graph of the configured packages says.
type Packages struct {
	At        time.Time
	Cycles    [][]string
	Forbidden []string // packages that nobody may import any more; none: not asked
	Residual  []string // imports of those that are still there
}

// Judgement is the verdict of the comparison of candidate and stable.
type Judgement struct {
	At       time.Time
	Verdict  Verdict
	Sentence string
}

// Late is what the detector says of a candidate since its promotion.
type Late struct {
	Alarm    bool
	Sentence string
}

// Document are the five counters that the rollback document names.
type Document struct {
	LambdaSuccess    int64 // CompactionLambdaSuccess: commits after which every message is in a version
	LambdaError      int64 // CompactionLambdaError: commits that failed
	ProcessedRecords int64 // StreamProcessorProcessedRecords: stream records taken in
	MetadataUpdates  int64 // CompactionMetadataUpdates: records changed by metadata and place items
	LabelUpdates     int64 // CompactionLabelUpdates: records changed by label items
}
