package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"lockstep/internal/config"
	"lockstep/internal/guard"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/release"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

// guards ask the running system and remember the answers.
//
// What they remember between looks, the samples and the looks that count towards a
// failure, is in this process. After a restart a guard that needs several failed looks
// begins to count anew, and is inconclusive until then, which holds. The counts
// themselves are not lost: they come from the ledger of versions, and the first look
// begins with what the ledger says of the minutes before.
type guards struct {
	set   *GuardSet
	store *Store
	keep  []string
	every time.Duration // looks that follow sooner get the same answer
	// testing says that the configured tests are run here: until they have been, nobody knows.
	testing bool
	vitals  *vitals         // nil: the work is done elsewhere
	remote  *backlog        // what waits there, when somebody has said so
	state   *state.State    // nil: there is no local state here
	shown   *releaseMetrics // nil: nobody watches

	mu      sync.Mutex      // guards everything below
	tests   []guard.TestRun // that have been run here, each the last time; nil: none
	about   string          // the attempt that the tally is about
	tally   *tally
	ledger  *guard.Ledger
	memory  map[string]guard.DebounceState
	results map[string]guard.Result // of sources other than the ledger
	asked   time.Time               // when these were
	last    Answer
	wrong   int64 // re-derived
	right   int64
	sampled uint64 // versions up to here have been
	example string // of what was wrong
}

// Answer is what the guards said at one time.
type Answer struct {
	guard.Assessment

	At time.Time `json:"at"`
	// NotAsked are guards whose question has no answer here, with the reason.
	NotAsked map[string]string `json:"not_asked"`
	facts    guard.Facts
}

// situation is what the guards are asked about.
type situation struct {
	now       time.Time
	head      version.Head
	state     release.State
	stable    handler.Revision
	candidate handler.Revision // no Handler: no release, or it cannot run here
	judgement *guard.Judgement
	late      *guard.Late // nil: no promoted candidate is watched
	probe     *guard.Probe
}

// recent is how far back the ledger is read when no release says where to begin: the
// longest window of the guards that count what is new.
const recent = 10 * time.Minute

const (
	maxRecent     = 4096             // versions read for it at most
	externalEvery = 10 * time.Second // how often sources other than the ledger are asked
	externalTime  = 10 * time.Second // for all of them together
	rederivedEach = 32               // items per look
	keptSamples   = 48 * time.Hour
)

// live returns the release in progress whose candidate decides for some keys.
func (s *situation) live() *release.Release {
	r := s.state.Live()
	if r == nil || !r.Phase.Serves() || r.Weight == 0 {
		return nil
	}
	return r
}

// look asks all guards that can be asked, and returns what they say together.
func (g *guards) look(ctx context.Context, s situation) (Answer, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ledger != nil && g.about == about(&s) && s.now.Sub(g.last.At) < g.every {
		return g.last, nil
	}
	if err := g.begin(ctx, &s); err != nil {
		return Answer{}, err
	}
	f, err := g.facts(ctx, &s)
	if err != nil {
		return Answer{}, err
	}
	if err := g.ledger.Add(f); err != nil {
		return g.last, nil // the clock stands or went back: there is nothing new to say
	}
	asked, not := g.choose(&s)
	results, err := g.judge(ctx, asked, s.now)
	if err != nil {
		return Answer{}, err
	}
	g.last = Answer{Assessment: guard.Assess(results), At: s.now, NotAsked: not, facts: f}
	return g.last, nil
}

// about names the attempt that is looked at, "" for none.
func about(s *situation) string {
	if r := s.state.Live(); r != nil {
		return release.Effect{Release: r.ID, Attempt: r.Attempt}.Name()
	}
	return ""
}

// begin starts to count anew when another release, or none, is looked at.
func (g *guards) begin(ctx context.Context, s *situation) error {
	if g.ledger != nil && g.about == about(s) {
		return g.tally.read(ctx, g.store, s.head.Number())
	}
	from, candidate := uint64(0), ""
	r := s.state.Live()
	if r != nil {
		from, candidate = r.KnownGood.Version, r.Candidate
	}
	before, err := g.before(ctx, s, from)
	if err != nil {
		return err
	}
	if r == nil {
		from = before
	}
	entry, err := g.entry(ctx, from)
	if err != nil {
		return err
	}
	t := newTally(about(s), candidate, s.stable, g.keep, entry)
	t.through = from // also when retention has removed the entry
	if err := t.read(ctx, g.store, before); err != nil {
		return err
	}
	ledger := guard.NewLedger(keptSamples)
	// What the minutes before brought is new, and what is older is not.
	if err := ledger.Add(t.at(s.now.Add(-recent))); err != nil {
		return err
	}
	if err := t.read(ctx, g.store, s.head.Number()); err != nil {
		return err
	}
	g.about, g.tally, g.ledger, g.memory, g.results = about(s), t, ledger, map[string]guard.DebounceState{}, nil
	g.wrong, g.right, g.example, g.asked = 0, 0, "", time.Time{}
	g.sampled = s.head.Number()
	if r != nil {
		g.sampled = r.KnownGood.Version
	}
	return nil
}

