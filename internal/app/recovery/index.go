package recovery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"lockstep/internal/app"
	"lockstep/internal/branch"
	"lockstep/internal/compact"
	"lockstep/internal/lockstep"
	"lockstep/internal/revert"
	"lockstep/internal/rollback"
	"lockstep/internal/version"
)

// Wish is one of the ways back for data.
type Wish = rollback.Wish

// The wishes (DESIGN 6), and that there is nothing to be done.
const (
	Revert  = rollback.WishRevert
	Reset   = rollback.WishReset
	Rebuild = rollback.WishRebuild
	Discard = rollback.WishDiscard
	None    = rollback.WishNone
)

// The states of the index.
const (
	indexBad   = "to be taken back"
	indexClean = "taken back"
)

// IndexParams say what is to happen to the index.
type IndexParams struct {
	Wish   Wish       `json:"wish"`
	Bad    revert.Bad `json:"bad,omitzero"`    // of a revert
	Good   string     `json:"good,omitempty"`  // the revision that handles the messages again
	Since  uint64     `json:"since,omitempty"` // of a revert: nothing older is bad
	To     uint64     `json:"to,omitempty"`    // of a reset: the version
	Head   uint64     `json:"head"`            // the newest version when the step was planned
	Reason string     `json:"reason"`          // names the plan, so that a reset is found again
}

// indexKept is what the index step has done.
type indexKept struct {
	Version uint64          `json:"version"`         // that it published, the last one
	Before  uint64          `json:"before"`          // the newest before it
	After   string          `json:"after,omitempty"` // of a rebuild: how far it is
	Done    bool            `json:"done"`
	Revert  *revert.Outcome `json:"revert,omitempty"`
	Records int             `json:"records"`          // that came out different
	Keys    int             `json:"keys"`             // that were looked at
	Failed  int             `json:"failed,omitempty"` // of these, not taken by the good revision
	Parked  []string        `json:"parked,omitempty"`
}

// RevertOf reads what a step of the index has kept of its revert, the zero Outcome when it
// was none.
func RevertOf(kept []byte) (revert.Outcome, error) {
	k, err := keptOf[indexKept](rollback.At{Kept: kept})
	if err != nil || k.Revert == nil {
		return revert.Outcome{}, err
	}
	return *k.Revert, nil
}

// maxParked bounds the parked keys that are kept.
const maxParked = 20

// Index takes the data back.
type Index struct {
	Store     *app.Store
	Revisions *app.Revisions
	Workplace Workplace
	Actor     func() string
}

var _ rollback.Target = (*Index)(nil)

// Look implements rollback.Target.
func (x *Index) Look(ctx context.Context, at rollback.At) (rollback.Sight, error) {
	p, err := decode[IndexParams](at)
	if err != nil {
		return rollback.Sight{}, err
	}
	kept, err := keptOf[indexKept](at)
	if err != nil {
		return rollback.Sight{}, err
	}
	var out rollback.Sight
	switch p.Wish {
	case Revert:
		out, err = x.lookRevert(ctx, p, kept)
	case Reset, Discard:
		out, err = x.lookReset(ctx, p)
	case Rebuild:
		out = lookRebuild(kept)
	case None:
		out = rollback.Sight{State: indexClean, Detail: "nothing was written"}
	case rollback.WishAuto:
		fallthrough
	default:
		err = fmt.Errorf("step %s: %w wish %q", at.Step.ID, lockstep.ErrInvalid, p.Wish)
	}
	if err != nil {
		return out, err
	}
	out.Evidence = []rollback.Evidence{{Item: rollback.ItemDataBack, OK: out.State == at.Step.To, Text: out.Detail, Link: "lockstep log"}}
	return out, nil
}

