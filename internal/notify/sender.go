package notify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

// Sender brings a message to one recipient. notifytest is the contract suite that every
// sender passes.
type Sender interface {
	// Send is called again with the same message when nobody knows whether it arrived; a
	// sender whose receiver can tell recognises it by the ID. After nil the receiver has
	// the message for good. ErrUnavailable: it may have it or not, and it is worth trying
	// again, not before the time that WaitOf gives. Another class: it never will be taken
	// as it is. The error of a ctx that ended is that of ctx.
	//
	// An error names the recipient and never its address: that may hold a secret.
	Send(ctx context.Context, m Message) (Receipt, error)
}

// Receipt is what the receiver said.
type Receipt struct {
	Text string `json:"text,omitempty"` // for people: "250 queued as 4711"
	Link string `json:"link,omitempty"` // where the message can be seen: the address of an issue, a file
}

const (
	maxReceipt = 500
	maxLink    = 2000
	maxError   = 500
)

// bounded returns r with texts that a state may hold.
func (r Receipt) bounded() Receipt {
	if len(r.Link) > maxLink || strings.ContainsFunc(r.Link, endsLine) {
		r.Link = "" // half an address leads nowhere
	}
	return Receipt{Text: Brief(r.Text, maxReceipt), Link: strings.ToValidUTF8(r.Link, "")}
}

// Brief returns text as one line of at most limit bytes: its beginning.
func Brief(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if endsLine(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit-3], "") + "..."
	}
	return text
}

// Wait is how long a receiver wants to be left alone: for a time, or until one. The
// later of the two counts.
type Wait struct {
	For   time.Duration
	Until time.Time
}

// MaxWait bounds what a receiver can ask for.
const MaxWait = 24 * time.Hour

// After returns the first time at which the receiver may be asked again, at most
// MaxWait after now.
func (w Wait) After(now time.Time) time.Time {
	at := now.Add(min(max(0, w.For), MaxWait))
	if w.Until.After(at) {
		at = w.Until
	}
	if last := now.Add(MaxWait); at.After(last) {
		return last
	}
	return at
}

type later struct {
	error
	wait Wait
}

func (l later) Unwrap() error { return l.error }

// Later attaches to err the time that the receiver asked for. A nil err stays nil.
func Later(err error, w Wait) error {
	if err == nil {
		return nil
	}
	return later{err, w}
}

// WaitOf returns what Later attached.
func WaitOf(err error) (Wait, bool) {
	l, ok := errors.AsType[later](err)
	return l.wait, ok
}

// Permanent says whether trying again is useless: the receiver understood and will not.
// An error of no class is worth a try.
func Permanent(err error) bool {
	if err == nil || errors.Is(err, lockstep.ErrUnavailable) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	for _, class := range []error{lockstep.ErrInvalid, lockstep.ErrRefused, lockstep.ErrNotFound, lockstep.ErrConflict, lockstep.ErrCorrupt} {
		if errors.Is(err, class) {
			return true
		}
	}
	return false
}

// FromStatus returns the error of an HTTP answer that is no success, of a class by its
// status: 408, 425, 429 and 5xx are worth trying again, after what Retry-After says;
// the others are not. said is what the receiver wrote, free of secrets.
func FromStatus(recipient string, status int, header http.Header, said string) error {
	if said = Brief(said, 200); said != "" {
		said = ": " + said
	}
	err := fmt.Errorf("%s: %w: status %d%s", recipient, classOf(status), status, said)
	if w, ok := retryAfter(header); ok && errors.Is(err, lockstep.ErrUnavailable) {
		err = Later(err, w)
	}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		err = lockstep.Hint(err, "look at the credentials of recipient "+recipient+" and what they allow")
	case http.StatusNotFound, http.StatusGone:
		err = lockstep.Hint(err, "look at the address of recipient "+recipient)
	}
	return err
}

func classOf(status int) error {
	switch {
	case status >= 500, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status == http.StatusTooEarly:
		return lockstep.ErrUnavailable
	case status == http.StatusNotFound, status == http.StatusGone:
		return lockstep.ErrNotFound
	case status == http.StatusBadRequest, status == http.StatusUnprocessableEntity, status == http.StatusRequestEntityTooLarge:
		return lockstep.ErrInvalid
	}
	return lockstep.ErrRefused
}

// retryAfter reads Retry-After (RFC 9110, 10.2.3). A date is taken relative to the Date
// of the same answer, since the clocks of two machines differ.
func retryAfter(header http.Header) (Wait, bool) {
	value := strings.TrimSpace(header.Get("Retry-After"))
	if s, err := strconv.ParseUint(value, 10, 32); err == nil {
		return Wait{For: time.Duration(s) * time.Second}, true
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return Wait{}, false
	}
	if sent, err := http.ParseTime(header.Get("Date")); err == nil {
		return Wait{For: at.Sub(sent)}, true
	}
	return Wait{Until: at}, true
}
