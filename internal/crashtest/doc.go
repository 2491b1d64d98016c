// Package crashtest kills the real program while it works, and asks afterwards: is
// everything that was acknowledged still there, and does every hash close?
//
// It has no code but its tests: they build the program, run it as a user would, and
// end it with SIGKILL at moments that nobody chose.
package crashtest
