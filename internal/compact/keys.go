package compact

import (
	"slices"
	"strings"

	"lockstep/internal/version"
)

// routedKey is the key of a job, and whom the routing gave it to.
type routedKey struct {
	hash      string
	candidate bool
	weight    uint32 // as of the routing that the job was planned under
	byWeight  bool
}

// routedKey says where the key of a job went: nil when that is no question, as without a
// candidate, for what is tried again, and for work that stable knows nothing of. The rule is
// stable's for both arms, so that the arms can be compared.
func (p *planner) routedKey(j *job) *routedKey {
	if !p.arms.shares() || j.retry != nil || p.parked[j.group] || !p.known {
		return nil
	}
	return &routedKey{
		hash: version.KeyHash(j.group), candidate: p.arms.of(j.group) == p.arms.candidate && p.arms.candidate != nil,
		weight: p.arms.weight, byWeight: p.arms.byWeight,
	}
}

// keysOf lists the keys of an entry that is published under a routing. A plan that was made
// under another weight, and survived a lost race, is left out.
func keysOf(routed []*routedKey, a *arms) *version.Keys {
	listed := make([]*routedKey, 0, len(routed))
	for _, k := range routed {
		if k.weight == a.weight && k.byWeight == a.byWeight {
			listed = append(listed, k)
		}
	}
	if len(listed) == 0 {
		return nil
	}
	slices.SortFunc(listed, func(a, b *routedKey) int { return strings.Compare(a.hash, b.hash) })
	out := &version.Keys{More: max(0, len(listed)-version.MaxKeys)}
	if a.byWeight {
		out.Weight = &a.weight
	}
	for _, k := range listed[:len(listed)-out.More] {
		if k.candidate {
			out.Candidate = append(out.Candidate, k.hash)
		} else {
			out.Stable = append(out.Stable, k.hash)
		}
	}
	return out
}
