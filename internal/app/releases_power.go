package app

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"lockstep/internal/analysis"
	"lockstep/internal/change"
	"lockstep/internal/compact"
	"lockstep/internal/lockstep"
	"lockstep/internal/release"
	"lockstep/internal/version"
)

// Traffic is what the ledger says about how much there is to see.
type Traffic struct {
	Versions int           `json:"versions"` // looked at, newest first
	Span     time.Duration `json:"span_ns"`  // from the oldest of them until now
	Units    int           `json:"units"`    // in them
	// Counted units were counted by a release; the others are estimated: what one key had in
	// one version.
	Counted int `json:"counted"`
	Keys    int `json:"keys"` // distinct, among the versions whose changes were read
	// Stable and Bad are stable's counted units, and those of them that failed.
	Stable int `json:"stable"`
	Bad    int `json:"bad"`
}

const (
	trafficVersions = 256      // looked at, at most
	trafficDeltas   = 64       // of these, read for their keys
	trafficBytes    = 16 << 20 // of one delta; a larger one is not read
)

// Traffic measures the newest versions.
func (c *Control) Traffic(ctx context.Context, s release.State) (Traffic, error) {
	var t Traffic
	index, err := c.Log.Head(ctx)
	if err != nil {
		return t, err
	}
	m := measure{log: c.Log, schema: c.Revisions.Initial().Handler.Describe().Key, stable: s.Stable.Revision, keys: map[string]bool{}}
	oldest := c.opts.Now()
	for n := index.Number(); n > 0 && t.Versions < trafficVersions; n-- {
		e, err := c.Log.Read(ctx, n)
		if errors.Is(err, version.ErrRetired) {
			break
		}
		if err != nil {
			return t, fmt.Errorf("measure the traffic: %w", err)
		}
		if !holdsUnits(e) {
			continue
		}
		enough, err := m.add(ctx, e, &t)
		if err != nil {
			return t, fmt.Errorf("measure the traffic of version %d: %w", n, err)
		}
		if enough {
			break
		}
		oldest = e.At
	}
	t.Span, t.Keys = max(0, c.opts.Now().Sub(oldest)), len(m.keys)
	return t, nil
}

// measure reads versions for their units.
type measure struct {
	log    *version.Log
	schema change.Schema
	stable string
	keys   map[string]bool
	read   int
}

// add counts the units of a version; enough says that it could not be looked at any more.
func (m *measure) add(ctx context.Context, e *version.Entry, t *Traffic) (enough bool, err error) {
	counted := e.Trial != nil && len(e.Trial.Arms) > 0
	estimate := 0
	if m.read < trafficDeltas && e.Delta.Size <= trafficBytes {
		m.read++
		d, err := m.log.Delta(ctx, e.Number)
		if err != nil {
			return false, err
		}
		units, err := compact.ArchivedUnits(ctx, d, m.schema)
		if err != nil {
			return false, err
		}
		for _, u := range units {
			m.keys[u[0].Group] = true
		}
		estimate = len(units)
	} else if !counted {
		return true, nil
	}
	t.Versions++
	if !counted {
		t.Units += estimate
		return false, nil
	}
	for i := range e.Trial.Arms {
		u := &e.Trial.Arms[i]
		t.Units, t.Counted = t.Units+u.Units, t.Counted+u.Units
		if release.SameRevision(u.Revision, m.stable) {
			t.Stable, t.Bad = t.Stable+u.Units, t.Bad+u.Bad
		}
	}
	return false, nil
}

// Power is what the longest step of a plan can see at the traffic that was measured.
type Power struct {
	Traffic Traffic `json:"traffic"`
	// Step is the one the outlook is about, counted from 1; 0 when there is no outlook, and
	// then Notes say why.
	Step    int               `json:"step"`
	Window  time.Duration     `json:"window_ns"` // one window at this traffic; 0: nobody knows
	Outlook *analysis.Outlook `json:"outlook,omitempty"`
	Notes   []string          `json:"notes,omitempty"`
}

// leastSpan is how long traffic has to be watched before it is taken for a rate.
const leastSpan = time.Minute

// assumedBase is the share of bad units that is reckoned with when stable was never seen to
// fail: nothing fails never.
const assumedBase = 0.005

