package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"lockstep/internal/analysis"
	"lockstep/internal/guard"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/release"
	"lockstep/internal/version"
)

var _ release.Observer = (*observer)(nil)

// observer answers what is true about a release from the ledger of versions, which is
// exact and always there, and from what it was given besides. What it remembers only
// saves reading the ledger again.
type observer struct {
	store     *Store
	releases  *release.Log
	revisions *Revisions
	guards    *guards
	now       func() time.Time
	elsewhere func(ctx context.Context, r *release.Release) string // in quarantine in another environment
	preflight func(ctx context.Context, s release.State) (release.Health, []release.OpenRisk, []string, error)
	compared  func(ctx context.Context, s release.State, seen *release.Seen) (shadowed, error)

	mu       sync.Mutex // guards everything below
	of       string     // release and candidate that the rest is about
	evidence *evidence
	step     stepCount
	cleared  map[string]preflightAnswer // by attempt
}

type preflightAnswer struct {
	health  release.Health
	risks   []release.OpenRisk
	reasons []string
}

// Observe implements release.Observer.
func (o *observer) Observe(ctx context.Context, s release.State) (seen release.Observation, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := s.Release
	head, err := o.store.Log.Head(ctx)
	if err != nil {
		return release.Observation{}, err
	}
	seen = release.Observation{Head: head.Number(), Stable: o.health(ctx, s.Stable.Revision)}
	name := release.Effect{Release: r.ID, Attempt: r.Attempt}.Name()
	if head.Entry != nil {
		if i := slices.IndexFunc(head.Entry.Fenced, func(f version.Fenced) bool { return f.Trial == name }); i >= 0 {
			seen.Fenced, seen.FencedWhy = true, head.Entry.Fenced[i].Reason
		}
	}
	defer func() { o.guards.note(s, seen.Verdict) }()
	if r.Phase.Final() {
		err := o.after(ctx, s, head, &seen)
		return seen, err
	}
	seen.Quarantined = o.elsewhere(ctx, r)
	if err := o.read(ctx, r, head); err != nil {
		return seen, err
	}
	if seen.Seen, err = o.count(ctx, r, name, head.Number()); err != nil {
		return seen, err
	}
	if r.Phase == release.PhasePreflight {
		if err := o.clear(ctx, s, name, &seen); err != nil {
			return seen, err
		}
	}
	if err := o.judge(ctx, s, head, &seen); err != nil {
		return seen, err
	}
	if seen.Preflight == release.Bad {
		seen.Culprit = &release.Culprit{Source: release.FromPreflight, Name: string(release.FromPreflight)}
	}
	seen.Evidence, err = o.evidence.encode()
	return seen, err
}

// after looks at a candidate that was promoted.
func (o *observer) after(ctx context.Context, s release.State, head version.Head, seen *release.Observation) (err error) {
	r := s.WatchedAt(o.now())
	if r == nil {
		return nil
	}
	if seen.Alarm, err = o.watched(ctx, s, r, head); err != nil {
		return err
	}
	seen.Evidence, err = o.evidence.encode()
	return err
}

// situation is what the guards are asked about.
func (o *observer) situation(ctx context.Context, s release.State, head version.Head) (situation, error) {
	sit := situation{now: o.now(), head: head, state: s}
	stable := s.Stable.Revision
	if stable == "" {
		sit.stable = o.revisions.Initial()
	} else {
		var err error
		if sit.stable, err = o.revisions.Lookup(stable); err != nil {
			return sit, err
		}
	}
	sit.late = lateOf(s, nil, sit.now)
	r := s.Live()
	if r == nil {
		return sit, nil
	}
	candidate, err := o.revisions.Lookup(r.Candidate)
	if err == nil {
		sit.candidate = candidate
	}
	sit.probe = o.probed(ctx, candidate, err)
	sit.probe.At = sit.now
	return sit, nil
}

// lateOf is what is known of a candidate since its promotion: what the ledger says, and
// what was found out just now. It is nil when none is watched.
func lateOf(s release.State, found *release.Alarm, now time.Time) *guard.Late {
	r := s.WatchedAt(now)
	if r == nil {
		return nil
	}
	if r.Alarm != nil {
		found = r.Alarm
	}
	if found == nil {
		return &guard.Late{Sentence: r.Candidate + " is as good as it was promoted"}
	}
	return &guard.Late{Alarm: true, Sentence: found.Reason}
}

