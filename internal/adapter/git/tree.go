package git

import (
	"context"
	"errors"
	"fmt"

	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
)

// Tree brings the whole working tree to where the migration is not: option A, on a branch
// with commits that take it back, or option B, on a branch at the point.
type Tree struct{ repo *Repo }

// Look says where the working tree stands, and whether the named paths are as at the
// point.
func (t Tree) Look(ctx context.Context, at rollback.At) (rollback.Sight, error) {
	p, k, err := read(at)
	if err != nil {
		return rollback.Sight{}, err
	}
	w, err := t.repo.open(ctx)
	if err != nil {
		return rollback.Sight{}, err
	}
	s, err := w.state(ctx, p.Paths)
	if err != nil {
		return rollback.Sight{}, err
	}
	if s.Operation != "" {
		return rollback.Sight{State: s.Operation + " under way " + s.place(), Detail: lockstep.HintOf(s.busy())}, nil
	}
	sight, err := w.lookTree(ctx, s, p, k)
	if sight.State == "" {
		sight.State = s.place()
	}
	return sight, err
}

func (w *work) lookTree(ctx context.Context, s State, p params, k kept) (rollback.Sight, error) {
	tip := ""
	var err error
	if !p.Move {
		if tip, err = w.branch(ctx, p.Rollback); err != nil {
			return rollback.Sight{}, err
		}
	}
	switch {
	case s.Branch == p.endBranch() && (!p.Move || s.Head != p.Head):
		return w.lookEnd(ctx, s, p, k)
	case s.Head != p.Head || s.Branch != p.Branch:
		return rollback.Sight{Detail: "neither where it began nor where it ends: somebody went on from there"}, nil
	case tip == "":
		return rollback.Sight{State: p.begin(), Detail: "the rollback has not begun"}, nil
	case p.Undo:
		return rollback.Sight{State: rollback.Partial, Detail: "back " + p.begin() + ", and branch " + p.Rollback + " is still there"}, nil
	case tip == k.Tip:
		return rollback.Sight{State: rollback.Partial, Detail: "branch " + p.Rollback + " is made, the working tree is on its way"}, nil
	}
	return rollback.Sight{
		State:  p.begin() + ", with a branch " + p.Rollback + " at " + short(tip),
		Detail: "this rollback has not made that branch: rename it, or make a new plan",
	}, nil
}

// lookEnd looks at a working tree that stands on the branch where the step ends.
func (w *work) lookEnd(ctx context.Context, s State, p params, k kept) (rollback.Sight, error) {
	v, err := w.verify(ctx, s, p)
	if err != nil {
		return rollback.Sight{}, err
	}
	sight := rollback.Sight{Detail: v.detail(k)}
	if !p.Undo {
		sight.Evidence = v.evidence(s, p, k)
	}
	switch {
	case len(v.wrong) == 0 && !p.Undo && v.compiled:
		sight.State = rollback.Partial
	case len(v.wrong) == 0:
		sight.State = p.end()
	case p.Undo && k.Tip != "": // HEAD is the last that moves
		sight.State = rollback.Partial
	default:
		sight.State = s.place() + ", unlike " + short(p.Point)
	}
	return sight, nil
}

// Do makes the branch and brings the working tree to it. lockstep.ErrRefused: a commit
// cannot be taken back by itself, or something that is not committed is in the way; the
// error names it, and the tree is as before. After any other error Look says how far it
// came, and Do goes on from there.
func (t Tree) Do(ctx context.Context, at rollback.At, keep rollback.Keeper) error {
	p, k, err := read(at)
	if err != nil {
		return err
	}
	w, err := t.repo.open(ctx)
	if err != nil {
		return err
	}
	s, err := w.state(ctx, p.Paths)
	if err != nil {
		return err
	}
	if err := s.busy(); err != nil {
		return err
	}
	if p.Undo {
		return w.undoTree(ctx, s, p, k, keep)
	}
	sight, err := w.lookTree(ctx, s, p, k)
	if err != nil || sight.State == p.end() {
		return err
	}
	if sight.State != p.begin() && sight.State != rollback.Partial {
		return lockstep.Hint(fmt.Errorf("the working tree is %s, not %s: %w", s.place(), p.begin(), lockstep.ErrConflict), "make a new plan from where it is now")
	}
	if err := w.doTree(ctx, s, p, k, keep); err != nil {
		if _, ok := errors.AsType[*conflict](err); ok {
			err = lockstep.Hint(err, "nothing was touched. By hand: "+byHand(w.settings.Path, p.Head, p.Rollback, p.Picks)+`; or option reset; or name the commits in "also"`)
		}
		return err
	}
	return nil
}

func (w *work) doTree(ctx context.Context, s State, p params, k kept, keep rollback.Keeper) error {
	if s.Head == p.Head && s.Branch == p.Branch {
		if err := w.goTo(ctx, s, p, k, keep); err != nil {
			return err
		}
	}
	absent, err := w.absent(ctx, p.Point, p.Paths)
	if err != nil {
		return err
	}
	return w.sweep(absent)
}

