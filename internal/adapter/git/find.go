package git

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"lockstep/internal/lockstep"
)

// found is what git knows for a query beside the history.
type found struct {
	query    Query
	way      Way
	pattern  *regexp.Regexp // nil: none
	point    string         // the commit that was given or recorded
	also     []string
	touching set               // commits that change one of the paths
	created  map[string]string // path: the first commit that has it
}

// FindPoint finds the last commit before the migration. *Ambiguous: several may be meant,
// or the one that was named is no ancestor of the head. ErrNotFound: nothing fits. The
// answer explains itself in Point.How. It changes nothing.
func (r *Repo) FindPoint(ctx context.Context, q Query) (Point, error) {
	way, err := q.way()
	if err != nil {
		return Point{}, err
	}
	if q.Paths, err = cleanPaths(q.Paths); err != nil {
		return Point{}, err
	}
	w, err := r.open(ctx)
	if err != nil {
		return Point{}, err
	}
	s, err := w.state(ctx, nil)
	if err != nil {
		return Point{}, err
	}
	if s.Head == "" {
		return Point{}, fmt.Errorf("%s: %w: there is no commit yet", w.top, lockstep.ErrNotFound)
	}
	if w.shallow && way != ByCommit && way != ByRecord {
		return Point{}, lockstep.Hint(fmt.Errorf("%w: this is a shallow clone: older commits of the migration may be missing", lockstep.ErrRefused), "git fetch --unshallow, or give the point")
	}
	h, err := w.history(ctx, s.Head)
	if err != nil {
		return Point{}, err
	}
	f, err := w.gather(ctx, h, q, way)
	if err != nil {
		return Point{}, err
	}
	p, err := w.pointOf(ctx, h, f, s)
	if err != nil {
		return Point{}, fmt.Errorf("find the point to go back to: %w", err)
	}
	return p, nil
}

func (w *work) gather(ctx context.Context, h *history, q Query, way Way) (found, error) {
	f := found{query: q, way: way, created: map[string]string{}}
	var err error
	if q.Message != "" {
		if f.pattern, err = regexp.Compile(q.Message); err != nil {
			return f, invalid("message", q.Message, err.Error())
		}
	}
	if name := q.Commit; way == ByCommit || way == ByRecord {
		if way == ByRecord {
			name = q.Good
		}
		if f.point, err = w.resolve(ctx, name); err != nil {
			return f, err
		}
	}
	for _, name := range q.Also {
		id, err := w.resolve(ctx, name)
		if err != nil {
			return f, err
		}
		f.also = append(f.also, id)
	}
	if len(q.Paths) == 0 {
		return f, nil
	}
	if f.touching, _, err = w.touching(ctx, h.commits[0].ID, q.Paths); err != nil {
		return f, err
	}
	if way != ByPaths || !q.Since.IsZero() {
		return f, nil
	}
	for _, p := range q.Paths {
		_, oldest, err := w.touching(ctx, h.commits[0].ID, []string{p})
		if err != nil {
			return f, err
		}
		if oldest != "" {
			f.created[p] = oldest
		}
	}
	return f, nil
}

// touching returns the ordinary commits that change something below the paths, and the
// oldest of them: before it there was nothing.
func (w *work) touching(ctx context.Context, head string, paths []string) (set, string, error) {
	out, err := w.look(ctx, withPaths([]string{"log", "-z", "--topo-order", "--full-history", "--no-merges", "--no-color", "--no-decorate", "--no-show-signature", "--format=tformat:%H", head}, paths)...)
	if err != nil {
		return nil, "", err
	}
	ids := words(out)
	all := set{}
	for _, id := range ids {
		all[id] = true
	}
	if len(ids) == 0 {
		return all, "", nil
	}
	return all, ids[len(ids)-1], nil
}

// pointOf asks the history, and git once more: for what was not there at the point.
func (w *work) pointOf(ctx context.Context, h *history, f found, s State) (Point, error) {
	b, err := h.begin(f)
	if errors.Is(err, errNoAncestor) {
		return Point{}, w.apart(ctx, f, s)
	}
	if err != nil {
		return Point{}, err
	}
	var fresh set
	absent, err := w.absent(ctx, b.point, f.query.Paths)
	if err != nil {
		return Point{}, err
	}
	if len(absent) > 0 {
		if fresh, _, err = w.touching(ctx, s.Head, absent); err != nil {
			return Point{}, err
		}
	}
	p, err := h.split(f, b, fresh)
	if err != nil {
		return Point{}, err
	}
	p.Head, p.Branch, p.Absent = s.Head, s.Branch, absent
	return p, nil
}

// apart explains that the named commit is no ancestor of the head.
func (w *work) apart(ctx context.Context, f found, s State) error {
	if w.shallow {
		return lockstep.Hint(fmt.Errorf("%w: %s is not seen to be before %s: this is a shallow clone", lockstep.ErrRefused, short(f.point), short(s.Head)), "git fetch --unshallow")
	}
	out, _, err := w.run(ctx, w.top, call{args: []string{"merge-base", "--all", f.point, s.Head}, fine: []int{1}})
	if err != nil {
		return err
	}
	var candidates []Candidate
	for id := range strings.FieldsSeq(string(out)) {
		h, err := w.look(ctx, "log", "-z", "--max-count=1", "--no-color", "--no-decorate", "--no-show-signature", "--format=tformat:%H%x00%P%x00%ct%x00%an%x00%B", id, "--")
		if err != nil {
			return err
		}
		c, err := parseLog(words(h))
		if err != nil || len(c) != 1 {
			return errors.Join(fmt.Errorf("%w git log of %s", lockstep.ErrCorrupt, id), err)
		}
		candidates = append(candidates, Candidate{c[0], "where the two histories part"})
	}
	return ambiguous(fmt.Sprintf("%s is no ancestor of the head %s", short(f.point), short(s.Head)), candidates)
}
