package recovery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"lockstep/internal/app"
	"lockstep/internal/branch"
	"lockstep/internal/compact"
	"lockstep/internal/config"
	"lockstep/internal/handler"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
	"lockstep/internal/release"
	"lockstep/internal/rollback"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

// ground is where a drill takes place: a branch of the real store with a release on it, and
// beside it the counterfactual, in which there never was a fault. Close it.
type ground struct {
	drill     *branch.Branch
	other     *branch.Branch
	control   *app.Control
	compactor *compact.Compactor
	fault     *fault
	bad, good handler.Revision
	begin     uint64 // the version that both begin at
	origin    branch.Origin
	now       func() time.Time
	moment    time.Time // at which a commit stands; zero: the clock goes
}

var _ Workplace = (*ground)(nil)

// Work implements Workplace: what is reverted and proven is the branch.
func (g *ground) Work(ctx context.Context, do func(context.Context, *compact.Compactor, branch.Origin) error) error {
	g.compactor.Poll()
	return do(ctx, g.compactor, g.origin)
}

// take takes both branches. The workplace is needed for the first one only, so that a running
// server commits on while the drill goes on.
func (a *Assembly) take(ctx context.Context) (g *ground, err error) {
	_, s, err := a.Control.Standing(ctx)
	if err != nil {
		return nil, err
	}
	g = &ground{now: a.Now}
	if g.good, err = a.Control.Revisions.Lookup(s.Stable.Revision); err != nil {
		return nil, err
	}
	g.fault = &fault{Handler: g.good.Handler, now: a.Now}
	g.bad = handler.NewRevision(g.fault)
	parent, err := stillOf(ctx, a.Control.Blobs)
	if err != nil {
		return nil, err
	}
	err = a.Workplace.Work(ctx, func(ctx context.Context, _ *compact.Compactor, from branch.Origin) (err error) {
		g.origin = branch.Origin{Log: version.NewLog(parent, ledger.Options{Now: a.Now}), State: from.State, Importer: from.Importer, Dir: from.Dir}
		g.drill, err = branch.Take(ctx, g.origin, g.good)
		return err
	})
	if err == nil {
		g.origin.Log, g.origin.State = g.drill.Log, g.drill.State
		g.other, err = branch.Take(ctx, g.origin, g.good)
	}
	if err == nil {
		err = a.furnish(ctx, g)
	}
	if err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

// furnish gives the branch the half that decides about releases.
func (a *Assembly) furnish(ctx context.Context, g *ground) (err error) {
	log := version.NewLog(g.drill.Store, ledger.Options{Now: a.Now})
	store := &app.Store{Format: a.Control.Format, Blobs: g.drill.Store, Log: log}
	if g.control, err = a.Control.Aside(store, g.fault); err != nil {
		return err
	}
	g.origin.Log = log
	if g.compactor, err = g.control.Compactor(g.drill.State, g.clock); err != nil {
		return err
	}
	if err := g.compactor.CatchUp(ctx); err != nil {
		return err
	}
	g.begin = g.compactor.Head().Number()
	return nil
}

func (g *ground) clock() time.Time {
	if g.moment.IsZero() {
		return g.now()
	}
	return g.moment
}

// Close takes the branches away.
func (g *ground) Close() error {
	var errs []error
	for _, b := range []*branch.Branch{g.other, g.drill} {
		if b != nil {
			errs = append(errs, b.Close())
		}
	}
	return errors.Join(errs...)
}

// commit brings changes into both branches, at the same moment for handlers.
func (g *ground) commit(ctx context.Context, in []compact.Input) error {
	if len(in) == 0 {
		return ctx.Err()
	}
	g.moment = g.now().UTC().Truncate(time.Millisecond)
	defer func() { g.moment = time.Time{} }()
	g.compactor.Poll()
	if _, err := g.compactor.Commit(ctx, slices.Clone(in)); err != nil {
		return fmt.Errorf("commit changes on the branch: %w", err)
	}
	g.other.Now = g.moment
	if _, err := g.other.Compactor.Commit(ctx, slices.Clone(in)); err != nil {
		return fmt.Errorf("commit changes to the counterfactual: %w", err)
	}
	return nil
}

// admit is the observer of a drill: what is released there is bad on purpose, and nobody
// is asked about it.
type admit struct{ log *version.Log }

// Observe implements release.Observer.
func (a admit) Observe(ctx context.Context, _ release.State) (release.Observation, error) {
	head, err := a.log.Head(ctx)
	return release.Observation{Preflight: release.Healthy, Stable: release.Healthy, Head: head.Number()}, err
}

// maxDrillTicks bounds what it takes to get a release to its first canary.
const maxDrillTicks = 16

// release has the fault decide about every key of the branch but those that are spared.
func (g *ground) release(ctx context.Context, spare []string) error {
	plan := release.Plan{Name: "drill", Deny: spare, Steps: []release.Step{
		{Kind: release.Preflight}, {Kind: release.Canary, Weight: release.All, For: release.MaxStepTime}, {Kind: release.Promotion},
	}}
	_, err := g.control.Command(ctx, func(s release.State) (release.Transition, error) {
		return release.Start(s, g.control.Order("a drill"), release.Request{Candidate: g.bad.ID(), Plan: plan, Head: g.begin})
	})
	if err != nil {
		return err
	}
	c := g.control.Controller()
	c.Observer, c.Calendar = admit{g.control.Log}, release.Calendar{}
	for range maxDrillTicks {
		d, err := c.Tick(ctx, g.now())
		if err != nil {
			return err
		}
		_, s, err := g.control.Standing(ctx)
		if err != nil {
			return err
		}
		switch r := s.Live(); {
		case r == nil:
			return fmt.Errorf("release the fault on the branch: %w: %s", lockstep.ErrRefused, d.Why)
		case r.Current().Kind == release.Canary && r.Weight == release.All:
			return nil
		}
	}
	return fmt.Errorf("release the fault on the branch: %w: it does not get to its canary", lockstep.ErrRefused)
}

// assembly is what a rollback of the branch is made of: nothing that leaves it.
func (g *ground) assembly(from *Assembly) *Assembly {
	cfg := from.Config
	cfg.Rollback = config.Rollback{Data: from.Config.Rollback.Data}
	return &Assembly{Control: g.control, Config: cfg, Workplace: g, Actor: from.Actor, Now: from.Now, Wait: from.Wait}
}

// place is one record of one collection.
type place struct {
	collection lockstep.Collection
	id         string
}

// written returns the published records that either branch has written since they began.
func (g *ground) written(ctx context.Context) (map[place]bool, error) {
	out := map[place]bool{}
	for _, log := range []*version.Log{g.control.Log, g.other.Log} {
		head, err := log.Head(ctx)
		if err != nil {
			return nil, err
		}
		for n := g.begin + 1; n <= head.Number(); n++ {
			e, err := log.Read(ctx, n)
			if err != nil {
				return nil, err
			}
			if e.Delta == nil {
				continue
			}
			d, err := log.Delta(ctx, n)
			if err != nil {
				return nil, err
			}
			for i := range d.Mutations {
				if m := &d.Mutations[i]; !m.Collection.Builtin() {
					out[place{m.Collection, m.ID}] = true
				}
			}
		}
	}
	return out, nil
}

// wrong counts the records that are not as in the counterfactual.
func (g *ground) wrong(ctx context.Context) (n int64, err error) {
	places, err := g.written(ctx)
	if err != nil {
		return 0, err
	}
	if err := g.compactor.CatchUp(ctx); err != nil {
		return 0, err
	}
	here, err := g.drill.State.Read()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, here.Close()) }()
	there, err := g.other.State.Read()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, there.Close()) }()
	for p := range places {
		a, err := bytesOf(here, p)
		if err != nil {
			return 0, err
		}
		b, err := bytesOf(there, p)
		if err != nil {
			return 0, err
		}
		if !bytes.Equal(a, b) {
			n++
		}
	}
	return n, nil
}