// Power says what the longest weighted step of a plan can see.
func (t Traffic) Power(plan release.Plan) (Power, error) {
	p := Power{Traffic: t}
	at := longest(plan)
	switch {
	case at < 0:
		p.note("no step of this plan gives the candidate a share of the keys: it is promoted without having been compared")
		return p, nil
	case weightAt(plan, at) == release.All:
		p.note("step %d gives the candidate all of the keys: there is no stable to compare with", at+1)
		return p, nil
	case t.Units == 0:
		p.note("nothing was published yet, so nobody knows the traffic")
		return p, nil
	}
	step := plan.Steps[at]
	share := float64(weightAt(plan, at)) / float64(release.All)
	perWindow := max(windowUnits, math.Ceil(float64(t.Units)/float64(t.Versions)))
	policy := policyOf(plan)
	windows := 0.0
	if t.Span < leastSpan {
		p.note("%d units of %s are too little to tell the traffic by: how long it takes is not known", t.Units, t.Span.Round(time.Millisecond))
	} else {
		p.Window = time.Duration(perWindow / float64(t.Units) * float64(t.Span))
		policy.Window = max(p.Window, 1)
		policy.FalseAlarm = max(policy.FalseAlarm, policy.Window)
		windows = float64(step.For) / float64(policy.Window)
	}
	if least := float64(step.MinUnits) / share / perWindow; least > windows {
		if windows > 0 {
			p.note("the units that the step asks for take longer than its time")
		}
		windows = least
	}
	if windows < 1 {
		p.note("step %d asks for less than one window of %.0f units: it sees next to nothing", at+1, perWindow)
	}
	base := float64(t.Bad) / float64(max(t.Stable, 1))
	if t.Bad == 0 {
		base = assumedBase
		p.note("stable was not seen to fail in %d counted units; reckoned with %.1f %%", t.Stable, 100*base)
	}
	if on := share * float64(t.Keys); t.Keys > 0 && on < 1 {
		p.note("%d keys were seen: with %s of them the candidate may have none", t.Keys, weightAt(plan, at))
	}
	o, err := analysis.Power(analysis.Traffic{Units: perWindow, Share: share, Base: base, Windows: int(min(max(1, windows), maxWindows))}, policy, guardFailure)
	if err != nil {
		return p, err
	}
	if p.Window == 0 {
		o.Warnings = timeless(o.Warnings, time.Duration(o.Traffic.Windows)*policy.Window)
	}
	p.Step, p.Outlook = at+1, &o
	return p, nil
}

func (p *Power) note(format string, args ...any) {
	p.Notes = append(p.Notes, fmt.Sprintf(format, args...))
}

// longest returns the index of the weighted step that sees most: the longest, and of those
// equally long the last; -1 when there is none.
func longest(plan release.Plan) int {
	at := -1
	for i, s := range plan.Steps {
		if s.Kind != release.Canary && s.Kind != release.Bake {
			continue
		}
		if at < 0 || s.For >= plan.Steps[at].For {
			at = i
		}
	}
	return at
}

// weightAt returns the candidate's share in a step: a bake may keep that of the step before.
func weightAt(plan release.Plan, at int) release.Weight {
	for _, s := range slices.Backward(plan.Steps[:at+1]) {
		if s.Weight > 0 {
			return s.Weight
		}
	}
	return 0
}

// timeless removes from warnings how long a step takes, when nobody knows that.
func timeless(warnings []string, lasts time.Duration) []string {
	var out []string
	for _, w := range warnings {
		out = append(out, strings.Replace(w, "the bake of "+lasts.String(), "the step", 1))
	}
	return out
}

// maxWindows bounds what somebody may ask for.
const maxWindows = 1 << 20

// PowerOf says what a step can see at a given traffic, by the failure guard of the default
// policy. ErrInvalid for traffic that is none.
func PowerOf(t analysis.Traffic) (analysis.Outlook, error) {
	if t.Windows > maxWindows || t.Units > maxWindows {
		return analysis.Outlook{}, fmt.Errorf("power: %w: %g units in %d windows, at most %d of either", lockstep.ErrInvalid, t.Units, t.Windows, maxWindows)
	}
	return analysis.Power(t, analysis.DefaultPolicy(), guardFailure)
}
