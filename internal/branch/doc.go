// Package branch answers: what would be true if this were done?
//
// A branch is a store and a local state that begin as those of one version and go their
// own way from there. Real compactors work on it, on the real history, and nothing of it
// reaches the store that it was taken from. Reverts are worked out on one, proofs and
// drills run on one.
//
// It promises that taking one costs the same at any size of the index: objects are read
// through and files of the local state are linked, not copied. What is written to it is
// in memory, and gone with it.
package branch
