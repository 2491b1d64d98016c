package git

import (
	"context"
	"fmt"

	"lockstep/internal/lockstep"
)

// FileAt returns the content of a file, named from the top of the working tree, at a
// commit. ErrNotFound: the commit has no such file.
func (r *Repo) FileAt(ctx context.Context, commit, path string) ([]byte, error) {
	paths, err := cleanPaths([]string{path})
	if err != nil {
		return nil, err
	}
	w, err := r.open(ctx)
	if err != nil {
		return nil, err
	}
	there, err := w.entries(ctx, commit, paths)
	if err != nil {
		return nil, err
	}
	if _, ok := there[paths[0]]; !ok {
		return nil, fmt.Errorf("%s at %s: %w", paths[0], short(commit), lockstep.ErrNotFound)
	}
	return w.git(ctx, "cat-file", "blob", commit+":"+paths[0])
}
