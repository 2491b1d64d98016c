package simtest

import (
	"fmt"
	"slices"
	"testing"

	"lockstep/internal/lockstep"
)

// tally counts what happened in the worlds: a simulation in which nothing happens
// proves nothing.
type tally struct {
	seeds, versions, faults, kills, resets, again, bases, brought, unparked, large, fences, units, covered, reverts, joined, tainted int

	outcomes [9]int
}

func outcomeIndex(o lockstep.Outcome) int { return slices.Index(lockstep.Outcomes(), o) }

func (t *tally) add(w *world) {
	c := &w.count
	t.seeds++
	t.versions += c.versions
	t.faults += c.faults
	t.kills += c.kills
	t.resets += c.resets
	t.again += c.again
	t.bases += c.bases
	t.brought += c.brought
	t.unparked += c.unparked
	t.large += c.large
	t.fences += c.fences
	t.units += c.units
	t.covered += c.covered
	t.reverts += c.reverts
	t.joined += c.joined
	t.tainted += c.tainted
	for i, n := range c.outcomes {
		t.outcomes[i] += n
	}
}

func (t *tally) String() string {
	s := fmt.Sprintf("%d versions, %d faults, %d kills, %d resets, %d sent again, %d bases, %d steps of followers, %d unparked, %d large deltas, %d trials fenced off after %d units, %d covered by stable, %d reverts with %d keys that share and %d that read;",
		t.versions, t.faults, t.kills, t.resets, t.again, t.bases, t.brought, t.unparked, t.large, t.fences, t.units, t.covered, t.reverts, t.joined, t.tainted)
	for i, o := range lockstep.Outcomes() {
		s += fmt.Sprintf(" %s %d", o, t.outcomes[i])
	}
	return s
}

// check wants everything to have happened at least once per ten worlds, on average.
func (t *tally) check(tb testing.TB) {
	tb.Helper()
	for name, n := range map[string]int{
		"versions": t.versions / 50, "faults": t.faults / 50, "kills": t.kills / 5, "resets": t.resets, "messages sent again": t.again,
		"bases": t.bases, "steps of followers": t.brought / 5, "messages unparked": t.unparked, "large deltas": t.large,
		"trials fenced off": t.fences, "units of trials": t.units / 10, "units covered": t.covered,
		"reverts": t.reverts, "keys that share with what is reverted": t.joined, "keys that read it": t.tainted * 2,
	} {
		if n < t.seeds/10 {
			tb.Errorf("too few %s in %d worlds: %s", name, t.seeds, t)
		}
	}
	for i, o := range lockstep.Outcomes() {
		if o != lockstep.ResolvedOut && o != lockstep.Rederived && t.outcomes[i] < t.seeds/10 {
			tb.Errorf("hardly any message was %s in %d worlds: %s", o, t.seeds, t)
		}
	}
}
