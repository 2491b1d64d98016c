package revert

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"lockstep/internal/branch"
	"lockstep/internal/compact"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// Proof compares an index with its counterfactual: what the good revision makes of the
// whole history since.
type Proof struct {
	Equal    bool     `json:"equal"`
	Since    uint64   `json:"since"`   // the counterfactual begins at the version before this one
	Through  uint64   `json:"through"` // and has all messages up to this one
	Messages int      `json:"messages"`
	Digest   string   `json:"digest"`           // of the index that is proven
	Want     string   `json:"counterfactual"`   // of the counterfactual
	Differ   []string `json:"differ,omitempty"` // collections, and a few records of each
}

// ProofRequest asks for a proof.
type ProofRequest struct {
	Since    uint64 // the first version that the good revision handles anew
	Through  uint64 // and the last
	Digests  map[string]string
	Good     handler.Revision
	Progress func(done, total int)
}

// Prove recomputes the counterfactual: on a branch it goes back to the version before
// Since and has the good revision handle every message of every key up to Through, with
// nothing of how the revert was worked out. It changes nothing. A message that a person
// gave up stays given up.
func Prove(ctx context.Context, from branch.Origin, req ProofRequest) (p Proof, err error) {
	b, err := branch.Take(ctx, from, req.Good)
	if err != nil {
		return Proof{}, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	p = Proof{Since: req.Since, Through: req.Through}
	entries, given, err := history(ctx, b.Log, req.Since, req.Through)
	if err != nil {
		return p, older(err)
	}
	_, _, err = compact.DoReset(ctx, b.Log, compact.ResetRequest{To: entries[0].Parent, Mode: compact.ResetDiscard, Actor: "proof", Now: entries[0].At})
	if err != nil {
		return p, fmt.Errorf("go back to version %d: %w", entries[0].Parent, err)
	}
	b.Compactor.Poll()
	if err := b.Compactor.CatchUp(ctx); err != nil {
		return p, older(err)
	}
	schema := req.Good.Handler.Describe().Key
	for i, e := range entries {
		if e.Delta != nil && e.Delta.Messages > 0 {
			n, err := again(ctx, b, e, schema, func(m *version.Archived) bool { return m.Outcome != lockstep.BadInput && !given[m.ID] })
			if err != nil {
				return p, err
			}
			p.Messages += n
		}
		if req.Progress != nil {
			req.Progress(i+1, len(entries))
		}
	}
	p.compare(b, req)
	return p, nil
}

// history returns the entries of the line to through, from since on, and the messages in
// them that a person gave up.
func history(ctx context.Context, log *version.Log, since, through uint64) ([]*version.Entry, map[string]bool, error) {
	entries, _, err := lineOf(ctx, log, through, since-1)
	if err != nil {
		return nil, nil, err
	}
	if len(entries) == 0 || entries[0].Number < since {
		return nil, nil, fmt.Errorf("versions %d to %d: %w", since, through, version.ErrRetired)
	}
	given := map[string]bool{}
	for _, e := range entries {
		if e.Outcomes[lockstep.ResolvedOut] == 0 {
			continue
		}
		d, err := log.Delta(ctx, e.Number)
		if err != nil {
			return nil, nil, err
		}
		for i := range d.Messages {
			if d.Messages[i].Outcome == lockstep.ResolvedOut {
				given[d.Messages[i].ID] = true
			}
		}
	}
	return entries, given, nil
}

// compare fills in the digests. Parked and malformed messages are no part of the index:
// when they were set aside is the difference between two histories.
func (p *Proof) compare(b *branch.Branch, req ProofRequest) {
	want := b.Compactor.Head().Entry.Digests()
	have := map[lockstep.Collection]string{}
	for name, d := range req.Digests {
		have[lockstep.Collection(name)] = d
	}
	p.Digest, p.Want = version.IndexDigest(have), version.IndexDigest(want)
	p.Equal = p.Digest == p.Want
	if p.Equal {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if published(name) || name == lockstep.Table {
			if name != lockstep.Malformed && have[name] != want[name] {
				p.Differ = append(p.Differ, fmt.Sprintf("%s: %s, the counterfactual has %s", name, version.Short(have[name]), version.Short(want[name])))
			}
		}
	}
}
