package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"lockstep/internal/analysis"
	"lockstep/internal/lockstep"
	"lockstep/internal/release"
	"lockstep/internal/version"
)

// The guards that the analysis weighs: whether units fail, whether they are slow, and
// whether the candidate's answers differ from stable's.
const (
	guardFailure  = "batch-failure"
	guardSlow     = "batch-slow"
	guardMismatch = "shadow-mismatch"
)

// policyOf is what a release is judged by: the defaults, without the comparison in shadow
// when its plan has no such step.
func policyOf(plan release.Plan) analysis.Policy {
	p := defaults()
	if slices.ContainsFunc(plan.Steps, func(s release.Step) bool { return s.Kind == release.Shadow }) {
		return p
	}
	p.Guards = slices.DeleteFunc(p.Guards, func(g analysis.GuardPolicy) bool { return g.Test == analysis.Paired })
	sum := 0.0
	for _, g := range p.Guards {
		sum += g.Weight
	}
	for i := range p.Guards {
		p.Guards[i].Weight /= sum
	}
	return p
}

// defaults is the policy of the analysis with what is known about our guards. A unit is
// slow by a limit that follows stable, and a machine that gets slower makes stable's units
// slow, too: that is no reason to hold, unless most of them are.
func defaults() analysis.Policy {
	p := analysis.DefaultPolicy()
	for i := range p.Guards {
		if p.Guards[i].Name == guardSlow {
			p.Guards[i].StableMax = 0.6
		}
	}
	return p
}

// evidence is what the ledger of versions says about a candidate. It is computed from the
// entries alone, in their order, so that every controller comes to the same result; what
// a release keeps of it only saves reading them again.
type evidence struct {
	Format   int                `json:"format"`
	Through  uint64             `json:"through"` // versions up to here are in closed windows
	Window   uint64             `json:"window"`  // the last one closed
	Analysis *analysis.Evidence `json:"analysis"`
	// BadKeys are the keys that have counted as bad once; they do not again.
	BadKeys []string `json:"bad_keys,omitempty"`
	// Stable is how long stable's units took in closed windows, by class of size.
	Stable map[int]map[int]int `json:"stable,omitempty"`
	Units  map[string]uint64   `json:"units,omitempty"` // by arm, in closed windows
	Keys   keyEvidence         `json:"keys"`            // of closed windows
	// Since is what was seen after the promotion; nil before.
	Since *watchEvidence `json:"since,omitempty"`

	open window // since Through
	seen uint64 // the last version looked at, closed or not
}

const (
	evidenceFormat = 1
	maxKnownBad    = 4096
	// windowUnits is how many units make a window, when both arms have one: what a window
	// is depends on how much was seen and never on how it went.
	windowUnits = 20
	// loneUnits is how many make one when only one arm has any: then the arms cannot be
	// compared, but the split can be told, which may be what is wrong.
	loneUnits = 200
	// limitUnits is how many units of stable a limit for slowness rests on at least.
	limitUnits = 20
)

// window is what was seen since the last one was closed.
type window struct {
	tables map[string]map[int]*analysis.Table // by guard, then class
	stable map[int]map[int]int
	units  map[string]uint64
	bad    []string
	last   uint64 // version

	weight *uint32   // by which its keys were routed; nil: not known
	split  []seenKey // keys that the weight has split
	seen   []seenKey // all keys that are listed
	others int64     // and how many are not
}

func newWindow() window {
	return window{tables: map[string]map[int]*analysis.Table{}, stable: map[int]map[int]int{}, units: map[string]uint64{}}
}

func newEvidence(p analysis.Policy, from uint64) (*evidence, error) {
	a, err := analysis.NewEvidence(p)
	if err != nil {
		return nil, err
	}
	return &evidence{Format: evidenceFormat, Through: from, Analysis: a, Stable: map[int]map[int]int{}, Units: map[string]uint64{}, open: newWindow(), seen: from}, nil
}

// decodeEvidence reads what a release keeps.
func decodeEvidence(raw json.RawMessage) (*evidence, error) {
	e := &evidence{Stable: map[int]map[int]int{}, Units: map[string]uint64{}, open: newWindow()}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(e); err != nil {
		return nil, fmt.Errorf("evidence of the release: %w: %w", lockstep.ErrCorrupt, err)
	}
	if e.Format != evidenceFormat || e.Analysis == nil {
		return nil, fmt.Errorf("evidence of the release: %w: format %d", lockstep.ErrRefused, e.Format)
	}
	if e.Since != nil && e.Since.Watch == nil {
		return nil, fmt.Errorf("evidence of the release: %w: nothing since its promotion", lockstep.ErrCorrupt)
	}
	e.seen = e.Through
	return e, nil
}

func (e *evidence) encode() (json.RawMessage, error) { return json.Marshal(e) }

