package blob

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"lockstep/internal/lockstep"
)

// Mem is a Store in memory, for tests and simulations. The zero value is empty
// and ready; it is safe for concurrent use and never blocks.
//
// List yields keys in descending order, so that code which leans on ascending
// order fails with Mem too, not only with the stores that promise none.
type Mem struct {
	// Now dates what is written. Nil: everything is from the Unix epoch. It is
	// called with the store locked and must not use the store.
	Now func() time.Time

	mu      sync.Mutex // guards everything below
	objects map[string]memObject
}

type memObject struct {
	body     []byte // never changed once it is in the map
	modified time.Time
}

var _ Store = (*Mem)(nil)

// Create implements Store.
func (m *Mem) Create(ctx context.Context, key string, body []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := CheckCreateKey(key); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, taken := m.objects[key]; taken {
		return fmt.Errorf("create %s: %w", key, ErrExists)
	}
	m.put(key, body)
	return nil
}

// Hint implements Store.
func (m *Mem) Hint(ctx context.Context, key string, body []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := CheckHintKey(key); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(key, body)
	return nil
}

func (m *Mem) put(key string, body []byte) {
	o := memObject{body: bytes.Clone(body), modified: time.Unix(0, 0).UTC()}
	if m.Now != nil {
		o.modified = m.Now()
	}
	if m.objects == nil {
		m.objects = make(map[string]memObject)
	}
	m.objects[key] = o
}

// Get implements Store.
func (m *Mem) Get(ctx context.Context, key string) (io.ReadCloser, Meta, error) {
	if err := ctx.Err(); err != nil {
		return nil, Meta{}, err
	}
	if err := CheckKey(key); err != nil {
		return nil, Meta{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.objects[key]
	if !ok {
		return nil, Meta{}, fmt.Errorf("get %s: %w", key, lockstep.ErrNotFound)
	}
	return io.NopCloser(bytes.NewReader(o.body)), o.meta(key), nil
}

// List implements Store. It yields what was there when the loop began.
func (m *Mem) List(ctx context.Context, prefix, after string) iter.Seq2[Meta, error] {
	return func(yield func(Meta, error) bool) {
		for _, meta := range m.match(prefix, after) {
			if err := ctx.Err(); err != nil {
				yield(Meta{}, err)
				return
			}
			if !yield(meta, nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(Meta{}, err)
		}
	}
}

func (m *Mem) match(prefix, after string) []Meta {
	m.mu.Lock()
	defer m.mu.Unlock()
	var metas []Meta
	for key, o := range m.objects {
		if strings.HasPrefix(key, prefix) && key > after {
			metas = append(metas, o.meta(key))
		}
	}
	slices.SortFunc(metas, func(a, b Meta) int { return strings.Compare(b.Key, a.Key) })
	return metas
}

// Delete implements Store.
func (m *Mem) Delete(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := CheckKey(key); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, key)
	return nil
}

func (o memObject) meta(key string) Meta {
	return Meta{Key: key, Size: int64(len(o.body)), Modified: o.modified}
}
