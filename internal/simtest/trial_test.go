package simtest

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"

	"lockstep/internal/compact"
	"lockstep/internal/handler"
)

// trial is a release as the data half knows it: a candidate that decides about some keys
// until a fence ends it. Who decides is plain memory here, and it is changed before or
// after the fence, whichever the seed likes: only the fence counts.
type trial struct {
	n       int    // of trials begun
	name    string // of the one under way; "": none
	weight  uint32 // percent of the keys
	clumsy  bool   // the candidate fails where the old revision fails
	lagging bool   // the fence is up, and the routing still names the candidate
}

// candidate is join under a name of its own for each trial, so that its writes are told
// from those of the trial before.
func (w *world) candidate(name string) handler.Revision {
	if w.reverting && name == badTrial {
		return handler.NewRevision(onTrial{ring{worse: 1}, name})
	}
	return handler.NewRevision(onTrial{w.feed.handler(w.trial.clumsy), name})
}

type onTrial struct {
	handler.Handler
	name string
}

func (o onTrial) Describe() handler.Description {
	d := o.Handler.Describe()
	d.Version = o.name
	return d
}

var _ compact.Router = simRouter{}

// simRouter is how one process learns who decides.
type simRouter struct {
	a      *actor
	stable handler.Revision
}

func (r simRouter) Route(context.Context) (compact.Routing, error) {
	w := r.a.w
	out := compact.Routing{Stable: r.stable}
	if w.trial.name == "" {
		return out, nil
	}
	weight := w.trial.weight
	out.Trial, out.Candidate = w.trial.name, w.candidate(w.trial.name)
	out.Canary = func(key string) bool {
		h := fnv.New32a()
		_, _ = h.Write([]byte(key))
		return h.Sum32()%100 < weight
	}
	return out, nil
}

// turnTrial begins a trial, or ends the one under way.
func (a *actor) turnTrial(ctx context.Context) {
	w := a.w
	switch {
	case w.trial.lagging:
		w.trial.name, w.trial.lagging = "", false
	case w.trial.name == "":
		w.trial.n++
		w.trial.name = fmt.Sprintf("t%d", w.trial.n)
		w.trial.weight, w.trial.clumsy = uint32(20+w.rng.IntN(81)), w.chance(30)
		w.note("trial %s with %d %% begins", w.trial.name, w.trial.weight)
	default:
		name := w.trial.name
		id := w.candidate(name).ID()
		_, err := compact.PutFence(ctx, a.openLog(), compact.FenceRequest{Trial: name, Revision: id, Actor: a.name, Reason: "bad", Now: a.now()})
		if a.done("fence", err) {
			w.trial.lagging = true
			w.count.fences++
		}
	}
}

// fences wants nothing of a trial behind its fence (DESIGN 9: what was planned under the
// old routing cannot be published), and no fence to be forgotten.
func (x *witness) fences(s *seen) error {
	prev := x.head()
	if prev.entry == nil {
		return nil
	}
	for _, f := range prev.entry.Fenced {
		if !slices.Contains(s.entry.Fenced, f) {
			return fmt.Errorf("the fence of trial %s is forgotten", f.Trial)
		}
		if n := s.entry.Revisions[f.Revision]; n > 0 {
			return fmt.Errorf("%d mutations of the candidate of trial %s, which version %d has fenced off", n, f.Trial, f.Since)
		}
		if s.entry.Trial == nil {
			continue
		}
		for _, u := range s.entry.Trial.Arms {
			if u.Revision == f.Revision {
				return fmt.Errorf("a unit of the candidate of trial %s is counted behind its fence", f.Trial)
			}
		}
	}
	if s.entry.Trial != nil {
		for _, u := range s.entry.Trial.Arms {
			x.w.count.units += u.Units + u.Both
			x.w.count.covered += u.Bad
		}
	}
	return nil
}
