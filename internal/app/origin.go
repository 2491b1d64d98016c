package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lockstep/internal/branch"
	"lockstep/internal/compact"
	"lockstep/internal/config"
	"lockstep/internal/lockstep"
)

// Origin is what branches of this index are taken from.
func (a *App) Origin() branch.Origin {
	return branch.Origin{Log: a.Log, State: a.State, Importer: importerOf(a.Config)}
}

// Do runs a task with the compactor. A server runs it between two commits.
func (a *App) Do(ctx context.Context, do func(context.Context, *compact.Compactor) error) error {
	return do(ctx, a.Compactor)
}

// OpenWorker opens the index for working on it beside whoever else does: with the local
// state of the data directory when that is free, else with a private one that is built
// from the store, which costs time and needs nobody's help.
func OpenWorker(ctx context.Context, cfg config.Config, opts Options) (*App, error) {
	a, err := Open(ctx, cfg, opts)
	if errors.Is(err, ErrBusy) {
		a, err = openPrivate(ctx, cfg, opts)
	}
	return a, err
}

// CanRebuild returns ErrRefused unless the records of the stable revision follow from the
// items of the table alone, so that deriving them anew gives what should be there.
func (a *App) CanRebuild(ctx context.Context) error {
	stable, err := a.Compactor.Stable(ctx)
	if err != nil {
		return err
	}
	if convergent(stable.Handler) {
		return nil
	}
	return lockstep.Hint(fmt.Errorf("rebuild by %s: %w: its records do not follow from the items of the table alone", stable, lockstep.ErrRefused),
		`"lockstep revert" and "lockstep reset" handle the messages again instead`)
}

// Derivable says whether the records of a revision follow from the items of the table alone,
// as far as it is known here.
func (c *Control) Derivable(id string) bool {
	rev, err := c.Revisions.Lookup(id)
	return err == nil && convergent(rev.Handler)
}

// FollowerPosition asks the follower where it stands. ErrUnavailable: it does not answer.
func (a *App) FollowerPosition(ctx context.Context) (FollowerStatus, error) {
	st := a.follower.Status()
	if a.follower.Target == nil {
		return st, lockstep.Hint(fmt.Errorf("the follower: %w: %s", lockstep.ErrUnavailable, st.State), st.Advice)
	}
	at, err := a.follower.Target.Position(ctx)
	if err != nil {
		return st, fmt.Errorf("the follower: %w", err)
	}
	st.Version = at.Version
	return st, nil
}

// HasFollower says whether there is something that holds a copy of the index: a follower
// that is wanted and can be written here.
func HasFollower(cfg config.Config, s *Store, look func(string) (string, error)) bool {
	f, err := openFollower(cfg, s, look)
	return err != nil || f.Target != nil // one that cannot be opened is one all the same
}

// followWithin is how long the follower of a running server may take to come along.
const followWithin = time.Minute

// Followed waits until the server's follower holds the newest version of now. ErrUnavailable:
// it does not get there in time; it goes on by itself.
func (s *Server) Followed(ctx context.Context) error {
	head, err := s.Log.Head(ctx)
	if err != nil {
		return err
	}
	late := time.NewTimer(followWithin)
	defer late.Stop()
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for {
		st := s.FollowerStatus()
		if st.Version >= head.Number() {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-late.C:
			return fmt.Errorf("the follower is at version %d of %d: %w: %s", st.Version, head.Number(), lockstep.ErrUnavailable, st.Error)
		case <-look.C:
		}
	}
}
