package recovery

import (
	"strings"
	"testing"
	"time"

	"lockstep/internal/release"
	"lockstep/internal/version"
)

const (
	trialName = "release-prod-7.1"
	badOne    = "receipts@2+222222222222"
)

// history is a ledger of versions that was made up, each published a second after the last.
type history struct{ entries []*version.Entry }

func (h *history) add(kind version.Kind, change func(*version.Entry)) *history {
	n := uint64(len(h.entries) + 1)
	e := &version.Entry{Number: n, Parent: n - 1, Kind: kind, At: time.Unix(int64(n), 0).UTC()}
	if change != nil {
		change(e)
	}
	h.entries = append(h.entries, e)
	return h
}

func (h *history) good() *history {
	return h.add(version.Compact, func(e *version.Entry) { e.Revisions = map[string]int{"receipts@1+111111111111": 3} })
}

func (h *history) bad(trial string) *history {
	return h.add(version.Compact, func(e *version.Entry) {
		e.Revisions = map[string]int{badOne: 5}
		if trial != "" {
			e.Trial = &version.Trial{Name: trial, Arms: []version.Units{{Revision: badOne, Units: 4, Bad: 1}}}
		}
	})
}

func (h *history) reset(to uint64, backlog ...version.Span) *history {
	return h.add(version.Reset, func(e *version.Entry) { e.Cause.Target, e.Backlog = to, backlog })
}

func (h *history) revert(r version.Reverted) *history {
	return h.add(version.Revert, func(e *version.Entry) { e.Reverts = &r })
}

func (h *history) trail() *trail {
	t := trailFrom(1)
	t.trial, t.candidate = trialName, badOne
	for _, e := range h.entries[1:] {
		t.add(e)
		t.through = e.Number
	}
	return t
}

func TestTheDataIsCleanFromTheVersionOnThatHasNothingOfTheCandidate(t *testing.T) {
	begin := func() *history { return (&history{}).good().bad(trialName).good() } // versions 1 to 3
	ours := version.Reverted{Revision: badOne, Since: 2, Through: 3}
	for _, tt := range []struct {
		name  string
		h     *history
		clean uint64
	}{
		{"nothing was taken back", begin().good(), 0},
		{"a reset to before", begin().reset(1).good(), 4},
		{"a reset to after", begin().reset(3), 0},
		{"a reset of which everything is still to be handled again", begin().reset(1, version.Span{From: 1, To: 3, Mode: version.Replay}), 0},
		{"a reset whose messages are held", begin().reset(1, version.Span{From: 1, To: 3, Mode: version.Hold}), 4},
		{"a reset after which everything was handled again", begin().reset(1, version.Span{From: 1, To: 3, Mode: version.Replay}).good(), 5},
		{"a reset that was left again", begin().reset(1).reset(3), 0},
		{"a reset to the empty index", begin().reset(0), 4},
		{"a revert", begin().revert(ours), 4},
		{"a revert of half of it", begin().bad(trialName).revert(version.Reverted{Revision: badOne, Since: 4}), 0},
		{"a revert of another revision", begin().revert(version.Reverted{Revision: "receipts@3+333333333333", Since: 2}), 0},
		{"a revert that was reverted", begin().revert(ours).revert(version.Reverted{Version: 4}), 0},
		{"a revert that was reverted, and that as well", begin().revert(ours).revert(version.Reverted{Version: 4}).revert(version.Reverted{Version: 5}), 6},
		{"a revert of its only version", begin().revert(version.Reverted{Version: 2}), 4},
		{"a revert of one of its versions", begin().bad(trialName).revert(version.Reverted{Version: 2}), 0},
		{"a revert of a message", begin().revert(version.Reverted{Message: "m"}), 0},
		{"a revert, behind which it wrote again", begin().revert(ours).bad(""), 0},
		{"a base and a fence change nothing", begin().reset(1).add(version.BaseSet, nil).add(version.Fence, nil), 4},
		{"it never wrote", (&history{}).good().good().reset(1), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.h.trail()
			if got.clean.version != tt.clean {
				t.Fatalf("clean since version %d (%s), want %d", got.clean.version, got.how, tt.clean)
			}
			if tt.clean > 0 && (!got.clean.at.Equal(tt.h.entries[tt.clean-1].At) || got.how == "") {
				t.Errorf("clean at %s by %q", got.clean.at, got.how)
			}
		})
	}
}