// bytesOf returns a record as it is hashed, nil when there is none.
func bytesOf(r *state.Reader, p place) (out []byte, err error) {
	_, err = r.Get(p.collection, p.id, func(row state.Row) error {
		out = slices.Clone(row.Record)
		return nil
	})
	return out, err
}

// digests returns that of the branch and that of the counterfactual.
func (g *ground) digests() (have, want string) {
	return digestOf(g.compactor.Head()), digestOf(g.other.Compactor.Head())
}

func digestOf(h version.Head) string {
	if h.Entry == nil {
		return ""
	}
	return version.IndexDigest(h.Entry.Digests())
}

// inputs makes the changes of a drill.
func (g *ground) inputs(ctx context.Context, n int, name string) (in []compact.Input, err error) {
	view, err := g.drill.State.Read()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	return touches(ctx, view, g.good.Handler, n, name, g.now())
}

// wishOf is the way back for data that is practised: the configured one, and a revert where
// the configuration leaves it open or leaves the data alone. Of a drill alone a reset would
// always be the cheapest, and the revert is what a real canary needs.
func wishOf(configured string) rollback.Wish {
	w := rollback.Wish(configured)
	if w == "" || w == rollback.WishAuto || w == rollback.WishNone {
		return rollback.WishRevert
	}
	return w
}

// spared returns every third key of the changes: as in a canary, stable goes on to decide
// about some, and what it writes has to outlast the rollback.
func spared(in []compact.Input) []string {
	var keys []string
	met := map[string]bool{}
	for i := range in {
		k := in[i].Message.Group
		if met[k] {
			continue
		}
		met[k] = true
		if len(met)%3 == 0 && len(keys) < release.MaxKeys {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}
