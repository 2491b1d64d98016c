package local

import (
	"context"
	"fmt"
	"io/fs"
	"iter"
	"path/filepath"
	"strings"

	"lockstep/internal/blob"
)

// List implements blob.Store. It walks the directory that prefix names; objects
// that come or go meanwhile may be missed or yielded.
func (b *Blobs) List(ctx context.Context, prefix, after string) iter.Seq2[blob.Meta, error] {
	return func(yield func(blob.Meta, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(blob.Meta{}, err)
			return
		}
		dir := strings.TrimSuffix(prefix[:strings.LastIndexByte(prefix, '/')+1], "/")
		if dir != "" && blob.CheckKey(dir) != nil {
			return // no valid key begins like this, least of all one with ".."
		}
		err := filepath.WalkDir(b.path(dir), func(path string, e fs.DirEntry, err error) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			m, ok, err := b.object(path, e, err)
			if err != nil || !ok || !strings.HasPrefix(m.Key, prefix) || m.Key <= after {
				return err
			}
			if !yield(m, nil) {
				return fs.SkipAll
			}
			return nil
		})
		if err != nil {
			yield(blob.Meta{}, fmt.Errorf("list %s: %w", prefix, err))
		}
	}
}

// object describes what a walk met, if that is an object: a regular file whose
// path is a key. Unfinished files, and whatever else people put into the
// directory, are not. What vanished since the walk saw it is skipped.
func (b *Blobs) object(path string, e fs.DirEntry, err error) (blob.Meta, bool, error) {
	if isMissing(err) {
		return blob.Meta{}, false, nil
	}
	if err != nil {
		return blob.Meta{}, false, classify(err)
	}
	if e.IsDir() && e.Name() == stagingName {
		return blob.Meta{}, false, fs.SkipDir
	}
	if !e.Type().IsRegular() {
		return blob.Meta{}, false, nil
	}
	rel, err := filepath.Rel(b.root, path)
	key := filepath.ToSlash(rel)
	if err != nil || !isKey(key) {
		return blob.Meta{}, false, err
	}
	info, err := e.Info()
	switch {
	case err == nil:
		return meta(key, info), true, nil
	case isMissing(err):
		err = nil
	default:
		err = classify(err)
	}
	return blob.Meta{}, false, err
}

func isKey(name string) bool { return blob.CheckKey(name) == nil }