// before returns the last version that is older than recent, and not before from.
func (g *guards) before(ctx context.Context, s *situation, from uint64) (uint64, error) {
	n := s.head.Number()
	for range maxRecent {
		if n <= from {
			break
		}
		e, err := g.store.Log.Read(ctx, n)
		if errors.Is(err, version.ErrRetired) {
			return n, nil // what is older is not kept
		}
		if err != nil {
			return 0, err
		}
		if e.At.Before(s.now.Add(-recent)) {
			return n, nil
		}
		n--
	}
	return max(n, from), nil
}

func (g *guards) entry(ctx context.Context, n uint64) (*version.Entry, error) {
	if n == 0 {
		return nil, nil
	}
	e, err := g.store.Log.Read(ctx, n)
	if errors.Is(err, version.ErrRetired) {
		return nil, nil
	}
	return e, err
}

// facts gathers everything that is known now.
func (g *guards) facts(ctx context.Context, s *situation) (guard.Facts, error) {
	f := g.tally.at(s.now)
	f.Analysis, f.Late, f.Probe = s.judgement, s.late, s.probe
	if g.vitals != nil {
		g.vitals.serve(s.live() != nil)
		g.vitals.add(&f)
	}
	if g.remote != nil {
		f.Waiting, f.OldestWaiting = g.remote.changes, g.remote.since
	}
	addBacklog(s, &f)
	f.Tests = g.tests
	if g.state == nil {
		return f, nil
	}
	view, err := g.state.Read()
	if err != nil {
		return f, err
	}
	err = errors.Join(g.digests(ctx, view, &f), g.rederive(ctx, s, view, &f))
	f.ParkedKeys = view.Tally(lockstep.Parked).Records
	return f, errors.Join(err, view.Close())
}

// addBacklog adds what a reset left to be replayed: it waits since then.
func addBacklog(s *situation, f *guard.Facts) {
	if s.head.Entry == nil {
		return
	}
	for _, span := range s.head.Entry.Backlog {
		if span.Mode == version.Hold {
			continue
		}
		f.Waiting++
		if f.OldestWaiting.IsZero() || s.head.Entry.At.Before(f.OldestWaiting) {
			f.OldestWaiting = s.head.Entry.At
		}
	}
}

// digests compares the sums of the local state, which every commit carries on, with what
// its version says. That each record is what it was hashed as, "lockstep verify" checks.
func (g *guards) digests(ctx context.Context, view *state.Reader, f *guard.Facts) error {
	if view.Version() == 0 {
		return nil
	}
	e, err := g.store.Log.Read(ctx, view.Version())
	if err != nil {
		return err
	}
	for _, c := range e.Collections {
		t := view.Tally(c.Name)
		f.DigestsChecked++
		if t.Sum.Digest() != c.Digest || t.Records != c.Records {
			f.DigestsWrong++
		}
	}
	return nil
}

// rederive asks stable about some of the items that the candidate has decided about since
// the last look. What was wrong once counts until the release is over.
func (g *guards) rederive(ctx context.Context, s *situation, view *state.Reader, f *guard.Facts) error {
	r := s.live()
	if r == nil || g.cannot("rederivation_mismatches", s) != "" {
		return nil
	}
	routing := release.RoutingOf(0, s.state, "")
	var mine []touchedItem
	for _, it := range g.tally.touched {
		// Since the step began its share of the keys is what it is.
		if it.version > g.sampled && it.at.After(r.StepSince) && routing.Arm(it.group) == release.ArmCandidate {
			mine = append(mine, it)
		}
	}
	g.sampled = s.head.Number()
	d := rederivation{store: g.store, view: view, stable: s.stable.Handler, now: s.now}
	for i := range min(len(mine), rederivedEach) {
		which, asked, err := d.wrong(ctx, mine[i*len(mine)/min(len(mine), rederivedEach)])
		switch {
		case err != nil:
			return fmt.Errorf("derive again what the candidate wrote: %w", err)
		case !asked:
		case which != "":
			g.wrong++
			g.example = which
		default:
			g.right++
		}
	}
	f.Rederived, f.RederivedWrong = g.right+g.wrong, g.wrong
	return nil
}

