// Package testreport answers: what did this test run say, and is it a reason to stop?
//
// It reads what runners print (pytest, go test as text and as JSON, JUnit XML) into one
// Report, and judges a report together with the exit status and with rules that say which
// tests are minor. Everything is pure: bytes in, values out.
//
// It promises:
//   - A run that ran no test is never passed. No data is not good news.
//   - The exit status is never overruled in silence. A status other than 0 is never passed,
//     also when no failure was found; a failure that was found counts, also when the status is 0.
//   - Only a failure that has a name can be minor. What was counted and not named, and what
//     was never run because the run ended early, blocks.
//
// It guards against the two ways in which a test gate lies: a suite that collected nothing
// is green, and one internal error hides behind a hundred passed tests. It does not run
// anything, and it trusts text no further than text goes: a test that prints the words of
// a failure is counted as one, since the other mistake is worse. JSON and XML do not have
// that doubt, and are read first where they are there.
package testreport
