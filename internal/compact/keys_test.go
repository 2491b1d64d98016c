package compact

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/handler"
	"lockstep/internal/version"
)

// wentTo returns the keys of the newest entry by whom they went to.
func wentTo(r *rig) (candidate, stable []string, weight uint32) {
	trial := r.Head().Entry.Trial
	if trial == nil || trial.Keys == nil {
		return nil, nil, 0
	}
	if trial.Keys.Weight != nil {
		weight = *trial.Keys.Weight
	}
	return trial.Keys.Candidate, trial.Keys.Stable, weight
}

func wantWentTo(t *testing.T, r *rig, weight uint32, candidate, stable []string) {
	t.Helper()
	hashed := func(keys []string) []string {
		var out []string
		for _, k := range keys {
			out = append(out, version.KeyHash(k))
		}
		slices.Sort(out)
		return out
	}
	c, s, w := wentTo(r)
	if diff := cmp.Diff([][]string{hashed(candidate), hashed(stable)}, [][]string{c, s}); diff != "" || w != weight {
		t.Errorf("weight %d, want %d; keys (-want +got):\n%s", w, weight, diff)
	}
}

func TestAnEntrySaysWhichKeysWentWhere(t *testing.T) {
	r, router := onTrial(t, shout)
	r.commit(set("G1", "K1", "a", 1), set("G2", "K1", "b", 2))
	wantWentTo(t, r, 0, nil, nil) // nobody expects a share
	router.Weight, router.ByWeight = 2500, true
	r.commit(set("G1", "K1", "c", 3), set("G1", "K2", "c", 4), set("G2", "K1", "d", 5), set("G3", "K1", "e", 6))
	wantWentTo(t, r, 2500, []string{"G1"}, []string{"G2", "G3"})
	router.ByWeight = false
	r.commit(set("G1", "K1", "f", 7))
	wantWentTo(t, r, 0, []string{"G1"}, nil)
	router.Candidate, router.ByWeight = handler.Revision{}, true // it is not here: stable does its share
	r.commit(set("G1", "K1", "g", 8))
	wantWentTo(t, r, 2500, nil, []string{"G1"})
}

func TestAKeyIsNotedWhoeverDidItsWork(t *testing.T) {
	r, router := onTrial(t, nil)
	router.Weight, router.ByWeight = 2500, true
	router.Candidate = handler.NewRevision(lost{candidate{plan: shout}})
	r.commit(set("G1", "K1", "a", 1)) // stable covers
	wantWentTo(t, r, 2500, []string{"G1"}, nil)
	r.commit(set("G1", "K1", "fail", 2), set("G2", "K1", "fail", 3)) // both fail
	wantWentTo(t, r, 2500, []string{"G1"}, []string{"G2"})
}

// TestBothArmsCountTheSameKeys has a candidate that does not know some items: its keys count
// all the same, or the split would look skewed by what the candidate ignores.
func TestBothArmsCountTheSameKeys(t *testing.T) {
	r, router := onTrial(t, nil)
	router.Weight, router.ByWeight = 2500, true
	router.Candidate = handler.NewRevision(blind{candidate{plan: shout}})
	r.commit(set("G1", "K9", "a", 1), set("G2", "K9", "b", 2))
	wantWentTo(t, r, 2500, []string{"G1"}, []string{"G2"})
}

func TestTheKeysOfAnEntryAreFewAndChosenByTheirHash(t *testing.T) {
	a := &arms{weight: 5000, byWeight: true}
	var routed []*routedKey
	for i := range 200 {
		routed = append(routed, &routedKey{hash: version.KeyHash(fmt.Sprint(i)), candidate: i%2 == 0, weight: 5000, byWeight: true})
	}
	routed = append(routed, &routedKey{hash: "00", weight: 1000, byWeight: true}) // planned under another weight
	keys := keysOf(routed, a)
	if n := len(keys.Candidate) + len(keys.Stable); n != version.MaxKeys || keys.More != 200-n {
		t.Fatalf("%d keys and %d more", n, keys.More)
	}
	last := max(keys.Candidate[len(keys.Candidate)-1], keys.Stable[len(keys.Stable)-1])
	below := 0
	for _, k := range routed[:200] {
		if k.hash <= last {
			below++
		}
	}
	if below != version.MaxKeys || slices.Contains(keys.Stable, "00") {
		t.Errorf("%d keys have a hash up to the last one listed", below)
	}
	if keysOf(nil, a) != nil || keysOf(routed[200:], a) != nil {
		t.Error("no keys are something")
	}
}
