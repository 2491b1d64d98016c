package git

import (
	"fmt"
	"maps"

	"lockstep/internal/lockstep"
)

// Pick is one commit to be taken back.
type Pick struct {
	Commit  string `json:"commit"`
	Parent  string `json:"parent"` // what it is taken back to
	Merge   bool   `json:"merge,omitempty"`
	Subject string `json:"subject"`
	Covers  int    `json:"covers,omitempty"` // commits that go with the merge
}

func (p Pick) String() string { return short(p.Commit) + ` "` + oneLine(p.Subject, 80) + `"` }

// picks lists what is to be taken back, newest first. A merge that brought only what is
// the migration's is taken back as one, and what it brought is not taken back again. Of
// one that brought other work too, only the migration's commits are. neutral commits are
// those that were taken back already.
func (h *history) picks(point string, mine, neutral set) ([]Pick, error) {
	return h.walk(h.commits[0].ID, h.reach(nil, point), mine, neutral)
}

func (h *history) walk(tip string, old, mine, neutral set) ([]Pick, error) {
	var list []Pick
	for id := tip; !old[id]; {
		c, ok := h.commit(id)
		if !ok {
			break
		}
		switch {
		case len(c.Parents) == 0:
			if mine[id] {
				return nil, fmt.Errorf("%w: %s has no parent: it cannot be taken back", lockstep.ErrRefused, c)
			}
			return list, nil
		case !c.merge():
			if mine[id] {
				list = append(list, Pick{Commit: id, Parent: c.Parents[0], Subject: c.Subject})
			}
		default:
			more, err := h.merged(c, old, mine, neutral)
			if err != nil {
				return nil, err
			}
			list = append(list, more...)
		}
		id = c.Parents[0]
	}
	return list, nil
}

// merged lists what is to be taken back of what a merge brought. It goes as one only if
// all that it brought is the migration's and came by no other way: taken back as one, it
// takes everything along.
func (h *history) merged(c Commit, old, mine, neutral set) ([]Pick, error) {
	before := maps.Clone(old)
	maps.Copy(before, h.reach(old, c.Parents[0]))
	side := h.reach(before, c.Parents[1:]...)
	held, alone, all := 0, true, true
	for id := range h.reach(h.reach(nil, c.Parents[0]), c.Parents[1:]...) {
		s, _ := h.commit(id)
		alone = alone && side[id]
		if side[id] && mine[id] {
			held++
		} else if !s.merge() && !neutral[id] {
			all = false
		}
	}
	switch {
	case held == 0 && !mine[c.ID]:
		return nil, nil
	case len(c.Parents) > 2:
		return nil, lockstep.Hint(fmt.Errorf("%w: %s is a merge of %d branches and holds the migration: what of it to take back cannot be told", lockstep.ErrRefused, c, len(c.Parents)),
			"use option reset, or revert the commits of its branches by hand")
	case alone && (mine[c.ID] || all):
		return []Pick{{Commit: c.ID, Parent: c.Parents[0], Merge: true, Subject: c.Subject, Covers: len(side)}}, nil
	}
	return h.walk(c.Parents[1], before, mine, neutral)
}
