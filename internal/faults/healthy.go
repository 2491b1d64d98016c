package faults

import (
	"context"
	"errors"
	"fmt"
	"math"

	"lockstep/internal/analysis"
	"lockstep/internal/handler"
	"lockstep/internal/release"
)

// Rate is how often good candidates were rolled back.
type Rate struct {
	Releases   int     `json:"releases"`
	Promoted   int     `json:"promoted"`
	RolledBack int     `json:"rolled_back"`
	Share      float64 `json:"share"`
	// Upper is the exact upper bound of the true share at 99 % (Clopper and Pearson).
	Upper float64 `json:"upper_99"`
	// Alpha is the share that is promised, and Most how many of so many releases may be
	// rolled back before that is to be doubted: a true share of Alpha gives more in less
	// than one run in a hundred.
	Alpha   float64  `json:"alpha"`
	Most    int      `json:"most"`
	Harmed  int      `json:"harmed"`            // records that differ, over all releases
	Reasons []string `json:"reasons,omitempty"` // of the rollbacks
}

// Kept says whether the promise is kept, as far as so many releases can tell.
func (r *Rate) Kept() bool {
	return r.RolledBack <= r.Most && r.Harmed == 0 && r.RolledBack+r.Promoted == r.Releases
}

// perWorld is how many releases follow each other in one index before its table has been
// edited beyond recognition.
const perWorld = 5

// healthyEdits is how many edits make a batch: few and large ones, since nothing is to be
// caught early.
const healthyEdits = 240

// HealthyRate releases n good candidates, each over the one before, and counts. The rate
// is that of the whole system: whatever rolls a good candidate back counts, noise of the
// machine included.
func HealthyRate(ctx context.Context, opts Options, n int) (Rate, error) {
	rate := Rate{Releases: n, Alpha: analysis.DefaultPolicy().Alpha}
	opts, err := opts.resolved()
	if err != nil {
		return rate, err
	}
	shadow, err := shadowOf(ctx, opts)
	if err != nil {
		return rate, err
	}
	for at := 0; at < n; at += perWorld {
		if err := rate.world(ctx, opts, shadow, at); err != nil {
			return rate, err
		}
		fmt.Fprintf(opts.Progress, "%d of %d releases: %d promoted, %d rolled back\n", min(n, at+perWorld), n, rate.Promoted, rate.RolledBack)
	}
	rate.Share = float64(rate.RolledBack) / float64(max(1, n))
	rate.Upper, rate.Most = upperBound(rate.RolledBack, n, 0.99), atMost(n, rate.Alpha, 0.99)
	return rate, nil
}

// world makes the releases from number at on in one index.
func (r *Rate) world(ctx context.Context, opts Options, shadow shadowing, at int) (err error) {
	s := scene{seed: opts.Seed + uint64(at)} //nolint:gosec // a count
	for i := at; i < min(at+perWorld, r.Releases); i++ {
		s.handlers = append(s.handlers, sane(i))
	}
	w, err := open(ctx, opts, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	for _, h := range s.handlers {
		t := trial{world: w, candidate: handler.NewRevision(h).Label(), edits: healthyEdits, batches: opts.Batches, shadow: shadow}
		res, err := t.release(ctx)
		if err != nil {
			return fmt.Errorf("release of %s: %w", t.candidate, err)
		}
		r.Harmed += res.Harmed
		switch res.Ended {
		case EndPromoted:
			r.Promoted++
		case EndRolledBack, EndUnfit, EndRefused:
			r.RolledBack++
			r.Reasons = append(r.Reasons, res.Reason)
		case EndUnderWay, EndHeld:
			r.Reasons = append(r.Reasons, string(res.Ended)+" in "+res.Step+": "+res.Reason)
			if err := t.callOff(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// sane is good candidate number i.
func sane(i int) handler.Handler {
	version := fmt.Sprintf("healthy-%d", i)
	if i%2 == 1 {
		return shuffled(version)
	}
	return good(version)
}

func (t *trial) callOff(ctx context.Context) error {
	_, err := t.server.Command(ctx, func(s release.State) (release.Transition, error) {
		return release.Abort(s, t.server.Order("the traffic is over"))
	})
	return err
}

// upperBound is the largest share under which at most k of n are seen in more than one
// run of 1/(1-confidence).
func upperBound(k, n int, confidence float64) float64 {
	if k >= n {
		return 1
	}
	lo, hi := float64(k)/float64(n), 1.0
	for range 100 {
		if mid := (lo + hi) / 2; atMostOf(k, n, mid) > 1-confidence {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi
}

// atMost is the least k such that more than k of n are seen with a chance of at most
// 1-confidence when the share is p.
func atMost(n int, p, confidence float64) int {
	for k := range n {
		if atMostOf(k, n, p) >= confidence {
			return k
		}
	}
	return n
}

// atMostOf is the chance that at most k of n happen, each with the chance p.
func atMostOf(k, n int, p float64) float64 {
	if p <= 0 {
		return 1
	}
	if p >= 1 {
		return 0
	}
	sum := 0.0
	for i := range k + 1 {
		sum += math.Exp(logChoose(n, i) + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
	}
	return min(sum, 1)
}

func logChoose(n, k int) float64 {
	a, _ := math.Lgamma(float64(n + 1))
	b, _ := math.Lgamma(float64(k + 1))
	c, _ := math.Lgamma(float64(n - k + 1))
	return a - b - c
}
