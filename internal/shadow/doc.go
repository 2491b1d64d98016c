// Package shadow answers "what would the candidate have done differently, and is that
// wrong?" from answers to the same unit of work: stable's, stable's once more, the
// candidate's and, where somebody re-derived the records from the table, the table's.
//
// It compares what answers do to the records and not the mutations: two answers that leave
// the same records are equal. What differs is named by a class, such as
// lines/metadata.merchant_name/value, which stays the same from run to run, so that people
// can accept a class by name, with a reason and an end. What stable answers differently
// from itself is noise, and is held against the candidate only where the candidate has
// more of it: the two counts go into the sign test of package analysis.
//
// A Tally holds what was seen and judges nothing: acceptances apply when it is read, so
// accepting a class clears, and an acceptance that ends restores, all that was counted.
// Tallies merge in any grouping to the same tally, and have a bounded size.
//
// The package is pure. Running the candidate, off the path of the batch, is the work of
// who assembles it; Queue and Order are what it needs for that.
package shadow
