package git

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

// applied is the end of a series of reverts.
type applied struct {
	tip     string
	skipped []string // picks that changed nothing
}

// conflict says which pick cannot be taken back, and where.
type conflict struct {
	pick  Pick
	files []string
	later []string // commits that changed the same files afterwards
}

func (c *conflict) Error() string {
	text := fmt.Sprintf("revert %s: conflicts in %s", c.pick, list(c.files))
	if len(c.later) > 0 {
		text += "; changed afterwards by " + list(c.later)
	}
	return text
}

func (*conflict) Unwrap() error { return lockstep.ErrRefused }

// apply makes the commits that take the picks back, one after the other, on top of a
// commit. Nothing names them yet and no file is touched: an error leaves nothing that
// anybody can see. Made again, they are the same commits. *conflict: one cannot be taken
// back by itself.
func (w *work) apply(ctx context.Context, p params, say func(text string, done, total int64)) (applied, error) {
	out, err := w.look(ctx, "version")
	if err != nil {
		return applied{}, err
	}
	if err := newEnough(line(out)); err != nil {
		return applied{}, err
	}
	a := applied{tip: p.Head}
	now, err := w.entries(ctx, a.tip, []string{wholeTree})
	if err != nil {
		return a, err
	}
	tree := strings.TrimPrefix(now[wholeTree], "tree ")
	for i, pick := range p.Picks {
		say("take back "+pick.String(), int64(i), int64(len(p.Picks)))
		m, err := w.undoes(ctx, a.tip, pick)
		if err != nil {
			return a, err
		}
		if len(m.conflicts) > 0 {
			c := &conflict{pick: pick, files: m.conflicts}
			c.later, err = w.since(ctx, pick.Commit, p, m.conflicts)
			if err != nil {
				return a, err
			}
			return a, c
		}
		if m.tree == tree {
			a.skipped = append(a.skipped, pick.String())
			continue
		}
		tree = m.tree
		if a.tip, err = w.commitTree(ctx, tree, a.tip, message(pick), p); err != nil {
			return a, err
		}
	}
	say("all is taken back", int64(len(p.Picks)), int64(len(p.Picks)))
	return a, nil
}

// undoes merges what there was before a pick into a tip, as seen from the pick: that is
// what a revert is. The pick is an ancestor of the tip; so hung below it, the older tree
// has it for the base of the merge.
func (w *work) undoes(ctx context.Context, tip string, pick Pick) (merging, error) {
	args := []string{"commit-tree", pick.Parent + "^{tree}", "-p", pick.Commit, "-m", "other side of a merge"}
	out, _, err := w.run(ctx, w.top, call{args: args, env: identity("Lockstep", "lockstep@localhost", time.Unix(0, 0))})
	if err != nil {
		return merging{}, err
	}
	out, status, err := w.run(ctx, w.top, call{args: []string{"merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", tip, line(out)}, fine: []int{1}})
	if err != nil {
		return merging{}, err
	}
	return parseMergeTree(words(out), status)
}

func identity(name, address string, at time.Time) []string {
	date := "@" + strconv.FormatInt(at.Unix(), 10) + " +0000"
	return []string{
		"GIT_AUTHOR_NAME=" + name, "GIT_AUTHOR_EMAIL=" + address, "GIT_AUTHOR_DATE=" + date,
		"GIT_COMMITTER_NAME=" + name, "GIT_COMMITTER_EMAIL=" + address, "GIT_COMMITTER_DATE=" + date,
	}
}

func (w *work) commitTree(ctx context.Context, tree, parent, message string, p params) (string, error) {
	name, address, err := splitAuthor(p.Author)
	if err != nil {
		return "", err
	}
	out, _, err := w.run(ctx, w.top, call{
		args: []string{"commit-tree", tree, "-p", parent, "-F", "-"}, stdin: []byte(message), env: identity(name, address, p.At),
	})
	return line(out), err
}

// message is what git revert writes.
func message(p Pick) string {
	text := "Revert \"" + p.Subject + "\"\n\nThis reverts commit " + p.Commit
	if p.Merge {
		text += ", reversing\nchanges made to " + p.Parent
	}
	return text + ".\n"
}

// since lists commits after one that changed the files, without those that are taken back
// as well: they are why it conflicts.
func (w *work) since(ctx context.Context, commit string, p params, files []string) ([]string, error) {
	out, err := w.look(ctx, withPaths([]string{"log", "-z", "--no-color", "--no-decorate", "--no-show-signature", "--max-count=50", "--format=tformat:%H%x00%P%x00%ct%x00%an%x00%B", commit + ".." + p.Head}, files)...)
	if err != nil {
		return nil, err
	}
	commits, err := parseLog(words(out))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, c := range commits {
		if !slices.ContainsFunc(p.Picks, func(k Pick) bool { return k.Commit == c.ID }) {
			names = append(names, c.String())
		}
	}
	return names, nil
}

// byHand is the series for a person: commands of the document, in the order of the picks.
func byHand(path, head, rollback string, picks []Pick) string {
	orders := []string{"git -C " + quoted(path) + " switch -c " + quoted(rollback) + " " + short(head)}
	for i := 0; i < len(picks); {
		j := i
		var ids []string
		for ; j < len(picks) && picks[j].Merge == picks[i].Merge; j++ {
			ids = append(ids, short(picks[j].Commit))
		}
		mainline := ""
		if picks[i].Merge {
			mainline = " -m 1"
		}
		orders = append(orders, "git -C "+quoted(path)+" revert --no-edit"+mainline+" "+strings.Join(ids, " "))
		i = j
	}
	return strings.Join(orders, " && ")
}