func TestATrailHoldsWhatIsOfItsAttemptAndNothingElse(t *testing.T) {
	h := (&history{}).good().bad("release-prod-7.2").bad(trialName).bad("").bad("release-prod-7.2").good()
	got := h.trail()
	if got.first.version != 3 || got.last.version != 4 || got.mutations != 10 || got.units != 4 || got.failed != 1 {
		t.Errorf("first %v, last %v, %d mutations, %d units, %d failed", got.first, got.last, got.mutations, got.units, got.failed)
	}
	// Once it is stable, everything that it writes is its own, whatever trial is on.
	got = trailFrom(1)
	got.trial, got.candidate, got.promoted = trialName, badOne, true
	for _, e := range h.entries[1:] {
		got.add(e)
	}
	if got.first.version != 2 || got.last.version != 5 {
		t.Errorf("promoted: first %v, last %v", got.first, got.last)
	}
	// What is behind the start of the next attempt is not.
	got = trailFrom(1)
	got.trial, got.candidate, got.until = trialName, badOne, 3
	for _, e := range h.entries[1:] {
		got.add(e)
	}
	if got.last.version != 3 {
		t.Errorf("last %v, want 3", got.last)
	}
}

func TestALongTrailIsToldShortly(t *testing.T) {
	h := (&history{}).good()
	for range 100 {
		h.bad(trialName)
	}
	h.add(version.Fence, func(e *version.Entry) {
		e.Fenced = []version.Fenced{{Trial: "release-prod-6.1", Since: 1}, {Trial: trialName, Since: e.Number}}
		e.Cause = version.Cause{Command: "fence", Reason: "it is bad", Actor: "lockstep"}
	})
	for range 300 {
		h.reset(1)
	}
	got := h.trail()
	if got.fence.version != 102 || got.mutations != 500 {
		t.Errorf("fence %v, %d mutations", got.fence, got.mutations)
	}
	told := got.told()
	if len(told) > maxTrailEvents+2 {
		t.Errorf("%d events", len(told))
	}
	var all strings.Builder
	for _, e := range told {
		all.WriteString(e.What + "\n")
	}
	for _, want := range []string{
		"version 2 has 5 mutations by " + badOne + "\n", "version 101 is the last of 100 versions with something of " + badOne + ", 500 mutations in all\n",
		"from version 102 on " + badOne + " can publish nothing: it is bad\n", "more versions are left out here\n",
	} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, all.String())
		}
	}
}

func TestAnAttemptEndsWhenItsCandidateDecidesForNothing(t *testing.T) {
	r := &release.Release{ID: "prod-7", Attempt: 1, Candidate: badOne}
	good := "receipts@1+111111111111"
	serves := turn{number: 2, phase: release.PhaseCanary, stable: good}
	aborted := turn{number: 3, phase: release.PhaseAborted, stable: good, kind: release.KindAbort}
	promoted := turn{number: 3, phase: release.PhasePromoted, stable: badOne}
	dethroned := turn{number: 4, phase: release.PhasePromoted, stable: good, kind: release.KindRestore}
	again := turn{number: 5, phase: release.PhasePromoted, stable: badOne, kind: release.KindRestore}
	settled := turn{number: 6, phase: release.PhaseAborted, stable: good, kind: release.KindSettle}
	for _, tt := range []struct {
		name         string
		turns, later []turn
		end          uint64
		until        bool // what came later is not its own
	}{
		{"under way", []turn{serves}, nil, 0, true},
		{"aborted", []turn{serves, aborted}, nil, 3, true},
		{"aborted and settled", []turn{serves, aborted, settled}, nil, 3, true},
		{"promoted", []turn{serves, promoted}, nil, 0, true},
		{"promoted and taken back", []turn{serves, promoted, dethroned}, nil, 4, true},
		{"promoted, taken back, and back again", []turn{serves, promoted, dethroned, again}, nil, 0, true},
		{"promoted, and taken back while another was tried", []turn{serves, promoted}, []turn{{number: 7, stable: badOne}, {number: 8, stable: good}}, 8, false},
		{"promoted, and the next one is tried", []turn{serves, promoted}, []turn{{number: 7, stable: badOne}}, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := attempt{release: r, turns: tt.turns, until: 40}
			a.conclude(tt.later)
			switch {
			case tt.end == 0 && a.end != nil:
				t.Errorf("it ended with %s", a.end.link())
			case tt.end > 0 && (a.end == nil || a.end.number != tt.end):
				t.Errorf("it ended with %v, want entry %d", a.end, tt.end)
			}
			if (a.until == 40) != tt.until {
				t.Errorf("until version %d", a.until)
			}
			if last := tt.turns[len(tt.turns)-1]; (last.kind == release.KindSettle) != (a.settled != nil) {
				t.Errorf("settled by %v", a.settled)
			}
		})
	}
}
