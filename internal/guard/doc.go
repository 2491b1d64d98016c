// Package guard answers: is the running system still what the document calls fit, and
// if not, is this one of the six reasons to roll back or one of the four reasons not to?
//
// A guard is a question with a verdict: pass, fail, inconclusive, broken. Where its
// samples come from is a Meter's business; what they mean is decided by Judge, and
// what all verdicts together mean by Assess. Both are pure: they take the time and
// return values, so that a verdict can be replayed from what was stored.
//
// The promise is that silence is never good news. No samples, stale samples, samples
// from a clock that runs ahead, NaN, a partial answer and a source that does not
// answer have outcomes of their own, and none of them is a pass. Only "broken" and
// "inconclusive" come of them, and neither rolls back by itself: an outage of the
// monitoring must stop a release and must not undo one.
//
// The failures it guards against are on record: the rollback document tells people to
// watch two metrics that no code ever emitted (DOMAIN 0.1), and a deployment failed in
// full with the success metric green (DOMAIN 7.3). Hence a guard must be shown passing
// and failing on recorded samples (Proof) before anything may rely on it, and a metric
// that nobody knows is an error that lists those that exist.
//
// It does not compare candidate and stable statistically: that verdict comes in as one
// fact among the others (Facts.Analysis). It reads nothing, starts nothing and changes
// nothing but the history of its own Ledger. docs/guards.md is written from its tables.
package guard
