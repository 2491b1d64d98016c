// Package revert answers: what would the index be, had the good revision handled what the
// bad one did, and how do we get there without touching anything else?
//
// A revert names what was bad: all that a revision decided, one version, or one message.
// For every record that was written since by a partition key of which the bad one decided
// a message, the image from before is restored, and everything that happened to the key
// since is handled again by the good revision, in the order, in the batches and at the
// time of the original (TRAPS 4.11). What cannot be separated joins in: another key that
// wrote one of these records, or that read what the bad one left, or whose records the
// replay must see as they were. Records outside of this closure are not in the result, so
// that they are provably untouched.
//
// It is worked out on a branch and published as one version. It promises that afterwards
// every record is what the good revision would have made of it; Prove computes that
// counterfactual in another way, from the whole history, and compares digests. What
// cannot be known (history that is gone, a rebuild in between) is an error that says so,
// never a guess.
package revert
