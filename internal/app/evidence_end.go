package app

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"lockstep/internal/release"
	"lockstep/internal/version"
)

// evidenceBudget is how long an abort may take to count what was seen last. What is not
// counted by then is counted by the next start of the same content.
const evidenceBudget = 300 * time.Millisecond

// finish closes the window that is open, however little it has seen.
func (e *evidence) finish(r *release.Release) error {
	if len(e.open.units) == 0 && len(e.open.seen) == 0 {
		return nil
	}
	return e.close(r)
}

// evidenceAsOf returns the evidence about the candidate of r from the versions up to one.
func (c *Control) evidenceAsOf(ctx context.Context, r *release.Release, to uint64) (json.RawMessage, error) {
	o := c.observer()
	e, err := o.kept(ctx, r)
	if err != nil {
		return nil, err
	}
	if r.Phase == release.PhaseBake {
		e.Analysis.StartBake()
	}
	for n := e.seen + 1; n <= to; n++ {
		v, err := c.Log.Read(ctx, n)
		if err != nil {
			return nil, err
		}
		if err := e.take(v, r); err != nil {
			return nil, err
		}
	}
	if err := e.finish(r); err != nil {
		return nil, err
	}
	return e.encode()
}

// lastEvidence is the evidence as of now for the entry of an abort, nil when it cannot be
// had at once: no abort waits for it.
func (c *Control) lastEvidence(ctx context.Context, r *release.Release) json.RawMessage {
	call, cancel := context.WithTimeout(ctx, evidenceBudget)
	defer cancel()
	index, err := c.Log.Head(call)
	if err != nil {
		return nil
	}
	e, err := c.evidenceAsOf(call, r, index.Number())
	if err != nil {
		return nil
	}
	return e
}

// inherited is the evidence that the history holds about the content of a candidate, whatever
// was released in between: what the latest release of it kept, and what it showed after that
// up to its end. It is nil when there was none.
func (c *Control) inherited(ctx context.Context, candidate string) (json.RawMessage, error) {
	head, err := c.Releases.Head(ctx)
	if err != nil {
		return nil, err
	}
	var last *release.Release
	for n := head.Number(); n > 0 && last == nil; n-- {
		h, err := c.Releases.At(ctx, n)
		if err != nil {
			return nil, err
		}
		if r := h.State().Release; r != nil && release.SameRevision(r.Candidate, candidate) {
			last = r
		}
	}
	switch {
	case last == nil:
		return nil, nil
	case last.Phase != release.PhaseAborted:
		return last.Evidence, nil
	}
	end, err := c.fencedAt(ctx, last)
	if err != nil || end == 0 {
		return last.Evidence, err
	}
	e, err := c.evidenceAsOf(ctx, last, end)
	if errors.Is(err, version.ErrRetired) || len(e) > release.MaxEvidence {
		return last.Evidence, nil // what retention has removed was kept before, or is long ago
	}
	return e, err
}

// fencedAt returns the version that ended an attempt, 0 when its fence is not carried on any
// more.
func (c *Control) fencedAt(ctx context.Context, r *release.Release) (uint64, error) {
	index, err := c.Log.Head(ctx)
	if err != nil || index.Entry == nil {
		return 0, err
	}
	name := release.Effect{Release: r.ID, Attempt: r.Attempt}.Name()
	i := slices.IndexFunc(index.Entry.Fenced, func(f version.Fenced) bool { return f.Trial == name })
	if i < 0 {
		return 0, nil
	}
	return index.Entry.Fenced[i].Since, nil
}
