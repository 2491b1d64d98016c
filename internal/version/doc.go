// Package version answers: what was the index, at any version, and who made it so?
//
// A version is one entry of a create-once ledger. The entry names the version
// whose state it starts from and carries a delta: every record it changes, with
// the image before and the image after, and the messages that caused it. So the
// state at any version is a base plus the deltas that follow it, a state can be
// walked backward as well as forward, and the states form a tree while the log
// itself never branches.
//
// The package promises that what it decodes is exactly what would be encoded
// again, and that a digest says equal only for equal records. It does not decide
// what a version should contain (package compact) and keeps no state (package state).
package version
