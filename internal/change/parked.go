package change

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

// Parked is a message that was set aside, and why.
type Parked struct {
	Message  lockstep.Message
	Reason   string
	Arrival  uint64    // order of arrival; the caller counts it up
	At       time.Time // when it was parked
	Attempts int       // how often its handler was tried
	Blocked  bool      // its handler never failed: an earlier message of its key waits
}

// The metadata keys of a parked message that no other record has.
const (
	fieldAttempts = "attempts"
	fieldBlocked  = "blocked"
	fieldGroup    = "group"
	fieldMessage  = "message"
)

const arrivalDigits = 20 // of the largest uint64

// ParkedPrefix begins the ids of the parked messages of one group, and of no other.
func ParkedPrefix(group string) string {
	return lockstep.ItemKey{Partition: group}.RecordID()
}

// ParkedGroup returns the group of a record of lockstep.Parked.
func ParkedGroup(r lockstep.Record) string { return text(r.Metadata, fieldGroup) }

// ParkedRecord returns p as a record of lockstep.Parked. Its id puts the messages
// of a group next to each other, in their order of arrival. The document is the
// message body. A reason longer than MaxReasonBytes is cut.
func ParkedRecord(p Parked) lockstep.Record {
	str := func(s string) lockstep.Value { return lockstep.String(strings.ToValidUTF8(s, "\uFFFD")) }
	m := p.Message
	return lockstep.Record{
		ID:          ParkedPrefix(m.Group) + fmt.Sprintf("%0*d|", arrivalDigits, p.Arrival) + m.ID,
		Document:    string(m.Body),
		HasDocument: true,
		Metadata: lockstep.Metadata{
			{Key: fieldAt, Value: lockstep.String(p.At.UTC().Format(time.RFC3339Nano))},
			{Key: fieldAttempts, Value: lockstep.Int(int64(p.Attempts))},
			{Key: fieldBlocked, Value: lockstep.Bool(p.Blocked)},
			{Key: fieldEntity, Value: str(m.Change.Entity)},
			{Key: fieldGroup, Value: str(m.Group)},
			{Key: fieldMessage, Value: str(m.ID)},
			{Key: fieldReason, Value: str(clip(p.Reason, MaxReasonBytes))},
			{Key: fieldSource, Value: str(m.Source)},
		},
	}
}

// ParseParked is the reverse of ParkedRecord; it reads the message out of its body
// again. It returns lockstep.ErrCorrupt for anything that ParkedRecord would not write.
func ParseParked(r lockstep.Record, schema Schema) (Parked, error) {
	p, reason := parseParked(r, schema)
	if reason == "" && !sameRecord(ParkedRecord(p), r) {
		reason = "not in the form in which it is written"
	}
	if reason != "" {
		return Parked{}, fmt.Errorf("parse parked record %.80q: %w: %s", r.ID, lockstep.ErrCorrupt, reason)
	}
	return p, nil
}

func parseParked(r lockstep.Record, schema Schema) (p Parked, reason string) {
	m, f := reader{schema: resolve(schema), limits: stored()}.record(r.Document)
	if f != nil {
		return p, "the document is not a message: " + f.Error()
	}
	m.Body = []byte(r.Document) // as it was parked, also when a decoder would write it otherwise
	m.Source = text(r.Metadata, fieldSource)
	m.Change.Entity = text(r.Metadata, fieldEntity)
	p.Message = m
	rest, ok := strings.CutPrefix(r.ID, ParkedPrefix(m.Group))
	if !ok || len(rest) < arrivalDigits {
		return p, "the id does not name the message's group and arrival"
	}
	var err error
	if p.Arrival, err = strconv.ParseUint(rest[:arrivalDigits], 10, 64); err != nil {
		return p, "the id has no order of arrival"
	}
	if p.At, err = time.Parse(time.RFC3339Nano, text(r.Metadata, fieldAt)); err != nil {
		return p, "at is not a time"
	}
	attempts, _ := r.Metadata.Get(fieldAttempts)
	p.Attempts = int(attempts.Int())
	blocked, _ := r.Metadata.Get(fieldBlocked)
	p.Blocked = blocked.Bool()
	p.Reason = text(r.Metadata, fieldReason)
	return p, ""
}
