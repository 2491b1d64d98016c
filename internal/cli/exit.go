package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"lockstep/internal/app"
	"lockstep/internal/lockstep"
)

// The exit statuses, as DESIGN 12 lists them. They are an interface: scripts depend
// on them.
const (
	exitOK          = 0
	exitError       = 1
	exitUsage       = 2
	exitAuth        = 3
	exitRolledBack  = 4
	exitRefused     = 5
	exitNotFound    = 6
	exitCancelled   = 8
	exitTimeout     = 9
	exitHeld        = 10
	exitBusy        = 11
	exitIncomplete  = 12
	exitInterrupted = 130
)

// exitTable is what "lockstep help exit-status" prints.
const exitTable = `  0  done
  1  an error: nothing else fits, or something stored is corrupt
  2  the command line or a file is not valid
  3  not authorised
  4  guards failed and the release was rolled back
  5  refused: possible, but a rule or a missing consent forbids it
  6  not found
  8  cancelled
  9  out of time
 10  held: waiting for evidence or for a person
 11  busy: another process was first or is at work; try again
 12  a rollback is incomplete
130  interrupted twice
`

// usageError is a mistake in the command line.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

// silentError has been explained already; only its status is left to say.
type silentError struct {
	error
	status int
}

func (s silentError) Unwrap() error { return s.error }

func isSilent(err error) bool {
	var s silentError
	return errors.As(err, &s)
}

// exitOf is the one place where an error becomes an exit status.
func exitOf(ctx context.Context, err error) int {
	var usage usageError
	var silent silentError
	switch {
	case errors.As(err, &silent):
		return silent.status
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return exitCancelled
	case errors.Is(err, context.DeadlineExceeded):
		return exitTimeout
	case errors.Is(err, lockstep.ErrNotFound):
		return exitNotFound
	case errors.Is(err, lockstep.ErrInvalid):
		return exitUsage
	case errors.Is(err, app.ErrUnauthorised):
		return exitAuth
	case errors.Is(err, app.ErrBusy):
		return exitBusy
	case errors.Is(err, lockstep.ErrRefused):
		return exitRefused
	case errors.Is(err, lockstep.ErrConflict), errors.Is(err, lockstep.ErrUnavailable):
		return exitBusy
	}
	return exitError
}

// explain writes the error, and what to do about it.
func explain(w io.Writer, err error) {
	fmt.Fprintf(w, "lockstep: %v\n", err)
	if h := lockstep.HintOf(err); h != "" {
		fmt.Fprintf(w, "hint: %s\n", h)
	}
}
