package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lockstep/internal/app"
	"lockstep/internal/branch"
	"lockstep/internal/compact"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/revert"
)

// RevertResult is how long it takes to take back what a bad revision wrote, at one size.
type RevertResult struct {
	Records  int64         `json:"records"`     // of the index
	Touched  int           `json:"touched"`     // records that the bad revision wrote
	Messages int           `json:"messages"`    // that were handled again
	Versions int           `json:"versions"`    // in which it wrote
	Reverted time.Duration `json:"reverted_ns"` // worked out on a branch and published
	Proven   time.Duration `json:"proven_ns"`   // and compared with the counterfactual
	Samples  int           `json:"samples"`
}

// revertVersions is over how many versions the bad revision's work is spread, and
// revertTouched about how many records it writes.
const (
	revertVersions = 10
	revertTouched  = 10_000
)

// bad is the measured revision with a wrong merchant.
type bad struct{ handler.Handler }

// Describe implements handler.Handler.
func (b bad) Describe() handler.Description {
	d := b.Handler.Describe()
	d.Version = "bad"
	return d
}

// Plan implements handler.Handler.
func (b bad) Plan(ctx context.Context, u handler.Unit) ([]lockstep.Mutation, error) {
	muts, err := b.Handler.Plan(ctx, u)
	for i := range muts {
		muts[i].Record.Metadata = muts[i].Record.Metadata.With("merchant_name", lockstep.String("nobody"))
	}
	return muts, err
}

// swayed has the good or the bad revision decide about everything.
type swayed struct{ rev handler.Revision }

// Route implements compact.Router.
func (s *swayed) Route(context.Context) (compact.Routing, error) {
	return compact.Routing{Stable: s.rev}, nil
}

// reverts takes the two indexes in turn, so that whatever else the machine does hits both
// alike.
func reverts(ctx context.Context, w workSpec, now func() time.Time) (middle, large RevertResult, err error) {
	var sides [2]*revertSide
	for i, l := range []loaded{w.Middle, w.Large} {
		s, err := openRevert(ctx, l, now)
		if err != nil {
			return middle, large, err
		}
		defer func() { err = errors.Join(err, s.close()) }()
		sides[i] = s
	}
	for range max(1, w.Repeats/3) {
		for _, s := range sides {
			if err := s.once(ctx); err != nil {
				return middle, large, fmt.Errorf("revert at %d records: %w", s.result.Records, err)
			}
		}
	}
	return sides[0].medians(), sides[1].medians(), nil
}

// revertSide is one index in which a bad revision writes again and again.
type revertSide struct {
	*index
	*table
	dir       string
	good, bad handler.Revision
	router    *swayed
	at        int // the next receipt to change
	result    RevertResult

	reverted, proven []time.Duration
}

func openRevert(ctx context.Context, l loaded, now func() time.Time) (*revertSide, error) {
	good, err := app.Revision(settings(l.Dir))
	if err != nil {
		return nil, err
	}
	s := &revertSide{table: newTable(generator(l.Receipts), l.Receipts, now()), dir: l.Dir, good: good, router: &swayed{good}}
	s.result.Records = l.Records
	s.bad = handler.NewRevision(bad{good.Handler})
	s.index, err = openIndexFor(ctx, l.Dir, none{}, now, s.router)
	return s, err
}

// once has the bad revision write, and takes it back.
func (s *revertSide) once(ctx context.Context) error {
	s.router.rev = s.bad
	each := max(1, int(int64(revertTouched)*int64(len(s.keys))/max(1, s.result.Records)/revertVersions))
	touched, messages := 0, 0
	for range revertVersions {
		var ms []lockstep.Message
		for range min(each, max(1, len(s.keys)/revertVersions)) {
			ms = append(ms, s.renamed(s.at).Message())
			s.at = (s.at + 1) % len(s.keys)
		}
		res, err := s.commit(ctx, ms)
		if err != nil {
			return err
		}
		touched, messages = touched+res.Changed, messages+len(ms)
	}
	s.router.rev = s.good
	start := s.now()
	from := branch.Origin{Log: s.log, State: s.state, Importer: none{}, Dir: s.dir}
	out, err := revert.Do(ctx, s.Compactor, from, revert.Request{Bad: revert.Bad{Revision: s.bad.ID()}, Good: s.good, Actor: "bench", Now: start})
	if err != nil {
		return err
	}
	s.reverted = append(s.reverted, s.now().Sub(start))
	p, err := revert.Prove(ctx, from, revert.ProofRequest{Since: out.Since, Through: out.Through, Digests: out.Digests, Good: s.good})
	if err != nil {
		return err
	}
	s.proven = append(s.proven, s.now().Sub(start))
	if !p.Equal || out.Messages != messages {
		return fmt.Errorf("bench: %w: %d of %d messages were handled again, and the counterfactual differs in %v", lockstep.ErrCorrupt, out.Messages, messages, p.Differ)
	}
	s.result.Touched, s.result.Messages, s.result.Versions, s.result.Samples = touched, messages, revertVersions, s.result.Samples+1
	return same("after the revert", s.digest(), out.Digest)
}

func (s *revertSide) medians() RevertResult {
	r := s.result
	r.Reverted, r.Proven = median(s.reverted), median(s.proven)
	return r
}
