package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	tempPrefix = "~" // no object key and no name of ours contains it
	tempSuffix = ".tmp"
)

// IsTemp says whether a file name is one that this package gives to what is not
// finished yet.
func IsTemp(name string) bool {
	return strings.HasPrefix(name, tempPrefix) && strings.HasSuffix(name, tempSuffix)
}

// Sweep removes from dir, but not from directories below it, the temporary files
// and links that crashed processes left behind: those older than age by the clock
// of the file system, which is the clock that dated them. Age must be longer than
// any write takes, because an unfinished write of a living process looks the same.
func Sweep(dir string, age time.Duration) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("sweep %s: %w", dir, err)
	}
	var now time.Time
	for _, e := range entries {
		if !IsTemp(e.Name()) {
			continue
		}
		if now.IsZero() {
			if now, err = clockOf(dir); err != nil {
				return fmt.Errorf("sweep %s: %w", dir, err)
			}
		}
		if err := sweepOne(dir, e, now.Add(-age)); err != nil {
			return fmt.Errorf("sweep %s: %w", dir, err)
		}
	}
	return nil
}

// sweepOne removes one temporary file made before the limit. Another process may
// sweep or finish it at the same time, so a missing one is success.
func sweepOne(dir string, e fs.DirEntry, limit time.Time) error {
	info, err := e.Info()
	if err == nil && info.ModTime().Before(limit) && !info.IsDir() {
		err = os.Remove(filepath.Join(dir, e.Name()))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// clockOf asks the file system for the time by making a file.
func clockOf(dir string) (time.Time, error) {
	name, err := disk{}.writeTemp(dir, nil)
	if err != nil {
		return time.Time{}, err
	}
	info, err := os.Stat(name)
	if err := errors.Join(err, os.Remove(name)); err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}

// writeTemp writes a body under a fresh temporary name and returns the name. It
// leaves nothing behind when it fails.
func (d disk) writeTemp(dir string, body []byte) (string, error) {
	return d.stage(dir, body, func(*os.File) error { return nil })
}

// writeTempSynced is writeTemp that syncs the content. It does so through the
// handle it wrote with, which alone is sure to be told of a failed write-back.
func (d disk) writeTempSynced(dir string, body []byte) (string, error) {
	return d.stage(dir, body, func(f *os.File) error {
		if err := d.step("sync file", f.Name()); err != nil {
			return err
		}
		return f.Sync()
	})
}

func (d disk) stage(dir string, body []byte, finish func(*os.File) error) (string, error) {
	name := tempName(dir)
	if err := d.step("write", name); err != nil {
		return "", err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return "", err
	}
	if _, err = f.Write(body); err == nil {
		err = finish(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(name))
	}
	return name, nil
}

func tempName(dir string) string {
	return filepath.Join(dir, tempPrefix+strconv.FormatUint(rand.Uint64(), 36)+tempSuffix)
}
