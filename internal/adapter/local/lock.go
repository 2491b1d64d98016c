package local

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lockstep/internal/lockstep"
)

const maxPidDigits = 20

// Lock takes the file path for this process alone, or returns ErrRefused at once
// with the id of the process that has it. The file is made when it is missing and
// stays; what counts is the kernel's lock on it, which ends with the process,
// however it ends. Release gives it up; it must be called once.
//
// It keeps two processes out of one data directory on one machine. It is not what
// makes the store safe: create-if-absent is.
func Lock(path string) (release func() error, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, classify(err))
	}
	if err := flock(f); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = lockstep.Hint(fmt.Errorf("%w: held by process %s", lockstep.ErrRefused, holder(f)),
				"wait for that process or stop it; only one may use the directory")
		}
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, classify(err)), f.Close())
	}
	// The content only informs people, so it is not synced.
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt(strconv.AppendInt(nil, int64(os.Getpid()), 10), 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: note the holder: %w", path, classify(err)), f.Close())
	}
	return func() error {
		// Emptied while still locked, so that nobody reads a holder who is gone.
		return errors.Join(f.Truncate(0), f.Close())
	}, nil
}

func flock(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// holder reads who wrote itself into the lock file. It is "unknown" in the moment
// between the lock and the note.
func holder(f *os.File) string {
	b, err := io.ReadAll(io.LimitReader(f, maxPidDigits))
	pid := strings.TrimSpace(string(b))
	if _, notNumber := strconv.Atoi(pid); err != nil || notNumber != nil {
		return "unknown"
	}
	return pid
}
