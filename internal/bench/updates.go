package bench

import (
	"context"
	"fmt"
	"os"
	"runtime/pprof"
	"time"

	"golang.org/x/sync/errgroup"

	"lockstep/internal/app"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// UpdatesResult is a sustained stream of changed places. Everything in it is read
// back from the log: what is not in a version does not count.
type UpdatesResult struct {
	Took     time.Duration `json:"took_ns"`
	Changed  int64         `json:"changed"` // published records
	Messages int64         `json:"messages"`
	Versions int           `json:"versions"`
	Bases    int           `json:"bases"` // built and adopted meanwhile
	Delta    int64         `json:"delta_bytes"`
	CPU      time.Duration `json:"cpu_ns"`        // of this process, all threads
	Second   float64       `json:"median_second"` // records published in the median second
	Worst    float64       `json:"worst_second"`
	Seconds  []float64     `json:"by_second"`
	Building bool          `json:"base_due_at_end"` // so that one was being built for the last part
}

// PerSecond is the number of published records changed per second, over all of it.
func (u UpdatesResult) PerSecond() float64 { return float64(u.Changed) / max(u.Took.Seconds(), 1e-9) }

const (
	submitters    = 4
	submitMessage = 100 // messages per submission
)

// drive submits changes of places until the time is over, and returns when all of
// them are in versions.
func drive(ctx context.Context, s app.Submitter, t *table, until time.Time, now func() time.Time) error {
	g, ctx := errgroup.WithContext(ctx)
	n := min(submitters, len(t.keys))
	for k := range n {
		g.Go(func() error {
			// Each submitter has receipts of its own, so that no two race for the order
			// of one item's changes, and no receipt twice in a submission.
			batch := min(submitMessage, (len(t.keys)-k+n-1)/n)
			for i := k; now().Before(until); {
				ms := make([]lockstep.Message, batch)
				for j := range ms {
					ms[j] = t.renamed(i).Message()
					if i += n; i >= len(t.keys) {
						i = k
					}
				}
				res, err := s.Submit(ctx, inputsOf(ms))
				if err != nil {
					return fmt.Errorf("submit: %w", err)
				}
				if err := each(res, lockstep.Applied); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// measureUpdates warms up, lets that come to rest, and then measures.
func measureUpdates(ctx context.Context, s *app.Server, t *table, w workSpec, now func() time.Time) (u UpdatesResult, err error) {
	if err := drive(ctx, s, t, now().Add(w.Warmup), now); err != nil {
		return u, err
	}
	if err := settle(ctx, s); err != nil {
		return u, err
	}
	from, err := s.Log.Head(ctx)
	if err != nil {
		return u, err
	}
	stop, err := profile(w.Profile)
	if err != nil {
		return u, err
	}
	start, used := now(), cpuTime()
	if err := drive(ctx, s, t, start.Add(w.Sustain), now); err != nil {
		return u, err
	}
	u.Took, u.CPU = now().Sub(start), cpuTime()-used
	if err := stop(); err != nil {
		return u, err
	}
	if u.Building, err = baseDue(ctx, s); err != nil {
		return u, err
	}
	to, err := s.Log.Head(ctx)
	if err != nil {
		return u, err
	}
	return u, u.read(ctx, s.Log, span{from.Number(), to.Number()}, start)
}

// span is a range of versions, the first not included.
type span struct{ from, to uint64 }

func (u *UpdatesResult) read(ctx context.Context, log *version.Log, s span, start time.Time) error {
	u.Seconds = make([]float64, int(u.Took.Seconds()))
	for n := s.from + 1; n <= s.to; n++ {
		e, err := log.Read(ctx, n)
		if err != nil {
			return err
		}
		if e.Kind == version.BaseSet {
			u.Bases++
			continue
		}
		if e.Kind != version.Compact {
			return fmt.Errorf("bench: %w: version %d is a %s", lockstep.ErrCorrupt, n, e.Kind)
		}
		u.Versions++
		u.Delta += e.Delta.Size
		u.Messages += int64(e.Delta.Messages)
		changed := 0
		for _, c := range e.Revisions {
			changed += c
		}
		u.Changed += int64(changed)
		if i := int(e.At.Sub(start).Seconds()); i >= 0 && i < len(u.Seconds) {
			u.Seconds[i] += float64(changed)
		}
	}
	u.Second, u.Worst = median(u.Seconds), quantile(u.Seconds, 0)
	return nil
}

// profile records a CPU profile into a file until stop is called; "" records none.
func profile(file string) (stop func() error, err error) {
	if file == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, fmt.Errorf("bench: profile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, fmt.Errorf("bench: profile: %w", err)
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}
