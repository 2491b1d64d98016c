package chroma

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// copyDirectory copies the database of a Chroma directory and those of its folders
// that are named in folders. Never by hard link: Chroma rewrites segment files in
// place when somebody opens the old directory (CHROMA 5.8).
//
// The database comes last: SQLite's locks are POSIX locks, which the caller's
// process loses as soon as any descriptor of that file is closed.
func copyDirectory(ctx context.Context, from, to string, folders []string) error {
	for _, folder := range folders {
		if err := copyFolder(ctx, filepath.Join(from, folder), filepath.Join(to, folder)); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return copyFile(filepath.Join(from, databaseName), filepath.Join(to, databaseName))
}

// copyFolder copies the regular files of one folder; a missing one is no error,
// since Chroma makes a segment folder only when it first needs it.
func copyFolder(ctx context.Context, from, to string) error {
	entries, err := os.ReadDir(from)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	if err := os.Mkdir(to, 0o755); err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !e.Type().IsRegular() {
			continue
		}
		if err := copyFile(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// copyFile copies one file to a path that must be free. On Linux io.Copy between
// files is copy_file_range, which shares the blocks where the file system can
// (btrfs, XFS), so that a large directory costs little.
func copyFile(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	defer func() { _ = src.Close() }() // only read from
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	_, err = io.Copy(dst, src)
	if err := errors.Join(err, dst.Close()); err != nil {
		return fmt.Errorf("copy %s to %s: %w", from, to, err)
	}
	return nil
}
