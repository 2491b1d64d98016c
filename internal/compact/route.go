package compact

import (
	"context"
	"fmt"
	"slices"
	"time"

	"lockstep/internal/change"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// Router says who decides about the keys of a batch. It is asked for every batch, and
// again when another version came between, so that an answer is never older than the
// state that is planned on.
type Router interface {
	// Route returns the routing as it is now. On error nothing is committed: who decides
	// is never guessed.
	Route(ctx context.Context) (Routing, error)
}

// Routing is who decides.
type Routing struct {
	Stable handler.Revision
	// Candidate decides about the keys for which Canary says so; no Handler: none.
	Candidate handler.Revision
	Canary    func(key string) bool
	// Weight is the share of the keys, in basis points, that is meant for a candidate, whether
	// there is one here or not; 0: none. Which keys had work is then noted in the entries.
	Weight uint32
	// ByWeight says that Canary follows the weight alone, so that the share of the keys that
	// the candidate gets has to be the weight.
	ByWeight bool
	// Trial names the attempt of a release that is in progress: units are counted for it,
	// and a fence ends it. "": none, and no candidate either.
	Trial string
	// Keep are revisions that may have to handle what is handled now again: the one that a
	// rollback returns to, say. What one of them takes and nobody who decides now knows is
	// mirrored and archived all the same: what was only counted no rollback could bring back.
	Keep []handler.Revision
}

// Only returns the router that has rev decide about everything.
func Only(rev handler.Revision) Router { return only{rev} }

type only struct{ rev handler.Revision }

func (o only) Route(context.Context) (Routing, error) { return Routing{Stable: o.rev}, nil }

// arm is one revision as the compactor works with it.
type arm struct {
	rev      handler.Revision
	id       string
	desc     handler.Description
	classify *change.Classifier
	budget   time.Duration // for one call of the handler; 0: as long as it takes
}

func newArm(rev handler.Revision, budget time.Duration) (*arm, error) {
	desc := rev.Handler.Describe()
	classify, err := change.NewClassifier(desc.Entities)
	if err != nil {
		return nil, fmt.Errorf("revision %s: %w", rev, err)
	}
	return &arm{rev: rev, id: rev.ID(), desc: desc, classify: classify, budget: budget}, nil
}

// bounded is ctx with the time that one call may take.
func (a *arm) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if a.budget == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, a.budget)
}

// arms are who decides about one batch.
type arms struct {
	stable    *arm
	candidate *arm // nil: nobody but stable
	canary    func(key string) bool
	trial     string
	weight    uint32
	byWeight  bool
	sameRules bool // both know the same items
	keep      []*change.Classifier
}

// kept says what an item is to a revision that may have to handle it later.
func (a *arms) kept(key lockstep.ItemKey) (entity string, ok bool) {
	for _, c := range a.keep {
		if entity, ok = c.Entity(key); ok && entity != "" {
			return entity, true
		}
	}
	return "", false
}

// shares says whether a candidate is meant to have a share of the keys.
func (a *arms) shares() bool { return a.trial != "" && a.weight > 0 }

// of says who decides about a key.
func (a *arms) of(key string) *arm {
	if a.candidate != nil && a.canary != nil && a.canary(key) {
		return a.candidate
	}
	return a.stable
}

// other returns the revision against which a failure is held, nil when there is none.
func (a *arms) other(than *arm) *arm {
	if than == a.stable {
		return a.candidate
	}
	return a.stable
}

// collections returns what the revisions declare, stable's word first.
func (a *arms) collections() []handler.CollectionSpec {
	out := slices.Clone(a.stable.desc.Collections)
	if a.candidate == nil {
		return out
	}
	for _, s := range a.candidate.desc.Collections {
		if !slices.ContainsFunc(out, func(o handler.CollectionSpec) bool { return o.Name == s.Name }) {
			out = append(out, s)
		}
	}
	return out
}

// route asks who decides from here on. A candidate whose trial the head fences off does not,
// whatever the router says: the fence is the newer word.
func (c *Compactor) route(ctx context.Context) error {
	r, err := c.router.Route(ctx)
	if err != nil {
		return fmt.Errorf("find out who decides: %w", err)
	}
	next := &arms{canary: r.Canary, trial: r.Trial, weight: r.Weight, byWeight: r.ByWeight}
	if next.stable, err = c.armOf(r.Stable, 0); err != nil {
		return err
	}
	if c.fenced(r.Trial) {
		next.weight = 0 // it is over, and nobody expects a share
	}
	if r.Candidate.Handler != nil && r.Trial != "" && !c.fenced(r.Trial) {
		if next.candidate, err = c.armOf(r.Candidate, c.opts.CandidateBudget); err != nil {
			return err
		}
		next.sameRules = slices.Equal(next.stable.desc.Entities, next.candidate.desc.Entities)
	}
	if err := c.keepFor(next, r.Keep); err != nil {
		return err
	}
	c.arms = next
	return nil
}

// keepFor compiles the rules of the revisions whose items are kept, once as long as they are
// the same.
func (c *Compactor) keepFor(next *arms, revs []handler.Revision) error {
	hashes := make([]string, 0, len(revs))
	for _, rev := range revs {
		hashes = append(hashes, rev.Hash)
	}
	if c.arms != nil && slices.Equal(hashes, c.kept) {
		next.keep = c.arms.keep
		return nil
	}
	for _, rev := range revs {
		classify, err := change.NewClassifier(rev.Handler.Describe().Entities)
		if err != nil {
			return fmt.Errorf("revision %s: %w", rev, err)
		}
		next.keep = append(next.keep, classify)
	}
	c.kept = hashes
	return nil
}

// armOf keeps the arms of the last routing, so that rules are not compiled again.
func (c *Compactor) armOf(rev handler.Revision, budget time.Duration) (*arm, error) {
	if c.arms != nil {
		for _, a := range []*arm{c.arms.stable, c.arms.candidate} {
			if a != nil && a.rev.Hash == rev.Hash && a.budget == budget {
				return a, nil
			}
		}
	}
	return newArm(rev, budget)
}

func (c *Compactor) fenced(trial string) bool {
	return c.head.Entry != nil && slices.ContainsFunc(c.head.Entry.Fenced, func(f version.Fenced) bool { return f.Trial == trial })
}
