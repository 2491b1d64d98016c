package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lockstep/internal/app"
	"lockstep/internal/compact"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// ResetResult is how long it takes to go back to a version, at one size.
type ResetResult struct {
	Records  int64         `json:"records"`
	Reset    time.Duration `json:"reset_ns"`    // store opened, reset published, digest equal
	Restored time.Duration `json:"restored_ns"` // and the local state is there, its own sums checked
	Replayed time.Duration `json:"replayed_ns"` // and what came after is in again, digest equal
	Messages int           `json:"messages"`    // that came after
	Changed  int           `json:"changed"`     // records that they change
	Samples  int           `json:"samples"`
}

const resetMessages = 40

// resets takes the two indexes in turn, so that whatever else the machine does
// hits both alike.
func resets(ctx context.Context, w workSpec, now func() time.Time) (small, large ResetResult, err error) {
	var sides [2]resetSide
	for i, l := range []loaded{w.Small, w.Large} {
		ix, err := openIndex(ctx, l.Dir, none{}, now)
		if err != nil {
			return small, large, err
		}
		defer func() { err = errors.Join(err, ix.close()) }()
		n := min(resetMessages, w.Small.Receipts, w.Large.Receipts)
		sides[i] = resetSide{index: ix, table: newTable(generator(l.Receipts), l.Receipts, now()), dir: l.Dir, messages: n}
		sides[i].result = ResetResult{Records: l.Records, Messages: n, Samples: w.Repeats}
	}
	for range w.Repeats {
		for i := range sides {
			if err := sides[i].once(ctx); err != nil {
				return small, large, fmt.Errorf("reset at %d records: %w", sides[i].result.Records, err)
			}
		}
	}
	return sides[0].medians(), sides[1].medians(), nil
}

// resetSide is one index that is reset again and again.
type resetSide struct {
	*index
	*table
	dir      string
	messages int
	at       int // the next receipt to change
	result   ResetResult

	reset, restored, replayed []time.Duration
}

// once commits changes, goes back before them, and lets them be replayed.
func (s *resetSide) once(ctx context.Context) error {
	to, good := s.Head().Number(), s.digest()
	after := make([]lockstep.Message, s.messages)
	for i := range after {
		after[i] = s.renamed(s.at).Message()
		s.at = (s.at + 1) % len(s.keys)
	}
	res, err := s.commit(ctx, after)
	if err != nil {
		return err
	}
	s.result.Changed = res.Changed
	latest := s.digest()
	start := s.now()
	// As "lockstep reset" does it: nothing is open or known.
	store, err := app.OpenStore(ctx, settings(s.dir), s.now)
	if err != nil {
		return err
	}
	_, head, err := compact.DoReset(ctx, store.Log, compact.ResetRequest{To: to, Mode: compact.ResetReplay, Actor: "bench", Now: start})
	if err != nil {
		return err
	}
	if err := same("after the reset", version.IndexDigest(head.Entry.Digests()), good); err != nil {
		return err
	}
	s.reset = append(s.reset, s.now().Sub(start))
	s.Poll()
	if err := s.CatchUp(ctx); err != nil {
		return err
	}
	if err := same("of the local state", stateDigest(s.index), good); err != nil {
		return err
	}
	s.restored = append(s.restored, s.now().Sub(start))
	if err := s.Refresh(ctx); err != nil {
		return err
	}
	s.replayed = append(s.replayed, s.now().Sub(start))
	return same("after the replay", s.digest(), latest)
}

// stateDigest is that of the records in the local state, which was moved by the
// images in the deltas and knows nothing of what entries claim.
func stateDigest(ix *index) string {
	digests := map[lockstep.Collection]string{}
	for c, t := range ix.state.Tallies() {
		digests[c] = t.Sum.Digest()
	}
	return version.IndexDigest(digests)
}

func same(when, got, want string) error {
	if got != want {
		return fmt.Errorf("bench: %w: the digest %s is %s, want %s", lockstep.ErrCorrupt, when, version.Short(got), version.Short(want))
	}
	return nil
}

func (s *resetSide) medians() ResetResult {
	r := s.result
	r.Reset, r.Restored, r.Replayed = median(s.reset), median(s.restored), median(s.replayed)
	return r
}
