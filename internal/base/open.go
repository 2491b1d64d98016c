package base

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/zeebo/blake3"

	"lockstep/internal/blob"
	"lockstep/internal/lockstep"
)

// Base is one base, open for reading. It is safe for concurrent use.
type Base struct {
	store    blob.Store
	manifest Manifest

	mu   sync.Mutex // guards everything below
	last *vectorTable
}

// Open reads the manifest of one base. ErrNotFound: there is no such base, whatever
// parts of it may lie there. ErrRefused: it needs a newer program.
func Open(ctx context.Context, store blob.Store, version uint64, unique string) (*Base, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	id := ID{Version: version, Unique: unique}
	if err := id.Check(); err != nil {
		return nil, err
	}
	body, err := blob.ReadAll(ctx, store, id.ManifestKey(), maxManifestBytes)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", id, err)
	}
	m, err := DecodeManifest(body)
	if err == nil && m.ID() != id {
		err = fmt.Errorf("%w: it is the manifest of %s", lockstep.ErrCorrupt, m.ID())
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", id.ManifestKey(), err)
	}
	return &Base{store: store, manifest: m}, nil
}

// Find returns the bases of one version that have a manifest, in order of suffix.
// It lists the store and is for tools; the log names the bases that count.
func Find(ctx context.Context, store blob.Store, version uint64) ([]ID, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var ids []ID
	for meta, err := range store.List(ctx, versionPrefix(version), "") {
		if err != nil {
			return nil, fmt.Errorf("find bases of version %d: %w", version, err)
		}
		if id, name, ok := ParseKey(meta.Key); ok && name == manifestName {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b ID) int { return strings.Compare(a.Unique, b.Unique) })
	return ids, nil
}

// Manifest returns what the base says about itself. Its slices are shared: the
// caller must not change them.
func (b *Base) Manifest() Manifest { return b.manifest }

func (b *Base) contents(c lockstep.Collection) (Contents, error) {
	have, ok := b.manifest.Collection(c)
	if !ok {
		return Contents{}, fmt.Errorf("%s: collection %s: %w", b.manifest.ID(), c, lockstep.ErrNotFound)
	}
	return have, nil
}

// fetch reads one part and checks its size and hash. A part that is gone while the
// manifest was there is ErrNotFound: retention may have removed the base since.
func (b *Base) fetch(ctx context.Context, p Part) ([]byte, error) {
	key := b.manifest.ID().key(p.Name)
	body, err := blob.ReadAll(ctx, b.store, key, p.Size)
	if err != nil {
		return nil, err
	}
	if int64(len(body)) != p.Size {
		return nil, b.corrupt(p, fmt.Errorf("%d bytes, the manifest says %d", len(body), p.Size))
	}
	if hash := blake3.Sum256(body); hex.EncodeToString(hash[:]) != p.Hash {
		return nil, b.corrupt(p, fmt.Errorf("its hash is %x, the manifest says %s", hash, p.Hash))
	}
	return body, nil
}

// corrupt names the object in which err was found.
func (b *Base) corrupt(p Part, err error) error {
	if errors.Is(err, lockstep.ErrCorrupt) {
		return fmt.Errorf("read %s: %w", b.manifest.ID().key(p.Name), err)
	}
	return lockstep.Hint(fmt.Errorf("read %s: %w: %w", b.manifest.ID().key(p.Name), lockstep.ErrCorrupt, err),
		"a base is a cache: remove it and build another from an older base or the whole log")
}
