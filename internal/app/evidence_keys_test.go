package app

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"lockstep/internal/analysis"
	"lockstep/internal/compact"
	"lockstep/internal/release"
	"lockstep/internal/version"
)

// routed makes an entry whose keys were routed at a weight, each of them one unit.
func routed(n uint64, weight uint32, candidate, stable []string) *version.Entry {
	v := entry(n, units(idCandidate, len(candidate), 0, 0), units(idStable, len(stable), 0, 0))
	v.Trial.Keys = &version.Keys{Weight: &weight}
	for _, k := range candidate {
		v.Trial.Keys.Candidate = append(v.Trial.Keys.Candidate, version.KeyHash(k))
	}
	for _, k := range stable {
		v.Trial.Keys.Stable = append(v.Trial.Keys.Stable, version.KeyHash(k))
	}
	return v
}

// some returns the keys from to to.
func some(from, to int) []string {
	var out []string
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprint("key ", i))
	}
	return out
}

func verdictOf(t *testing.T, e *evidence, r *release.Release) analysis.Judgement {
	t.Helper()
	j, err := analysis.Judge(e.Analysis, policyOf(r.Plan), e.situation())
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestKeysThatDoNotFollowTheWeightBreakTheVerdict(t *testing.T) {
	r := underTrial() // 10 %
	for name, c := range map[string]struct {
		candidate int // of 100 keys in every version
		broken    bool
	}{
		"as told":       {10, false},
		"half as many":  {4, true},
		"twice as many": {20, true},
		"none at all":   {0, true},
		"all of them":   {100, true},
	} {
		var entries []*version.Entry
		for n := range 8 {
			keys := some(100*n, 100*n+100)
			entries = append(entries, routed(uint64(n+1), 1000, keys[:c.candidate], keys[c.candidate:]))
		}
		j := verdictOf(t, gather(t, r, entries...), r)
		if broken := j.Verdict == analysis.Broken; broken != c.broken || broken != strings.Contains(j.Reasons[0], "routing is broken") {
			t.Errorf("%s: %s, ln E %.2f: %q", name, j.Verdict, j.LogRatio, j.Reasons)
		}
	}
}

func TestAKeyIsCountedInTheSplitOnceAndListedOnesAreNot(t *testing.T) {
	r := underTrial()
	r.Plan.Allow, r.Plan.Deny = some(0, 30), some(30, 40)
	var entries []*version.Entry
	for n := range uint64(40) { // the same keys again and again, and the listed ones with them
		entries = append(entries, routed(n+1, 1000, append(some(0, 30), some(100, 102)...), some(102, 120)))
	}
	e := gather(t, r, entries...)
	if got := len(e.Keys.Counted); got != 20 {
		t.Errorf("%d keys were counted, want each of 20 once", got)
	}
	if j := verdictOf(t, e, r); j.Verdict == analysis.Broken {
		t.Errorf("%q", j.Reasons)
	}
	again := underTrial()
	again.ID = "local-2" // other buckets
	next := routed(41, 1000, some(100, 102), some(102, 120))
	next.Trial.Name = "release-local-2.1"
	if err := e.take(next, again); err != nil || e.Keys.Of != "local-2" || len(e.Keys.Counted) != 20 {
		t.Errorf("%d keys of %s, %v", len(e.Keys.Counted), e.Keys.Of, err)
	}
}

func TestAWindowHasOneWeight(t *testing.T) {
	r := underTrial()
	e := gather(t, r, routed(1, 1000, some(0, 1), some(1, 10)), routed(2, 2500, some(10, 12), some(12, 19)))
	if e.Window != 1 || e.Through != 1 {
		t.Fatalf("window %d through version %d, want the first one closed by the new weight", e.Window, e.Through)
	}
	full := gather(t, r, routed(1, 10_000, some(0, 20), nil), routed(2, 10_000, some(0, 19), some(30, 31)))
	if j := verdictOf(t, full, r); j.Verdict != analysis.Broken {
		t.Errorf("with all of the keys stable had one: %s %q", j.Verdict, j.Reasons)
	}
}

// TestManyKeysAreSampledByAHashThatNoBucketDependsOn keeps memory bounded and the split even.
func TestManyKeysAreSampledByAHashThatNoBucketDependsOn(t *testing.T) {
	r := underTrial()
	e := gather(t, r)
	for n := range 400 {
		var candidate, stable []string
		for _, k := range some(50*n, 50*n+50) {
			if uint64(release.Bucket(r.ID, k))*10_000>>32 < 1000 {
				candidate = append(candidate, k)
			} else {
				stable = append(stable, k)
			}
		}
		if err := e.take(routed(uint64(n+1), 1000, candidate, stable), r); err != nil {
			t.Fatal(err)
		}
	}
	if len(e.Keys.Counted) > maxCounted || len(e.Keys.Counted) < maxCounted/2 || e.Keys.Limit == "" {
		t.Errorf("%d keys are kept, limit %q", len(e.Keys.Counted), e.Keys.Limit)
	}
	if j := verdictOf(t, e, r); j.Verdict == analysis.Broken || j.LogRatio > 3 {
		t.Errorf("%s, ln E %.2f", j.Verdict, j.LogRatio)
	}
	raw, err := e.encode()
	if err != nil || len(raw) > release.MaxEvidence/2 {
		t.Errorf("%d bytes of evidence, %v", len(raw), err)
	}
}

func TestAKeyWithMostOfTheTrafficHoldsTheVerdict(t *testing.T) {
	r := underTrial()
	for _, c := range []struct {
		others int // units of other keys, besides one of the hot key, in every version
		holds  bool
	}{{1, true}, {2, true}, {4, false}, {30, false}} {
		var entries []*version.Entry
		for n := range 300 {
			keys := some(n*c.others, n*c.others+c.others)
			cut := c.others / 10
			if c.others < 10 && n%10 == 0 {
				cut = 1
			}
			entries = append(entries, routed(uint64(n+1), 1000, keys[:cut], append(keys[cut:], "hot")))
		}
		e := gather(t, r, entries...)
		j := verdictOf(t, e, r)
		if holds := strings.Contains(strings.Join(j.Reasons, "\n"), "one key has"); holds != c.holds || (holds && j.Verdict != analysis.Inconclusive) {
			t.Errorf("1 of %d units: %s %q, situation %+v", c.others+1, j.Verdict, j.Reasons, e.situation())
		}
	}
}

// skewed gives the candidate fewer keys than the ledger of releases says.
type skewed struct{ compact.Router }

func (s skewed) Route(ctx context.Context) (compact.Routing, error) {
	r, err := s.Router.Route(ctx)
	if told := r.Canary; told != nil {
		r.Canary = func(key string) bool { return told(key) && version.KeyHash(key) < "4" }
	}
	return r, err
}

// reroute has a compactor of the app work behind another router.
func (x *still) reroute(wrap func(compact.Router) compact.Router) {
	x.t.Helper()
	c, err := compact.New(x.app.Log, x.app.State, wrap(x.app.router()), importerOf(x.app.Config), compact.Options{Actor: "tester", Now: time.Now})
	if err != nil {
		x.t.Fatal(err)
	}
	x.app.Compactor = c
}

// TestARouterThatDoesNotSplitAsItIsToldHoldsTheRelease goes all the way: traffic, a router
// that gives the candidate a quarter of its share, and the controller.
func TestARouterThatDoesNotSplitAsItIsToldHoldsTheRelease(t *testing.T) {
	for name, c := range map[string]struct {
		wrap func(compact.Router) compact.Router
		held bool
	}{
		"skewed": {func(r compact.Router) compact.Router { return skewed{r} }, true},
		"true":   {func(r compact.Router) compact.Router { return r }, false},
	} {
		t.Run(name, func(t *testing.T) {
			x := newStillOf(t, 250, newVariant("good", nil))
			x.reroute(c.wrap)
			x.created()
			rev, err := x.app.Revisions.Lookup("receipts@good")
			if err != nil {
				t.Fatal(err)
			}
			plan := release.Plan{Name: "test", Steps: []release.Step{{Kind: release.Preflight}, {Kind: release.Canary, Weight: 4000, MinUnits: 1 << 20}, {Kind: release.Promotion}}}
			if _, err := x.app.Command(t.Context(), func(s release.State) (release.Transition, error) {
				return release.Start(s, x.app.Order("a test"), release.Request{Candidate: rev.ID(), Plan: plan, Head: x.app.Compactor.Head().Number()})
			}); err != nil {
				t.Fatal(err)
			}
			controller := x.app.Controller()
			for range 16 {
				if err := tickAll(t.Context(), controller, time.Now, func(release.Decision) {}); err != nil {
					t.Fatal(err)
				}
				x.edits(60)
			}
			if err := tickAll(t.Context(), controller, time.Now, func(release.Decision) {}); err != nil {
				t.Fatal(err)
			}
			head, err := x.app.Releases.Head(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			r := head.State().Release
			held := r.Halt != nil && strings.Contains(r.Halt.Reason, "routing is broken")
			j, err := x.app.Judge(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if held != c.held || r.Phase != release.PhaseCanary {
				t.Errorf("phase %s, halt %+v, evidence %.2f of %v units: %q", r.Phase, r.Halt, j.Judgement.LogRatio, j.Units, j.Judgement.Reasons)
			}
			if again, err := x.app.Rejudge(t.Context(), 0, 0); err != nil || again.Kept && !again.Agrees {
				t.Errorf("computed again: %q, %v", again.Differences, err)
			}
		})
	}
}