// judge asks the guards one after the other; those of the ledger first, and the others
// only when these leave something to decide.
func (g *guards) judge(ctx context.Context, asked []guard.Guard, now time.Time) ([]guard.Result, error) {
	var results []guard.Result
	var others []guard.Guard
	meters := map[string]guard.Meter{guard.LedgerSource: g.ledger}
	for _, one := range asked {
		if one.Source != guard.LedgerSource {
			others = append(others, one)
			continue
		}
		series, err := guard.Collect(ctx, meters, one, now)
		if err != nil {
			return nil, err
		}
		results = append(results, g.conclude(one, series, now))
	}
	if len(others) == 0 || guard.Assess(results).Verdict == guard.RollBack {
		return results, nil
	}
	if now.Sub(g.asked) >= externalEvery || g.asked.IsZero() {
		if err := g.ask(ctx, others, now); err != nil {
			return nil, err
		}
	}
	for _, one := range others {
		results = append(results, g.results[one.Name])
	}
	return results, nil
}

// ask asks sources that may be slow, all at once and for a limited time: an abort must not
// wait for somebody else's monitoring.
func (g *guards) ask(ctx context.Context, others []guard.Guard, now time.Time) error {
	call, cancel := context.WithTimeout(ctx, externalTime)
	defer cancel()
	answers := make([]guard.Series, len(others))
	var all errgroup.Group
	for i, one := range others {
		all.Go(func() (err error) {
			if answers[i], err = guard.Collect(call, g.set.meters, one, now); err != nil && call.Err() != nil && ctx.Err() == nil {
				answers[i], err = guard.Series{Err: "no answer within " + externalTime.String()}, nil
			}
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	g.asked, g.results = now, map[string]guard.Result{}
	for i, one := range others {
		g.results[one.Name] = g.conclude(one, answers[i], now)
	}
	return nil
}

// conclude judges and remembers. What nothing may rely on is broken: it holds, and neither
// passes nor rolls back.
func (g *guards) conclude(one guard.Guard, series guard.Series, now time.Time) guard.Result {
	result, next := guard.Judge(one, series, g.memory[one.Name], now)
	g.memory[one.Name] = next
	if err := g.set.unreliable[one.Name]; err != nil && one.Action != guard.Observe {
		result.Verdict, result.Reason = guard.Broken, err.Error()
	}
	if one.Question == "rederivation_mismatches" && g.example != "" {
		result.Reason += "; for example " + g.example
	}
	return result
}

// health is what an answer means for a release, and the reasons. While the candidate
// decides for nothing it cannot be the cause: then the worst is to hold.
func (a *Answer) health(serves *release.Release) (release.Health, []string) {
	switch a.Verdict {
	case guard.RollBack:
		if serves == nil {
			return release.Hold, []string{a.Reason}
		}
		return release.Bad, []string{a.Reason}
	case guard.Holding:
		health := release.NoData
		for _, line := range a.Criteria {
			for _, r := range line.Evidence {
				if slices.Contains(a.Decided, r.Guard) && (r.Verdict == guard.Fail || r.Verdict == guard.Broken) {
					health = release.Hold
				}
			}
		}
		return health, []string{a.Reason}
	case guard.FixForward:
		return release.Healthy, []string{a.Reason}
	case guard.Healthy:
		return release.Healthy, nil
	}
	return release.NoData, nil // nobody has been asked
}

// culprit names the guard that made the answer what it is: of those that decided, one that
// speaks against the candidate before one that only cannot tell.
func (a *Answer) culprit() string {
	first := ""
	for _, want := range [][]guard.Verdict{{guard.Fail}, {guard.Broken}, guard.Verdicts()} {
		for _, line := range a.Criteria {
			for _, r := range line.Evidence {
				if first == "" && slices.Contains(a.Decided, r.Guard) && slices.Contains(want, r.Verdict) {
					first = r.Guard
				}
			}
		}
	}
	return first
}

// worse returns the worse of two answers about the running system.
func worse(a, b release.Health) release.Health {
	order := []release.Health{release.Healthy, release.NoData, release.Hold, release.Bad}
	return order[max(slices.Index(order, a), slices.Index(order, b), 0)]
}

// Text renders the answer for people.
func (a *Answer) Text() string {
	var b strings.Builder
	b.WriteString(a.Assessment.Text())
	if len(a.NotAsked) > 0 {
		b.WriteString("\nNot asked\n")
		for _, name := range slices.Sorted(maps.Keys(a.NotAsked)) {
			fmt.Fprintf(&b, "  %s: %s\n", name, a.NotAsked[name])
		}
	}
	return b.String()
}

// newGuards puts the guards of a configuration together. Nobody is asked.
func newGuards(store *Store, cfg config.Config, opts Options) (*guards, error) {
	getenv := opts.Getenv
	if getenv == nil {
		getenv = func(string) string { return "" }
	}
	set, err := NewGuardSet(cfg, getenv)
	if err != nil {
		return nil, err
	}
	return &guards{set: set, store: store, keep: cfg.Guards.KeepKeys, every: cfg.Release.Watch / 2}, nil
}

// latest returns the last answer, the zero Answer when nobody has been asked.
func (g *guards) latest() Answer {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.last
}

// note shows what was seen to whoever watches.
func (g *guards) note(s release.State, verdict release.Health) {
	if g.shown == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shown.note(s, verdict, g.last)
}
