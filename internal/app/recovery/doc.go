// Package recovery puts a rollback together: which steps there are in this environment,
// and what carries each of them out.
//
// It belongs to app, the only place that names adapters. It adds the targets that are made
// of Lockstep itself: the flag (the ledger of releases and the fence), the quarantine, the
// index, its proof, the follower and the watch. None of them calls the candidate, and all
// but the watch work with nothing but the store and this binary.
package recovery
