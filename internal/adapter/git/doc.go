// Package git takes code back with the git program on a real repository. It answers: to
// which commit, by which commits, and is the working tree really there?
//
// It promises four things. The point to go back to is found by a rule that is told in
// words, never by counting backwards from HEAD; where two rules disagree it lists the
// candidates and asks. The branch that somebody works on is left where it is, unless the
// configuration asks for the opposite; the result is a branch of its own, and the old head
// has a name. Nothing that is not committed is overwritten or stashed: such a tree is
// refused, with the list. And done is what the tree hashes of the named paths say, not
// that the commands ended well.
//
// # How a revert is made
//
// The commits of option A are made in the object database, without touching a file: each
// is the merge that "git revert" would make, by "git merge-tree". So a conflict is found
// before anything has changed, a kill in the middle leaves objects that nothing names, and
// doing it again makes the same commits, since their date is that of the plan. One
// creation of one branch publishes them, and one switch of the working tree follows. It
// is the only part that can be half done, and what it leaves is told from somebody's work
// by content: a file that is neither as before nor as after is somebody's.
//
// # What it does not do
//
// It calls no remote: nothing is fetched or pushed. It runs no hook unless told to, reads
// no configuration of the system, and asks nobody anything. Submodules stay as they are.
package git
