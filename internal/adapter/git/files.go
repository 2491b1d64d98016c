package git

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
)

// Files puts the named paths back in the working tree and in the index, on the branch
// that is checked out and without a commit: the quick procedure.
type Files struct{ repo *Repo }

func filesState(commit string) string { return "paths as at " + short(commit) }

// Look compares the named paths with the two commits, by content.
func (t Files) Look(ctx context.Context, at rollback.At) (rollback.Sight, error) {
	p, k, err := read(at)
	if err != nil {
		return rollback.Sight{}, err
	}
	w, err := t.repo.open(ctx)
	if err != nil {
		return rollback.Sight{}, err
	}
	return w.lookFiles(ctx, p, k)
}

func (w *work) lookFiles(ctx context.Context, p params, k kept) (rollback.Sight, error) {
	s, err := w.state(ctx, p.Paths)
	if err != nil {
		return rollback.Sight{}, err
	}
	if s.Operation != "" {
		return rollback.Sight{State: s.Operation + " under way " + s.place(), Detail: lockstep.HintOf(s.busy())}, nil
	}
	before, err := w.beside(ctx, p.Head, p.Paths)
	if err != nil {
		return rollback.Sight{}, err
	}
	after, err := w.beside(ctx, p.Point, p.Paths)
	if err != nil {
		return rollback.Sight{}, err
	}
	v := verdict{wrong: after}
	if err := w.remains(ctx, &v, p); err != nil {
		return rollback.Sight{}, err
	}
	sight := rollback.Sight{Detail: v.detail(kept{})}
	if !p.Undo {
		sight.Evidence = []rollback.Evidence{v.noCode(p)}
		for _, item := range []string{rollback.ItemPkgInit, rollback.ItemHandlers} {
			if e, ok := v.files(item, p); ok {
				sight.Evidence = append(sight.Evidence, e)
			}
		}
	}
	switch {
	case len(after) == 0 && v.compiled:
		sight.State = rollback.Partial
	case len(after) == 0:
		sight.State = filesState(p.Point)
	case len(before) == 0:
		sight.State = filesState(p.Head)
	default:
		strange, err := w.strange(ctx, p, k, sides{before, after})
		if err != nil {
			return rollback.Sight{}, err
		}
		sight.State = rollback.Partial
		if len(strange) > 0 {
			sight.State = "changed: " + list(strange)
			sight.Detail = "neither as at " + short(p.Head) + " nor as at " + short(p.Point) + ": somebody's work, which stays"
		}
	}
	return sight, nil
}

// beside lists the files below the paths that are not as in a commit, on disk or in the
// index.
func (w *work) beside(ctx context.Context, commit string, paths []string) ([]string, error) {
	files, err := w.deviations(ctx, commit, paths, "--exclude-standard")
	if err != nil {
		return nil, err
	}
	staged, err := w.staged(ctx, commit, paths)
	if err != nil {
		return nil, err
	}
	files = append(files, staged...)
	slices.Sort(files)
	return slices.Compact(files), nil
}

// sides are the files that differ from the commit before, and from the one after.
type sides struct{ before, after []string }

// strange lists what is like neither commit: files of theirs with other content, and
// files that neither has.
func (w *work) strange(ctx context.Context, p params, k kept, s sides) ([]string, error) {
	moved, err := w.differences(ctx, p.Head, p.Point, p.Paths)
	if err != nil {
		return nil, err
	}
	which := w.foreign
	if k.Tip == "" { // nothing of ours can have been killed
		which = w.neither
	}
	strange, err := which(ctx, p.Head, p.Point, p.Paths)
	if err != nil {
		return nil, err
	}
	for _, f := range s.before {
		if slices.Contains(s.after, f) && !slices.Contains(moved, f) {
			strange = append(strange, f)
		}
	}
	slices.Sort(strange)
	return slices.Compact(strange), nil
}

// Do puts the paths back. lockstep.ErrRefused: something below them is not committed, or
// in the way; nothing was touched. Another error may leave some files as before and some
// as after, and Do goes on from there.
func (t Files) Do(ctx context.Context, at rollback.At, keep rollback.Keeper) error {
	p, k, err := read(at)
	if err != nil {
		return err
	}
	w, err := t.repo.open(ctx)
	if err != nil {
		return err
	}
	sight, err := w.lookFiles(ctx, p, k)
	if err != nil {
		return err
	}
	switch sight.State {
	case filesState(p.Point):
		return nil
	case filesState(p.Head):
		if err := w.obstacles(ctx, p.Head, p.Point, p.Paths); err != nil {
			return err
		}
	case rollback.Partial:
	default:
		return lockstep.Hint(fmt.Errorf("%w: the named paths are %s", lockstep.ErrRefused, sight.State), "commit these, or put them away; nothing was touched")
	}
	if err := w.clearLocks(k); err != nil {
		return err
	}
	if k.Tip == "" {
		k.Tip = p.Point
		if err := keep.Keep(ctx, encode(k)); err != nil {
			return err
		}
	}
	moved, err := w.differences(ctx, p.Head, p.Point, p.Paths)
	if err != nil {
		return err
	}
	if len(moved) > 0 {
		if err := w.restore(ctx, p, moved); err != nil {
			return err
		}
	}
	absent, err := w.absent(ctx, p.Point, p.Paths)
	if err != nil {
		return err
	}
	return w.sweep(absent)
}

// restore makes files, on disk and in the index, what they are in a commit; those that it
// does not have are removed.
func (w *work) restore(ctx context.Context, p params, files []string) error {
	out, err := w.look(ctx, withPaths([]string{"diff-tree", "-r", "-z", "--name-only", "--no-renames", "--diff-filter=D", p.Head, p.Point}, p.Paths)...)
	if err != nil {
		return err
	}
	gone := words(out)
	out, err = w.look(ctx, withPaths([]string{"ls-files", "-z", "--cached"}, p.Paths)...)
	if err != nil {
		return err
	}
	indexed := words(out)
	// One that is in neither is unknown to git, which would take its name for a mistake.
	known := slices.DeleteFunc(slices.Clone(files), func(f string) bool { return slices.Contains(gone, f) && !slices.Contains(indexed, f) })
	if len(known) > 0 {
		c := call{args: []string{"restore", "--source=" + p.Point, "--staged", "--worktree", "--no-overlay", "--pathspec-from-file=-", "--pathspec-file-nul"}, stdin: nul(known)}
		if _, _, err := w.run(ctx, w.top, c); err != nil {
			return err
		}
	}
	for _, f := range gone {
		if err := os.Remove(filepath.Join(w.top, filepath.FromSlash(f))); err != nil && !replaced(err) {
			return fmt.Errorf("%w: remove %s: %w", lockstep.ErrUnavailable, f, err)
		}
	}
	return nil
}

// replaced says that a file is not there, or that a file and a directory have changed places.
func replaced(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENOTEMPTY)
}

func nul(files []string) []byte { return []byte(strings.Join(files, "\x00")) }

// Undo is the same step with its ends exchanged.
func (Files) Undo(_ context.Context, at rollback.At) (*rollback.Step, error) {
	p, _, err := read(at)
	if err != nil {
		return nil, err
	}
	p.Head, p.Point, p.Undo = p.Point, p.Head, !p.Undo
	b := back(at.Step, p, fmt.Sprintf("Put %s to what %s has", count(len(p.Paths), "named path"), short(p.Point)))
	b.Changes, b.Manual = "files below the named paths, on disk and in the index", p.restoreByHand()
	return b, nil
}

func (p params) restoreByHand() string {
	return "git restore --source=" + short(p.Point) + " --staged --worktree -- " + quotedAll(p.Paths)
}
