package recovery

import (
	"context"
	"errors"
	"hash/maphash"
	"maps"
	"slices"

	"lockstep/internal/app"
	"lockstep/internal/compact"
	"lockstep/internal/lockstep"
	"lockstep/internal/state"
)

// Rebuilt is what a rebuild of the whole index did.
type Rebuilt struct {
	Version uint64      `json:"version"`
	Keys    int         `json:"keys"`
	Records int         `json:"records"` // that came out different
	Failed  []FailedKey `json:"failed"`
	// Unexplained counts records that no item of the table explains; Examples names some.
	Unexplained int      `json:"unexplained"`
	Examples    []string `json:"examples"`
}

// FailedKey is a key that the stable revision did not take.
type FailedKey struct {
	Key    string `json:"key"`
	Reason string `json:"reason"`
}

const maxExamples = 20

// RebuildAll derives every key of the index anew, and finds the records that no item
// explains. On error what was published stays; the next rebuild finds it as it should be.
func RebuildAll(ctx context.Context, a *app.App, actor, reason string, progress func(keys int)) (Rebuilt, error) {
	out := Rebuilt{Failed: []FailedKey{}, Examples: []string{}}
	claims := newClaims()
	req := compact.RebuildRequest{Actor: actor, Reason: reason, Claim: claims.add}
	for {
		piece, err := a.Compactor.Rebuild(ctx, req)
		if errors.Is(err, lockstep.ErrConflict) {
			a.Compactor.Poll() // another version came between; the same piece again
			continue
		}
		if err != nil {
			return out, err
		}
		out.Version = piece.Version
		if piece.Last == "" {
			return out, claims.unexplained(ctx, a.State, &out)
		}
		out.Keys, out.Records, req.After = out.Keys+piece.Keys, out.Records+piece.Records, piece.Last
		for _, k := range slices.Sorted(maps.Keys(piece.Failed)) {
			out.Failed = append(out.Failed, FailedKey{k, piece.Failed[k]})
		}
		progress(out.Keys)
	}
}

// claims are the records that the items explain, by a hash: a million of them must not
// cost their names in memory. Of two records in 2^64 one may be taken for the other; it is
// then not listed, and nothing else.
type claims struct {
	seed maphash.Seed
	seen map[uint64]struct{}
}

func newClaims() *claims { return &claims{maphash.MakeSeed(), map[uint64]struct{}{}} }

func (c *claims) of(col lockstep.Collection, id string) uint64 {
	return maphash.String(c.seed, string(col)+"\x00"+id)
}

func (c *claims) add(col lockstep.Collection, id string) { c.seen[c.of(col, id)] = struct{}{} }

func (c *claims) unexplained(ctx context.Context, s *state.State, out *Rebuilt) error {
	r, err := s.Read()
	if err != nil {
		return err
	}
	for _, col := range r.Collections() {
		if col.Builtin() {
			continue
		}
		if err := r.Scan(ctx, col, "", func(row state.Row) error {
			if _, ok := c.seen[c.of(col, string(row.ID))]; ok {
				return nil
			}
			if out.Unexplained++; len(out.Examples) < maxExamples {
				out.Examples = append(out.Examples, string(col)+" "+string(row.ID))
			}
			return nil
		}); err != nil {
			return errors.Join(err, r.Close())
		}
	}
	return r.Close()
}
