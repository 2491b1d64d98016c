// Package program answers: how can any program, in any language, be a handler?
//
// It starts the program, speaks "lockstep-exec/1" with it (docs/format/exec.md: one
// JSON line in, one JSON line out) and gives it the face of handler.Handler, so that
// a revision in Python is released, shadowed and taken back like one in Go.
//
// It promises that a bad program costs its own calls and nothing else. A call ends
// when its time is over or its context ends, whatever the program does; the process
// group is killed then and replaced. What a program writes is bounded everywhere:
// an answer by its length and its number of mutations, standard error by a ring of
// which nobody waits. Its environment is what the configuration names and nothing
// of ours. No process outlives Close, nor, on Linux, Lockstep itself.
//
// It promises that a revision is what it says it is: the files of the program are
// hashed before every start, and a process that runs other files than the first one
// or describes itself differently is not used.
//
// Every failure here is the failure of the revision: none is
// lockstep.ErrUnavailable, because the compactor would wait for that to go away
// while the stream stands still. Only what Lockstep itself breaks off (a cancelled
// context, Close) is not held against it.
//
// It is no sandbox. Limits catch accidents; a program that means harm has the
// rights of the user that Lockstep runs as.
package program
