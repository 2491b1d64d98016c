// Package meter reads the samples that guards judge from Prometheus, from any HTTP
// endpoint and from a command. All satisfy guard.Meter and run guardtest's suite.
//
// It answers one question, "what does this source say about that window?", and promises
// what a guard needs for an honest verdict: no data is an empty answer and never an
// error, a value or a panic; a value that is no number stays none; a source that does
// not answer, refuses or talks nonsense is an error of a class, so that the guard is
// broken and neither fails nor passes. Peers have shown each of these the other way
// round (PEERS 1e: provider errors counted as failures, or recorded as zeros).
//
// An answer is limited in bytes, series and samples before it is read. Only the
// configured host is called: redirects are not followed, and a question cannot leave
// its base address. What a source says in an error is shown with every configured
// secret struck out. Constructors call nobody.
package meter
