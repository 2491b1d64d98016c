package git

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"lockstep/internal/lockstep"
)

var errNoAncestor = errors.New("no ancestor")

// beginning is where the migration begins.
type beginning struct {
	point string
	how   string
	after set // everything that came after the point
}

// begin decides where the point is. errNoAncestor: the commit that was named is not
// before the head.
func (h *history) begin(f found) (beginning, error) {
	head := h.commits[0].ID
	var b beginning
	var err error
	switch f.way {
	case ByCommit, ByRecord:
		b, err = h.given(f)
	case ByMessage:
		b, err = h.byMessage(f)
	case ByPaths:
		b, err = h.byPaths(f)
	case ByDate:
		seeds := h.that(func(c Commit) bool { return f.query.inTime(c) })
		if len(seeds) == 0 {
			return b, fmt.Errorf("%w: no commit since %s", lockstep.ErrNotFound, day(f.query))
		}
		if b.point, err = h.before(seeds); err == nil {
			b.how = fmt.Sprintf("the last commit of the branch before %s", day(f.query))
		}
	}
	if err != nil {
		return b, err
	}
	b.after = h.reach(h.reach(nil, b.point), head)
	return b, nil
}

func day(q Query) string { return q.Since.UTC().Format("2006-01-02 15:04") }

// that returns the commits for which something is true.
func (h *history) that(ok func(Commit) bool) set {
	these := set{}
	for _, c := range h.commits {
		if ok(c) {
			these[c.ID] = true
		}
	}
	return these
}

func (h *history) given(f found) (beginning, error) {
	c, ok := h.commit(f.point)
	switch {
	case !ok && len(h.commits) >= maxHistory:
		return beginning{}, fmt.Errorf("%w: %s is not among the newest %d commits", lockstep.ErrRefused, short(f.point), maxHistory)
	case !ok:
		return beginning{}, errNoAncestor
	case c.ID == h.commits[0].ID:
		return beginning{}, fmt.Errorf("%w: %s is the head: nothing came after it", lockstep.ErrNotFound, c)
	}
	how := "it was given"
	if f.way == ByRecord {
		how = f.query.GoodFrom + " names it as known good"
		if f.query.GoodFrom == "" {
			how = "it is recorded as known good"
		}
	}
	return beginning{point: c.ID, how: how}, nil
}

func (h *history) byMessage(f found) (beginning, error) {
	matching := h.that(func(c Commit) bool { return f.query.inTime(c) && c.matches(f.pattern) })
	for _, id := range f.also {
		matching[id] = true
	}
	what := fmt.Sprintf("the message matches %q", f.query.Message)
	if len(matching) == 0 {
		return beginning{}, lockstep.Hint(fmt.Errorf("%w: of no commit %s", lockstep.ErrNotFound, what), "git log --oneline; is this the branch that has the migration?")
	}
	point, gone, err := h.beforeLive(matching, what)
	if err != nil {
		return beginning{}, err
	}
	how := fmt.Sprintf("the last commit of the branch before the first of %s of which %s", count(len(matching)-gone, "commit"), what)
	if gone > 0 {
		how += fmt.Sprintf("; %d more match and were reverted since", gone)
	}
	return beginning{point: point, how: how}, nil
}

// beforeLive returns the last commit before those of a set that are in effect, and how
// many of the set are not.
func (h *history) beforeLive(matching set, what string) (point string, gone int, err error) {
	dead := h.reverted(nil)
	live := set{}
	for id := range matching {
		if !dead[id] {
			live[id] = true
		}
	}
	gone = len(matching) - len(live)
	if len(live) == 0 {
		return "", gone, lockstep.Hint(fmt.Errorf("%w: every commit of which %s was reverted since", lockstep.ErrNotFound, what), "there is nothing to take back; give the point, if there is")
	}
	seeds := maps.Clone(live)
	for {
		if point, err = h.before(seeds); err != nil {
			return "", gone, err
		}
		// What was reverted later than the point is in effect at the point: go back further.
		old := h.reach(nil, point)
		settled := h.reverted(old)
		grew := false
		for id := range matching {
			if old[id] && !settled[id] && !seeds[id] {
				seeds[id], grew = true, true
			}
		}
		if !grew {
			return point, gone, h.rivals(seeds, point)
		}
	}
}