// take looks at one version, whose number follows the last one looked at.
func (e *evidence) take(v *version.Entry, r *release.Release) error {
	ours := v.Trial != nil && strings.HasPrefix(v.Trial.Name, "release-"+r.ID+".")
	if ours && e.open.turns(v.Trial.Keys) {
		if err := e.close(r); err != nil {
			return err
		}
	}
	e.seen, e.open.last = v.Number, v.Number
	if !ours {
		return nil
	}
	e.open.keys(v.Trial.Keys)
	for i := range v.Trial.Arms {
		e.arm(&v.Trial.Arms[i], release.SameRevision(v.Trial.Arms[i].Revision, r.Candidate))
	}
	if e.full(r) {
		return e.close(r)
	}
	return nil
}

// full says whether the window can be closed.
func (e *evidence) full(r *release.Release) bool {
	c, s := e.open.units["candidate"], e.open.units["stable"]
	weight := r.Weight
	if e.open.weight != nil {
		weight = release.Weight(*e.open.weight) // the entries know better than whoever reads them later
	}
	both := c > 0 && (s > 0 || weight == release.All)
	return both && c+s >= windowUnits || c+s >= loneUnits
}

//nolint:revive // ours says whose units these are; it is no mode
func (e *evidence) arm(u *version.Units, ours bool) {
	units, bad := int64(u.Units), int64(u.Bad)
	if ours {
		// A key that always fails sits in one arm for ever: it is one unit and not one for
		// every batch. Of several bad units with one known key it is not told which is whose,
		// and then none of them counts.
		known := int64(0)
		for _, k := range u.Keys {
			if slices.Contains(e.BadKeys, k) || slices.Contains(e.open.bad, k) {
				known++
				continue
			}
			e.open.bad = append(e.open.bad, k)
		}
		if len(u.Keys) > 0 && known == int64(len(u.Keys)) {
			known = bad
		}
		units, bad = units-min(known, bad), bad-min(known, bad)
	}
	add := func(guard string, n, x int64) {
		byClass := e.open.tables[guard]
		if byClass == nil {
			byClass = map[int]*analysis.Table{}
			e.open.tables[guard] = byClass
		}
		t := byClass[u.Class]
		if t == nil {
			t = &analysis.Table{}
			byClass[u.Class] = t
		}
		if ours {
			t.NC, t.XC = t.NC+n, t.XC+x
		} else {
			t.NB, t.XB = t.NB+n, t.XB+x
		}
	}
	add(guardFailure, units, bad)
	if limit, ok := e.limit(u.Class); ok {
		slow, all := int64(0), int64(0)
		for k, n := range u.Took {
			all += int64(n)
			if k > limit {
				slow += int64(n)
			}
		}
		add(guardSlow, all, slow)
	}
	if ours {
		e.open.units["candidate"] += uint64(u.Units)
		return
	}
	e.open.units["stable"] += uint64(u.Units)
	merge(e.open.stable, u.Class, u.Took)
}

func merge(into map[int]map[int]int, class int, took map[int]int) {
	if into[class] == nil {
		into[class] = map[int]int{}
	}
	for k, n := range took {
		into[class][k] += n
	}
}

// fadeUnits is how many units of stable a limit remembers: beyond, all of them count half,
// so that it follows a machine that gets slower or faster.
const fadeUnits = 400

func fade(took map[int]int) {
	all := 0
	for _, n := range took {
		all += n
	}
	if all <= fadeUnits {
		return
	}
	for k, n := range took {
		if took[k] = n / 2; n/2 == 0 {
			delete(took, k)
		}
	}
}

// limit is how long a unit of a class may take before it is slow: beyond nine in ten of
// stable's units, of windows that are closed. A limit that moved with the window that it
// judges would be no limit.
func (e *evidence) limit(class int) (key int, ok bool) {
	took := e.Stable[class]
	all := 0
	var keys []int
	for k, n := range took {
		all += n
		keys = append(keys, k)
	}
	if all < limitUnits {
		return 0, false
	}
	slices.Sort(keys)
	sum := 0
	for _, k := range keys {
		if sum += took[k]; 10*sum >= 9*all {
			return k + 1, true // a quarter of an octave of tolerance, 19 %
		}
	}
	return 0, false
}

// close gives the window to the analysis.
func (e *evidence) close(r *release.Release) error {
	s := analysis.Sample{Tables: map[string][]analysis.Table{}, Split: e.Keys.split(&e.open, r)}
	for _, k := range e.open.seen {
		e.Keys.Heavy.Add(k.hash)
	}
	e.Keys.Heavy.AddOthers(e.open.others)
	for guard, byClass := range e.open.tables {
		for _, class := range slices.Sorted(maps.Keys(byClass)) { // sums of floats depend on their order
			t := byClass[class]
			if t.NC > 0 || t.NB > 0 {
				s.Tables[guard] = append(s.Tables[guard], *t)
			}
		}
	}
	e.Window++
	if _, err := e.Analysis.Observe(e.Window, s); err != nil {
		return fmt.Errorf("window %d of the evidence: %w", e.Window, err)
	}
	e.Through = e.open.last
	for class, took := range e.open.stable {
		merge(e.Stable, class, took)
		fade(e.Stable[class])
	}
	for arm, n := range e.open.units {
		e.Units[arm] += n
	}
	e.BadKeys = append(e.BadKeys, e.open.bad...)
	e.BadKeys = e.BadKeys[max(0, len(e.BadKeys)-maxKnownBad):]
	e.open = newWindow()
	return nil
}
