// Package history answers: what happened to the index, to one record, and is it all
// true? It lists versions, shows one, compares two, names the writers of a record,
// searches for the version that broke something, and verifies the whole chain.
//
// All of it are queries over the log of versions and a view of the local state; none
// changes anything. What orders versions here is the tree of states and not the log:
// a reset makes the log visit a state twice, so whoever asks "since when?" must walk
// parents (TRAPS 4.4 T22). Results are structs with JSON names, for people and
// programs alike; an answer that retention has cut short says so.
package history
