package drill

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

// Format is the version of the entry format that this code writes and reads.
const Format = 1

const (
	maxEntryBytes = 8 << 20
	// maxBooks bounds the environments that one store holds drills of.
	maxBooks = 16
)

// Entry is one entry of the ledger of drills: everything that is known after it. The
// format is docs/format/drill.md.
type Entry struct {
	Format    int       `json:"format"`
	MinReader int       `json:"min_reader"`
	Number    uint64    `json:"number"` // of the ledger entry
	At        time.Time `json:"at"`     // when it was written, by the clock of the writer
	Books     []Book    `json:"books"`  // by environment, sorted
}

// Book returns the drills of an environment.
func (e *Entry) Book(environment string) Book {
	if e != nil {
		if i, ok := e.find(environment); ok {
			return e.Books[i]
		}
	}
	return Book{Environment: environment}
}

func (e *Entry) find(environment string) (int, bool) {
	return slices.BinarySearchFunc(e.Books, environment, func(b Book, name string) int { return strings.Compare(b.Environment, name) })
}

// with returns the books with one more drill; e may be nil. The errors are those of
// Book.With, and ErrRefused for an environment too many.
func (e *Entry) with(d Drill) (next Entry, changed bool, err error) {
	b, changed, err := e.Book(d.Environment).With(d)
	if err != nil || !changed {
		return next, false, err
	}
	if e != nil {
		next.Books = slices.Clone(e.Books)
	}
	i, known := next.find(b.Environment)
	switch {
	case known:
		next.Books[i] = b
	case len(next.Books) == maxBooks:
		return next, false, fmt.Errorf("drill %s: %w: the store holds drills of %d environments already", d.ID, lockstep.ErrRefused, maxBooks)
	default:
		next.Books = slices.Insert(next.Books, i, b)
	}
	return next, true, nil
}

// Encode returns the ledger body of e.
func (e *Entry) Encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, fmt.Errorf("encode drill entry %d: %w: %w", e.Number, lockstep.ErrInvalid, err)
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
			fmt.Errorf("drill entry: %w: it needs a reader of format %d, this program reads %d", lockstep.ErrRefused, probe.MinReader, Format),
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
	return fmt.Errorf("drill entry: %w: "+format, append([]any{lockstep.ErrCorrupt}, args...)...)
}

func (e *Entry) check() error {
	switch {
	case e.Format < 1 || e.MinReader < 1 || e.Number == 0:
		return corrupt("format %d, least reader %d, number %d", e.Format, e.MinReader, e.Number)
	case e.At.IsZero():
		return corrupt("entry %d has no time", e.Number)
	case len(e.Books) == 0 || len(e.Books) > maxBooks:
		return corrupt("entry %d has %d books, want 1 to %d", e.Number, len(e.Books), maxBooks)
	}
	for i, b := range e.Books {
		if i > 0 && e.Books[i-1].Environment >= b.Environment {
			return corrupt("entry %d: the book of %.80q is out of order", e.Number, b.Environment)
		}
		if err := b.check(); err != nil {
			return corrupt("entry %d: %w", e.Number, err)
		}
	}
	return nil
}
