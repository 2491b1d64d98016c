// Package load answers: how many changes a second does a running server keep up
// with, and how long does each of them wait until it is in a published version?
//
// Traffic invents changes of receipts of its own, all under KeyPrefix, and Run sends
// them at given rates. The arrivals are open-loop: when a change is due is decided
// before the run by the rate and the seed, never by when an earlier one was answered,
// and its latency counts from that time. A server that stalls for a second therefore
// shows a second in the latencies of everything that was due meanwhile, also of what
// could not even be sent. Closed loops hide that (coordinated omission): they send
// less while the server is slow, and measure only what they sent.
//
// What it promises: the same seed, keys and options make the same changes in the same
// order, but for the numbers that have to grow from run to run (Traffic.Epoch); what
// is not answered is counted and never left out of a percentile; an objective without
// a single sample does not hold; and everything that is written can be found by its
// key and removed (Left, Removals).
//
// It starts no server and decides nothing about where it may run.
package load
