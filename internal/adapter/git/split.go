package git

import (
	"fmt"
	"maps"

	"lockstep/internal/lockstep"
)

// split divides what came after the point into the migration's and the others. fresh are
// the commits that change paths which did not exist at the point: whoever changes them
// changes the migration.
func (h *history) split(f found, b beginning, fresh set) (Point, error) {
	p := Point{By: f.way}
	p.Commit, _ = h.commit(b.point)
	neutral := h.reverted(b.after)
	why := map[string]string{}
	for _, c := range h.in(b.after) {
		if reason := f.belongs(c, fresh); reason != "" && !neutral[c.ID] {
			why[c.ID] = reason
		}
	}
	for _, id := range f.also {
		if !b.after[id] {
			return p, fmt.Errorf("%w: commit %s is to be the migration's as well, and is not after the point %s", lockstep.ErrRefused, short(id), p.Commit)
		}
		why[id] = "it was named"
	}
	h.bring(b, why)
	if len(why) == 0 {
		return p, lockstep.Hint(fmt.Errorf("%w: after the point %s no commit is the migration's", lockstep.ErrNotFound, p.Commit), "is the pattern right? without one, every commit that changes the paths is the migration's")
	}
	for _, c := range h.in(b.after) {
		c.Why = why[c.ID]
		switch {
		case c.Why != "":
			p.Migration = append(p.Migration, c)
		case !c.merge() && !neutral[c.ID]:
			p.Later = append(p.Later, c)
		}
	}
	p.How = explain(f, b, p)
	return p, nil
}

// belongs says why a commit is the migration's; "": it is not.
func (f found) belongs(c Commit, fresh set) string {
	switch {
	case fresh[c.ID]:
		return "it changes what did not exist at the point"
	case f.pattern != nil:
		if f.query.inTime(c) && c.matches(f.pattern) {
			return "its message matches"
		}
	case len(f.query.Paths) > 0:
		if f.query.inTime(c) && f.touching[c.ID] {
			return "it changes a migrated path"
		}
	case !c.merge() && (f.way == ByDate && f.query.old(c) || f.query.inTime(c)):
		return "it came after the point" // by a merge, perhaps, and was made before
	}
	return ""
}

// bring adds what a merge of the migration's has brought.
func (h *history) bring(b beginning, why map[string]string) {
	for id := range maps.Clone(why) {
		c, _ := h.commit(id)
		if !c.merge() {
			continue
		}
		old := h.reach(nil, c.Parents[0])
		for side := range h.reach(old, c.Parents[1:]...) {
			if b.after[side] && why[side] == "" {
				why[side] = "it came by " + short(c.ID) + ", which is the migration's"
			}
		}
	}
}

func explain(f found, b beginning, p Point) string {
	text := b.how
	switch {
	case f.way == ByMessage || f.way == ByPaths:
	case f.pattern != nil:
		text += fmt.Sprintf("; after it, what matches %q is the migration's", f.query.Message)
	case len(f.query.Paths) > 0:
		text += "; after it, what changes the migrated paths is the migration's"
	default:
		text += "; nothing says what is the migration's, so everything after it is"
	}
	text += fmt.Sprintf(": %s", count(len(p.Migration), "commit"))
	switch len(p.Later) {
	case 0:
	case 1:
		text += ", and 1 other that came later and is not"
	default:
		text += fmt.Sprintf(", and %d others that came later and are not", len(p.Later))
	}
	return text
}
