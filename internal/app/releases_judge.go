package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"lockstep/internal/analysis"
	"lockstep/internal/lockstep"
	"lockstep/internal/release"
	"lockstep/internal/version"
)

// Judged is what the evidence about a candidate says.
type Judged struct {
	Release   string             `json:"release"`
	Attempt   int                `json:"attempt"`
	Candidate string             `json:"candidate"`
	Phase     release.Phase      `json:"phase"`
	Through   uint64             `json:"through"` // versions up to here are in the evidence
	Units     map[string]uint64  `json:"units"`   // by arm, in the evidence
	Alpha     float64            `json:"alpha"`
	Beta      float64            `json:"beta"`
	Judgement analysis.Judgement `json:"judgement"`
	// TopKeyShare is the share of the units that one partition key has, by KeyHash TopKey.
	TopKeyShare float64 `json:"top_key_share"`
	TopKey      string  `json:"top_key,omitempty"`
	// Since is what the detector has seen since the promotion, as far as it is kept.
	Since *Since `json:"since,omitempty"`
	// Hard are invariants that the candidate breaks in the comparison in shadow, whatever the
	// counts say.
	Hard []string `json:"hard,omitempty"`
}

// Since is how a promoted candidate has done.
type Since struct {
	Through uint64  `json:"through"` // version
	Windows uint64  `json:"windows"`
	Peak    float64 `json:"peak"`     // the highest value of the detector
	AlarmAt float64 `json:"alarm_at"` // where it raises its alarm
}

// Judge says what the evidence about the candidate of the latest release says now, that of a
// release that is over up to its end. ErrNotFound when there was none yet.
func (c *Control) Judge(ctx context.Context) (Judged, error) {
	head, r, err := c.latest(ctx)
	if err != nil {
		return Judged{}, err
	}
	index, err := c.Log.Head(ctx)
	if err != nil {
		return Judged{}, err
	}
	o := c.observer()
	if r.Phase.Final() {
		// What came in after the end decided nothing.
		if o.evidence, err = keptEvidence(r, r.KnownGood.Version); err != nil {
			return Judged{}, err
		}
	} else if err := o.read(ctx, r, index); err != nil {
		return Judged{}, err
	}
	return c.judged(ctx, head.State(), o.evidence, policyOf(r.Plan))
}

// latest returns the latest release.
func (c *Control) latest(ctx context.Context) (release.Head, *release.Release, error) {
	head, err := c.Releases.Head(ctx)
	if err != nil {
		return head, nil, err
	}
	r := head.State().Release
	if r == nil {
		err := fmt.Errorf("evidence of a release: %w: there was no release yet", lockstep.ErrNotFound)
		return head, nil, lockstep.Hint(err, `"lockstep release start" begins one; "lockstep analysis power" says what one would see`)
	}
	return head, r, nil
}

// keptEvidence is what a release keeps, or an empty one from a version on.
func keptEvidence(r *release.Release, from uint64) (*evidence, error) {
	if r.Evidence != nil {
		return decodeEvidence(r.Evidence)
	}
	return newEvidence(policyOf(r.Plan), from)
}

func (c *Control) judged(ctx context.Context, s release.State, e *evidence, p analysis.Policy) (Judged, error) {
	r := s.Release
	out := Judged{
		Release: r.ID, Attempt: r.Attempt, Candidate: r.Candidate, Phase: r.Phase,
		Through: e.Through, Units: e.Units, Alpha: p.Alpha, Beta: p.Beta,
	}
	out.TopKey, out.TopKeyShare = e.Keys.Heavy.Top()
	if since := e.Since; since != nil {
		out.Since = &Since{Through: since.Through, Windows: since.Watch.Last(), Peak: math.Exp(since.Watch.Peak().LogD), AlarmAt: p.AlarmWindows()}
	}
	s.Stable = r.KnownGood // it was compared with what was stable then
	compared, err := c.shadowed(ctx, s, &release.Seen{})
	if err != nil {
		return out, err
	}
	out.Hard = compared.hard
	all, err := e.withPairs(compared.pairs)
	if err != nil {
		return out, err
	}
	out.Judgement, err = analysis.Judge(all, p, e.situation())
	return out, err
}

// Rejudged is the evidence computed once more from the ledger of versions, and judged by
// another policy.
type Rejudged struct {
	Judged

	From uint64 `json:"from"` // versions behind this one were read
	// Stored is the verdict of what the release keeps, under the policy it was judged by.
	Stored analysis.Verdict `json:"stored"`
	// Agrees says that both counted the same and weigh it the same; Differences say where not.
	Agrees      bool     `json:"agrees"`
	Differences []string `json:"differences,omitempty"`
	// Kept is false when the release has kept no evidence yet, so that there was nothing to
	// compare with.
	Kept bool `json:"kept"`
}

