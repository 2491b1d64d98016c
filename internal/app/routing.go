package app

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"lockstep/internal/compact"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/release"
)

var _ compact.Router = (*router)(nil)

// router answers from the ledger of releases, read anew for every batch and compared by
// number: a switch that is cached somewhere is a switch that does not switch.
type router struct {
	releases  *release.Log
	revisions *Revisions
	forced    string // LOCKSTEP_REVISION, as given
	veto      Veto   // nil: nobody else is asked
	log       *slog.Logger

	from release.Routing // the last one resolved; Number 0: none
	last compact.Routing
}

// Veto is a second word on which keys a candidate gets, for example a flag: it can keep
// one from it, and never give it one.
type Veto interface {
	Allows(ctx context.Context, key string) bool
}

// Route implements compact.Router. Before the first entry of the ledger the revision that
// the configuration names decides.
func (r *router) Route(ctx context.Context) (compact.Routing, error) {
	head, err := r.releases.Head(ctx)
	if err != nil {
		return compact.Routing{}, err
	}
	if r.from.Number != 0 && head.Number() == r.from.Number {
		return r.withCanary(ctx), nil
	}
	forced := ""
	if r.forced != "" {
		rev, err := r.revisions.Lookup(r.forced)
		if err != nil {
			return compact.Routing{}, fmt.Errorf("LOCKSTEP_REVISION: %w", err)
		}
		forced = rev.ID()
	}
	from := head.Routing(forced)
	if from.Forced == "" && forced != "" {
		r.log.WarnContext(ctx, "LOCKSTEP_REVISION names a revision that is quarantined: the ledger of releases decides", "revision", forced)
	}
	routing, err := r.resolve(from)
	if err != nil {
		return compact.Routing{}, err
	}
	routing.Keep = r.keep(head.State(), routing)
	r.from, r.last = from, routing
	return r.withCanary(ctx), nil
}

// keep are the revisions that a rollback may return to and that do not decide now: stable, when
// another one is forced, the known good of the latest release, and what the configuration names.
func (r *router) keep(s release.State, to compact.Routing) []handler.Revision {
	var out []handler.Revision
	add := func(rev handler.Revision) {
		if rev.Hash == to.Stable.Hash || rev.Hash == to.Candidate.Hash || slices.ContainsFunc(out, func(o handler.Revision) bool { return o.Hash == rev.Hash }) {
			return
		}
		out = append(out, rev)
	}
	for _, id := range []string{s.Stable.Revision, s.KnownGood.Revision} {
		// One that cannot run here cannot be returned to here either.
		if rev, err := r.revisions.Lookup(id); id != "" && err == nil {
			add(rev)
		}
	}
	add(r.revisions.Initial())
	return out
}

// withCanary is the last routing with the decision about keys, made in ctx.
func (r *router) withCanary(ctx context.Context) compact.Routing {
	out, from := r.last, r.from
	if out.Candidate.Handler != nil {
		out.Canary = func(key string) bool {
			return from.Arm(key) == release.ArmCandidate && (r.veto == nil || r.veto.Allows(ctx, key))
		}
	}
	return out
}

func (r *router) resolve(from release.Routing) (to compact.Routing, err error) {
	if from.Forced != "" {
		to.Stable, err = r.revisions.Lookup(from.Forced)
		return to, err
	}
	if to.Stable, err = r.stable(from.Stable); err != nil {
		return to, err
	}
	if from.Release == "" {
		to.Trial = from.Watch
		return to, nil
	}
	to.Trial = release.Effect{Release: from.Release, Attempt: from.Attempt}.Name()
	if from.Candidate == "" || !from.Phase.Serves() {
		return to, nil
	}
	to.Weight, to.ByWeight = uint32(from.Weight), r.veto == nil
	candidate, err := r.revisions.Lookup(from.Candidate)
	if err != nil {
		// A candidate that is not here harms nobody: stable decides, and the controller
		// says why the release does not advance.
		r.log.Warn("the candidate cannot run here", "revision", from.Candidate, "error", err)
		return to, nil
	}
	to.Candidate = candidate
	return to, nil
}

func (r *router) stable(id string) (handler.Revision, error) {
	if id == "" {
		return r.revisions.Initial(), nil
	}
	rev, err := r.revisions.Lookup(id)
	if err != nil {
		return rev, lockstep.Hint(fmt.Errorf("the stable revision of the ledger of releases: %w", err),
			`run the lockstep that has it, or configure it under "revisions"; nothing is committed by another one unasked`)
	}
	return rev, nil
}
