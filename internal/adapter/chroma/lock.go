package chroma

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"lockstep/internal/durable"
	"lockstep/internal/lockstep"
)

// lockRoot makes root if it is missing and takes its lock file. ErrConflict when
// another follower is at work there; the lock ends with the process that holds it.
func lockRoot(root string) (unlock func(), err error) {
	if err := durable.MkdirAll(root); err != nil {
		return nil, fmt.Errorf("make follower directory: %w", err)
	}
	path := filepath.Join(root, lockName)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock follower: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close() // nothing was written
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = fmt.Errorf("%w: another follower holds %s", lockstep.ErrConflict, path)
			return nil, lockstep.Hint(err, "one process may follow into a directory at a time; wait for the other or stop it")
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	// Closing the file gives the lock back.
	return func() { _ = f.Close() }, nil
}
