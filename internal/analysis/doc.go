// Package analysis answers: is the candidate worse than stable, and may we say so yet?
//
// It is arithmetic only: counts in, verdicts out, no clock and no I/O, so that whatever
// it decided can be computed again from what was recorded. Everything a guard measures
// becomes a yes or no per unit, a unit being what routing assigns (a batch, or one key
// per window; first attempts only), because ten records of one batch that fail together
// are one failure: counted as ten they roll back more than a third of all healthy releases.
//
// It promises that looking is free. All evidence is an e-value: a number that is 1 on
// average, or less, while the candidate is fine. By Ville's inequality the chance that it
// ever reaches 1/alpha is at most alpha, however often, however long and whenever anybody
// looks, so nothing here asks for a fixed sample size and nothing is spent by an early
// look. It promises exactness at low traffic: the tests condition on what happened in
// both arms together and use no normal approximation. And it promises that silence is not
// good news: no units, a control arm that is broken itself, or one key that is most of
// the traffic make the verdict Inconclusive, and only Pass advances a release.
//
// Evidence never grows twice from one window: it carries the number of the last window it
// has seen, and ignores a window that is replayed after a crash.
//
// What it does not do: count units, know revisions, keep the evidence of one revision
// apart from that of another, or act on a verdict.
package analysis