// probed says what came of starting the candidate; err is why it was not found.
func (o *observer) probed(ctx context.Context, candidate handler.Revision, err error) *guard.Probe {
	p := &guard.Probe{}
	if err == nil {
		err = o.revisions.Probe(ctx, candidate)
		p.Started = true
	}
	if p.Described = err == nil; err != nil {
		p.Err = err.Error()
	}
	return p
}

// health says whether a revision can run here.
func (o *observer) health(ctx context.Context, id string) release.Health {
	rev, err := o.revisions.Lookup(id)
	if err == nil {
		err = o.revisions.Probe(ctx, rev)
	}
	if err != nil {
		return release.Bad
	}
	return release.Healthy
}

// read brings the evidence up to the head.
func (o *observer) read(ctx context.Context, r *release.Release, head version.Head) (err error) {
	if of := r.ID + " " + r.Candidate; o.of != of {
		o.of, o.evidence = of, nil
	}
	if o.evidence == nil {
		if o.evidence, err = o.kept(ctx, r); err != nil {
			return err
		}
	}
	if r.Phase == release.PhaseBake {
		o.evidence.Analysis.StartBake()
	}
	for n := o.evidence.seen + 1; n <= head.Number(); n++ {
		e, err := o.store.Log.Read(ctx, n)
		if err != nil {
			return fmt.Errorf("evidence of release %s: %w", r.ID, err)
		}
		if err := o.evidence.take(e, r); err != nil {
			return err
		}
	}
	return nil
}

// kept returns the evidence that the release keeps, and before it keeps any, what is to be
// read from the start of its first attempt on: a retry forgets nothing.
func (o *observer) kept(ctx context.Context, r *release.Release) (*evidence, error) {
	from := r.KnownGood.Version
	if r.Evidence == nil && r.Attempt > 1 {
		head, err := o.releases.Head(ctx)
		if err != nil {
			return nil, err
		}
		for n := head.Number(); n > 0; n-- {
			e, err := o.releases.At(ctx, n)
			if err != nil {
				return nil, err
			}
			first := e.Entry.State.Release
			if first == nil || first.ID != r.ID {
				break
			}
			from = first.KnownGood.Version
		}
	}
	return keptEvidence(r, from)
}

// count returns what the present step has seen: the units of versions published since it
// began. The first time it walks back from the head to there, and then only onward: a bake
// of two days has more versions than anybody wants to read every second.
func (o *observer) count(ctx context.Context, r *release.Release, trial string, head uint64) (release.Seen, error) {
	of := fmt.Sprintf("%s %d %s", trial, r.Step, r.StepSince)
	if o.step.of != of {
		from, err := o.stepBegan(ctx, r, head)
		if err != nil {
			return release.Seen{}, err
		}
		o.step = stepCount{of: of, through: from, mix: map[lockstep.Event]bool{}}
	}
	for n := o.step.through + 1; n <= head; n++ {
		e, err := o.store.Log.Read(ctx, n)
		if err != nil {
			return release.Seen{}, fmt.Errorf("units of release %s: %w", r.ID, err)
		}
		if o.step.through = n; e.Trial != nil && e.Trial.Name == trial {
			o.step.add(e.Trial, r.Candidate)
		}
	}
	seen := o.step.seen
	seen.Mix = slices.Sorted(maps.Keys(o.step.mix))
	return seen, nil
}

// stepBegan returns the last version before the present step.
func (o *observer) stepBegan(ctx context.Context, r *release.Release, head uint64) (uint64, error) {
	for n := head; n > r.KnownGood.Version; n-- {
		e, err := o.store.Log.Read(ctx, n)
		if err != nil {
			return 0, fmt.Errorf("units of release %s: %w", r.ID, err)
		}
		if e.At.Before(r.StepSince) {
			return n, nil
		}
	}
	return min(r.KnownGood.Version, head), nil
}

// stepCount is what one step of one attempt has seen.
type stepCount struct {
	of      string
	through uint64 // version
	seen    release.Seen
	mix     map[lockstep.Event]bool
}

func (c *stepCount) add(t *version.Trial, candidate string) {
	for _, u := range t.Arms {
		if !release.SameRevision(u.Revision, candidate) {
			c.seen.Stable += uint64(u.Units)
			continue
		}
		c.seen.Candidate += uint64(u.Units)
		for event, n := range u.Events {
			if n > 0 {
				c.mix[lockstep.Event(event)] = true
			}
		}
	}
}

