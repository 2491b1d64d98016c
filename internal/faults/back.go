package faults

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lockstep/internal/branch"
	"lockstep/internal/compact"
	"lockstep/internal/release"
	"lockstep/internal/revert"
	"lockstep/internal/version"
)

// Back is what became of what a bad candidate had decided, once it was taken back.
type Back struct {
	// Version is the version that took it back; 0: the candidate had decided nothing.
	Version  uint64 `json:"version,omitempty"`
	Harmed   int    `json:"harmed"`   // records that differed before
	Keys     int    `json:"keys"`     // partition keys that were handled again
	Messages int    `json:"messages"` // of these
	Records  int    `json:"records"`  // came out different
	// Wrong are records, those of the mirror included, that differ after it all the same
	// from what stable alone makes of the messages.
	Wrong int           `json:"wrong"`
	Clean time.Duration `json:"clean_ns,omitempty"` // from the command to data that is clean
	Took  time.Duration `json:"took_ns"`            // with the proof and the comparison
	// Equal says that the digest of the index is that of its counterfactual.
	Equal bool `json:"equal"`
	// Why says what stood in the way, or what differs; "" when nothing does.
	Why string `json:"why,omitempty"`
}

// whole says whether nothing is left of what was bad.
func (b *Back) whole() bool { return b.Wrong == 0 && b.Equal && b.Why == "" }

// take takes back what the revision decided and proves it; the command was given at began.
// What stands in the way goes into Why, and is no error: it is what is measured.
func (b *Back) take(ctx context.Context, c *compact.Compactor, from branch.Origin, req revert.Request, began time.Time, now func() time.Time) {
	out, err := revert.Do(ctx, c, from, req)
	if errors.Is(err, revert.ErrNothing) {
		b.Equal = b.Harmed == 0 // the index is stable's own work, or somebody else has spoilt it
		return
	}
	if err != nil {
		b.Why = err.Error()
		return
	}
	b.Version, b.Keys, b.Messages, b.Records, b.Clean = out.Version, out.Keys, out.Messages, out.Records, now().Sub(began)
	proof, err := revert.Prove(ctx, from, revert.ProofRequest{Since: out.Since, Through: out.Through, Digests: out.Digests, Good: req.Good})
	if err != nil {
		b.Why = "prove it: " + err.Error()
		return
	}
	// The proof is about what the revert said that the index would be.
	got := version.IndexDigest(c.Head().Entry.Digests())
	if b.Equal = proof.Equal && got == proof.Want; !b.Equal {
		b.Why = fmt.Sprintf("the digest is %s, that of the counterfactual %s: %v", version.Short(got), version.Short(proof.Want), proof.Differ)
	}
}

// takeBack takes back what the candidate of the release decided, as an operator would, and
// compares every record with the model once more. Harmed is what differed before.
func (t *trial) takeBack(ctx context.Context, r *release.Release, share release.Routing, harmed int) (*Back, error) {
	good, err := t.server.Revisions.Lookup(r.KnownGood.Revision)
	if err != nil {
		return nil, err
	}
	if v, ok := good.Handler.(variant); ok { // a stable that takes its time for a row: its pace is not what is measured
		v.plan = nil
		good.Handler = v
	}
	b, began := &Back{Harmed: harmed}, t.opts.Now()
	from := t.server.Origin()
	from.Dir = t.dir
	err = t.server.Do(ctx, func(ctx context.Context, c *compact.Compactor) error {
		b.take(ctx, c, from, revert.Request{
			Bad: revert.Bad{Revision: r.Candidate}, Good: good, Actor: "faults", Reason: "the catalogue of faults", Now: t.opts.Now(),
		}, began, t.opts.Now)
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	b.Wrong = harmed
	if b.Version > 0 {
		d, err := t.damage(ctx, share)
		if err != nil {
			return nil, err
		}
		b.Wrong = d.Harmed + d.Mirror
	}
	b.Took = t.opts.Now().Sub(began)
	return b, nil
}

// notBack says what is not as promised about what was taken back: nothing may be left of
// what a bad candidate did. "" when all is well.
func (res *Result) notBack() string {
	for _, x := range []struct {
		back *Back
		when string
	}{{res.Back, ""}, {res.Unguarded, ", unguarded"}} {
		b := x.back
		switch {
		case b == nil || b.whole():
		case b.Wrong > 0:
			return fmt.Sprintf("%d records are WRONG AFTER THE ROLLBACK%s: %s", b.Wrong, x.when, dash(b.Why))
		default:
			return "NOT PROVEN" + x.when + ": " + dash(b.Why)
		}
	}
	return ""
}
