package git

import (
	"maps"
	"regexp"
	"slices"
)

// history is the ancestors of one commit, each before its parents. All that is decided
// about it is decided here, without git.
type history struct {
	commits []Commit
	at      map[string]int
}

func newHistory(commits []Commit) *history {
	h := &history{commits: commits, at: make(map[string]int, len(commits))}
	for i, c := range commits {
		h.at[c.ID] = i
	}
	return h
}

type set map[string]bool

func (h *history) commit(id string) (Commit, bool) {
	i, ok := h.at[id]
	if !ok {
		return Commit{}, false
	}
	return h.commits[i], true
}

// reach returns the commits from which a walk to the parents begins, and all that it
// meets, except what is excluded.
func (h *history) reach(exclude set, from ...string) set {
	seen := set{}
	for todo := slices.Clone(from); len(todo) > 0; {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		c, ok := h.commit(id)
		if !ok || seen[id] || exclude[id] {
			continue
		}
		seen[id] = true
		todo = append(todo, c.Parents...)
	}
	return seen
}

// holding returns the commits that are one of these or have one among their ancestors.
func (h *history) holding(these set) set {
	in := maps.Clone(these)
	for _, c := range slices.Backward(h.commits) {
		if slices.ContainsFunc(c.Parents, func(p string) bool { return in[p] }) {
			in[c.ID] = true
		}
	}
	return in
}

// in lists the commits of a set, newest first.
func (h *history) in(these set) []Commit {
	var list []Commit
	for _, c := range h.commits {
		if these[c.ID] {
			list = append(list, c)
		}
	}
	return list
}

var reverts = regexp.MustCompile(`This reverts commit ([0-9a-f]{40,64})`)

// reverted returns commits that a later one took back, together with those that did so:
// they are history, and no part of a migration that is to be taken back now. A revert
// that was itself reverted takes nothing back. Both must be among some commits (nil: any).
func (h *history) reverted(among set) set {
	dead := set{}
	for _, c := range h.commits { // newest first: whatever takes c back was seen before
		if dead[c.ID] || among != nil && !among[c.ID] {
			continue
		}
		for _, m := range reverts.FindAllStringSubmatch(c.Message, -1) {
			bad, ok := h.commit(m[1])
			if !ok || h.at[bad.ID] <= h.at[c.ID] || among != nil && !among[bad.ID] {
				continue
			}
			dead[c.ID], dead[bad.ID] = true, true
			if bad.merge() {
				for id := range h.reach(h.reach(nil, bad.Parents[0]), bad.Parents[1:]...) {
					dead[id] = true
				}
			}
		}
	}
	return dead
}
