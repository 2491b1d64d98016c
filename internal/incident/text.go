package incident

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"lockstep/internal/lockstep"
	"lockstep/internal/redact"
)

// shape is what a text may look like in the store.
type shape struct {
	limit int  // bytes
	lines bool // it may have several lines
}

// The shapes of the texts of an incident.
const (
	MaxName = 256      // bytes of a name, an id, a word
	MaxLine = 1 << 10  // bytes of what is on one line
	MaxText = 4 << 10  // bytes of a note
	MaxLong = 16 << 10 // bytes of an analysis
)

func name() shape { return shape{MaxName, false} }
func line() shape { return shape{MaxLine, false} }
func text() shape { return shape{MaxText, true} }
func long() shape { return shape{MaxLong, true} }

// tidy returns s without what is no text: broken UTF-8, control characters, those that
// turn the direction of writing. A terminal and a page show the result as it is.
func (k shape) tidy(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\r\n", "\n")
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' && k.lines:
			return r
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, s)
	return strings.TrimSpace(s)
}

// store returns s as it is kept: tidied, without secrets, and cut. It is cut last, since
// half a secret has no shape by which it is found.
func (k shape) store(s string, r *redact.Redactor) string {
	for range 4 {
		next := k.cut(k.tidy(r.Text(s)))
		if next == s {
			return s
		}
		s = next
	}
	// What is left beside a cut looked like a secret, and so did what was left then.
	return redact.Marker(redact.KindText)
}

// kept returns a line as it is kept, so that it can be compared with one that was. A
// secret that only the redactor of the store was given makes the two differ, which
// costs an entry more.
func kept(s string) string { return line().store(s, nil) }

const ellipsis = "…"

// cut returns s, or as much of it as may be kept and an ellipsis. It leaves markers of
// the redactor whole.
func (k shape) cut(s string) string {
	if len(s) <= k.limit {
		return s
	}
	n := k.limit - len(ellipsis)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	if i := strings.LastIndexByte(s[:n], '['); i >= 0 && i+redact.MarkerAt(s[i:]) > n {
		n = i
	}
	return strings.TrimSpace(s[:n]) + ellipsis
}

// check returns ErrInvalid unless s is as store leaves it, secrets aside: what a secret
// looks like may be known better tomorrow.
func (k shape) check(s string) error {
	switch {
	case len(s) > k.limit:
		return fmt.Errorf("%w: %d bytes, at most %d", lockstep.ErrInvalid, len(s), k.limit)
	case s != k.tidy(s):
		return fmt.Errorf("%w: %.80q is not as it would be written", lockstep.ErrInvalid, s)
	}
	return nil
}

// want returns ErrInvalid unless a person's text can be kept whole.
func (k shape) want(what, s string) error {
	s = k.tidy(s)
	switch {
	case s == "":
		return lockstep.Hint(fmt.Errorf("%w %s: it is empty", lockstep.ErrInvalid, what), "say it; it is kept with the incident")
	case len(s) > k.limit:
		return lockstep.Hint(fmt.Errorf("%w %s: %d bytes, at most %d", lockstep.ErrInvalid, what, len(s), k.limit),
			"put it into a file and link that to the incident")
	}
	return nil
}

// plain strips what an entry cannot keep: the monotonic reading and the zone.
func plain(t time.Time) time.Time { return t.Round(0).UTC() }

func clockTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// span is a duration as people say it: "340 ms", "1.2 s", "1 m 12 s", "2 h 3 m", "3 d 4 h".
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "minus " + span(-d)
	case d == 0:
		return "0 s"
	case d < time.Millisecond:
		return "under 1 ms"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%g s", float64(d.Truncate(100*time.Millisecond))/float64(time.Second))
	}
	seconds := int64(d / time.Second)
	two := func(a int64, unit string, b int64, small string) string {
		if b == 0 {
			return fmt.Sprintf("%d %s", a, unit)
		}
		return fmt.Sprintf("%d %s %d %s", a, unit, b, small)
	}
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", seconds)
	case d < time.Hour:
		return two(seconds/60, "m", seconds%60, "s")
	case d < 24*time.Hour:
		return two(seconds/3600, "h", seconds/60%60, "m")
	}
	return two(seconds/86400, "d", seconds/3600%24, "h")
}

// count is a number with its noun: "1 record", "1,204 records".
func count[N int | uint64](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return number(n) + " " + noun + "s"
}

// number groups the digits of n by threes.
func number[N int | uint64](n N) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// list joins words as a sentence does: "a, b and c".
func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}
