// Package change answers: what happened to which item, and what does the mirror
// of the table hold afterwards?
//
// It reads DynamoDB stream records in every JSON shape in which they travel and
// turns each into one lockstep.Message, or into one Malformed with the reason and
// the path at fault. It classifies items by key, folds changes into the mirrored
// item, and states how mirrored items, parked messages and malformed input are
// kept as records of the built-in collections.
//
// It promises three things. What cannot be read is set aside, never guessed at: a
// malformed record cannot erase anything (DOMAIN 2.6 and row 38 of 11: an
// unreadable new image once meant "every field is null"). What Decode accepts, it
// accepts again from Message.Body, with the same result, because replay, blame
// and proof read the archive and not the stream. And Merge gives the same item
// for the same changes in any order and any number of deliveries.
//
// It is pure: no clock, no files; the only input is the io.Reader given to Decode.
package change
