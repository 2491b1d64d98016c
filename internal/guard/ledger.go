package guard

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"lockstep/internal/lockstep"
)

// maxKept bounds what a Ledger remembers of one metric.
const maxKept = 4096

// Ledger is the source "ledger": it remembers the samples of successive facts, so that
// guards can ask for a window. It holds nothing that cannot be gathered again, starts
// nothing and is safe for concurrent use.
type Ledger struct {
	keep time.Duration

	mu       sync.Mutex // guards everything below
	previous Facts
	samples  map[string][]Sample
}

var _ Meter = (*Ledger)(nil)

// NewLedger returns an empty source that remembers samples for keep, and of each
// metric the newest 4,096. 0: MaxWindow.
func NewLedger(keep time.Duration) *Ledger {
	if keep <= 0 {
		keep = MaxWindow
	}
	return &Ledger{keep: keep, samples: map[string][]Sample{}}
}

// Add takes in the facts of one more look. ErrInvalid when they are undated or not
// newer than those before; nothing is then changed.
func (l *Ledger) Add(f Facts) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f.At.IsZero() || !f.At.After(l.previous.At) {
		return fmt.Errorf("%w facts of %s: want a date after the facts before, %s", lockstep.ErrInvalid, f.At, l.previous.At)
	}
	for name, s := range FromFacts(f, l.previous) {
		l.samples[name] = l.with(l.samples[name], s, f.At)
	}
	l.previous = f
	return nil
}

// with appends a sample; one of the same time, such as the result of a test that ran
// once, replaces the one before.
func (l *Ledger) with(list []Sample, s Sample, now time.Time) []Sample {
	if n := len(list); n > 0 && list[n-1].At.Equal(s.At) {
		list[n-1] = s
		return list
	}
	list = append(list, s)
	drop := max(0, len(list)-maxKept)
	for drop < len(list)-1 && now.Sub(list[drop].At) > l.keep {
		drop++
	}
	return slices.Delete(list, 0, drop)
}

// Read returns the samples of the metric q.Question between q.From and q.To, and when
// there is none the newest before, so that a reader can say how old it is.
// ErrNotFound lists the metrics that there are.
func (l *Ledger) Read(ctx context.Context, q Query) (Series, error) {
	if err := ctx.Err(); err != nil {
		return Series{}, err
	}
	if !isMetric(q.Question) {
		return Series{}, unknownMetric(q.Question)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var s Series
	var before Sample
	for _, one := range l.samples[q.Question] {
		switch {
		case one.At.After(q.To):
		case one.At.Before(q.From):
			if one.At.After(before.At) {
				before = one
			}
		default:
			s.Samples = append(s.Samples, one)
		}
	}
	if len(s.Samples) == 0 && !before.At.IsZero() {
		s.Samples = []Sample{before}
	}
	return s, nil
}
