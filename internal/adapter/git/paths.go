package git

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lockstep/internal/lockstep"
)

// entries are what paths are in a commit: kind and hash, which for a directory is that of
// its tree. What the commit does not have is missing.
func (w *work) entries(ctx context.Context, commit string, paths []string) (map[string]string, error) {
	found := map[string]string{}
	var some []string
	for _, p := range paths {
		if p != wholeTree {
			some = append(some, p)
			continue
		}
		out, err := w.look(ctx, "rev-parse", "--verify", "--end-of-options", commit+"^{tree}")
		if err != nil {
			return nil, err
		}
		found[wholeTree] = "tree " + line(out)
	}
	if len(some) == 0 {
		return found, nil
	}
	out, err := w.look(ctx, withPaths([]string{"ls-tree", "-z", "--full-tree", commit}, some)...)
	if err != nil {
		return nil, err
	}
	for _, l := range words(out) {
		about, name, _ := strings.Cut(l, "\t")
		if slices.Contains(some, name) {
			found[name] = about
		}
	}
	return found, nil
}

// absent lists the paths that a commit does not have.
func (w *work) absent(ctx context.Context, commit string, paths []string) ([]string, error) {
	found, err := w.entries(ctx, commit, paths)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(paths), func(p string) bool { return found[p] != "" }), nil
}

// differences lists the files below the paths that differ between two commits.
func (w *work) differences(ctx context.Context, a, b string, paths []string) ([]string, error) {
	out, err := w.look(ctx, withPaths([]string{"diff-tree", "-r", "-z", "--name-only", "--no-renames", a, b}, paths)...)
	return words(out), err
}

// changedBy returns for each commit the files below the paths that it changes. A merge
// changes what is unlike all of its parents.
func (w *work) changedBy(ctx context.Context, commits []string, paths []string) (map[string][]string, error) {
	changed := map[string][]string{}
	if len(commits) == 0 {
		return changed, nil
	}
	args := withPaths([]string{"diff-tree", "--stdin", "-r", "-z", "--raw", "-c", "--root", "--no-renames"}, paths)
	out, _, err := w.run(ctx, w.top, call{args: args, stdin: []byte(strings.Join(commits, "\n") + "\n")})
	if err != nil {
		return nil, err
	}
	id := ""
	for ws := words(out); len(ws) > 0; ws = ws[1:] {
		switch {
		case !strings.HasPrefix(ws[0], ":"):
			id = ws[0]
		case len(ws) < 2 || id == "":
			return nil, fmt.Errorf("%w git diff-tree: %q without a path", lockstep.ErrCorrupt, ws[0])
		default:
			changed[id] = append(changed[id], ws[1])
			ws = ws[1:]
		}
	}
	return changed, nil
}

// deviations lists the files below the paths that are not in the working tree what they
// are in a commit: changed, missing, or there and not in the commit. exclude leaves out
// those of the last kind that git is told to ignore. It compares content, by an index of
// its own beside the repository's, which stays as it is.
func (w *work) deviations(ctx context.Context, commit string, paths []string, exclude ...string) ([]string, error) {
	dir, err := os.MkdirTemp("", "lockstep-index-")
	if err != nil {
		return nil, fmt.Errorf("%w: make a directory for an index: %w", lockstep.ErrUnavailable, err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // what stays is small and in the way of nobody
	index := filepath.Join(dir, "index")
	// What git knows of the files' times is in the index that there is; nothing is hashed
	// that it knows. Without it all is hashed, and the answer is the same.
	if known, err := os.ReadFile(filepath.Join(w.gitDir, "index")); err == nil {
		if err := os.WriteFile(index, known, 0o600); err != nil { //nolint:forbidigo // a file that is thrown away at once
			return nil, fmt.Errorf("%w: copy the index: %w", lockstep.ErrUnavailable, err)
		}
	}
	env := []string{"GIT_INDEX_FILE=" + index}
	run := func(fine []int, args ...string) ([]byte, error) {
		out, _, err := w.run(ctx, w.top, call{args: args, env: env, fine: fine})
		return out, err
	}
	if _, err := run(nil, "read-tree", "--reset", commit); err != nil {
		return nil, err
	}
	// 1: some are not as they should be, which is what the next asks.
	if _, err := run([]int{1}, "update-index", "-q", "--refresh"); err != nil {
		return nil, err
	}
	changed, err := run(nil, withPaths([]string{"diff-files", "-z", "--name-only", "--no-renames"}, paths)...)
	if err != nil {
		return nil, err
	}
	others, err := run(nil, withPaths(append([]string{"ls-files", "-z", "--others"}, exclude...), paths)...)
	if err != nil {
		return nil, err
	}
	all := append(words(changed), words(others)...)
	slices.Sort(all)
	return slices.Compact(all), nil
}

// staged lists the files below the paths that are not in the index what they are in a
// commit.
func (w *work) staged(ctx context.Context, commit string, paths []string) ([]string, error) {
	out, err := w.look(ctx, withPaths([]string{"diff-index", "--cached", "-z", "--name-only", "--no-renames", commit}, paths)...)
	return words(out), err
}

// neither lists the files that are, in the working tree or in the index, neither what
// they are in one commit nor what they are in the other.
func (w *work) neither(ctx context.Context, from, to string, paths []string) ([]string, error) {
	moved, err := w.differences(ctx, from, to, paths)
	if err != nil || len(moved) == 0 {
		return nil, err
	}
	strange := set{}
	for _, by := range []func(context.Context, string, []string) ([]string, error){
		func(ctx context.Context, c string, p []string) ([]string, error) { return w.deviations(ctx, c, p) },
		w.staged,
	} {
		a, err := by(ctx, from, moved)
		if err != nil {
			return nil, err
		}
		b, err := by(ctx, to, moved)
		if err != nil {
			return nil, err
		}
		for _, p := range a {
			if slices.Contains(b, p) {
				strange[p] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(strange)), nil
}

// foreign lists those of them that a checkout from one commit to the other, killed in the
// middle, cannot have left: somebody's work.
func (w *work) foreign(ctx context.Context, from, to string, paths []string) ([]string, error) {
	strange, err := w.neither(ctx, from, to, paths)
	var theirs []string
	for _, p := range strange {
		begun, failed := w.begun(ctx, to, p)
		err = errors.Join(err, failed)
		if !begun {
			theirs = append(theirs, p)
		}
	}
	return theirs, err
}

const maxBegun = 64 << 20 // of a file that is compared byte by byte

// begun says whether a file holds the beginning of what a commit has there. So does one
// that is missing: git removes a file before it writes it anew.
func (w *work) begun(ctx context.Context, commit, path string) (bool, error) {
	onDisk := filepath.Join(w.top, filepath.FromSlash(path))
	info, err := os.Lstat(onDisk)
	if os.IsNotExist(err) {
		return true, nil
	}
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxBegun {
		return false, nil //nolint:nilerr // what cannot be looked at counts as somebody's
	}
	have, err := os.ReadFile(onDisk)
	if err != nil {
		return false, nil //nolint:nilerr // as above
	}
	found, err := w.entries(ctx, commit, []string{path})
	if err != nil || found[path] == "" {
		return false, err
	}
	want, err := w.look(ctx, "cat-file", "blob", strings.Fields(found[path])[2])
	if err != nil {
		return false, err
	}
	return len(have) < len(want) && string(want[:len(have)]) == string(have), nil
}
