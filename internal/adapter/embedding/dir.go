package embedding

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"lockstep/internal/lockstep"
)

// Dir is a local directory that stands for a bucket: keys are slash-separated paths
// below it. Nothing outside it can be reached, and symbolic links are refused, also
// those that stay inside: an object store has none.
type Dir string

var _ Objects = Dir("")

// maxListed bounds a listing.
const maxListed = 100_000

// Open implements Objects. ErrNotFound: there is no such file. ErrInvalid: the key
// is not one. ErrRefused: a symbolic link, or no regular file. ErrUnavailable: the
// directory itself is not there, as when it is not mounted.
func (d Dir) Open(ctx context.Context, key string) (io.ReadCloser, int64, error) {
	if err := errors.Join(ctx.Err(), checkKey(key)); err != nil {
		return nil, 0, err
	}
	root, err := os.OpenRoot(string(d))
	if err != nil {
		return nil, 0, fmt.Errorf("open the directory of imports: %w: %w", lockstep.ErrUnavailable, err)
	}
	defer func() { _ = root.Close() }()
	if err := noLinks(root, key); err != nil {
		return nil, 0, err
	}
	f, err := root.Open(key)
	if err != nil {
		return nil, 0, missing(err)
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s: %w: a directory", key, lockstep.ErrNotFound) // no object store has it as an object
	} else if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: %w: no regular file", key, lockstep.ErrRefused)
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// noLinks refuses a key of which any part is a symbolic link, and anything that is
// neither file nor directory before it is opened: opening a pipe would wait.
func noLinks(root *os.Root, key string) error {
	for i := 0; i <= len(key); i++ {
		if i < len(key) && key[i] != '/' {
			continue
		}
		info, err := root.Lstat(key[:i])
		if err != nil {
			return missing(err)
		}
		if mode := info.Mode(); !mode.IsDir() && !mode.IsRegular() {
			return fmt.Errorf("%s: %w: %s is a link or a device", key, lockstep.ErrRefused, key[:i])
		}
	}
	return nil
}

// List implements Objects. Links and other things that no bucket has are left out.
// ErrInvalid: more than 100,000 keys.
func (d Dir) List(ctx context.Context, prefix string) ([]string, error) {
	if err := errors.Join(ctx.Err(), checkKey(strings.TrimSuffix(prefix, "/"))); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(string(d))
	if err != nil {
		return nil, fmt.Errorf("open the directory of imports: %w: %w", lockstep.ErrUnavailable, err)
	}
	defer func() { _ = root.Close() }()
	start := "."
	if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
		start = path.Clean(prefix[:i])
	}
	if err := noLinks(root, start); errors.Is(err, lockstep.ErrNotFound) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var keys []string
	err = fs.WalkDir(root.FS(), start, func(key string, e fs.DirEntry, err error) error {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if e.Type().IsRegular() && strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
		if len(keys) > maxListed {
			return fmt.Errorf("%w: more than %d keys below %s", lockstep.ErrInvalid, maxListed, prefix)
		}
		return nil
	})
	return keys, err
}

func missing(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("%w: %w", lockstep.ErrNotFound, err)
	}
	return err
}