// clear asks preflight once for an attempt.
func (o *observer) clear(ctx context.Context, s release.State, attempt string, seen *release.Observation) error {
	a, ok := o.cleared[attempt]
	if !ok {
		var err error
		if a.health, a.risks, a.reasons, err = o.preflight(ctx, s); err != nil {
			return err
		}
		o.cleared = map[string]preflightAnswer{attempt: a}
	}
	seen.Preflight, seen.Risks, seen.Reasons = a.health, a.risks, a.reasons
	return nil
}

// judge turns the evidence into the verdict of all guards together: that of the comparison
// of candidate and stable, and those of everything else that is asked. The worst counts.
func (o *observer) judge(ctx context.Context, s release.State, head version.Head, seen *release.Observation) error {
	r := s.Release
	inShadow, err := o.compared(ctx, s, &seen.Seen)
	if err != nil {
		return err
	}
	all, err := o.evidence.withPairs(inShadow.pairs)
	if err != nil {
		return err
	}
	j, err := analysis.Judge(all, policyOf(r.Plan), o.evidence.situation())
	if err != nil {
		return err
	}
	seen.Verdict = healthOf(j.Verdict)
	culprit := culpritOf(j)
	if r.Phase == release.PhaseShadow && j.Verdict != analysis.Fail && j.Verdict != analysis.Broken {
		// In shadow there are no arms yet: only the comparison can speak.
		seen.Verdict, culprit = release.NoData, guardMismatch
		for _, f := range j.Guards {
			if f.Guard == guardMismatch {
				seen.Verdict = healthOf(f.Verdict)
			}
		}
	}
	if r.Phase != release.PhasePreflight || seen.Verdict == release.Bad {
		seen.Reasons = append(seen.Reasons, j.Reasons...)
	}
	if seen.Verdict == release.Bad || seen.Verdict == release.Hold {
		seen.Culprit = &release.Culprit{Source: release.FromAnalysis, Name: culprit}
	}
	if len(inShadow.hard) > 0 {
		seen.Verdict, seen.Reasons = release.Bad, append(inShadow.hard, seen.Reasons...)
		seen.Culprit = &release.Culprit{Source: release.FromShadow, Name: inShadow.broken[0]}
	}
	if seen.Verdict == release.Bad {
		return nil // that is enough, and nobody else is waited for
	}
	return o.ask(ctx, s, head, judgementOf(j, o.now()), seen)
}

// ask adds what the guards say.
func (o *observer) ask(ctx context.Context, s release.State, head version.Head, j *guard.Judgement, seen *release.Observation) error {
	sit, err := o.situation(ctx, s, head)
	if err != nil {
		return nil //nolint:nilerr // without stable nothing can be asked, and seen.Stable says so
	}
	sit.judgement = j
	answer, err := o.guards.look(ctx, sit)
	if err != nil {
		return err
	}
	health, reasons := answer.health(sit.live())
	if s.Release.Phase != release.PhasePreflight || health == release.Hold {
		seen.Reasons = append(reasons, seen.Reasons...)
	}
	if health == release.NoData && sit.live() == nil {
		return nil
	}
	if worst := worse(seen.Verdict, health); worst != seen.Verdict {
		seen.Verdict = worst
		if name := answer.culprit(); name != "" {
			seen.Culprit = &release.Culprit{Source: release.FromGuard, Name: name}
		}
	}
	return nil
}

// culpritSplit is what holds a release when routing does not split as it was told to.
const culpritSplit = "sample-ratio"

// culpritOf names the guard of the analysis that a verdict comes from.
func culpritOf(j analysis.Judgement) string {
	if j.Verdict == analysis.Broken {
		return culpritSplit
	}
	return j.Culprit
}

func healthOf(v analysis.Verdict) release.Health {
	switch v {
	case analysis.Pass:
		return release.Healthy
	case analysis.Fail:
		return release.Bad
	case analysis.Broken:
		return release.Hold
	case analysis.Inconclusive:
	}
	return release.NoData
}

// judgementOf is the comparison of candidate and stable as a fact among others.
func judgementOf(j analysis.Judgement, now time.Time) *guard.Judgement {
	out := &guard.Judgement{At: now, Verdict: guard.Inconclusive}
	if len(j.Reasons) > 0 {
		out.Sentence = j.Reasons[0]
	}
	switch j.Verdict {
	case analysis.Pass:
		out.Verdict = guard.Pass
	case analysis.Fail:
		out.Verdict = guard.Fail
	case analysis.Broken:
		out.Verdict = guard.Broken
	case analysis.Inconclusive:
	}
	return out
}
