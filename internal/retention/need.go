package retention

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"lockstep/internal/base"
	"lockstep/internal/blob"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

func idOf(ref *version.BaseRef) base.ID { return base.ID{Version: ref.Version, Unique: ref.Unique} }

// needs is what one pin needs.
type needs struct {
	version uint64
	floor   uint64 // the lowest entry needed; MaxUint64: none
	base    *base.ID
}

// needsOf looks what a pin needs, and whether all of it is there.
func needsOf(ctx context.Context, log *version.Log, p Pin) (needs, error) {
	need := needs{version: p.Version, floor: math.MaxUint64}
	if p.Base != "" {
		need.base = &base.ID{Version: p.Version, Unique: p.Base}
		return need, needBase(ctx, log.Store(), *need.base)
	}
	low, err := log.Ledger().Low(ctx)
	if err != nil {
		return need, err
	}
	// The log may remember entries that are gone, so its answers are held against low.
	if p.Version < low {
		return need, retired(p.Version, low)
	}
	e, err := log.Read(ctx, p.Version)
	if err != nil {
		return need, err
	}
	from := uint64(0)
	if e.Base != nil {
		id := idOf(e.Base)
		need.base, from = &id, id.Version
		if err := needBase(ctx, log.Store(), id); err != nil {
			return need, err
		}
	}
	path, err := log.Path(ctx, from, p.Version)
	if err != nil {
		return need, err
	}
	need.floor = min(p.Version, lowest(path))
	if need.floor < low {
		return need, retired(p.Version, low)
	}
	return need, nil
}

func retired(n, low uint64) error {
	return lockstep.Hint(fmt.Errorf("version %d: %w", n, version.ErrRetired), fmt.Sprintf("versions from %d on are kept", low))
}

func needBase(ctx context.Context, s blob.Store, id base.ID) error {
	there, err := exists(ctx, s, id.ManifestKey())
	if err == nil && !there {
		err = fmt.Errorf("base %s: %w", id.String(), version.ErrRetired)
	}
	return err
}

// lowest returns the smallest number on a way, MaxUint64 when it has none.
func lowest(p version.Path) uint64 {
	out := uint64(math.MaxUint64)
	for _, n := range slices.Concat(p.Undo, p.Apply) {
		out = min(out, n)
	}
	return out
}

// touches says whether the plan would take something away that is needed: to
// rebuild the version, or to walk between it and the head.
func (p *Plan) touches(ctx context.Context, log *version.Log, need needs) (bool, error) {
	if need.base != nil {
		for _, it := range p.Items {
			if strings.HasPrefix(it.Key, need.base.String()+"/") {
				return true, nil
			}
		}
	}
	if need.floor == math.MaxUint64 || need.floor < p.Low {
		return need.floor < p.Low, nil
	}
	head, err := log.Head(ctx)
	if err != nil {
		return false, err
	}
	way, err := log.Path(ctx, head.Number(), need.version)
	if errors.Is(err, lockstep.ErrNotFound) {
		return false, nil // that way is gone already; the version can be rebuilt all the same
	}
	return lowest(way) < p.Low, err
}
