package history

import (
	"bytes"
	"context"
	"encoding/json"

	"lockstep/internal/change"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// Message is one archived message.
type Message struct {
	ID      string           `json:"id"`
	Group   string           `json:"group,omitempty"`
	Source  string           `json:"source,omitempty"`
	Outcome lockstep.Outcome `json:"outcome,omitempty"`
	Reason  string           `json:"reason,omitempty"`
	Event   *Event           `json:"event,omitempty"` // absent when the message cannot be read
}

// Event is what a message says happened.
type Event struct {
	Entity   string            `json:"entity,omitempty"` // as the mirror has it, when this version wrote there
	Key      string            `json:"key"`              // the item's id in the table collection
	Event    lockstep.Event    `json:"event"`
	Sequence lockstep.Sequence `json:"sequence,omitempty"`
}

// messageOf describes message i of a delta.
func messageOf(ctx context.Context, d *version.Delta, i int, schema change.Schema) Message {
	a := &d.Messages[i]
	m := Message{ID: a.ID, Group: a.Group, Source: a.Source, Outcome: a.Outcome, Reason: a.Reason}
	m.Event = eventOf(ctx, a, schema)
	if m.Event != nil {
		m.Event.Entity = entityOf(d, i, m.Event.Key)
	}
	return m
}

// eventOf reads the body of an archived message, nil when it is not one change: the
// body of malformed input is kept too.
func eventOf(ctx context.Context, a *version.Archived, schema change.Schema) *Event {
	if !json.Valid(a.Body) {
		return nil
	}
	var out *Event
	for d, err := range change.Decode(ctx, bytes.NewReader(a.Body), a.Source, change.Options{Schema: schema}) {
		if err != nil || d.Bad != nil || out != nil {
			return nil
		}
		c := &d.Message.Change
		out = &Event{Key: c.Key.RecordID(), Event: c.Event, Sequence: c.Seq}
	}
	return out
}

// entityOf finds what classification called the item: the mirror keeps it.
func entityOf(d *version.Delta, cause int, key string) string {
	for i := range d.Mutations {
		m := &d.Mutations[i]
		if m.Collection != lockstep.Table || m.Cause != cause || m.ID != key || m.After == nil {
			continue
		}
		rec, err := version.DecodeRecord(m.ID, m.After)
		if err != nil {
			return ""
		}
		v, _ := rec.Metadata.Get("entity")
		return v.Str()
	}
	return ""
}
