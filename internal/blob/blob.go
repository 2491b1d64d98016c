// Package blob is the port to an object store: objects by key, created once.
//
// It promises one thing on which the rest of Lockstep stands: of any number of
// concurrent Creates of one key, exactly one succeeds, and what it wrote never
// changes. The port cannot express a blind overwrite of an object that counts.
package blob

import (
	"context"
	"fmt"
	"io"
	"iter"
	"time"

	"lockstep/internal/lockstep"
)

// ErrExists is returned by Create when the key was taken, by us or by another.
var ErrExists = fmt.Errorf("object exists: %w", lockstep.ErrConflict)

// Meta describes one object.
type Meta struct {
	Key      string
	Size     int64     // bytes
	Modified time.Time // by the store's clock; the only clock retention trusts
}

// Store holds objects by key. Keys are slash-separated segments of
// a-z A-Z 0-9 . _ - =, at most 512 bytes, no empty, "." or ".." segment, none
// longer than 255 bytes; CheckKey says ErrInvalid otherwise.
//
// A Create that returns an error other than ErrExists may or may not have taken
// effect. Callers settle it by reading the key back.
type Store interface {
	// Create makes the object durable under key if the key is free. After nil the
	// object survives a crash. ErrExists: the key was taken and is unchanged.
	Create(ctx context.Context, key string, body []byte) error
	// Get opens an object. lockstep.ErrNotFound when there is none. The caller
	// closes the reader.
	Get(ctx context.Context, key string) (io.ReadCloser, Meta, error)
	// List yields the objects whose keys begin with prefix and sort after
	// `after`, in no promised order. It is for retention and checks, never for the hot path.
	List(ctx context.Context, prefix, after string) iter.Seq2[Meta, error]
	// Delete removes an object. A missing object is success.
	Delete(ctx context.Context, key string) error
	// Hint stores a body that may be lost or stale and may be overwritten; it only
	// ever saves a search. Hints live under "hint/" and are read by Get.
	Hint(ctx context.Context, key string, body []byte) error
}

// HintPrefix begins the keys of hints, the only objects that change.
const HintPrefix = "hint/"

// MaxKeyBytes bounds a key.
const MaxKeyBytes = 512

// MaxSegmentBytes bounds one segment of a key: no common file system holds a
// longer name.
const MaxSegmentBytes = 255

// CheckKey returns ErrInvalid unless key is one that every backend can hold.
func CheckKey(key string) error {
	if key == "" || len(key) > MaxKeyBytes {
		return fmt.Errorf("%w object key of %d bytes, want 1 to %d", lockstep.ErrInvalid, len(key), MaxKeyBytes)
	}
	start := 0
	for i := 0; i <= len(key); i++ {
		if i < len(key) && key[i] != '/' {
			if !keyByte(key[i]) {
				return fmt.Errorf("%w object key %q: byte %q", lockstep.ErrInvalid, key, key[i])
			}
			continue
		}
		if seg := key[start:i]; seg == "" || seg == "." || seg == ".." || len(seg) > MaxSegmentBytes {
			return fmt.Errorf("%w object key %q: segment %q", lockstep.ErrInvalid, key, seg)
		}
		start = i + 1
	}
	return nil
}

func keyByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '.' || c == '_' || c == '-' || c == '='
}

// ReadAll reads one object whole. It refuses to read more than limit bytes, so
// that a damaged or foreign object cannot exhaust memory.
func ReadAll(ctx context.Context, s Store, key string, limit int64) ([]byte, error) {
	rc, meta, err := s.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	if meta.Size > limit {
		return nil, fmt.Errorf("read %s: %w: %d bytes, at most %d expected", key, lockstep.ErrCorrupt, meta.Size, limit)
	}
	body := make([]byte, 0, meta.Size+1)
	buf := make([]byte, 64<<10)
	for {
		n, err := rc.Read(buf)
		body = append(body, buf[:n]...)
		if int64(len(body)) > limit {
			return nil, fmt.Errorf("read %s: %w: more than %d bytes", key, lockstep.ErrCorrupt, limit)
		}
		if err == io.EOF {
			return body, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", key, err)
		}
	}
}