// Rejudge computes the evidence of the latest release from the ledger of versions alone, as
// far as what the release keeps goes (or to the head when it keeps none), and judges it with
// the given alpha and beta; 0 stands for those it was judged by. ErrNotFound when there was
// no release, and version.ErrRetired when its versions are gone.
func (c *Control) Rejudge(ctx context.Context, alpha, beta float64) (Rejudged, error) {
	var out Rejudged
	head, r, err := c.latest(ctx)
	if err != nil {
		return out, err
	}
	policy := policyOf(r.Plan)
	kept, err := keptEvidence(r, r.KnownGood.Version)
	if err != nil {
		return out, err
	}
	stored, err := c.judged(ctx, head.State(), kept, policy)
	if err != nil {
		return out, err
	}
	course, err := c.course(ctx, head, r)
	if err != nil {
		return out, err
	}
	again, from, err := course.begin()
	if err != nil {
		return out, err
	}
	out.Kept, out.Stored, out.From = r.Evidence != nil, stored.Judgement.Verdict, from
	to := kept.Through
	if !out.Kept {
		index, err := c.Log.Head(ctx)
		if err != nil {
			return out, err
		}
		to = index.Number()
	}
	if err := course.repeat(ctx, c.Log, again, to); err != nil {
		return out, err
	}
	if out.Kept {
		if again.Through < to { // the last window was closed by the end of the release
			if err := again.finish(r); err != nil {
				return out, err
			}
		}
		out.Differences = differences(kept, again)
		out.Agrees = len(out.Differences) == 0
	}
	if alpha != 0 {
		policy.Alpha = alpha
	}
	if beta != 0 {
		policy.Beta = beta
	}
	out.Judged, err = c.judged(ctx, head.State(), again, policy)
	return out, err
}

// course is how a release went, as far as its evidence depends on it.
type course struct {
	release *release.Release
	first   *release.Release // as of the entry from which on evidence was collected
	weights []weightSince    // oldest first
	baking  time.Time        // zero: it did not come so far
}

type weightSince struct {
	at     time.Time
	weight release.Weight
}

// course reads the ledger of releases back to where the evidence begins: an attempt that
// had none, or the start with what an earlier release of the same content had left.
func (c *Control) course(ctx context.Context, head release.Head, r *release.Release) (*course, error) {
	out := &course{release: r}
	var entries []*release.Entry
	for n := head.Number(); n > 0; n-- {
		h, err := c.Releases.At(ctx, n)
		if err != nil {
			return nil, err
		}
		e := h.Entry
		if e.State.Release == nil || e.State.Release.ID != r.ID {
			break
		}
		entries = append(entries, e)
		begins := e.Kind == release.KindStart || e.Kind == release.KindRetry
		if begins && (e.State.Release.Evidence == nil || e.Kind == release.KindStart) {
			out.first = e.State.Release
			break
		}
	}
	if out.first == nil {
		return nil, fmt.Errorf("start of release %s: %w", r.ID, lockstep.ErrNotFound)
	}
	for _, e := range slices.Backward(entries) {
		was := e.State.Release
		out.weights = append(out.weights, weightSince{e.At, was.Weight})
		if was.Phase == release.PhaseBake && out.baking.IsZero() {
			out.baking = e.At
		}
	}
	return out, nil
}

// begin returns the evidence at the start, and the version behind which more is.
func (c *course) begin() (*evidence, uint64, error) {
	e, err := keptEvidence(c.first, c.first.KnownGood.Version)
	if err != nil {
		return nil, 0, err
	}
	return e, e.Through, nil
}

// repeat reads the versions again, each under the weight that the candidate had then.
func (c *course) repeat(ctx context.Context, log *version.Log, e *evidence, to uint64) error {
	then := *c.release
	for n := e.Through + 1; n <= to; n++ {
		v, err := log.Read(ctx, n)
		if err != nil {
			return fmt.Errorf("evidence of release %s: %w", c.release.ID, err)
		}
		for _, w := range c.weights {
			if !v.At.Before(w.at) {
				then.Weight = w.weight
			}
		}
		if !c.baking.IsZero() && !v.At.Before(c.baking) {
			e.Analysis.StartBake()
		}
		if err := e.take(v, &then); err != nil {
			return err
		}
	}
	return nil
}

// differences compares two collections of evidence in everything that the joint rule rests
// on. The detector of the bake is left out: from which window on it looks depends on when a
// controller looked.
func differences(kept, again *evidence) []string {
	var out []string
	add := func(what string, a, b any) {
		x, errX := json.Marshal(a)
		y, errY := json.Marshal(b)
		if err := errors.Join(errX, errY); err != nil || string(x) != string(y) {
			out = append(out, fmt.Sprintf("%s: kept %s, computed %s", what, x, y))
		}
	}
	add("windows", kept.Window, again.Window)
	add("last version", kept.Through, again.Through)
	add("units", kept.Units, again.Units)
	add("keys", kept.Keys, again.Keys)
	add("evidence that routing is broken", kept.Analysis.LogRatio(), again.Analysis.LogRatio())
	add("highest joint evidence", kept.Analysis.Peak(), again.Analysis.Peak())
	weighed, weighedAgain := kept.Analysis.Guards(), again.Analysis.Guards()
	add("evidence of the guards", weighed, weighedAgain)
	for _, g := range weighed {
		table, pairs, _ := kept.Analysis.Totals(g.Guard)
		tableAgain, pairsAgain, _ := again.Analysis.Totals(g.Guard)
		add("counts of "+g.Guard, []any{table, pairs}, []any{tableAgain, pairsAgain})
	}
	return out
}
