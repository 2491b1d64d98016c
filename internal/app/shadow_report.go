package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/shadow"
	"lockstep/internal/state"
)

// ShadowReport is a comparison as people and programs read it, under the acceptances of
// one moment.
type ShadowReport struct {
	Stable    string `json:"stable"`
	Candidate string `json:"candidate"`
	// From and To are the versions of a replay; of what a release has collected, To is the
	// newest version that it has looked at.
	From uint64 `json:"from,omitempty"`
	To   uint64 `json:"to"`
	// Hard are the broken invariants that were seen again when the unit was run once more.
	Hard   []ShadowHard  `json:"hard"`
	Report shadow.Report `json:"report"`
}

// ShadowReport returns what is recorded of a candidate, "" for that of the latest release.
// ErrNotFound when there was no release and none is named.
func (c *Control) ShadowReport(ctx context.Context, candidate string) (ShadowReport, error) {
	stable, candidate, err := c.compares(ctx, candidate)
	if err != nil {
		return ShadowReport{}, err
	}
	_, record, err := newShadowBook(c.Blobs, c.opts.Now, stable, candidate).head(ctx)
	if err != nil {
		return ShadowReport{}, err
	}
	return c.reported(ctx, record)
}

// compares returns the IDs of the pair that a name stands for.
func (c *Control) compares(ctx context.Context, name string) (stable, candidate string, err error) {
	head, err := c.Releases.Head(ctx)
	if err != nil {
		return "", "", err
	}
	s := head.State()
	stable = s.Stable.Revision
	if stable == "" {
		stable = c.Revisions.Initial().ID()
	}
	if name == "" {
		if s.Release == nil {
			err := fmt.Errorf("shadow: %w: there was no release yet", lockstep.ErrNotFound)
			return "", "", lockstep.Hint(err, `name a revision with --candidate; "lockstep shadow replay" compares it on recorded changes`)
		}
		return s.Release.KnownGood.Revision, s.Release.Candidate, nil
	}
	rev, err := c.Revisions.Lookup(name)
	if err != nil {
		return "", "", err
	}
	return stable, rev.ID(), nil
}

func (c *Control) reported(ctx context.Context, r *ShadowRecord) (ShadowReport, error) {
	accepted, err := c.Acceptances(ctx, c.opts.Now)
	if err != nil {
		return ShadowReport{}, err
	}
	now := c.opts.Now().UTC()
	out := ShadowReport{Stable: r.Stable, Candidate: r.Candidate, To: r.Through, Hard: r.Hard, Report: r.Tally.Report(accepted, now)}
	if out.Report.Counts, err = r.counts(accepted, now); err != nil {
		return out, err
	}
	if out.Hard == nil {
		out.Hard = []ShadowHard{}
	}
	return out, nil
}

// ReplayRequest names what is compared once more.
type ReplayRequest struct {
	Candidate string // "" for that of the latest release
	From, To  uint64 // versions, both included
}

// Replay compares a candidate with stable on the changes of recorded versions, each on the
// state that it was decided on, with a private local state. It changes nothing.
// ErrInvalid for a range that is none, ErrNotFound for versions that are not there.
func (c *Control) Replay(ctx context.Context, req ReplayRequest) (out ShadowReport, err error) {
	if req.From == 0 || req.From > req.To {
		return out, fmt.Errorf("replay versions %d to %d: %w: want a first version, at least 1, and a last one that is not before it", req.From, req.To, lockstep.ErrInvalid)
	}
	stableID, candidateID, err := c.compares(ctx, req.Candidate)
	if err != nil {
		return out, err
	}
	var pair [2]handler.Revision
	for i, id := range []string{stableID, candidateID} {
		if pair[i], err = c.Revisions.Lookup(id); err != nil {
			return out, err
		}
	}
	d, err := c.newDuel(pair[0], pair[1])
	if err != nil {
		return out, err
	}
	if d.accepted, err = c.Acceptances(ctx, c.opts.Now); err != nil {
		return out, err
	}
	into := newComparison()
	err = c.withPrivateState(ctx, func(st *state.State) error {
		for n := req.From; n <= req.To; n++ {
			e, err := c.Log.Read(ctx, n)
			if err != nil {
				return err
			}
			if err := d.version(ctx, st, e, into); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return out, fmt.Errorf("replay versions %d to %d: %w", req.From, req.To, err)
	}
	empty := &ShadowRecord{Format: shadowFormat, Stable: stableID, Candidate: candidateID}
	out, err = c.reported(ctx, empty.after(into, req.To, nil))
	out.From = req.From
	return out, err
}

// withPrivateState passes an empty local state in a temporary directory to use.
func (c *Control) withPrivateState(ctx context.Context, use func(*state.State) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "lockstep-replay-")
	if err != nil {
		return fmt.Errorf("make a private local state: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	st, err := state.Open(dir, c.Format.Store, state.NewBases(c.Blobs), state.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	return use(st)
}

// Expect stores that a class of differences is expected until a day.
func (c *Control) Expect(ctx context.Context, class, reason string, until time.Time) (shadow.Acceptance, error) {
	a := shadow.Acceptance{Class: class, Until: until.UTC(), Reason: reason, By: c.opts.Actor}
	return a, c.Accept(ctx, c.opts.Now, a)
}
