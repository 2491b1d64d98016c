package simtest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"lockstep/internal/branch"
	"lockstep/internal/handler"
	"lockstep/internal/handler/handlertest"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
	"lockstep/internal/revert"
	"lockstep/internal/version"
)

// badTrial is the trial whose candidate counts wrong, in a world of rings.
const badTrial = "t1"

// bad is the revision that is reverted.
func (w *world) bad() handler.Revision { return w.candidate(badTrial) }

// beginBad has the bad revision decide about some keys from the start.
func (w *world) beginBad() {
	w.trial = trial{n: 1, name: badTrial, weight: uint32(10 + w.rng.IntN(40))}
}

// revert takes back what the bad revision decided, as far as it has come. The branch on
// which that is worked out reads the store without faults, since it reads on goroutines of
// its own; between the versions that it repeats, and from there to its entry, everybody
// else goes on, and it may die.
func (p *compaction) revert(ctx context.Context) {
	w := p.w
	if w.witness.head().spoilt == 0 {
		return
	}
	from := branch.Origin{Log: version.NewLog(w.store, ledger.Options{Now: p.now}), State: p.state, Importer: &importer{p.actor}}
	out, err := revert.Do(ctx, p.c, from, revert.Request{
		Bad: revert.Bad{Revision: w.bad().ID()}, Good: handler.NewRevision(ring{}), Actor: p.name, Reason: "it counts wrong", Now: p.now(),
		Progress: p.dawdle,
	})
	if errors.Is(err, revert.ErrNothing) || errors.Is(err, lockstep.ErrConflict) {
		w.note("%s: revert: %v", p.name, err) // another compactor was faster
		return
	}
	if p.done("revert", err) {
		w.count.reverts++
		w.count.joined += out.Joined
		w.count.tainted += out.Tainted
	}
}

// dawdle lets the others go on while a revert is worked out, and longest when it is ready.
func (p *compaction) dawdle(done, total int) {
	n := 1
	if done == total {
		n += p.w.rng.IntN(60)
	}
	for range n {
		p.at("work", "")
	}
}

// reverted judges a revert: what it leaves is the counterfactual, in which the good
// revision had decided everything up to the version that the revert was worked out on.
// What others published since then is as they decided it (invariants 6 and 8).
func (x *witness) reverted(s *seen) error {
	r := s.entry.Reverts
	if r == nil || r.Revision != x.w.bad().ID() || r.Through == 0 || r.Through > s.parent.n {
		return fmt.Errorf("it does not say what it takes back: %+v", r)
	}
	through := x.versions[r.Through]
	s.clean, s.spoilt, s.model = s.parent.clean, 0, through.clean.Clone()
	for _, v := range between(through, s.parent) {
		if v.entry.Kind == version.Revert {
			return fmt.Errorf("version %d took it back before, unseen", v.n)
		}
		n, err := x.decide(s.model, v)
		if err != nil {
			return err
		}
		s.spoilt += n
	}
	return x.sameAsModel(s)
}

// ringed feeds the models of a world of rings: one as it was decided, one as if the good
// revision had decided.
func (x *witness) ringed(s *seen) error {
	s.model, s.clean = s.model.Clone(), s.clean.Clone()
	n, err := x.decide(s.model, s)
	if err != nil {
		return err
	}
	s.spoilt += n
	if _, err := s.clean.Apply(x.w.ctx, x.fed(s)...); err != nil {
		return fmt.Errorf("model: %w", err)
	}
	return x.sameAsModel(s)
}

// fed are the messages of a version that had an effect, in their order.
func (x *witness) fed(s *seen) []lockstep.Message {
	var out []lockstep.Message
	if s.delta == nil {
		return nil
	}
	for i := range s.delta.Messages {
		if a := &s.delta.Messages[i]; a.Outcome == lockstep.Applied || a.Outcome == lockstep.Unchanged {
			out = append(out, x.w.feed.byID[a.ID].Message)
		}
	}
	return out
}

// decide has a model handle the messages of a version, each key by who decided about it.
// It returns how many the bad revision has decided.
func (x *witness) decide(model *handlertest.Index, s *seen) (bad int, err error) {
	by := map[string]string{}
	var order []string
	units := map[string][]lockstep.Message{}
	if s.delta == nil {
		return 0, nil
	}
	for i := range s.delta.Messages {
		by[s.delta.Messages[i].ID] = s.delta.Messages[i].Revision
	}
	for _, m := range x.fed(s) {
		if !slices.Contains(order, m.Group) {
			order = append(order, m.Group)
		}
		units[m.Group] = append(units[m.Group], m)
	}
	for _, group := range order {
		model.Handler = ring{}
		if by[units[group][0].ID] == x.w.bad().ID() {
			model.Handler = x.w.bad().Handler
			bad += len(units[group])
		}
		outcomes, err := model.Apply(x.w.ctx, units[group]...)
		if err != nil {
			return 0, fmt.Errorf("model: %w", err)
		}
		for i, o := range outcomes {
			if o != lockstep.Applied && o != lockstep.Unchanged {
				return 0, fmt.Errorf("%s had an effect and should be %s", x.w.feed.byID[units[group][i].ID].name(), o)
			}
		}
	}
	return bad, nil
}