// before walks down the branch, by first parents, to the first commit that holds none of
// a set.
func (h *history) before(these set) (string, error) {
	holds := h.holding(these)
	id := h.commits[0].ID
	for holds[id] {
		c, _ := h.commit(id)
		if len(c.Parents) == 0 {
			return "", fmt.Errorf("%w: the migration begins with the first commit, %s: there is nothing before it", lockstep.ErrNotFound, c)
		}
		if _, ok := h.commit(c.Parents[0]); !ok {
			return "", lockstep.Hint(fmt.Errorf("%w: what was before %s is not among the newest %s", lockstep.ErrRefused, c, count(len(h.commits), "commit")), "give the point, or since")
		}
		id = c.Parents[0]
	}
	return id, nil
}

// rivals refuses to choose when the migration began on a side branch that brought other
// work with it: then the commit before its first one is not in the history of the point,
// and which of the two is meant is for people to say.
func (h *history) rivals(live set, point string) error {
	holds := h.holding(live)
	old := h.reach(nil, point)
	var others []Candidate
	for _, c := range h.in(live) {
		begins := !slices.ContainsFunc(c.Parents, func(p string) bool { return holds[p] })
		if !begins || len(c.Parents) == 0 || old[c.Parents[0]] {
			continue
		}
		before, ok := h.commit(c.Parents[0])
		if ok && !slices.ContainsFunc(others, func(o Candidate) bool { return o.Commit.ID == before.ID }) {
			others = append(others, Candidate{before, "before " + c.String() + " on the side branch where the migration was made"})
		}
	}
	if len(others) == 0 {
		return nil
	}
	p, _ := h.commit(point)
	return ambiguous("more than one commit is the last before the migration", append([]Candidate{{p, "before it came to the branch that is checked out"}}, others...))
}

func (h *history) byPaths(f found) (beginning, error) {
	if len(f.touching) == 0 {
		return beginning{}, fmt.Errorf("%w: no commit changes %s", lockstep.ErrNotFound, list(f.query.Paths))
	}
	if f.query.Since.IsZero() {
		return h.byCreation(f)
	}
	touching := h.that(func(c Commit) bool { return f.touching[c.ID] && f.query.inTime(c) })
	for _, id := range f.also {
		touching[id] = true
	}
	what := fmt.Sprintf("something in the %s is changed", count(len(f.query.Paths), "migrated path"))
	if len(touching) == 0 {
		return beginning{}, fmt.Errorf("%w: no commit since %s changes %s", lockstep.ErrNotFound, day(f.query), list(f.query.Paths))
	}
	point, gone, err := h.beforeLive(touching, what)
	if err != nil {
		return beginning{}, err
	}
	return beginning{point: point, how: fmt.Sprintf("the last commit of the branch before the first of %s since %s by which %s", count(len(touching)-gone, "commit"), day(f.query), what)}, nil
}

// byCreation takes the commits that made the paths for the beginning. Paths as old as the
// repository say nothing; paths that were made at different times say too much.
func (h *history) byCreation(f found) (beginning, error) {
	var points []Candidate
	for _, p := range slices.Sorted(maps.Keys(f.created)) {
		c, ok := h.commit(f.created[p])
		if !ok || len(c.Parents) == 0 {
			continue
		}
		point, err := h.before(set{c.ID: true})
		if err != nil {
			return beginning{}, err
		}
		i := slices.IndexFunc(points, func(k Candidate) bool { return k.Commit.ID == point })
		if i < 0 {
			at, _ := h.commit(point)
			points = append(points, Candidate{at, fmt.Sprintf("before %s made %s", c, p)})
		} else {
			points[i].How += " and " + p
		}
	}
	switch len(points) {
	case 0:
		return beginning{}, lockstep.Hint(fmt.Errorf("%w: %s are as old as the repository", lockstep.ErrNotFound, list(f.query.Paths)), "say since when: since, or point")
	case 1:
		return beginning{point: points[0].Commit.ID, how: "the last commit of the branch " + points[0].How}, nil
	}
	return beginning{}, ambiguous("the paths were made at different times; the day that the migration began would decide it too (since)", points)
}
