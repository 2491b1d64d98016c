package lockstep

import "time"

// Event is what happened to a table item.
type Event string

// The events of a DynamoDB stream.
const (
	Insert Event = "INSERT"
	Modify Event = "MODIFY"
	Remove Event = "REMOVE"
)

// Change is one before/after image of one table item.
type Change struct {
	Key    ItemKey
	Event  Event
	Entity string   // set by classification; "" is ignored by rule
	Seq    Sequence // the stream's sequence number: orders the changes of one item
	Old    Item     // nil when absent
	New    Item     // nil when absent
	At     time.Time
}

// Message is the envelope a change travels in.
type Message struct {
	// ID is the dedupe identity and the name by which blame speaks of it: the
	// stream's event id, or one derived from key and sequence number.
	ID string
	// Group is the key whose order must hold: the item's partition key.
	Group  string
	Source string // where it came from: "http", a file name, a shard
	Change Change
	Body   []byte // the stream record as received, compacted JSON; what the archive keeps
}

// Outcome is what became of one message.
type Outcome string

// Every message has exactly one outcome; all are counted and shown.
const (
	Applied     Outcome = "applied"   // a published record changed
	Unchanged   Outcome = "unchanged" // mirrored, and no published record had to change
	Duplicate   Outcome = "duplicate" // the item's last sequence number says: seen
	Stale       Outcome = "stale"     // older than what the mirror holds
	Ignored     Outcome = "ignored"   // not relevant by rule
	ParkedAway  Outcome = "parked"    // its handler failed, or an earlier message of its key waits
	BadInput    Outcome = "malformed" // not readable; kept with its reason
	ResolvedOut Outcome = "dropped"   // a parked message that a person gave up, with a reason
	// Rederived is the mark of a message that a revert or a rebuild handled again. Its body is
	// in the version that accepted it, and who replays that handles it there.
	Rederived Outcome = "rederived"
)

// Outcomes lists all outcomes in the order in which they are shown.
func Outcomes() []Outcome {
	return []Outcome{Applied, Unchanged, Duplicate, Stale, Ignored, ParkedAway, BadInput, ResolvedOut, Rederived}
}
