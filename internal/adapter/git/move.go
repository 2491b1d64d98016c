package git

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

// stale is how old a lock must be before it counts as left behind by a killed git.
const stale = time.Minute

// standing is a commit with the branch on which one stands there; "": none.
type standing struct{ commit, branch string }

// journey is a move of the working tree. When the branch stays the same, it is the branch
// that moves.
type journey struct {
	from, to standing
	// resumed: an earlier one, killed in the middle, may have left files as they shall be.
	resumed bool
}

// move brings the working tree, the index and HEAD to where a journey leads.
// lockstep.ErrRefused: something that is not committed is in the way; nothing was touched.
// Any other error may leave the tree between the two, and a resumed journey goes on from
// there.
func (w *work) move(ctx context.Context, j journey) error {
	if j.resumed {
		half, err := w.half(ctx, j)
		if err != nil {
			return err
		}
		if half {
			// Every file that differs is on its way: the rest of the way loses nothing.
			if _, err := w.git(ctx, "read-tree", "--reset", "-u", j.to.commit); err != nil {
				return err
			}
			return w.stand(ctx, j)
		}
	}
	if err := w.obstacles(ctx, j.from.commit, j.to.commit, nil); err != nil {
		return err
	}
	var err error
	switch j.to.branch {
	case j.from.branch:
		// What git knows of the files' times is wrong in a copy, and "reset --keep" does not
		// look at content then. 1: some files differ, which the next says better.
		if _, _, err := w.run(ctx, w.top, call{args: []string{"update-index", "-q", "--refresh"}, fine: []int{1}}); err != nil {
			return err
		}
		_, err = w.git(ctx, "reset", "--keep", "--quiet", j.to.commit)
	case "":
		_, err = w.git(ctx, "switch", "--quiet", "--detach", "--no-overwrite-ignore", j.to.commit)
	default:
		_, err = w.git(ctx, "switch", "--quiet", "--no-guess", "--no-overwrite-ignore", j.to.branch)
	}
	return err
}

// half says whether some files are already where a journey leads. lockstep.ErrRefused:
// some are neither there nor where it began.
func (w *work) half(ctx context.Context, j journey) (bool, error) {
	strange, err := w.foreign(ctx, j.from.commit, j.to.commit, nil)
	if err != nil {
		return false, err
	}
	if len(strange) > 0 {
		return false, lockstep.Hint(fmt.Errorf("%w: the move to %s was interrupted, and these files are neither as before nor as after: %s", lockstep.ErrRefused, short(j.to.commit), list(strange)),
			"somebody has changed them since: put the changes away and go on")
	}
	moved, err := w.differences(ctx, j.from.commit, j.to.commit, nil)
	if err != nil {
		return false, err
	}
	return w.differs(ctx, j.from.commit, moved)
}

// differs says whether any of the files is not what it is in a commit.
func (w *work) differs(ctx context.Context, commit string, files []string) (bool, error) {
	if len(files) == 0 {
		return false, nil
	}
	d, err := w.deviations(ctx, commit, files)
	if err != nil || len(d) > 0 {
		return true, err
	}
	d, err = w.staged(ctx, commit, files)
	return len(d) > 0, err
}

// stand makes HEAD say where the working tree is.
func (w *work) stand(ctx context.Context, j journey) error {
	const why = "lockstep: end of an interrupted move"
	var err error
	switch j.to.branch {
	case j.from.branch:
		_, err = w.git(ctx, "update-ref", "-m", why, "HEAD", j.to.commit, j.from.commit)
	case "":
		_, err = w.git(ctx, "update-ref", "--no-deref", "-m", why, "HEAD", j.to.commit)
	default:
		_, err = w.git(ctx, "symbolic-ref", "-m", why, "HEAD", refHeads+j.to.branch)
	}
	return err
}

// obstacles refuses to write over files that git does not follow where the new commit has
// some, also over those that it is told to ignore.
func (w *work) obstacles(ctx context.Context, from, to string, paths []string) error {
	out, err := w.look(ctx, withPaths([]string{"diff-tree", "-r", "-z", "--name-only", "--no-renames", "--diff-filter=A", from, to}, paths)...)
	if err != nil {
		return err
	}
	var in []string
	for _, p := range words(out) {
		if _, err := os.Lstat(filepath.Join(w.top, filepath.FromSlash(p))); err == nil {
			in = append(in, p)
		}
	}
	if len(in) == 0 {
		return nil
	}
	return lockstep.Hint(fmt.Errorf("%w: files that git does not follow are where %s has some: %s", lockstep.ErrRefused, short(to), list(in)), "move them away; nothing was touched")
}

// clearLocks removes locks that an interrupted step has left, once they are old: it is
// interrupted when it has kept where it was going. Any other lock is somebody's:
// lockstep.ErrUnavailable.
func (w *work) clearLocks(k kept, branches ...string) error {
	locks := []string{filepath.Join(w.gitDir, "index.lock"), filepath.Join(w.gitDir, "HEAD.lock"), filepath.Join(w.common, "packed-refs.lock")}
	for _, b := range branches {
		locks = append(locks, filepath.Join(w.common, filepath.FromSlash(refHeads+b+".lock")))
	}
	for _, lock := range locks {
		info, err := os.Lstat(lock)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%w: look at %s: %w", lockstep.ErrUnavailable, lock, err)
		}
		if k.Tip != "" && w.now != nil && w.now().Sub(info.ModTime()) >= stale {
			if err := os.Remove(lock); err != nil && !os.IsNotExist(err) {
				return fmt.Errorf("%w: remove a lock that a killed git left: %w", lockstep.ErrUnavailable, err)
			}
			continue
		}
		return lockstep.Hint(fmt.Errorf("%w: %s exists: a git is at work, or was killed a moment ago", lockstep.ErrUnavailable, lock),
			fmt.Sprintf("try again; a lock that an interrupted rollback left is removed when it is %s old; if no git runs, rm %s", stale, quoted(lock)))
	}
	return nil
}

// compiledFile is what Python leaves where code was.
func compiledFile(d os.DirEntry) bool {
	return d.Type().IsRegular() && strings.HasSuffix(d.Name(), ".pyc")
}

// onlyCompiled says whether there is nothing below a directory but compiled files.
func onlyCompiled(dir string) bool {
	only := true
	err := filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !d.IsDir() && !compiledFile(d) {
			only = false
			return filepath.SkipAll
		}
		return nil
	})
	return only && err == nil
}

// sweep removes compiled files below paths that are gone, and then directories that are
// empty: one with nothing in it could still be imported.
func (w *work) sweep(paths []string) error {
	for _, p := range paths {
		root := filepath.Join(w.top, filepath.FromSlash(p))
		var dirs []string
		err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			switch {
			case os.IsNotExist(err):
				return nil
			case err != nil:
				return err
			case d.IsDir():
				dirs = append(dirs, path)
			case compiledFile(d):
				return os.Remove(path)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("%w: remove compiled files below %s: %w", lockstep.ErrUnavailable, p, err)
		}
		for _, dir := range slices.Backward(dirs) {
			_ = os.Remove(dir) // one that is not empty stays, and the evidence says so
		}
	}
	return nil
}
