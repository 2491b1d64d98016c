package chroma

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"lockstep/internal/follow"
	"lockstep/internal/lockstep"
)

// spaces are the distances Chroma's local HNSW knows.
var spaces = []string{"l2", "cosine", "ip"}

// spaceOf returns the space of a collection, with Chroma's default for none.
func spaceOf(s follow.Spec) string {
	if s.Space == "" {
		return spaces[0]
	}
	return s.Space
}

// checkStep returns ErrInvalid for a step that no directory could take.
func checkStep(step follow.Step) error {
	seen := map[lockstep.Collection]bool{}
	for _, s := range step.Collections {
		if err := s.Name.Check(); err != nil {
			return err
		}
		if seen[s.Name] {
			return fmt.Errorf("%w step: collection %s is listed twice", lockstep.ErrInvalid, s.Name)
		}
		seen[s.Name] = true
		if !slices.Contains(spaces, spaceOf(s)) {
			return fmt.Errorf("%w step: collection %s has the space %q, want one of %v", lockstep.ErrInvalid, s.Name, s.Space, spaces)
		}
		if s.Dimension < 0 || s.Dimension > lockstep.MaxDimension {
			return fmt.Errorf("%w step: collection %s has dimension %d, at most %d", lockstep.ErrInvalid, s.Name, s.Dimension, lockstep.MaxDimension)
		}
	}
	return nil
}

// checkFrom returns ErrConflict unless the follower holds the state a step starts from.
func checkFrom(held, from follow.Mark) error {
	same := held.Version == from.Version &&
		(from.Version == 0 || held.Store == from.Store && maps.Equal(held.Digests, from.Digests))
	if same {
		return nil
	}
	err := fmt.Errorf("%w: the follower holds version %d of %q, the step starts at version %d of %q",
		lockstep.ErrConflict, held.Version, held.Store, from.Version, from.Store)
	return lockstep.Hint(err, "ask for the position again and plan the step from there, or take a Full step")
}

// takeStep carries out step inside the transaction that db.lock began, and commits
// it. On error the transaction is rolled back where the journal allows it; a build
// without a journal is thrown away as a whole.
func takeStep(ctx context.Context, db *database, step follow.Step, f forms) (err error) {
	defer func() {
		if err != nil {
			db.rollback(context.WithoutCancel(ctx))
		}
	}()
	e, err := newEditor(ctx, db, step.To.Store)
	if err != nil {
		return err
	}
	defer e.close()
	if err := e.settleCollections(ctx, step.Collections, f); err != nil {
		return err
	}
	n := 0
	for ch, err := range step.Changes {
		if err != nil {
			return fmt.Errorf("read the changes of the step: %w", err)
		}
		if n++; n%256 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if step.Full && (!ch.New || ch.Delete) {
			return fmt.Errorf("%w step: a Full step holds new records only, %s %q is not", lockstep.ErrInvalid, ch.Collection, ch.Record.ID)
		}
		if err := e.apply(ctx, ch); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := e.finish(ctx); err != nil {
		return err
	}
	held, err := takeFingerprint(ctx, db)
	if err != nil {
		return err
	}
	if err := writeNote(ctx, db, noteOf(step.To, held)); err != nil {
		return err
	}
	return db.commit(ctx)
}
