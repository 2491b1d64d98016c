package recovery

import (
	"context"
	"fmt"
	"io"
	"iter"
	"strings"

	"lockstep/internal/blob"
	"lockstep/internal/drill"
	"lockstep/internal/incident"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
	"lockstep/internal/notify"
	"lockstep/internal/release"
	"lockstep/internal/rollback"
)

// still is a store of which the ledgers that decide stand still: a branch of it does not
// find that somebody has started a release meanwhile. It cannot be written to, so that a
// drill could not change what it was taken from if it tried. The log of versions is left to
// the branch, which knows its head.
type still struct {
	blob.Store
	known map[string]bool // keys of the ledgers
}

// ledgers are the prefixes that stand still.
func ledgers() []string {
	return []string{release.LogPrefix, rollback.LogPrefix, incident.Prefix, incident.ReportPrefix, notify.LogPrefix, drill.LogPrefix, "pin", "shadow"}
}

func stillOf(ctx context.Context, s blob.Store) (*still, error) {
	out := &still{Store: s, known: map[string]bool{}}
	for _, prefix := range ledgers() {
		for m, err := range s.List(ctx, prefix+"/", "") {
			if err != nil {
				return nil, fmt.Errorf("list %s: %w", prefix, err)
			}
			out.known[m.Key] = true
		}
	}
	return out, nil
}

// hidden says whether a key came to be after the store was stopped.
func (s *still) hidden(key string) bool {
	for _, prefix := range ledgers() {
		if strings.HasPrefix(key, prefix+"/") {
			return !s.known[key]
		}
	}
	return false
}

// Get implements blob.Store.
func (s *still) Get(ctx context.Context, key string) (io.ReadCloser, blob.Meta, error) {
	if s.hidden(key) {
		return nil, blob.Meta{}, fmt.Errorf("get %s: %w", key, lockstep.ErrNotFound)
	}
	return s.Store.Get(ctx, key)
}

// List implements blob.Store.
func (s *still) List(ctx context.Context, prefix, after string) iter.Seq2[blob.Meta, error] {
	return func(yield func(blob.Meta, error) bool) {
		for m, err := range s.Store.List(ctx, prefix, after) {
			if err == nil && s.hidden(m.Key) {
				continue
			}
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

// Create implements blob.Store: ErrRefused.
func (*still) Create(_ context.Context, key string, _ []byte) error { return readOnly("create", key) }

// Delete implements blob.Store: ErrRefused.
func (*still) Delete(_ context.Context, key string) error { return readOnly("delete", key) }

// Hint implements blob.Store: hints may be lost.
func (*still) Hint(context.Context, string, []byte) error { return nil }

func readOnly(what, key string) error {
	return fmt.Errorf("%s %s: %w: a drill changes nothing of the store that it is run for", what, key, lockstep.ErrRefused)
}

// drills are the drills of a store.
func (a *Assembly) drills() *drill.Log {
	return drill.NewLog(a.Control.Blobs, ledger.Options{Now: a.Now})
}
