package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"lockstep/internal/config"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
	"lockstep/internal/release"
	"lockstep/internal/version"
)

// OpenOrders opens the half that decides about releases without starting any program: for
// orders that must not wait for what may hang, such as an abort (invariant 7). Programs
// cannot be looked up by it. Errors as OpenControl.
func OpenOrders(ctx context.Context, cfg config.Config, opts Options) (*Control, error) {
	cfg.Programs = nil
	return OpenControl(ctx, cfg, opts)
}

// Proposal is a release that might be started: what of, by which plan, with which gates
// opened.
type Proposal struct {
	Candidate string // revision ID; "" to ask about the plan alone
	Plan      release.Plan
	Glass     []release.Glass
}

// Barrier is something that refuses a start now. Gate is the one that two people could
// open, "" when nobody can.
type Barrier struct {
	Gate   release.Gate `json:"gate,omitempty"`
	Reason string       `json:"reason"`
}

// Standing is the state of releases, with what is true before anybody has begun their
// ledger: the configured revision is stable. Nothing is written.
func (c *Control) Standing(ctx context.Context) (release.Head, release.State, error) {
	head, err := c.Releases.Head(ctx)
	if err != nil || head.Number() > 0 {
		return head, head.State(), err
	}
	index, err := c.Log.Head(ctx)
	if err != nil {
		return head, release.State{}, err
	}
	t, err := release.Adopt(release.State{}, c.Order("what the configuration names"), c.cfg.Environment,
		release.Pair{Revision: c.Revisions.Initial().ID(), Version: index.Number()})
	return head, t.Entry.State, err
}

// PlanNamed returns the plan of that name; "" names that of the configuration, and when it
// names none, the default of the environment. ErrNotFound lists the presets.
func PlanNamed(cfg config.Config, name string) (release.Plan, error) {
	if name == "" {
		name = cfg.Release.Plan
	}
	if name == "" {
		return release.Default(cfg.Environment), nil
	}
	return release.Preset(name)
}

// Request puts together what a start or a retry of p asks for: the newest version, the
// calendar, the evidence about the content of the candidate, and what the environment before
// says of it.
func (c *Control) Request(ctx context.Context, p Proposal) (release.Request, error) {
	index, err := c.Log.Head(ctx)
	if err != nil {
		return release.Request{}, err
	}
	req := release.Request{Candidate: p.Candidate, Plan: p.Plan, Head: index.Number(), Glass: p.Glass, Frozen: c.Controller().Calendar.Frozen(c.opts.Now())}
	if p.Candidate == "" {
		return req, nil
	}
	if req.Evidence, err = c.inherited(ctx, p.Candidate); err != nil {
		return req, err
	}
	req.Chain, err = c.chain(ctx, p.Candidate)
	return req, err
}

