package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"

	"lockstep/internal/base"
	"lockstep/internal/compact"
	"lockstep/internal/version"
)

// partBytes is what a part of a base holds uncompressed: two are in memory at a time,
// beside everything else that has to fit below MemoryLimit.
const partBytes = 8 << 20

// buildBase writes a base of the local state's version. Pace may be nil.
func (a *App) buildBase(ctx context.Context, pace func(context.Context) error) (ref version.BaseRef, err error) {
	var unique [8]byte
	if _, err := rand.Read(unique[:]); err != nil {
		return ref, fmt.Errorf("name a base: %w", err)
	}
	view, err := a.State.Read()
	if err != nil {
		return ref, err
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	return compact.BuildBase(ctx, a.Log, view, compact.BaseJob{
		Unique: hex.EncodeToString(unique[:]), Pace: pace,
		Parts: base.Options{PartBytes: partBytes},
	})
}

// maintain builds and adopts a base when one is due: for a process that has no loop.
func (a *App) maintain(ctx context.Context) error {
	if !a.Compactor.BaseDue() {
		return nil
	}
	ref, err := a.buildBase(ctx, nil)
	if err != nil {
		return err
	}
	return a.Compactor.AdoptBase(ctx, ref)
}

// runBases builds bases beside the commits until ctx ends. A base that fails costs
// nothing but its time; the next commit asks again.
func (s *Server) runBases(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.baseDue:
		}
		ref, err := s.buildBase(ctx, s.courtesy.wait)
		if err == nil {
			err = s.Do(ctx, func(ctx context.Context, c *compact.Compactor) error { return c.AdoptBase(ctx, ref) })
		}
		if err != nil && ctx.Err() == nil {
			s.opts.Log.WarnContext(ctx, "no base could be built", "error", err)
		}
	}
}
