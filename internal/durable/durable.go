// Package durable answers one question: is it on the disk? It is the only place
// that syncs files and directories.
//
// It promises that whatever it reports as done survives a power loss, and that no
// reader ever sees half of a file: bodies are written under a temporary name,
// synced, and only then given their own name, which is synced too (TRAPS T20).
//
// A directory whose sync failed may hold names that vanish at the next power
// loss, and asking again does not help: kernels report such a failure once and
// then forget it. Nothing built on top can be trusted any more, so a failed
// directory sync panics and ends the process. A file whose sync failed had only
// a temporary name and is thrown away.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"lockstep/internal/lockstep"
)

// CreateNew writes body to a file that does not exist yet. After nil the file
// survives a power loss. The error wraps fs.ErrExist when the name was taken; the
// file that took it is unchanged, and its name is synced. Any other error may
// leave the file created or not; it is never left half written.
func CreateNew(path string, body []byte) error {
	return CreateNewVia(filepath.Dir(path), path, body)
}

// CreateNewVia is CreateNew with its temporary file in the directory staging, so
// that what a crash leaves behind gathers in one place that Sweep can empty
// without a walk. Staging must be on the file system of path.
func CreateNewVia(staging, path string, body []byte) error {
	if err := (disk{}).createNew(staging, path, body); err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	return nil
}

// Replace writes body to path, whether or not a file is there. After nil the new
// content survives a power loss. After an error the file is the old one or the
// new one, whole.
func Replace(path string, body []byte) error {
	if err := (disk{}).replace(path, body); err != nil {
		return fmt.Errorf("replace %s: %w", path, err)
	}
	return nil
}

// ReplaceUnsynced is Replace for content that may be lost: readers never see a
// mixture while the machine is up, but after a power loss the file may be old,
// missing or empty. Its temporary file is made in the directory staging.
func ReplaceUnsynced(staging, path string, body []byte) error {
	if err := (disk{}).replaceUnsynced(staging, path, body); err != nil {
		return fmt.Errorf("replace %s: %w", path, err)
	}
	return nil
}

// SyncDir makes the names in a directory survive a power loss. It panics when the
// sync itself fails, and returns an error when the directory cannot be opened or
// its file system cannot sync directories at all.
func SyncDir(path string) error { return disk{}.syncDir(path) }

// SyncFile makes the content of a file that was written by other means survive a
// power loss; its name needs SyncDir of its directory.
func SyncFile(path string) error { return disk{}.syncFile(path) }

// disk performs the steps of every operation. The zero value is the real thing.
// Tests set hook: it is told every step before it happens and may fail it.
type disk struct {
	hook func(step string, paths ...string) error
}

func (d disk) step(name string, paths ...string) error {
	if d.hook == nil {
		return nil
	}
	return d.hook(name, paths...)
}

func (d disk) createNew(staging, path string, body []byte) error {
	tmp, err := d.writeTempSynced(staging, body)
	if err != nil {
		return err
	}
	linked := d.link(tmp, path)
	if linked != nil && sameFile(tmp, path) {
		// The answer was lost and a retry below us, such as NFS does, met our own
		// file: the name and the temporary name are one file, so we won.
		linked = nil
	}
	if linked != nil && !errors.Is(linked, fs.ErrExist) {
		return errors.Join(linked, d.remove(tmp))
	}
	// A lost race is synced as well: who is told that the name is taken will build
	// on what took it, and its creator may not have come to the sync yet.
	if err := d.syncDir(filepath.Dir(path)); err != nil {
		return errors.Join(linked, err, d.remove(tmp))
	}
	// The file has its own name now; a temporary name that stays is swept later.
	_ = d.remove(tmp)
	return linked
}

func (d disk) replace(path string, body []byte) error {
	dir := filepath.Dir(path)
	tmp, err := d.writeTempSynced(dir, body)
	if err != nil {
		return err
	}
	if err := d.rename(tmp, path); err != nil {
		return errors.Join(err, d.remove(tmp))
	}
	return d.syncDir(dir)
}

func (d disk) replaceUnsynced(staging, path string, body []byte) error {
	tmp, err := d.writeTemp(staging, body)
	if err != nil {
		return err
	}
	if err := d.rename(tmp, path); err != nil {
		return errors.Join(err, d.remove(tmp))
	}
	return nil
}

func (d disk) syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	// A handle that was only read through and synced has nothing left to lose.
	defer func() { _ = f.Close() }()
	err = d.step("sync dir", path)
	if err == nil {
		err = f.Sync()
	}
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return lockstep.Hint(fmt.Errorf("sync directory %s: %w: %w", path, lockstep.ErrRefused, err),
			"choose a directory on a file system that can sync directories")
	}
	if err != nil {
		panic(fmt.Sprintf("sync directory %s: %v; what was reported as stored may not be, so this process ends", path, err))
	}
	return nil
}

func (d disk) syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	if err = d.step("sync file", path); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func (d disk) link(tmp, path string) error {
	if err := d.step("link", tmp, path); err != nil {
		return err
	}
	return os.Link(tmp, path)
}

func (d disk) rename(from, to string) error {
	if err := d.step("rename", from, to); err != nil {
		return err
	}
	return os.Rename(from, to)
}

func (d disk) remove(path string) error {
	if err := d.step("remove", path); err != nil {
		return err
	}
	return os.Remove(path)
}

func sameFile(a, b string) bool {
	fa, errA := os.Lstat(a)
	fb, errB := os.Lstat(b)
	return errA == nil && errB == nil && os.SameFile(fa, fb)
}
