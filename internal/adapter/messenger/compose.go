package messenger

import (
	"bytes"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"time"

	"lockstep/internal/notify"
)

// compose returns m as a mail. The same message is the same bytes in every attempt.
func (e *Email) compose(m notify.Message) ([]byte, error) {
	var b bytes.Buffer
	for _, h := range [][2]string{
		{"From", e.from.String()},
		{"To", addresses(e.to)},
		{"Subject", mime.QEncoding.Encode("utf-8", m.Subject)},
		{"Date", m.At.UTC().Format(time.RFC1123Z)},
		{"Message-ID", e.messageID("message", m.ID)},
		{"References", e.messageID("topic", m.Thread())},
		{"In-Reply-To", e.messageID("topic", m.Thread())},
		{"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"},
		{"Content-Transfer-Encoding", "quoted-printable"},
		{"Auto-Submitted", "auto-generated"}, // no machine answers (RFC 3834)
		{"X-Lockstep-Message", m.ID},
	} {
		// Every value is checked or encoded before; this is the last look.
		if strings.ContainsAny(strings.ReplaceAll(h[1], "\r\n ", ""), "\r\n") {
			return nil, fmt.Errorf("header %s has a line break", h[0])
		}
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	b.WriteString("\r\n")
	q := quotedprintable.NewWriter(&b)
	if _, err := q.Write([]byte(m.Plain() + "\n-- \n" + m.ID + "\n")); err != nil {
		return nil, err
	}
	if err := q.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// addresses joins addresses, one on a line: a header's line must not become too long.
func addresses(all []*mail.Address) string {
	var texts []string
	for _, a := range all {
		texts = append(texts, a.String())
	}
	return strings.Join(texts, ",\r\n ")
}

// messageID is that of a thing of a kind, the same each time.
func (e *Email) messageID(kind, id string) string {
	domain := e.from.Address[strings.LastIndexByte(e.from.Address, '@')+1:]
	return "<" + keyFor(kind+" "+id) + "@" + domain + ">"
}
