// Package release answers: which revision decides for which key now, and what has
// to be true before the candidate gets more?
//
// A release is one attempt to make a candidate stable. All that is known about it
// is the state of its environment, and every entry of the ledger `release` holds
// that state complete, so that one read opens it and the history is the ledger. The
// package decides and records; it runs no handler, asks no guard and computes no
// statistics. Their answers come in as an Observation.
//
// # How it moves
//
//	preflight -> shadow -> canary ... -> bake -> promote -> promoted
//	     \________\__________\____________\_________\-----> aborted
//
// Next is a pure function from a state, an observation and a time to a Decision:
// either nothing yet, with the reason and the earliest time it can change, or the
// next entry of the ledger. The commands (Start, Promote, Pause, Resume, Abort,
// Retry, Approve, Quarantine and the others) are pure functions from a state and an Order,
// which says who asks, why and when, to a Transition. Controller.Tick and
// Controller.Do carry either out. Any number of controllers may run, in any number
// of processes: an entry is appended behind the one it was decided on, so one wins,
// and the other gets ledger.ErrHeadMoved and looks again.
//
// A command line does this for each of its verbs:
//
//	plan      Preset or Default, then Plan.String; Chain.Gate and Calendar.Frozen say what stands in its way
//	start     Controller.Do, given what Start returns; Request carries the answers of the gates
//	status    Log.Head, then State.Describe, State.Outlook and Controller.Look for the next step and when
//	promote   Promote or PromoteFully, with Controller.Observe; what it would skip must have been opened by BreakGlass
//	pause, resume, abort, retry, approve   the function of that name
//	history   Log.Range and Entry.Describe
//
// # What it promises
//
// Only healthy advances. No data, a hold and an open risk do not; a step needs its
// time and its units and its mix of changes. Bad aborts from any step, paused or
// not, frozen or not. Weights never grow after that. An approval that nobody gives
// expires into a halt, it is never given by time. A quarantined revision is refused
// everywhere by the hash of its content. Retry and a new start of the same content
// keep the evidence, else a bad revision is retried until chance lets it through.
//
// # How it survives
//
// Every outside effect is carried out before the entry that says that it has been,
// and every effect may be carried out again. An abort first writes the fence into
// the ledger of versions, which is what stops publishing, and then its entry; if it
// dies between the two, the next Tick sees the fence and goes on with the abort. If
// a promotion slipped in between, the promotion is taken back. Pins are the other
// way round: the entry that starts a release names the pair and lists its pin as
// pending; until an entry says that the pin is there, the release does not leave
// its first step.
//
// # Promotion and the last healthy copy
//
// Elsewhere an abort during promotion can destroy the only healthy copy, because
// promoting replaces the old one (flagger halts there). Here revisions are code that
// runs in the process or beside it, and stable stays registered until the release
// after next, so there is always something to go back to and an abort is right in
// every step. One case remains: the candidate has all of the keys, it is bad, and
// the observer reports that stable cannot run either. Then Next halts and says so,
// because going back would trade a bad copy for none; a person may still abort.
//
// # What stops a clock
//
// Pause (a person), hold (a guard) and an expired approval stop the clock of a step
// and of occupancy; so does stopping the line for the occupancy of stable. No data
// does not: waiting for traffic is what the time of a bake is for. A freeze window
// lets the clock run and only keeps the release from advancing. Aborts, rollbacks
// and fences ask no window.
package release
