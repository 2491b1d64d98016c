// Package drill answers: has the way back been walked lately, how did it go, and when
// shall it be walked again?
//
// A drill is a rollback that nobody needs: a bad revision is injected on a branch of
// the store, and the plan for getting back is carried out there. The package runs
// none. It keeps what came of them, and decides from it: Gate refuses a release when
// the last drill that passed is too old or the newest one failed, Due says when the
// next one may begin, and Statistics tells how long the way back takes.
//
// What it promises: a drill is recorded once, also when whoever ran it was killed and
// tries again; one without a result is a drill all the same, and neither opens the gate
// nor hides an earlier failure; nothing passes that was not compared with the
// counterfactual and found equal; a quantile is one of the times that were measured,
// and says so when it is of fewer than Enough.
//
// A schedule never lets a drill begin while a release or an incident is under way, and
// a drill that could not run is late, not skipped.
package drill
