package git

import (
	"context"
	"fmt"
	"strings"

	"lockstep/internal/lockstep"
)

const refHeads = "refs/heads/"

// branch returns the commit of a branch, "" when there is none.
func (w *work) branch(ctx context.Context, name string) (string, error) {
	out, _, err := w.run(ctx, w.top, call{args: []string{"rev-parse", "--verify", "--quiet", "--end-of-options", refHeads + name + "^{commit}"}, fine: []int{1}})
	return line(out), err
}

// create makes a branch at a commit, or finds it there. lockstep.ErrConflict: it is at
// another commit, and stays there.
func (w *work) create(ctx context.Context, name, commit, why string) error {
	at, err := w.branch(ctx, name)
	if err != nil || at == commit {
		return err
	}
	if at != "" {
		return fmt.Errorf("branch %s is at %s already, not at %s: %w", name, short(at), short(commit), lockstep.ErrConflict)
	}
	_, err = w.git(ctx, "update-ref", "--create-reflog", "-m", why, refHeads+name, commit, strings.Repeat("0", len(commit)))
	return err
}

// rename gives a branch another name, or takes the name away when to is "", in one
// transaction.
func (w *work) rename(ctx context.Context, from, commit, to, why string) error {
	orders := "start\n"
	if to != "" {
		orders += "create " + refHeads + to + " " + commit + "\n"
	}
	orders += "delete " + refHeads + from + " " + commit + "\nprepare\ncommit\n"
	_, _, err := w.run(ctx, w.top, call{args: []string{"update-ref", "--create-reflog", "-m", why, "--stdin"}, stdin: []byte(orders)})
	return err
}

// free returns the name, or the first of name-2, name-3 ... that is free or has the
// commit already. "": none is.
func (w *work) free(ctx context.Context, name, commit string) (string, error) {
	const most = 100
	for n := 1; n <= most; n++ {
		try := name
		if n > 1 {
			try = fmt.Sprintf("%s-%d", name, n)
		}
		at, err := w.branch(ctx, try)
		if err != nil {
			return "", err
		}
		if at == "" || at == commit && commit != "" {
			return try, nil
		}
	}
	return "", fmt.Errorf("%w: the branches %s to %s-%d exist all", lockstep.ErrRefused, name, name, most)
}

// ancestor says whether a commit is another one or before it.
func (w *work) ancestor(ctx context.Context, old, young string) (bool, error) {
	_, status, err := w.run(ctx, w.top, call{args: []string{"merge-base", "--is-ancestor", old, young}, fine: []int{1}})
	return status == 0, err
}

// holders lists the branches and tags, other than one, from which a commit is reached.
func (w *work) holders(ctx context.Context, commit, except string) ([]string, error) {
	out, err := w.look(ctx, "for-each-ref", "--contains", commit, "--format=%(refname)", "refs/heads", "refs/remotes", "refs/tags")
	if err != nil {
		return nil, err
	}
	var names []string
	for ref := range strings.FieldsSeq(string(out)) { // the name of a ref holds no blank
		if ref != refHeads+except {
			names = append(names, strings.TrimPrefix(strings.TrimPrefix(ref, refHeads), "refs/"))
		}
	}
	return names, nil
}
