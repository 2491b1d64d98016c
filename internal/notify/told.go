package notify

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"lockstep/internal/rollback"
)

// kept is what the journal holds once everybody has it: the outbox forgets.
type kept struct {
	Told []telling `json:"told"`
}

type telling struct {
	Recipient string    `json:"recipient"`
	At        time.Time `json:"at"`
	Text      string    `json:"text,omitempty"`
	Link      string    `json:"link,omitempty"`
}

func (t *Target) told(k kept) rollback.Sight {
	s := rollback.Sight{State: Told}
	var all []string
	for _, w := range k.Told {
		text := fmt.Sprintf("%s has it since %s", w.Recipient, w.At.UTC().Format(time.RFC3339))
		if w.Text != "" {
			text += " (" + w.Text + ")"
		}
		all = append(all, w.Recipient)
		s.Evidence = append(s.Evidence, rollback.Evidence{Item: t.Item, OK: true, Text: text, Link: w.Link})
	}
	s.Detail = "told " + strings.Join(all, ", ")
	return s
}

// keptOf reads what an earlier Do kept. What does not concern all recipients is no use.
func keptOf(raw json.RawMessage, recipients []string) (kept, bool) {
	var k kept
	if len(raw) == 0 || json.Unmarshal(raw, &k) != nil {
		return kept{}, false
	}
	for _, r := range recipients {
		if !slices.ContainsFunc(k.Told, func(w telling) bool { return w.Recipient == r }) {
			return kept{}, false
		}
	}
	return k, true
}

// tellings returns who has got the message; false when one of the recipients has not.
func tellings(item Item, recipients []string) (kept, bool) {
	var k kept
	for _, r := range recipients {
		d, ok := item.To(r)
		if !ok || d.Status != Sent {
			return kept{}, false
		}
		k.Told = append(k.Told, telling{Recipient: r, At: d.Done, Text: d.Receipt.Text, Link: d.Receipt.Link})
	}
	return k, true
}

func missing(item Item, recipients []string) string {
	var parts []string
	for _, r := range recipients {
		d, ok := item.To(r)
		switch {
		case !ok:
			parts = append(parts, r+": not asked yet")
		case d.Status != Sent:
			parts = append(parts, Outcome{Ref{item.Message.ID, r}, d.Status, d.Attempts, Receipt{}, d.Error, d.Next}.describe())
		}
	}
	return strings.Join(parts, "; ")
}
