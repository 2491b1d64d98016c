package release

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestBucketsNeverChange(t *testing.T) {
	// A changed hash would send keys back and forth in the middle of a release.
	for key, want := range map[string]uint32{"": 0x4ad66db8, "IMAGE#1": 0x6f8edff3} {
		if got := Bucket("dev-1", key); got != want {
			t.Errorf("bucket of %q is %#x, want %#x", key, got, want)
		}
	}
	if Bucket("a", "bc") == Bucket("ab", "c") {
		t.Error("release and key run into each other")
	}
}

func routingAt(w Weight) Routing {
	return Routing{Number: 1, Release: "dev-1", Phase: PhaseCanary, Stable: oldRev, Candidate: newRev, Weight: w}
}

func TestAKeyNeverGoesBackWhileTheWeightGrows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.String().Draw(t, "key")
		low := rapid.Uint32Range(0, 10000).Draw(t, "low")
		high := rapid.Uint32Range(low, 10000).Draw(t, "high")
		if routingAt(Weight(low)).Arm(key) == ArmCandidate && routingAt(Weight(high)).Arm(key) != ArmCandidate {
			t.Fatalf("%q goes back between %d and %d", key, low, high)
		}
	})
}

func TestNoneIsNoneAndAllIsAll(t *testing.T) {
	if share(0) != 0 || share(All) != 1<<32 || share(All+1) != 1<<32 || share(5000) != 1<<31 {
		t.Errorf("shares %d %d %d", share(0), share(All), share(5000))
	}
	for i := range 20000 {
		key := fmt.Sprint("key-", i)
		if routingAt(0).Arm(key) != ArmStable || routingAt(All).Arm(key) != ArmCandidate {
			t.Fatalf("%s: %s at nothing, %s at all", key, routingAt(0).Arm(key), routingAt(All).Arm(key))
		}
	}
}

func TestKeysSpreadAsTheWeightSays(t *testing.T) {
	const keys = 200000
	for _, w := range []Weight{10, 100, 1000, 2500, 5000, 9000} {
		n := 0
		for i := range keys {
			if routingAt(w).Arm(fmt.Sprint("IMAGE#", i)) == ArmCandidate {
				n++
			}
		}
		p := float64(w) / float64(All)
		sigma := math.Sqrt(keys * p * (1 - p))
		if off := math.Abs(float64(n)-keys*p) / sigma; off > 4 {
			t.Errorf("at %s the candidate gets %d of %d keys: %.1f sigma off", w, n, keys, off)
		}
	}
	// Two releases burden different keys.
	both := 0
	for i := range keys {
		key := fmt.Sprint("IMAGE#", i)
		if Bucket("dev-1", key) < 1<<31 && Bucket("dev-2", key) < 1<<31 {
			both++
		}
	}
	if off := math.Abs(float64(both)-keys/4) / math.Sqrt(keys*3.0/16); off > 4 {
		t.Errorf("two releases share %d of %d keys: %.1f sigma off", both, keys, off)
	}
}

func TestRoutingOfEveryState(t *testing.T) {
	canary := in(t, PhaseCanary)
	lists := canary.clone()
	lists.Release.Plan.Allow, lists.Release.Plan.Deny = []string{"z", "a", "m"}, []string{"m"}
	lists.Release.Weight = 0
	shadow := in(t, PhaseShadow)
	shadow.Release.Plan.Allow = []string{"a"}
	full := canary.clone()
	full.Release.Weight = All
	jailed := full.clone()
	jailed.quarantine(Quarantined{Revision: newRev})
	aborted := must(t)(Abort(full, by("anna", 0)))
	for _, c := range []struct {
		name   string
		s      State
		forced string
		key    string
		want   string
	}{
		{"nothing under way", adopted(t), "", "a", oldRev},
		{"preflight", started(t), "", "a", oldRev},
		{"shadow, though allowed", shadow, "", "a", oldRev},
		{"full canary", full, "", "a", newRev},
		{"full canary, quarantined", jailed, "", "a", oldRev},
		{"aborted", aborted, "", "a", oldRev},
		{"promoted", in(t, PhasePromoted), "", "a", newRev},
		{"allowed", lists, "", "a", newRev},
		{"allowed and denied", lists, "", "m", oldRev},
		{"neither", lists, "", "b", oldRev},
		{"forced to stable", full, oldRev, "a", oldRev},
		{"forced to the candidate, though denied", lists, newRev, "m", newRev},
		{"forced to another", full, otherRev, "a", otherRev},
		{"forced to a quarantined one", jailed, newRev, "a", oldRev},
		{"forced when nothing is under way", adopted(t), newRev, "a", newRev},
		{"forced in shadow", shadow, newRev, "a", newRev},
	} {
		r := RoutingOf(7, c.s, c.forced)
		if got := r.Revision(c.key); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if r.Number != 7 || (r.Release == "") != (c.s.Live() == nil) {
			t.Errorf("%s: %+v", c.name, r)
		}
	}
	if RoutingOf(1, shadow, "").Candidate != newRev {
		t.Error("a shadow has to know its candidate")
	}
	if RoutingOf(1, jailed, newRev).Forced != "" {
		t.Error("a forced revision in quarantine is not shown as ignored")
	}
}
