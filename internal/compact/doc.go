// Package compact makes the next version of the index out of changes.
//
// It answers three questions, each in one place: what would these changes do to
// this state (plan: no effects), does the result become true (publish: one
// create-once entry decides), and what if somebody else was first (rebase: what
// the winner did not touch is kept, the rest is planned again on the winner's state).
//
// It promises that a message whose commit was reported has its effect in exactly
// one version of the line or is parked there with its reason, that a message seen
// again has no second effect, and that one failing message never holds up another
// key. It takes no lock: two compactors on one store are safe, only wasteful.
package compact
