// Package suite answers: do the tests pass on what was brought back? It is the tests
// target of a rollback: each configured command is one step.
//
// It promises:
//   - A result counts for the command and for the tree it was made with. Look answers from
//     what was kept, and what was kept for another command or another tree is no result.
//   - A suite that ran no test has not passed, and a status other than 0 is never overruled
//     in silence (package testreport judges).
//   - What failed and blocks refuses the step with the failing tests named; what failed and
//     is minor by rule is done, with a note to fix it forward, as the rollback document
//     wants of minor tests and lint.
//   - A command and everything that it started are gone when Do returns.
//
// A command sees PATH, HOME, USER, LANG and TMPDIR and the variables that its settings
// name, and nothing else. Their values are struck out of all that is kept.
package suite