func (x *Index) lookRevert(ctx context.Context, p IndexParams, kept indexKept) (rollback.Sight, error) {
	s, err := revert.Look(ctx, x.Store.Log, p.Bad, p.Since)
	if err != nil {
		return rollback.Sight{}, err
	}
	switch {
	case s.Pending:
		return rollback.Sight{State: indexBad, Detail: fmt.Sprintf("%s is in the index since version %d", p.Bad, s.First)}, nil
	case kept.Revert != nil:
		r := kept.Revert
		return rollback.Sight{State: indexClean, Detail: fmt.Sprintf("version %d took back %s: %d records of %d keys came out different, %d messages were handled again", s.By, p.Bad, r.Records, r.Keys, r.Messages)}, nil
	case s.By > 0:
		return rollback.Sight{State: indexClean, Detail: fmt.Sprintf("version %d took back %s", s.By, p.Bad)}, nil
	}
	return rollback.Sight{State: indexClean, Detail: p.Bad.String() + " is nothing"}, nil
}

// lookReset finds the reset of this plan among the versions that came after it was made.
func (x *Index) lookReset(ctx context.Context, p IndexParams) (rollback.Sight, error) {
	head, err := x.Store.Log.Head(ctx)
	if err != nil {
		return rollback.Sight{}, err
	}
	for n := p.Head + 1; n <= head.Number(); n++ {
		e, err := x.Store.Log.Read(ctx, n)
		if err != nil {
			return rollback.Sight{}, err
		}
		if e.Kind != version.Reset || e.Cause.Target != p.To || e.Cause.Reason != p.Reason {
			continue
		}
		for _, s := range head.Entry.Backlog {
			if s.Mode == version.Replay {
				return rollback.Sight{State: rollback.Partial, Detail: fmt.Sprintf("version %d is version %d again; messages of versions %d to %d are still to be handled again", n, p.To, s.From+1, s.To)}, nil
			}
		}
		return rollback.Sight{State: indexClean, Detail: fmt.Sprintf("version %d is version %d again, and what came after it was handled again", n, p.To)}, nil
	}
	return rollback.Sight{State: indexBad, Detail: fmt.Sprintf("the newest version is %d", head.Number())}, nil
}

func lookRebuild(kept indexKept) rollback.Sight {
	switch {
	case kept.Done:
		return rollback.Sight{State: indexClean, Detail: fmt.Sprintf("%d keys were derived anew from the mirror, %d records came out different", kept.Keys, kept.Records)}
	case kept.Keys > 0:
		return rollback.Sight{State: rollback.Partial, Detail: fmt.Sprintf("%d keys are derived anew", kept.Keys)}
	}
	return rollback.Sight{State: indexBad, Detail: "nothing is derived anew"}
}

// Do implements rollback.Target.
func (x *Index) Do(ctx context.Context, at rollback.At, keep rollback.Keeper) error {
	p, err := decode[IndexParams](at)
	if err != nil {
		return err
	}
	switch p.Wish {
	case Revert:
		return x.revert(ctx, p, keep)
	case Reset, Discard:
		return x.reset(ctx, p, keep)
	case Rebuild:
		kept, err := keptOf[indexKept](at)
		if err != nil {
			return err
		}
		return x.rebuild(ctx, p, kept, keep)
	case None:
		return nil
	case rollback.WishAuto: // it was worked out when the step was planned
	}
	return fmt.Errorf("step %s: %w wish %q", at.Step.ID, lockstep.ErrInvalid, p.Wish)
}

func (x *Index) revert(ctx context.Context, p IndexParams, keep rollback.Keeper) error {
	good, err := x.Revisions.Lookup(p.Good)
	if err != nil {
		return err
	}
	return x.Workplace.Work(ctx, func(ctx context.Context, c *compact.Compactor, from branch.Origin) error {
		out, err := revert.Do(ctx, c, from, revert.Request{
			Bad: p.Bad, Good: good, Since: p.Since, Actor: x.Actor(), Reason: p.Reason, Now: c.Now(),
			Progress: func(done, total int) { keep.Say("versions handled again", int64(done), int64(total)) },
		})
		if errors.Is(err, revert.ErrNothing) {
			return nil // somebody was here since the look
		}
		if err != nil {
			return err
		}
		out.Parked = out.Parked[:min(len(out.Parked), maxParked)]
		return keepJSON(ctx, keep, indexKept{Version: out.Version, Before: out.Head, Done: true, Revert: &out, Records: out.Records, Keys: out.Keys, Parked: out.Parked})
	})
}

