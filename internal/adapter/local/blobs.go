// Package local keeps a store in a directory of this machine, and keeps other
// processes out of a directory.
//
// It promises what blob.Store promises, by the file system's own means: a link
// has one winner, and what is linked was synced before.
package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"lockstep/internal/blob"
	"lockstep/internal/durable"
	"lockstep/internal/lockstep"
)

const (
	// stagingName holds unfinished files; "~" is in no key.
	stagingName = "~staging"
	// leftoverAge is longer than any write of a living process takes.
	leftoverAge = time.Hour
)

// Blobs is a blob.Store in a directory: the key is the path below the root. It is
// safe for concurrent use, by many processes as well.
//
// One key must not be a directory of another ("a" and "a/b"): Create then
// returns ErrInvalid. Create returns ErrExists also when the same bytes are there;
// whoever must know whether an earlier attempt of its own landed looks inside.
type Blobs struct {
	root    string
	staging string

	mu    sync.Mutex      // guards everything below
	ready map[string]bool // directories that this process made or found, and synced
}

var _ blob.Store = (*Blobs)(nil)

// OpenBlobs opens the directory root as a store and makes it when it is missing.
// It removes the unfinished files that crashed processes left more than an hour
// ago by the clock of the file system. An error leaves nothing but, perhaps,
// empty directories.
func OpenBlobs(root string) (*Blobs, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := durable.MkdirAll(root); err != nil {
		return nil, fmt.Errorf("open store: %w", classify(err))
	}
	// A walk does not follow a symbolic link it starts at.
	if root, err = filepath.EvalSymlinks(root); err != nil {
		return nil, fmt.Errorf("open store: %w", classify(err))
	}
	b := &Blobs{root: root, staging: filepath.Join(root, stagingName), ready: make(map[string]bool)}
	if err := durable.MkdirAll(b.staging); err != nil {
		return nil, fmt.Errorf("open store: %w", classify(err))
	}
	if err := durable.Sweep(b.staging, leftoverAge); err != nil {
		return nil, fmt.Errorf("open store: %w", classify(err))
	}
	return b, nil
}

// Create implements blob.Store. It costs one sync of the file and one of its
// directory.
func (b *Blobs) Create(ctx context.Context, key string, body []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := blob.CheckCreateKey(key); err != nil {
		return err
	}
	path := b.path(key)
	if err := b.prepare(filepath.Dir(path)); err != nil {
		return fmt.Errorf("create %s: %w", key, classify(err))
	}
	err := durable.CreateNewVia(b.staging, path, body)
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrExist):
		return fmt.Errorf("create %s: %w", key, classify(err))
	case isDir(path):
		return fmt.Errorf("create %s: %w object key: other keys lie below it", key, lockstep.ErrInvalid)
	}
	return fmt.Errorf("create %s: %w", key, blob.ErrExists)
}

// Hint implements blob.Store. It does not sync: a hint may be lost.
func (b *Blobs) Hint(ctx context.Context, key string, body []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := blob.CheckHintKey(key); err != nil {
		return err
	}
	path := b.path(key)
	if err := b.prepare(filepath.Dir(path)); err != nil {
		return fmt.Errorf("hint %s: %w", key, classify(err))
	}
	if err := durable.ReplaceUnsynced(b.staging, path, body); err != nil {
		return fmt.Errorf("hint %s: %w", key, classify(err))
	}
	return nil
}

// Get implements blob.Store.
func (b *Blobs) Get(ctx context.Context, key string) (io.ReadCloser, blob.Meta, error) {
	if err := ctx.Err(); err != nil {
		return nil, blob.Meta{}, err
	}
	if err := blob.CheckKey(key); err != nil {
		return nil, blob.Meta{}, err
	}
	f, err := os.Open(b.path(key))
	if isMissing(err) {
		return nil, blob.Meta{}, fmt.Errorf("get %s: %w", key, lockstep.ErrNotFound)
	}
	if err != nil {
		return nil, blob.Meta{}, fmt.Errorf("get %s: %w", key, classify(err))
	}
	info, err := f.Stat()
	switch {
	case err != nil:
		err = classify(err)
	case !info.Mode().IsRegular():
		err = lockstep.ErrNotFound
	default:
		return f, meta(key, info), nil
	}
	return nil, blob.Meta{}, errors.Join(fmt.Errorf("get %s: %w", key, err), f.Close())
}

// Delete implements blob.Store. It does not sync: an object that comes back after
// a power loss is deleted again, and a directory stays when it becomes empty.
func (b *Blobs) Delete(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := blob.CheckKey(key); err != nil {
		return err
	}
	path := b.path(key)
	if isDir(path) { // os.Remove would take an empty one
		return nil
	}
	if err := os.Remove(path); err != nil && !isMissing(err) {
		return fmt.Errorf("delete %s: %w", key, classify(err))
	}
	return nil
}

func (b *Blobs) path(key string) string { return filepath.Join(b.root, filepath.FromSlash(key)) }

// prepare makes dir and the directories above it up to the root. The first time
// this process uses one it syncs the name of it too, whoever made it: its maker may
// not have come to that yet.
func (b *Blobs) prepare(dir string) error {
	if dir == b.root || b.isReady(dir) {
		return nil
	}
	if err := b.prepare(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := durable.Mkdir(dir); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ready[dir] = true
	return nil
}

func (b *Blobs) isReady(dir string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ready[dir]
}

func meta(key string, info fs.FileInfo) blob.Meta {
	return blob.Meta{Key: key, Size: info.Size(), Modified: info.ModTime()}
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// isMissing says whether err means that no such file exists. A file where the key
// has a directory is such a case.
func isMissing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// classify gives an error of the file system its class: what the system will not
// do is refused, and of everything else the outcome is open.
func classify(err error) error {
	class := lockstep.ErrUnavailable
	switch {
	case errors.Is(err, lockstep.ErrRefused):
		return err
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		class = lockstep.ErrRefused
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, fs.ErrExist):
		class = lockstep.ErrInvalid // a file where a key needs a directory
	}
	return fmt.Errorf("%w: %w", class, err)
}
