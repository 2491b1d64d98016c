package recovery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"lockstep/internal/app"
	"lockstep/internal/branch"
	"lockstep/internal/compact"
	"lockstep/internal/lockstep"
	"lockstep/internal/revert"
	"lockstep/internal/rollback"
	"lockstep/internal/version"
)

// The states of a proof.
const (
	unproven = "not proven"
	proven   = "proven"
)

// proofKept is what was found.
type proofKept struct {
	Done  bool         `json:"done"`
	Text  string       `json:"text"`
	Proof revert.Proof `json:"proof,omitzero"`
}

// Proof shows that the index is what the good revision would have made of everything, by
// computing that in another way: of a revert, the whole history since, handled again on a
// branch; of a reset, the digest of the version returned to; of a rebuild, a second one,
// which must find nothing.
type Proof struct {
	Store     *app.Store
	Revisions *app.Revisions
	Workplace Workplace
}

var _ rollback.Target = (*Proof)(nil)

// ProofStep is the step that proves what the step of the index did.
func ProofStep(index rollback.Step) rollback.Step {
	return rollback.Step{
		ID: TargetProof, Target: TargetProof, Phase: rollback.PhaseData, From: unproven, To: proven, Params: index.Params, Needs: []string{index.ID},
		Title: "Prove it against the counterfactual", Changes: "nothing", Manual: "lockstep verify",
	}
}

// Look implements rollback.Target.
func (*Proof) Look(_ context.Context, at rollback.At) (rollback.Sight, error) {
	kept, err := keptOf[proofKept](at)
	if err != nil {
		return rollback.Sight{}, err
	}
	out := rollback.Sight{State: unproven, Detail: "nothing was compared yet"}
	if kept.Done {
		out.State, out.Detail = proven, kept.Text
		out.Evidence = []rollback.Evidence{{Item: rollback.ItemProven, OK: true, Text: kept.Text}}
	} else if kept.Text != "" {
		out.Detail = kept.Text
		out.Evidence = []rollback.Evidence{{Item: rollback.ItemProven, OK: false, Text: kept.Text}}
	}
	return out, nil
}

// Do implements rollback.Target. ErrCorrupt: the index is not the counterfactual.
func (x *Proof) Do(ctx context.Context, at rollback.At, keep rollback.Keeper) error {
	p, err := decode[IndexParams](at)
	if err != nil {
		return err
	}
	var k proofKept
	switch p.Wish {
	case Revert:
		k, err = x.revert(ctx, p, keep)
	case Reset, Discard:
		k, err = x.reset(ctx, p)
	case Rebuild:
		k, err = x.rebuild(ctx, keep)
	case None, rollback.WishAuto: // what was to be done was worked out when it was planned
		k = proofKept{Done: true, Text: "nothing was written, so that nothing had to be taken back"}
	}
	if err != nil {
		return err
	}
	if err := keepJSON(ctx, keep, k); err != nil {
		return err
	}
	if !k.Done {
		return lockstep.Hint(fmt.Errorf("the index is not what %s would have made: %w: %s", p.Good, lockstep.ErrCorrupt, k.Text),
			`"lockstep rollback plan --data rebuild" derives everything from the mirror`)
	}
	return nil
}

func (x *Proof) revert(ctx context.Context, p IndexParams, keep rollback.Keeper) (proofKept, error) {
	s, err := revert.Look(ctx, x.Store.Log, p.Bad, p.Since)
	if err != nil || s.By == 0 {
		return proofKept{Done: err == nil && !s.Pending, Text: p.Bad.String() + " is nothing, so that nothing had to be taken back"}, err
	}
	e, err := x.Store.Log.Read(ctx, s.By)
	if err != nil {
		return proofKept{}, err
	}
	if p.Bad.Version > 0 {
		return x.undone(ctx, e)
	}
	good, err := x.Revisions.Lookup(p.Good)
	if err != nil {
		return proofKept{}, err
	}
	digests := map[string]string{}
	for c, d := range e.Digests() {
		digests[string(c)] = d
	}
	var out revert.Proof
	err = x.Workplace.Work(ctx, func(ctx context.Context, _ *compact.Compactor, from branch.Origin) (err error) {
		out, err = revert.Prove(ctx, from, revert.ProofRequest{
			Since: e.Reverts.Since, Through: e.Parent, Digests: digests, Good: good,
			Progress: func(done, total int) { keep.Say("versions of the counterfactual", int64(done), int64(total)) },
		})
		return err
	})
	if err != nil {
		return proofKept{}, err
	}
	k := proofKept{Done: out.Equal, Proof: out}
	k.Text = fmt.Sprintf("digest %s of version %d equals that of the counterfactual: %d messages of versions %d to %d, handled by %s alone",
		version.Short(out.Digest), e.Number, out.Messages, out.Since, out.Through, good)
	if !out.Equal {
		k.Text = fmt.Sprintf("version %d is not the counterfactual of versions %d to %d: %s", e.Number, out.Since, out.Through, strings.Join(out.Differ, "; "))
	}
	return k, nil
}

