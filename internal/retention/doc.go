// Package retention answers: what may be deleted, and when is it gone for good?
//
// It works by liveness, not by age alone (TRAPS 2.3, lance#8516): the head, every
// pinned version, every version younger than the horizon and every message that
// still waits to be replayed are roots, and what a root needs to be rebuilt stays.
// What stays can also be walked: from every root there is a way to the head, so a
// reset to it works and a follower at it can go on.
//
// It promises that a pin which was taken before a collection began wins, whatever
// the plan said (TRAPS 4.4 T17); that nothing younger than the longest job is taken
// for an orphan (T16); that ages are read off the store's clock (T24); that deleting
// is planned, stored, waited for, checked again, and then goes on wherever it was
// killed: entries are forgotten first and objects deleted second, so a crash leaves
// orphans and never a version that cannot be read.
//
// Nobody else deletes objects: not a failed commit and not a fenced writer. The
// formats are in docs/format/gc.md.
package retention
