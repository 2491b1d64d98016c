package program

import (
	"errors"
	"fmt"

	"lockstep/internal/lockstep"
)

// Kind says how a program failed.
type Kind string

// The kinds of failure.
const (
	KindStart   Kind = "start"   // it could not be started, or did not describe itself as it must
	KindTimeout Kind = "timeout" // it did not answer in time
	KindCrash   Kind = "crash"   // it ended, or closed its output, before it had answered
	KindGarbage Kind = "garbage" // it answered what is not the protocol
	KindLimit   Kind = "limit"   // a request or an answer, or its use of the processor, is above a limit
)

// Failure is what a program did wrong in one call. It is the revision's failure and
// parks the unit; it is never lockstep.ErrUnavailable. The process that failed is
// gone, the next call gets a new one.
type Failure struct {
	Kind    Kind
	Program string   // Spec.Name
	Request string   // describe, reads or plan
	Reason  string   // one line, without the program's own words
	Stderr  []string // the last lines that it wrote to standard error, oldest first
}

// Error is one line; of the standard error it quotes the last line alone.
func (f *Failure) Error() string {
	text := fmt.Sprintf("program %s: %s: %s: %s", f.Program, f.Request, f.Kind, f.Reason)
	if n := len(f.Stderr); n > 0 {
		text += "; it said: " + f.Stderr[n-1]
	}
	return text
}

// Unwrap returns the class: ErrInvalid for what it answered, ErrRefused for what it
// did not do.
func (f *Failure) Unwrap() error {
	switch f.Kind {
	case KindGarbage, KindLimit:
		return lockstep.ErrInvalid
	case KindStart, KindTimeout, KindCrash:
		return lockstep.ErrRefused
	}
	return lockstep.ErrInvalid
}

// ErrClosed is returned by calls that Close breaks off or comes before. Nobody but
// Lockstep is to blame, so it parks nothing.
var ErrClosed = fmt.Errorf("program closed: %w", lockstep.ErrUnavailable)

// errLimit marks an answer that is above a limit.
var errLimit = errors.New("above a limit")
