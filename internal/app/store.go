package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lockstep/internal/adapter/local"
	"lockstep/internal/blob"
	"lockstep/internal/config"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// Store is an opened object store with the log of versions in it. It needs no lock
// and no server: everything that only reads, and a reset, work on it alone.
type Store struct {
	Format blob.Format
	Blobs  blob.Store
	Log    *version.Log
}

// StorePath returns where the objects are, under the configured data directory.
func StorePath(cfg config.Config) string { return filepath.Join(cfg.Data, "store") }

// OpenStore opens the store that the configuration names. ErrNotFound when there is
// none yet; nothing is made then.
func OpenStore(ctx context.Context, cfg config.Config, clock func() time.Time) (*Store, error) {
	// Looking makes nothing: a directory that was misspelt must not come to be.
	if _, err := os.Stat(StorePath(cfg)); errors.Is(err, os.ErrNotExist) {
		return nil, noStore(cfg, fmt.Errorf("open store: %w", lockstep.ErrNotFound))
	}
	return openStore(cfg, clock, func(s blob.Store) (blob.Format, error) { return blob.OpenFormat(ctx, s) })
}

// InitStore opens the store and makes it first when there is none, after probing
// that its backend keeps the one promise all else rests on.
func InitStore(ctx context.Context, cfg config.Config, clock func() time.Time) (*Store, error) {
	return openStore(cfg, clock, func(s blob.Store) (blob.Format, error) { return blob.Init(ctx, s, clock(), rand.Reader) })
}

// Probe asks the backend again whether it keeps the promise all else rests on. What
// FORMAT says was true when the store was made; a gateway or a mount may have been put
// before it since (TRAPS T6). ErrRefused when it does not; nothing is left behind.
func (s *Store) Probe(ctx context.Context) error {
	var nonce [16]byte
	if _, err := rand.Read(nonce[:]); err != nil {
		return fmt.Errorf("probe the store: %w", err)
	}
	v, err := blob.Probe(ctx, s.Blobs, hex.EncodeToString(nonce[:]))
	if err != nil {
		return err
	}
	if !v.Passed {
		return lockstep.Hint(fmt.Errorf("probe the store: %w: it does not keep create-if-absent (%s)", lockstep.ErrRefused, strings.Join(v.Failed(), ", ")),
			"stop every writer, and use a local directory or an object store without a caching or rewriting proxy in between")
	}
	return nil
}

func openStore(cfg config.Config, clock func() time.Time, format func(blob.Store) (blob.Format, error)) (*Store, error) {
	blobs, err := local.OpenBlobs(StorePath(cfg))
	if err != nil {
		return nil, err
	}
	f, err := format(blobs)
	if errors.Is(err, lockstep.ErrNotFound) {
		return nil, noStore(cfg, err)
	}
	if err != nil {
		return nil, err
	}
	return &Store{Format: f, Blobs: blobs, Log: version.NewLog(blobs, ledger.Options{Now: clock})}, nil
}

func noStore(cfg config.Config, err error) error {
	return lockstep.Hint(err, `there is no store in `+cfg.Data+` yet: "lockstep up" or "lockstep ingest" makes one, and --data names another directory`)
}