// chain asks the environment before this one about a revision. An environment that cannot
// be asked has not agreed.
func (c *Control) chain(ctx context.Context, candidate string) ([]string, error) {
	links := c.cfg.Release.Chain
	if len(links) == 0 {
		return nil, nil
	}
	var chain release.Chain
	for _, l := range links {
		chain = append(chain, release.Link{Environment: l.Environment, Occupancy: l.Occupancy})
	}
	if err := chain.Check(); err != nil {
		return nil, fmt.Errorf("release.chain of the configuration: %w", err)
	}
	before, follows, err := chain.Before(c.cfg.Environment)
	if err != nil || !follows {
		return nil, err
	}
	var upstream release.State
	for _, l := range links {
		if l.Environment == before.Environment {
			upstream, err = c.elsewhere(ctx, l)
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return []string{fmt.Sprintf("%s has to come first, and its ledger of releases cannot be read: %v", before.Environment, err)}, nil
	}
	return before.Gate(candidate, upstream, c.opts.Now()), nil
}

// quarantinedElsewhere says where else in the chain the candidate of r is in quarantine and
// why, "" when it is nowhere, or when two people have opened the gate of the chain for this
// release. An environment that cannot be read has nothing to say: an abort of this one must
// not wait for it, and a start asks again.
func (c *Control) quarantinedElsewhere(ctx context.Context, r *release.Release) string {
	if r.Opened(release.GateChain) {
		return ""
	}
	for _, l := range c.cfg.Release.Chain {
		if l.Data == "" || l.Environment == c.cfg.Environment {
			continue
		}
		s, err := c.elsewhere(ctx, l)
		if err != nil {
			continue
		}
		if q, bad := s.Quarantined(r.Candidate); bad {
			return fmt.Sprintf("in %s, by %s: %s", l.Environment, q.By, q.Reason)
		}
	}
	return ""
}

// elsewhere reads the state of another environment, the zero state when it has none yet.
func (c *Control) elsewhere(ctx context.Context, l config.Link) (release.State, error) {
	if l.Data == "" {
		head, err := c.Releases.Head(ctx)
		return head.State(), err
	}
	store, err := OpenStore(ctx, c.cfg.WithData(l.Data), c.opts.Now)
	if errors.Is(err, lockstep.ErrNotFound) {
		return release.State{}, nil
	}
	if err != nil {
		return release.State{}, err
	}
	head, err := release.NewLog(store.Blobs, ledger.Options{Now: c.opts.Now}).Head(ctx)
	return head.State(), err
}

// Barriers says what would refuse a start of req in state s at now, all of it; none when it
// could be started. Gates that the request opens are left out.
func Barriers(s release.State, req release.Request, now time.Time) []Barrier {
	var out []Barrier
	opened := func(gate release.Gate) bool {
		for _, g := range req.Glass {
			if g.Gate == gate {
				return true
			}
		}
		return false
	}
	add := func(gate release.Gate, format string, args ...any) {
		if gate == "" || !opened(gate) {
			out = append(out, Barrier{gate, fmt.Sprintf(format, args...)})
		}
	}
	if live := s.Live(); live != nil {
		add("", "release %s of %s is under way", live.ID, live.Candidate)
	}
	if req.Candidate != "" {
		if q, bad := s.Quarantined(req.Candidate); bad {
			add("", "%s was quarantined by %s: %s", q.Revision, q.By, q.Reason)
		}
		if release.SameRevision(s.Stable.Revision, req.Candidate) {
			add("", "%s is stable already", req.Candidate)
		}
	}
	if stop := s.Stopped(now); stop != nil {
		add(release.GateFreeze, "the line was stopped by %s: %s", stop.By, stop.Reason)
	}
	if req.Frozen != (release.Window{}) {
		add(release.GateFreeze, "frozen: %s", req.Frozen.Reason)
	}
	for _, why := range req.Chain {
		add(release.GateChain, "%s", why)
	}
	if err := req.Plan.Check(); err != nil {
		add("", "%v", err)
	}
	return out
}

// RevisionInfo is a revision as people and programs list it.
type RevisionInfo struct {
	ID     string   `json:"id"`
	Origin string   `json:"origin"` // builtin, or which program; "" when it cannot run here
	Roles  []string `json:"roles"`  // stable, candidate, known good, forced
	// Quarantined is why it is refused, "" when it is not.
	Quarantined string `json:"quarantined,omitempty"`
}

// ListRevisions lists what can run here, in order, and then what the ledger of releases
// names and nothing here can run.
func (c *Control) ListRevisions(s release.State) []RevisionInfo {
	forced := ""
	if rev, err := c.Revisions.Lookup(c.opts.Forced); c.opts.Forced != "" && err == nil {
		forced = rev.ID()
	}
	describe := func(id, origin string) RevisionInfo {
		info := RevisionInfo{ID: id, Origin: origin, Roles: []string{}}
		role := func(name, of string) {
			if of != "" && release.SameRevision(of, id) {
				info.Roles = append(info.Roles, name)
			}
		}
		role("stable", s.Stable.Revision)
		if r := s.Live(); r != nil {
			role("candidate", r.Candidate)
		}
		role("known good", s.KnownGood.Revision)
		role("forced", forced)
		if q, bad := s.Quarantined(id); bad {
			info.Quarantined = fmt.Sprintf("by %s: %s", q.By, q.Reason)
		}
		return info
	}
	var out []RevisionInfo
	here := func(id string) bool {
		for _, o := range out {
			if release.SameRevision(o.ID, id) {
				return true
			}
		}
		return false
	}
	for _, rev := range c.Revisions.All() {
		out = append(out, describe(rev.ID(), c.Revisions.Origin(rev)))
	}
	for _, id := range known(s) {
		if !here(id) {
			out = append(out, describe(id, ""))
		}
	}
	return out
}

// known returns the revisions that a state names, those that matter most first.
func known(s release.State) []string {
	ids := []string{s.Stable.Revision, s.KnownGood.Revision}
	if s.Release != nil {
		ids = append(ids, s.Release.Candidate)
	}
	for _, p := range s.Past {
		ids = append(ids, p.Revision)
	}
	for _, q := range s.Quarantine {
		ids = append(ids, q.Revision)
	}
	var out []string
	for _, id := range ids {
		if id != "" {
			out = append(out, id)
		}
	}
	return out
}

// Named finds the ID that a name stands for without starting anything: a full ID; else
// label, ID or the beginning of the hash among the revisions of the latest release. ok is
// false when it is none of these, and then Revisions.Lookup may know it.
func Named(s release.State, name string) (id string, ok bool) {
	if release.CheckRevision(name) == nil {
		return name, true
	}
	if r := s.Release; r != nil && Answers(r.Candidate, name) {
		return r.Candidate, true
	}
	return "", false
}

// Answers says whether name can stand for the revision with that ID: the ID, its label, or
// at least four of the first digits of its hash.
func Answers(id, name string) bool {
	label, hash, _ := strings.Cut(id, "+")
	return name == id || name == label || len(name) >= 4 && strings.HasPrefix(hash, strings.ToLower(name))
}

// Abort ends the release under way. When somebody else ends it at the same moment, a server
// that has seen the fence first, say, it is ended as asked, and that is no error.
func (c *Control) Abort(ctx context.Context, reason string) (release.Head, error) {
	before, err := c.Releases.Head(ctx)
	if err != nil {
		return before, err
	}
	var seen json.RawMessage
	if r := before.State().Live(); r != nil {
		seen = c.lastEvidence(ctx, r)
	}
	head, err := c.Command(ctx, func(s release.State) (release.Transition, error) {
		t, err := release.Abort(s, c.Order(reason))
		return t.WithEvidence(seen), err
	})
	r := before.State().Live()
	if r == nil || !errors.Is(err, release.ErrNone) {
		return head, err
	}
	now, herr := c.Releases.Head(ctx)
	if herr != nil {
		return now, errors.Join(err, herr)
	}
	if l := now.State().Release; l.ID == r.ID && l.Attempt == r.Attempt && l.Phase == release.PhaseAborted {
		return now, nil
	}
	return head, err
}

// Trace is what a candidate left in the index during a release.
type Trace struct {
	Units     int    `json:"units"`      // that it decided
	Failed    int    `json:"failed"`     // of these, and done by stable within the same batch
	Mutations int    `json:"mutations"`  // of its, published
	Versions  int    `json:"versions"`   // that hold some of them
	First     uint64 `json:"first"`      // the first of these versions; 0: none
	Last      uint64 `json:"last"`       // and the last one
	Fence     uint64 `json:"fence"`      // the version from which on it can publish nothing; 0: none
	KnownGood uint64 `json:"known_good"` // the version before the release
}

// Trace reads from the ledger of versions what the candidate of r has done in this attempt.
func (c *Control) Trace(ctx context.Context, r *release.Release) (Trace, error) {
	t := Trace{KnownGood: r.KnownGood.Version}
	index, err := c.Log.Head(ctx)
	if err != nil {
		return t, err
	}
	name := release.Effect{Release: r.ID, Attempt: r.Attempt}.Name()
	for n := r.KnownGood.Version + 1; n <= index.Number(); n++ {
		e, err := c.Log.Read(ctx, n)
		if errors.Is(err, version.ErrRetired) {
			continue // retention was here
		}
		if err != nil {
			return t, fmt.Errorf("what release %s did: %w", r.ID, err)
		}
		t.add(e, name, r.Candidate)
	}
	return t, nil
}

func (t *Trace) add(e *version.Entry, name, candidate string) {
	for _, f := range e.Fenced {
		if f.Trial == name {
			t.Fence = f.Since
		}
	}
	if e.Trial == nil || e.Trial.Name != name {
		return
	}
	for i := range e.Trial.Arms {
		if u := &e.Trial.Arms[i]; release.SameRevision(u.Revision, candidate) {
			t.Units, t.Failed = t.Units+u.Units, t.Failed+u.Bad
		}
	}
	if n := e.Revisions[candidate]; n > 0 {
		t.Mutations, t.Versions, t.Last = t.Mutations+n, t.Versions+1, e.Number
		if t.First == 0 {
			t.First = e.Number
		}
	}
}
