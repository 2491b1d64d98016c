package notify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"lockstep/internal/lockstep"
)

// Event says what an entry of the outbox does.
type Event string

// The events.
const (
	EventPut    Event = "put"     // a message, or further recipients of one
	EventClaim  Event = "claim"   // somebody is about to send
	EventSent   Event = "sent"    // the receiver has it
	EventFailed Event = "failed"  // an attempt came to nothing; there will be another
	EventGiveUp Event = "give-up" // there will be none
	EventRevive Event = "revive"  // a person wants it tried anew
)

// Format is the version of the entry format that this code writes and reads.
const Format = 1

const maxEntryBytes = 24 << 20

// Entry is one entry of the ledger of the outbox: what happened, and the complete state
// after it. The format is docs/format/outbox.md.
type Entry struct {
	Format    int       `json:"format"`
	MinReader int       `json:"min_reader"`
	Number    uint64    `json:"number"` // of the ledger entry
	Event     Event     `json:"event"`
	Message   string    `json:"message"`             // its ID
	Recipient string    `json:"recipient,omitempty"` // except of a put
	Actor     string    `json:"actor"`
	At        time.Time `json:"at"` // by the clock of the actor, UTC
	State     State     `json:"state"`
}

// Encode returns the ledger body of e.
func (e *Entry) Encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, fmt.Errorf("encode outbox entry %d: %w: %w", e.Number, lockstep.ErrInvalid, err)
	}
	return b.Bytes(), nil
}

// DecodeEntry reads a ledger body. It refuses unknown fields and newer formats
// (lockstep.ErrRefused): an older program must not act on what it does not understand.
// What it accepts encodes to the same bytes; all else is ErrCorrupt.
func DecodeEntry(body []byte) (*Entry, error) {
	if len(body) > maxEntryBytes {
		return nil, corrupt("%d bytes, at most %d", len(body), maxEntryBytes)
	}
	var probe struct {
		MinReader int `json:"min_reader"`
	}
	if err := json.Unmarshal(body, &probe); err != nil {
		return nil, corrupt("%w", err)
	}
	if probe.MinReader > Format {
		return nil, lockstep.Hint(
			fmt.Errorf("outbox entry: %w: it needs a reader of format %d, this program reads %d", lockstep.ErrRefused, probe.MinReader, Format),
			"install the lockstep release that wrote it, or a newer one")
	}
	e := &Entry{}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(e); err != nil {
		return nil, corrupt("%w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, corrupt("surplus bytes")
	}
	if err := e.check(); err != nil {
		return nil, err
	}
	if again, err := e.Encode(); err != nil || !bytes.Equal(again, body) {
		return nil, corrupt("entry %d is not written as it would be", e.Number)
	}
	return e, nil
}

func corrupt(format string, args ...any) error {
	return fmt.Errorf("outbox entry: %w: "+format, append([]any{lockstep.ErrCorrupt}, args...)...)
}

func (e *Entry) check() error {
	known := slices.Contains([]Event{EventPut, EventClaim, EventSent, EventFailed, EventGiveUp, EventRevive}, e.Event)
	switch {
	case e.Format < 1 || e.MinReader < 1 || e.Number == 0:
		return corrupt("format %d, least reader %d, number %d", e.Format, e.MinReader, e.Number)
	case !known || e.At.IsZero() || !idForm.MatchString(e.Message):
		return corrupt("entry %d: event %.40q of message %.80q at %s", e.Number, e.Event, e.Message, e.At)
	case (e.Event == EventPut) != (e.Recipient == ""):
		return corrupt("entry %d: a recipient belongs to every event but %s", e.Number, EventPut)
	}
	if err := oneLine("actor", e.Actor, maxValue); err != nil {
		return corrupt("entry %d: %w", e.Number, err)
	}
	if err := e.State.check(); err != nil {
		return corrupt("entry %d: %w", e.Number, err)
	}
	return nil
}
