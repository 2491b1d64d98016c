package app

import (
	"context"
	"errors"
	"fmt"

	"lockstep/internal/analysis"
	"lockstep/internal/release"
	"lockstep/internal/version"
)

// watchEvidence is what the units say of a candidate since its promotion, when no other arm
// is left: they are held against what it was promoted with.
type watchEvidence struct {
	Of      string          `json:"of"`      // the trial: another promotion is another watch
	Through uint64          `json:"through"` // versions up to here are in closed windows
	Watch   *analysis.Watch `json:"watch"`

	open map[string]analysis.Rate // since Through
	seen uint64
}

// watched brings what is known of the promoted candidate up to the head, and returns the
// alarm, if there is one. Versions that retention has removed are left out.
func (o *observer) watched(ctx context.Context, s release.State, r *release.Release, head version.Head) (*release.Alarm, error) {
	if of := r.ID + " " + r.Candidate; o.of != of {
		o.of, o.evidence = of, nil
	}
	if o.evidence == nil {
		var err error
		if o.evidence, err = keptEvidence(r, s.Stable.Version); err != nil {
			return nil, err
		}
	}
	e, policy := o.evidence, policyOf(r.Plan)
	if err := e.startWatch(policy, r, s.Stable.Version); err != nil {
		return nil, err
	}
	w := e.Since
	for n := w.seen + 1; n <= head.Number(); n++ {
		v, err := o.store.Log.Read(ctx, n)
		if err != nil && !errors.Is(err, version.ErrRetired) {
			return nil, fmt.Errorf("watch %s after its promotion: %w", r.Candidate, err)
		}
		if err := e.since(v, n, r); err != nil {
			return nil, err
		}
	}
	reason, raised := w.Watch.Alarm(policy)
	if !raised {
		return nil, nil
	}
	return &release.Alarm{Guard: w.Watch.Peak().Guard, Reason: reason, At: o.now()}, nil
}

// startWatch begins with what the release has shown, or goes on with what was kept.
func (e *evidence) startWatch(p analysis.Policy, r *release.Release, from uint64) error {
	if e.Since == nil || e.Since.Of != r.WatchName() {
		w, err := analysis.NewWatch(e.Analysis, p, guardFailure)
		if err != nil {
			return err
		}
		e.Since = &watchEvidence{Of: r.WatchName(), Through: from, Watch: w}
	}
	if e.Since.open == nil {
		e.Since.open, e.Since.seen = map[string]analysis.Rate{}, e.Since.Through
	}
	return nil
}

// since takes in version n, nil when it is gone. How long units take is left out: it depends
// on the machine as much as on the candidate, and there is no stable beside it any more.
func (e *evidence) since(v *version.Entry, n uint64, r *release.Release) error {
	w := e.Since
	w.seen = n
	if v == nil || v.Trial == nil || v.Trial.Name != r.WatchName() {
		return nil
	}
	for i := range v.Trial.Arms {
		u := &v.Trial.Arms[i]
		if !release.SameRevision(u.Revision, r.Candidate) {
			continue // forced on one process
		}
		failed := w.open[guardFailure]
		failed.Units, failed.Bad = failed.Units+int64(u.Units+u.Alone), failed.Bad+int64(u.Bad+u.Alone)
		w.open[guardFailure] = failed
	}
	if w.open[guardFailure].Units < windowUnits {
		return nil
	}
	if _, err := w.Watch.Observe(w.Watch.Last()+1, w.open); err != nil {
		return fmt.Errorf("watch %s after its promotion: %w", r.Candidate, err)
	}
	w.Through, w.open = n, map[string]analysis.Rate{}
	return nil
}
