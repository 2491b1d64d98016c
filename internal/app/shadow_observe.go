package app

import (
	"context"
	"encoding/json"
	"fmt"

	"lockstep/internal/analysis"
	"lockstep/internal/release"
)

// shadowed is what the comparison in shadow says about a release, read under the
// acceptances that hold now.
type shadowed struct {
	pairs analysis.Pairs
	// hard says which invariants the candidate breaks, when run again as well.
	hard   []string
	broken []string // their classes
}

// shadowed reads the comparison of the release of s, and what it has seen in its shadow step.
func (c *Control) shadowed(ctx context.Context, s release.State, seen *release.Seen) (shadowed, error) {
	var out shadowed
	r := s.Release
	if r.Phase == release.PhasePreflight || !hasShadow(r.Plan) {
		return out, nil
	}
	_, record, err := newShadowBook(c.Blobs, c.opts.Now, s.Stable.Revision, r.Candidate).head(ctx)
	if err != nil {
		return out, err
	}
	accepted, err := c.Acceptances(ctx, c.opts.Now)
	if err != nil {
		return out, err
	}
	at := c.opts.Now()
	n, err := record.counts(accepted, at)
	if err != nil {
		return out, err
	}
	out.pairs = analysis.Pairs{Compared: n.Twice, Decided: n.Worse + n.Noisier, Worse: n.Worse}
	for _, h := range record.Hard {
		if _, expected := accepted.Of(h.Class, at); !expected {
			out.hard = append(out.hard, fmt.Sprintf("shadow: the candidate breaks the invariant %s in %d units, when they are run again as well", h.Class, h.Units))
			out.broken = append(out.broken, string(h.Class))
		}
	}
	if r.Phase == release.PhaseShadow && record.Step.of(r) {
		seen.Candidate, seen.Mix = record.Step.Units, record.Step.mix()
	}
	return out, nil
}

// withPairs returns the evidence with the comparison in it. The kept evidence stays without:
// it only grows, and a difference that is accepted later must not weigh for ever. Nothing is
// lost by that, for the sign test is a function of the totals, and those are in the store.
func (e *evidence) withPairs(pairs analysis.Pairs) (*analysis.Evidence, error) {
	if pairs == (analysis.Pairs{}) {
		return e.Analysis, nil
	}
	body, err := json.Marshal(e.Analysis)
	if err != nil {
		return nil, fmt.Errorf("copy the evidence: %w", err)
	}
	both := &analysis.Evidence{}
	if err := json.Unmarshal(body, both); err != nil {
		return nil, fmt.Errorf("copy the evidence: %w", err)
	}
	if _, err := both.Observe(e.Window+1, analysis.Sample{Pairs: map[string]analysis.Pairs{guardMismatch: pairs}}); err != nil {
		return nil, fmt.Errorf("judge the comparison in shadow: %w", err)
	}
	return both, nil
}
