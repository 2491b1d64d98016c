// Package faults answers: what happens when a bad revision is released?
//
// It holds a catalogue of faults, as data: the ways in which the code of the legacy
// pipeline went wrong and what such code does wrong in general, each as a candidate that
// is released over a good stable, and a few faults of the surroundings that must be held
// against nobody. Each says which guard must catch it and how much it may harm before.
//
// Run releases each of them on invented traffic, on a real server with its store and its
// ledgers, and measures: which guard caught it, in which step, after how many units, how
// many published records differ from what stable alone would have made of the same
// messages, and for how long the candidate wrote. Then it takes back what a bad one decided,
// and measures what is wrong after that, how long it took, and whether the digest is that of
// the counterfactual: nothing may be left, whatever the fault. Since a guard that works leaves
// little to take back, it does the same where nobody guards. HealthyRate releases candidates
// that are good, and counts those that were rolled back all the same.
//
// It promises that a fault which nobody catches is a row like any other that says so. It
// does not say how likely a fault is, nor that faults which are not in it are caught.
package faults
