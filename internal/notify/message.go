package notify

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"lockstep/internal/lockstep"
)

// Message is one thing to tell. Its ID names the event and not the text: "incident
// prod-3 rolled-back". There is one message of an ID, whoever makes it and however often.
type Message struct {
	ID string `json:"id"`
	// Topic is what the message is about, "incident prod-3": messages of one topic become
	// one thread of mail, or one issue and its comments. "": the message stands alone.
	Topic string `json:"topic,omitempty"`
	Kind  string `json:"kind"` // what happened, in one word: "rolled-back"; recipients choose by it
	// Subject is one line. Text is plain; Markdown, when there is one, says the same with
	// more to it, for receivers that can show it.
	Subject  string    `json:"subject"`
	Text     string    `json:"text,omitempty"`
	Markdown string    `json:"markdown,omitempty"`
	At       time.Time `json:"at"` // when it happened, not when it is sent
	Fields   []Field   `json:"fields,omitempty"`
}

// Field is a fact with a name, shown as a line of its own.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Bounds of a message.
const (
	MaxID       = 200
	MaxSubject  = 250
	MaxText     = 32 << 10
	MaxMarkdown = 60_000 // an issue holds 65,536 characters, markers included
	MaxFields   = 20
	maxName     = 80
	maxValue    = 1000
)

var (
	idForm        = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9 ._:/@+-]*[A-Za-z0-9.+])?$`)
	kindForm      = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)
	recipientForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$`)
)

// Check returns ErrInvalid, and what is wrong, unless m can be put.
func (m Message) Check() error {
	if err := m.checkNames(); err != nil {
		return err
	}
	if m.At.IsZero() {
		return invalid(m.ID, "it has no time")
	}
	if err := oneLine("subject", m.Subject, MaxSubject); err != nil {
		return invalid(m.ID, "%w", err)
	}
	for _, t := range []struct {
		what, text string
		limit      int
	}{{"text", m.Text, MaxText}, {"markdown", m.Markdown, MaxMarkdown}} {
		if len(t.text) > t.limit {
			return invalid(m.ID, "its %s has %d bytes, at most %d", t.what, len(t.text), t.limit)
		}
		if !utf8.ValidString(t.text) || strings.ContainsRune(t.text, 0) {
			return invalid(m.ID, "its %s is not UTF-8 text", t.what)
		}
	}
	if len(m.Fields) > MaxFields {
		return invalid(m.ID, "it has %d fields, at most %d", len(m.Fields), MaxFields)
	}
	for _, f := range m.Fields {
		if err := oneLine("name of a field", f.Name, maxName); err != nil {
			return invalid(m.ID, "%w", err)
		}
		if err := oneLine("field "+f.Name, f.Value, maxValue); err != nil {
			return invalid(m.ID, "%w", err)
		}
	}
	return nil
}

func (m Message) checkNames() error {
	switch {
	case len(m.ID) > MaxID || !idForm.MatchString(m.ID):
		return fmt.Errorf("%w id of a message %.80q: want 1 to %d letters, digits, spaces or ._:/@+-, a letter or digit first", lockstep.ErrInvalid, m.ID, MaxID)
	case m.Topic != "" && (len(m.Topic) > MaxID || !idForm.MatchString(m.Topic)):
		return invalid(m.ID, "its topic %.80q is not made like an id", m.Topic)
	case !kindForm.MatchString(m.Kind):
		return invalid(m.ID, "its kind %.80q is not a word of a-z 0-9 -", m.Kind)
	}
	return nil
}

// Thread is what the message is about: its topic, or itself.
func (m Message) Thread() string {
	if m.Topic != "" {
		return m.Topic
	}
	return m.ID
}

// CheckRecipient returns ErrInvalid unless name can name a recipient: 1 to 63 of
// a-z 0-9 . _ -, a letter or digit at both ends.
func CheckRecipient(name string) error {
	if !recipientForm.MatchString(name) {
		return fmt.Errorf("%w recipient %.80q: want 1 to 63 of a-z 0-9 . _ -, a letter or digit at both ends", lockstep.ErrInvalid, name)
	}
	return nil
}

// CheckKind returns ErrInvalid unless kind can be the kind of a message: a word of at
// most 40 of a-z 0-9 -, a letter first.
func CheckKind(kind string) error {
	if !kindForm.MatchString(kind) {
		return fmt.Errorf("%w kind of message %.80q: want a word of at most 40 of a-z 0-9 -", lockstep.ErrInvalid, kind)
	}
	return nil
}

// oneLine refuses what could end a header or a line early.
func oneLine(what, text string, limit int) error {
	switch {
	case strings.TrimSpace(text) == "":
		return fmt.Errorf("its %s is empty", what)
	case strings.TrimSpace(text) != text:
		return fmt.Errorf("its %s %.80q begins or ends with a space", what, text)
	case len(text) > limit:
		return fmt.Errorf("its %s has %d bytes, at most %d", what, len(text), limit)
	case !utf8.ValidString(text):
		return fmt.Errorf("its %s is not UTF-8 text", what)
	case strings.ContainsFunc(text, endsLine):
		return fmt.Errorf("its %s %.80q is not one line", what, text)
	}
	return nil
}

func endsLine(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }

func invalid(id, format string, args ...any) error {
	return fmt.Errorf("message %q: %w: "+format, append([]any{id, lockstep.ErrInvalid}, args...)...)
}
