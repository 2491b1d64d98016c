// Package incident answers: what went wrong, who did what about it and when, what is
// still to be done, and what shall everybody learn from it?
//
// An incident lasts from the first failing verdict, or a person's word, until somebody
// closes it. It is a ledger of its own, incident/<id>, every entry of which holds the
// complete state, so that one read opens it and its history is the ledger. The package
// records and renders. It judges nothing and moves nothing: verdicts, plans and proofs
// are told to it.
//
// # How it moves
//
//	open -> notes, decisions, marks, links, records, tasks, signatures -> closed
//	  ^------------------------------ reopen --------------------------------'
//
// The transitions (Open, AddNote, Decide, SetMark, SetAffected, AddLink, AddTask,
// FinishTask, Observe, SignItem, Close, Reopen) are pure functions from an Incident and
// an Order, which says who and when. Book.Do carries one out: it appends behind the
// entry that was decided on, and decides again when somebody else was first. One that
// would change nothing says Same, and nothing is appended, so that a machine may say
// what it knows as often as it likes.
//
// A release attempt has one incident at most, ever. Its number is taken by creating the
// first entry, so of two that open one for the same attempt, one creates it, and the
// other finds it. A new failure of an attempt whose incident is closed is a reason to
// reopen that one.
//
// # What it promises
//
// No secret is stored: every text goes through the redactor at the one door to the
// store, and a test finds the field that somebody forgets. Times are not guessed: a
// mark has a source, and one that is missing says why. The report is made anew from the
// state whenever it is asked for, until a person signs it; from then on it is the bytes
// that were signed, checked by their hash. What the machine knows, the report says in
// sentences. What it cannot know is a gap that names who has to fill it: the root cause
// is never made up.
package incident
