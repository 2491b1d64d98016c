// Package notify answers: who has been told what, and who has not yet?
//
// Messages go through an outbox, a ledger in the store, so that none is lost when a
// receiver is down or the process is killed, and any process that finds the outbox goes
// on with it. It promises: a message that Put accepted stays until every recipient has
// it or was given up, and both are shown; the same ID put again changes nothing; a
// receiver that is down is asked again ever more rarely, not before the time that it
// named itself, and holds up no other one.
//
// # At least once
//
// A delivery is claimed by an entry before it is sent and settled by an entry after, so
// of any number of couriers one sends. Between the answer of the receiver and the second
// entry a kill leaves a delivery of which nobody knows whether it arrived. It is then
// sent again, once the claim has run out. Receivers that can tell, can tell by the ID:
//
//	webhook   the headers Idempotency-Key and Webhook-Id
//	email     the Message-ID, which is the same for every attempt
//	file      the content is looked at first
//	issue     a marker in the text of issues and comments, looked for first
//	slack     cannot: the message may appear twice after a kill at that place
//
// A claim ends by the clock of the couriers. Clocks that differ by more than the lease
// let two of them send one message; what the receivers can tell then holds as well.
//
// # What it does not do
//
// It knows no address and no secret: a recipient is a name, and whoever sends has the
// rest from the configuration. It writes no texts; they should be free of secrets
// before they come here. The format is docs/format/outbox.md.
package notify
