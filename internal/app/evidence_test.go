package app

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/analysis"
	"lockstep/internal/release"
	"lockstep/internal/version"
)

const (
	idStable    = "receipts@1+aaaaaaaaaaaa"
	idCandidate = "receipts@2+bbbbbbbbbbbb"
)

func underTrial() *release.Release {
	return &release.Release{ID: "local-1", Attempt: 1, Candidate: idCandidate, Weight: 1000, Plan: release.Plan{Steps: []release.Step{{Kind: release.Preflight}, {Kind: release.Canary}}}}
}

// units makes an arm of one class; every unit took so many microseconds.
func units(id string, n, bad int, took time.Duration, keys ...string) version.Units {
	return version.Units{Revision: id, Units: n, Bad: bad, Took: map[int]int{version.TookKey(took): n}, Keys: keys}
}

func entry(n uint64, arms ...version.Units) *version.Entry {
	return &version.Entry{Number: n, Trial: &version.Trial{Name: "release-local-1.1", Arms: arms}}
}

func gather(t *testing.T, r *release.Release, entries ...*version.Entry) *evidence {
	t.Helper()
	e, err := newEvidence(policyOf(r.Plan), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range entries {
		if err := e.take(v, r); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

func totals(t *testing.T, e *evidence, guard string) analysis.Table {
	t.Helper()
	table, _, ok := e.Analysis.Totals(guard)
	if !ok {
		t.Fatalf("no guard %s", guard)
	}
	return table
}

func TestAWindowClosesByWhatWasSeenAndNotByHowItWent(t *testing.T) {
	r := underTrial()
	quiet := gather(t, r, entry(1, units(idStable, 19, 0, 0)), entry(2, units(idStable, 30, 0, 0)))
	if quiet.Window != 0 {
		t.Errorf("a window without a unit of the candidate is closed")
	}
	for _, bad := range []int{0, 1} {
		e := gather(t, r, entry(1, units(idStable, 19, 0, 0)), entry(2, units(idCandidate, 1, bad, 0)))
		if e.Window != 1 || e.Through != 2 {
			t.Errorf("with %d bad: window %d through version %d, want 1 through 2", bad, e.Window, e.Through)
		}
		if diff := cmp.Diff(analysis.Table{NC: 1, XC: int64(bad), NB: 19}, totals(t, e, guardFailure)); diff != "" {
			t.Error(diff)
		}
	}
	full := underTrial()
	full.Weight = release.All
	if e := gather(t, full, entry(1, units(idCandidate, 20, 0, 0))); e.Window != 1 {
		t.Error("with all of the keys there is no other arm to wait for")
	}
}

func TestUnitsOfAnotherReleaseAreNoEvidence(t *testing.T) {
	foreign := entry(1, units(idCandidate, 100, 100, 0), units(idStable, 100, 0, 0))
	foreign.Trial.Name = "release-local-10.1"
	e := gather(t, underTrial(), foreign, &version.Entry{Number: 2})
	if e.Window != 0 || e.seen != 2 {
		t.Errorf("window %d, seen %d", e.Window, e.seen)
	}
}

func TestAKeyThatAlwaysFailsCountsOnce(t *testing.T) {
	var entries []*version.Entry
	for n := range uint64(10) {
		entries = append(entries, entry(n+1, units(idStable, 20, 0, 0), units(idCandidate, 2, 1, 0, "poison")))
	}
	got := totals(t, gather(t, underTrial(), entries...), guardFailure)
	if diff := cmp.Diff(analysis.Table{NC: 11, XC: 1, NB: 200}, got); diff != "" {
		t.Errorf("the unit of a known bad key counts neither as bad nor as good (-want +got):\n%s", diff)
	}
	two := gather(t, underTrial(), entries[0], entry(2, units(idStable, 20, 0, 0), units(idCandidate, 5, 2, 0, "poison", "another")))
	if got := totals(t, two, guardFailure); got.XC != 2 {
		t.Errorf("bad units %d, want the first of each key", got.XC)
	}
}

func TestSlowIsWhatIsBeyondNineInTenOfStableBefore(t *testing.T) {
	r := underTrial()
	calm := entry(1, units(idStable, 40, 0, time.Millisecond), units(idCandidate, 4, 0, 50*time.Millisecond))
	e := gather(t, r, calm)
	if got := totals(t, e, guardSlow); got != (analysis.Table{}) {
		t.Errorf("%+v: a window may not be judged by a limit that it set itself", got)
	}
	next := entry(2, units(idStable, 40, 0, time.Millisecond), units(idCandidate, 4, 0, 3*time.Millisecond))
	e = gather(t, r, calm, next)
	if diff := cmp.Diff(analysis.Table{NC: 4, XC: 4, NB: 40}, totals(t, e, guardSlow)); diff != "" {
		t.Errorf("three times slower (-want +got):\n%s", diff)
	}
	near := entry(2, units(idStable, 40, 0, time.Millisecond), units(idCandidate, 4, 0, 1100*time.Microsecond))
	if got := totals(t, gather(t, r, calm, near), guardSlow); got.XC != 0 {
		t.Errorf("a tenth slower: %+v", got)
	}
}

// TestEvidenceThatIsKeptAndReadGoesOnAsIfNothingHadBeen stops at any version, stores what
// there is, and continues from what was stored, as another controller would.
func TestEvidenceThatIsKeptAndReadGoesOnAsIfNothingHadBeen(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	r := underTrial()
	var entries []*version.Entry
	for n := range uint64(60) {
		if rng.IntN(4) == 0 {
			entries = append(entries, &version.Entry{Number: n + 1})
			continue
		}
		bad := rng.IntN(2)
		var keys []string
		if bad > 0 {
			keys = []string{fmt.Sprint(rng.IntN(9))}
		}
		v := entry(n+1, units(idStable, 1+rng.IntN(20), 0, time.Duration(rng.IntN(5))*time.Millisecond),
			units(idCandidate, 1+rng.IntN(3), bad, time.Duration(rng.IntN(9))*time.Millisecond, keys...))
		for i := range v.Trial.Arms {
			v.Trial.Arms[i].Class = rng.IntN(4)
		}
		entries = append(entries, v)
	}
	want, err := gather(t, r, entries...).encode()
	if err != nil {
		t.Fatal(err)
	}
	for stop := range entries {
		raw, err := gather(t, r, entries[:stop]...).encode()
		if err != nil {
			t.Fatal(err)
		}
		e, err := decodeEvidence(raw)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range entries[e.Through:] {
			if err := e.take(v, r); err != nil {
				t.Fatal(err)
			}
		}
		got, err := e.encode()
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Fatalf("stopped after version %d:\n%s\nwithout a stop:\n%s", stop, got, want)
		}
	}
}

func TestEvidenceOfAnotherFormatIsRefused(t *testing.T) {
	for _, raw := range []string{"", "{}", `{"format":2}`, `{"format":1,"surprise":1}`, `{"format":1,"analysis":{}}`} {
		if e, err := decodeEvidence(json.RawMessage(raw)); err == nil {
			t.Errorf("%q is read as %+v", raw, e)
		}
	}
}
