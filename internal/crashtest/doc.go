// Package crashtest kills real processes and looks at what they leave behind.
//
// A server, built from cmd/lockstep, takes changes in over HTTP and is killed by SIGKILL at
// random moments, again and again; and this test binary, run a second time as an ingesting
// process, kills itself before and after every call that it makes of the object store and
// of the disk of its local state (TRAPS 4.14). After every death the store must hold all
// that was acknowledged, with its hashes closed, and the local state that survived must
// lead to the same index as one that is built anew.
//
// A release as well: the process that drives one is killed as soon as anything of it was
// written, until it is over, and then every transition is in its ledger one time.
//
// And a full rollback, its undo, and the undo of that: the process is killed as soon as its
// journal has some entry, a moment later, or by one of the programs that it runs, before,
// while or after they do their work. Then each step is done once, and everything ends as
// where nobody was killed.
//
// SIGKILL loses what a process has in memory and nothing that the kernel has. What a
// power loss takes besides is the matter of package durable.
package crashtest