// goTo is the way from where the rollback begins.
func (w *work) goTo(ctx context.Context, s State, p params, k kept, keep rollback.Keeper) error {
	if err := w.clearLocks(k, p.Rollback); err != nil {
		return err
	}
	resumed := k.Tip != ""
	if !p.Move {
		at, err := w.branch(ctx, p.Rollback)
		if err != nil {
			return err
		}
		resumed = at != ""
	}
	if !resumed {
		if err := dirtyError(s.inWay(p.Paths)); err != nil {
			return err
		}
		if err := w.keepsHead(ctx, p); err != nil {
			return err
		}
		if err := w.prepare(ctx, p, &k, keep); err != nil {
			return err
		}
	}
	if !p.Move {
		if err := w.create(ctx, p.Rollback, k.Tip, "lockstep: rollback"); err != nil {
			return err
		}
	}
	return w.move(ctx, journey{standing{p.Head, p.Branch}, standing{k.Tip, p.endBranch()}, resumed})
}

// prepare works out where the tree is to be brought and keeps that, before the first
// thing that can be seen.
func (w *work) prepare(ctx context.Context, p params, k *kept, keep rollback.Keeper) error {
	k.Tip = p.Point
	if len(p.Picks) > 0 {
		a, err := w.apply(ctx, p, keep.Say)
		if err != nil {
			return err
		}
		k.Tip, k.Skipped = a.tip, a.skipped
		left, err := w.unlike(ctx, a.tip, p)
		if err != nil {
			return err
		}
		if len(left) > 0 {
			return lockstep.Hint(fmt.Errorf("%w: with all %s taken back these would still be unlike %s: %s", lockstep.ErrRefused, count(len(p.Picks), "commit"), short(p.Point), list(left)),
				`nothing was touched. Some commit of the migration is not recognised: name it in "also", or use option reset or restore`)
		}
	}
	return keep.Keep(ctx, encode(*k))
}

// keepsHead refuses to leave a commit that nothing else would have.
func (w *work) keepsHead(ctx context.Context, p params) error {
	at, err := w.branch(ctx, p.Reference)
	if err != nil || at == p.Head {
		return err
	}
	others, err := w.holders(ctx, p.Head, p.Branch)
	if err != nil {
		return err
	}
	if p.Branch != "" && !p.Move || len(others) > 0 {
		return nil
	}
	return lockstep.Hint(fmt.Errorf("%w: nothing else keeps the commit %s that would be left", lockstep.ErrRefused, short(p.Head)), "git branch "+quoted(p.Reference)+" "+short(p.Head))
}

// undoTree goes back to where the rollback began. The rollback branch keeps its commits
// under another name.
func (w *work) undoTree(ctx context.Context, s State, p params, k kept, keep rollback.Keeper) error {
	if err := w.clearLocks(k, p.Rollback, p.Undone); err != nil {
		return err
	}
	resumed := k.Tip != ""
	if s.Head != p.Head || s.Branch != p.Branch {
		if s.Branch != p.endBranch() {
			return fmt.Errorf("the working tree is %s, not on %s: %w", s.place(), p.endBranch(), lockstep.ErrConflict)
		}
		if !resumed {
			if err := dirtyError(s.inWay(p.Paths)); err != nil {
				return err
			}
			k.Tip = p.Head
			if err := keep.Keep(ctx, encode(k)); err != nil {
				return err
			}
		}
		if err := w.move(ctx, journey{standing{s.Head, s.Branch}, standing{p.Head, p.Branch}, resumed}); err != nil {
			return err
		}
	}
	if p.Move {
		return nil
	}
	tip, err := w.branch(ctx, p.Rollback)
	if err != nil || tip == "" {
		return err
	}
	name := p.Undone
	if known, err := w.ancestor(ctx, tip, p.Head); err != nil {
		return err
	} else if known {
		name = "" // the branch that one is on has all of it
	} else if at, err := w.branch(ctx, name); err != nil {
		return err
	} else if at == tip {
		name = "" // left by an earlier undo of the same rollback
	} else if name, err = w.free(ctx, name, ""); err != nil {
		return err
	}
	return w.rename(ctx, p.Rollback, tip, name, "lockstep: a rollback was taken back")
}

// Undo returns the step that goes back to the branch and the commit before.
// lockstep.ErrRefused: the branch has moved on since.
func (t Tree) Undo(ctx context.Context, at rollback.At) (*rollback.Step, error) {
	p, _, err := read(at)
	if err != nil {
		return nil, err
	}
	if p.Undo {
		p.Undo = false
		b := back(at.Step, p, "Go to "+p.endBranch()+" again, without the migration")
		b.Changes, b.Manual = "the working tree", "git switch "+quoted(p.endBranch())
		return b, nil
	}
	w, err := t.repo.open(ctx)
	if err != nil {
		return nil, err
	}
	if p.Branch != "" && !p.Move {
		now, err := w.branch(ctx, p.Branch)
		if err != nil {
			return nil, err
		}
		if now != p.Head {
			return nil, lockstep.Hint(fmt.Errorf("%w: branch %s was at %s and is at %q now", lockstep.ErrRefused, p.Branch, short(p.Head), short(now)), "git switch "+quoted(p.Branch)+" goes there; what to keep is yours to say")
		}
	}
	p.Undo, p.Undone = true, p.Rollback+"-undone"
	b := back(at.Step, p, "Go back to where the migration is, "+p.begin())
	b.Changes = "the working tree; branch " + p.Rollback + " keeps its commits as " + p.Undone
	b.Manual = "git switch " + quoted(p.Branch)
	switch {
	case p.Move:
		b.Changes, b.Manual = "branch "+p.Branch+" and the working tree", "git reset --keep "+short(p.Head)
	case p.Branch == "":
		b.Manual = "git switch --detach " + short(p.Head)
	}
	return b, nil
}
