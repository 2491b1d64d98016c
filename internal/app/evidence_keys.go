package app

import (
	"slices"

	"lockstep/internal/analysis"
	"lockstep/internal/release"
	"lockstep/internal/version"
)

// keyEvidence is what the keys of the units say: whether routing splits them as it was told
// to, and whether one of them is most of the traffic.
type keyEvidence struct {
	// Of is the release whose buckets the keys were counted in; another one has others.
	Of string `json:"of,omitempty"`
	// Counted are the keys that have been counted in the split once, in order. They are a
	// sample when Limit is set: what is beyond it is not counted.
	Counted []string       `json:"counted,omitempty"`
	Limit   string         `json:"limit,omitempty"`
	Heavy   analysis.Heavy `json:"heavy"`
}

// maxCounted is how many keys are remembered. When there are more, the upper half of them is
// forgotten and counts no more: which keys these are depends on a hash that no bucket
// depends on, so that what is left is as good a sample.
const maxCounted = 2048

// split adds what an open window has seen to the keys, and returns those that were first
// seen in it, by whom they went to. Keys on the lists of the plan are not the weight's.
func (k *keyEvidence) split(w *window, r *release.Release) analysis.Split {
	if k.Of != r.ID {
		k.Of, k.Counted, k.Limit = r.ID, nil, ""
	}
	if w.weight == nil {
		return analysis.Split{}
	}
	listed := map[string]bool{}
	for _, key := range slices.Concat(r.Plan.Allow, r.Plan.Deny) {
		listed[version.KeyHash(key)] = true
	}
	out := analysis.Split{Weight: float64(*w.weight) / float64(release.All)}
	for _, one := range w.split {
		if listed[one.hash] || !k.first(one.hash, *w.weight) {
			continue
		}
		if one.candidate {
			out.Candidate++
		} else {
			out.Stable++
		}
	}
	if n := len(k.Counted); n > maxCounted {
		k.Counted = slices.Clip(k.Counted[:n/2])
		k.Limit = k.Counted[len(k.Counted)-1]
	}
	return out
}

// first says whether the key has not been counted before, and notes that it is now. With all
// of the keys, the candidate has to have every one of them every time.
func (k *keyEvidence) first(hash string, weight uint32) bool {
	if release.Weight(weight) == release.All {
		return true
	}
	if k.Limit != "" && hash > k.Limit {
		return false
	}
	i, found := slices.BinarySearch(k.Counted, hash)
	if !found {
		k.Counted = slices.Insert(k.Counted, i, hash)
	}
	return !found
}

// seenKey is a key that had work in an open window.
type seenKey struct {
	hash      string
	candidate bool
}

// keys notes the keys of one entry.
func (w *window) keys(keys *version.Keys) {
	if keys == nil {
		return
	}
	var seen []seenKey
	for _, h := range keys.Candidate {
		seen = append(seen, seenKey{h, true})
	}
	for _, h := range keys.Stable {
		seen = append(seen, seenKey{h, false})
	}
	w.seen, w.others = append(w.seen, seen...), w.others+int64(keys.More)
	if keys.Weight != nil {
		w.weight, w.split = keys.Weight, append(w.split, seen...)
	}
}

// turns says whether an entry was routed by another weight than the window: one window has
// one weight.
func (w *window) turns(keys *version.Keys) bool {
	return keys != nil && keys.Weight != nil && w.weight != nil && *keys.Weight != *w.weight
}

// situation is what a verdict needs to know beside the counts.
func (e *evidence) situation() analysis.Situation {
	_, share := e.Keys.Heavy.Top()
	return analysis.Situation{TopKeyShare: share}
}
