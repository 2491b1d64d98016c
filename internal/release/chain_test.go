package release

import (
	"errors"
	"strings"
	"testing"
	"time"

	"lockstep/internal/lockstep"
)

func TestTheChainLetsThroughWhatWasThereLongEnough(t *testing.T) {
	link, ok, err := DefaultChain().Before("staging")
	if err != nil || !ok || link.Environment != "dev" || link.Occupancy != 48*time.Hour {
		t.Fatalf("%v %t %v", link, ok, err)
	}
	promoted := in(t, PhasePromoted) // at 72m
	frozen := must(t)(Freeze(promoted, by("anna", 10*time.Hour), at(20*time.Hour)))
	full := in(t, PhaseCanary)
	full.Release.Weight = All
	full.Release.Full = Clock{}.Run(t0())
	replaced := promoted.clone()
	replaced.enthrone(Pair{otherRev, 60}, Clock{}, at(72*time.Minute+50*time.Hour))
	restored := must(t)(Restore(promoted, by("anna", 60*time.Hour), Pair{oldRev, 60}))
	jailed := promoted.clone()
	jailed.quarantine(Quarantined{Revision: newRev, By: "anna", Reason: "smells"})
	paused := must(t)(Pause(full, by("anna", 10*time.Hour)))
	for _, c := range []struct {
		name string
		s    State
		at   time.Duration
		why  string // "": it may go on
	}{
		{"no ledger", State{}, 0, "not there"},
		{"never there", adopted(t), 100 * time.Hour, "not stable in dev"},
		{"in canary", in(t, PhaseCanary), 100 * time.Hour, "in canary at 10%"},
		{"too short", promoted, 72*time.Minute + 47*time.Hour, "47h of 48h"},
		{"long enough", promoted, 72*time.Minute + 48*time.Hour, ""},
		{"the line was stopped for ten hours", frozen, 72*time.Minute + 48*time.Hour, "38h of 48h"},
		{"with the ten hours made up", frozen, 72*time.Minute + 58*time.Hour, ""},
		{"all of the keys for long enough", full, 48 * time.Hour, ""},
		{"all of the keys, but paused since", paused, 100 * time.Hour, "10h of 48h"},
		{"long enough, and replaced since", replaced, 1000 * time.Hour, ""},
		{"long enough, and taken back", restored, 1000 * time.Hour, "not stable in dev"},
		{"long enough, and in quarantine", jailed, 1000 * time.Hour, "smells"},
	} {
		got := strings.Join(link.Gate("by-another-name@2+222222222222", c.s, at(c.at)), "; ")
		if (got == "") != (c.why == "") || !strings.Contains(got, c.why) {
			t.Errorf("%s: %q, want %q", c.name, got, c.why)
		}
	}
}

func TestAChainWithoutOccupancyStillWantsTheOrder(t *testing.T) {
	link := Link{Environment: "dev"}
	if got := link.Gate(oldRev, adopted(t), t0()); len(got) != 0 {
		t.Errorf("just adopted: %v", got)
	}
	if got := link.Gate(newRev, adopted(t), t0()); len(got) != 1 {
		t.Errorf("never there: %v", got)
	}
}

func TestAChainIsChecked(t *testing.T) {
	if err := DefaultChain().Check(); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]Chain{
		"empty": {}, "twice": {{"a", 0}, {"a", 0}}, "bad name": {{"A B", 0}}, "negative": {{"a", -1}},
	} {
		if err := c.Check(); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := DefaultChain().Before("moon"); !errors.Is(err, lockstep.ErrNotFound) || !strings.Contains(err.Error(), "dev 48h -> staging 24h -> prod") {
		t.Error(err)
	}
	if _, ok, err := DefaultChain().Before("dev"); ok || err != nil {
		t.Errorf("%t %v", ok, err)
	}
}