func (x *Index) reset(ctx context.Context, p IndexParams, keep rollback.Keeper) error {
	mode := compact.ResetReplay
	if p.Wish == Discard {
		mode = compact.ResetDiscard
	}
	now, err := x.lookReset(ctx, p)
	if err != nil {
		return err
	}
	return x.Workplace.Work(ctx, func(ctx context.Context, c *compact.Compactor, _ branch.Origin) error {
		if now.State == indexBad {
			plan, head, err := x.Store.Reset(ctx, compact.ResetRequest{To: p.To, Mode: mode, Actor: x.Actor(), Reason: p.Reason, Now: c.Now()})
			if err != nil {
				return err
			}
			if err := keepJSON(ctx, keep, indexKept{Version: head.Number(), Before: plan.From, Done: true}); err != nil {
				return err
			}
		}
		c.Poll()
		return c.Refresh(ctx) // what came after is handled again
	})
}

// rebuild derives the keys anew piece by piece, and keeps how far it is.
func (x *Index) rebuild(ctx context.Context, p IndexParams, kept indexKept, keep rollback.Keeper) error {
	for !kept.Done {
		err := x.Workplace.Work(ctx, func(ctx context.Context, c *compact.Compactor, _ branch.Origin) error {
			out, err := c.Rebuild(ctx, compact.RebuildRequest{After: kept.After, Actor: x.Actor(), Reason: p.Reason})
			if errors.Is(err, lockstep.ErrConflict) {
				c.Poll()
				return nil // another version came between; the same piece again
			}
			if err != nil {
				return err
			}
			if kept.Before == 0 {
				kept.Before = p.Head
			}
			kept.Version, kept.Done = out.Version, out.Last == ""
			kept.Keys, kept.Records, kept.Failed = kept.Keys+out.Keys, kept.Records+out.Records, kept.Failed+len(out.Failed)
			if out.Last != "" {
				kept.After = out.Last
			}
			return nil
		})
		if err != nil {
			return err
		}
		keep.Say("keys derived anew", int64(kept.Keys), 0)
		if err := keepJSON(ctx, keep, kept); err != nil {
			return err
		}
	}
	return nil
}

// Undo implements rollback.Target. What a revert did is reverted; a reset and a rebuild are
// left by a reset to the version before, with what came since handled again.
func (*Index) Undo(_ context.Context, at rollback.At) (*rollback.Step, error) {
	p, err := decode[IndexParams](at)
	if err != nil {
		return nil, err
	}
	kept, err := keptOf[indexKept](at)
	if err != nil || kept.Version == 0 {
		return nil, err // it was so already: nothing to take back
	}
	s := at.Step
	back := IndexParams{Good: p.Good, Head: kept.Version, Reason: "undo: " + p.Reason}
	if p.Wish == Revert {
		back.Wish, back.Bad, back.Since = Revert, revert.Bad{Version: kept.Version}, kept.Version-1
		s.Title = fmt.Sprintf("Revert version %d, the revert", kept.Version)
	} else {
		back.Wish, back.To = Reset, kept.Before
		s.Title = fmt.Sprintf("Return to version %d, and handle again what came since", kept.Before)
	}
	if s.Params, err = json.Marshal(back); err != nil {
		return nil, err
	}
	s.ID, s.From, s.To, s.Needs = "undo-"+TargetIndex, "", indexClean, nil
	s.Manual = fmt.Sprintf("lockstep reset --to %d", kept.Before)
	return &s, nil
}
