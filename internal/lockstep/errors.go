// Package lockstep is the vocabulary every other package speaks: ids, changes,
// messages, records, mutations and error classes. It decides nothing, does no
// I/O and imports only the standard library, so that any package may import it.
package lockstep

import "errors"

// The six classes of error. Packages wrap one of these in their own sentinels;
// exit status and HTTP status are chosen by class, in one place each.
var (
	// ErrNotFound says that the named thing does not exist.
	ErrNotFound = errors.New("not found")
	// ErrConflict says that somebody else was first; look again and decide anew.
	ErrConflict = errors.New("conflict")
	// ErrUnavailable says that the outcome is unknown or the other side did not
	// answer. It is the only class worth retrying unchanged.
	ErrUnavailable = errors.New("unavailable")
	// ErrCorrupt says that stored bytes are not what they claim to be.
	ErrCorrupt = errors.New("corrupt")
	// ErrRefused says that the request was understood and is not carried out.
	ErrRefused = errors.New("refused")
	// ErrInvalid says that the input breaks its own format or limits.
	ErrInvalid = errors.New("invalid")
)

type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

// Hint attaches to err a sentence that tells a person what to do next. The
// sentence is not part of err.Error(); HintOf reads it back. A nil err stays nil.
func Hint(err error, hint string) error {
	if err == nil {
		return nil
	}
	return hinted{err, hint}
}

// HintOf returns the outermost hint attached to err, or "".
func HintOf(err error) string {
	if h, ok := errors.AsType[hinted](err); ok {
		return h.hint
	}
	return ""
}