// undone compares an undone revert with what was before it, as far as nothing came between.
func (x *Proof) undone(ctx context.Context, e *version.Entry) (proofKept, error) {
	r, err := x.Store.Log.Read(ctx, e.Reverts.Version)
	if err != nil {
		return proofKept{}, err
	}
	if r.Parent == 0 || e.Parent != r.Number {
		return proofKept{Done: true, Text: fmt.Sprintf("version %d takes version %d back; versions came between, so that no earlier digest is to be expected", e.Number, r.Number)}, nil
	}
	before, err := x.Store.Log.Read(ctx, r.Parent)
	if err != nil {
		return proofKept{}, err
	}
	return sameIndex(e, before), nil
}

func sameIndex(now, then *version.Entry) proofKept {
	a, b := version.IndexDigest(now.Digests()), version.IndexDigest(then.Digests())
	if a != b {
		return proofKept{Text: fmt.Sprintf("version %d has digest %s, version %d has %s", now.Number, version.Short(a), then.Number, version.Short(b))}
	}
	return proofKept{Done: true, Text: fmt.Sprintf("version %d has digest %s, like version %d", now.Number, version.Short(a), then.Number)}
}

func (x *Proof) reset(ctx context.Context, p IndexParams) (proofKept, error) {
	head, err := x.Store.Log.Head(ctx)
	if err != nil {
		return proofKept{}, err
	}
	for n := p.Head + 1; n <= head.Number(); n++ {
		e, err := x.Store.Log.Read(ctx, n)
		if err != nil {
			return proofKept{}, err
		}
		if e.Kind != version.Reset || e.Cause.Target != p.To || e.Cause.Reason != p.Reason {
			continue
		}
		if p.To == 0 {
			return proofKept{Done: true, Text: fmt.Sprintf("version %d is the empty index", n)}, nil
		}
		then, err := x.Store.Log.Read(ctx, p.To)
		if err != nil {
			return proofKept{}, err
		}
		return sameIndex(e, then), nil
	}
	return proofKept{}, fmt.Errorf("the reset to version %d: %w", p.To, lockstep.ErrNotFound)
}

// rebuild derives everything anew once more, on a branch: nothing may come out different.
func (x *Proof) rebuild(ctx context.Context, keep rollback.Keeper) (k proofKept, err error) {
	err = x.Workplace.Work(ctx, func(ctx context.Context, c *compact.Compactor, from branch.Origin) (err error) {
		stable, err := c.Stable(ctx)
		if err != nil {
			return err
		}
		b, err := branch.Take(ctx, from, stable)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, b.Close()) }()
		b.Now = c.Now()
		keys, records, req := 0, 0, compact.RebuildRequest{Actor: "proof"}
		for {
			out, err := b.Compactor.Rebuild(ctx, req)
			if err != nil {
				return err
			}
			if out.Last == "" {
				break
			}
			keys, records, req.After = keys+out.Keys, records+out.Records, out.Last
			keep.Say("keys derived once more", int64(keys), 0)
		}
		k = proofKept{Done: records == 0, Text: fmt.Sprintf("%d keys were derived once more, and nothing came out different", keys)}
		if records > 0 {
			k.Text = fmt.Sprintf("%d of the records of %d keys came out different the second time", records, keys)
		}
		return nil
	})
	return k, err
}

// Undo implements rollback.Target.
func (*Proof) Undo(context.Context, rollback.At) (*rollback.Step, error) { return nil, nil }

// IndexStep is the step that takes the data back.
func IndexStep(p IndexParams, why string) (rollback.Step, error) {
	params, err := json.Marshal(p)
	s := rollback.Step{ID: TargetIndex, Target: TargetIndex, Phase: rollback.PhaseData, To: indexClean, Params: params, Changes: why, Needs: []string{TargetFlag}}
	switch p.Wish {
	case Revert:
		s.Title, s.UndoBy = "Revert "+p.Bad.String(), "a revert of the version that it publishes"
		s.Manual = fmt.Sprintf("lockstep reset --to %d", p.Since)
	case Reset:
		s.Title, s.UndoBy = fmt.Sprintf("Reset to version %d, and handle again what came after", p.To), fmt.Sprintf("lockstep reset --to %d", p.Head)
		s.Manual = fmt.Sprintf("lockstep reset --to %d", p.To)
	case Discard:
		s.Title, s.UndoBy = fmt.Sprintf("Reset to version %d, and give up what came after", p.To), fmt.Sprintf("lockstep reset --to %d", p.Head)
		s.Manual = fmt.Sprintf("lockstep reset --to %d --discard --accept-risk=lose-changes", p.To)
	case Rebuild:
		s.Title, s.UndoBy = "Derive every record anew from the mirror of the table", fmt.Sprintf("lockstep reset --to %d", p.Head)
		s.Manual = "lockstep rollback resume"
	case None, rollback.WishAuto:
		s.Title = "Leave the data as it is"
	}
	return s, err
}
