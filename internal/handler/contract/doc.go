// Package contract answers "does this handler keep the contract of package handler?"
// for a handler that nobody has tested here: the candidate of a release, before it sees
// traffic. It asks what it can ask from outside: whether the handler is pure, stable,
// harmless on a redelivery, at home with removals and with unknown entities, and ends
// when it is told to.
//
// Every check is a sentence that is true of a good handler; one that is not true comes
// back as an error that says what was seen. No check can prove the sentence: it is true
// of the fixture's messages, so a fixture is worth what it reaches. Package handlertest
// runs the same checks as a test, with orders drawn by rapid and shrunk.
//
// Index is the model by which results are judged.
package contract
