package drill

import (
	"slices"
	"time"
)

// Enough is how many times a quantile is taken from before it is worth its name.
const Enough = 5

// Interval is how long one part of the way back took, over several drills. The
// quantiles are nearest-rank: each is one of the times that were measured.
type Interval struct {
	Name    string        `json:"name"`
	P50     time.Duration `json:"p50_ns"`
	P95     time.Duration `json:"p95_ns"`
	Samples int           `json:"samples"`
	Few     bool          `json:"few"` // fewer than Enough
}

// Statistics sums up several drills.
type Statistics struct {
	Drills     int        `json:"drills"`
	Passed     int        `json:"passed"`
	Failed     int        `json:"failed"`
	Incomplete int        `json:"incomplete"`
	Intervals  []Interval `json:"intervals"` // always five
}

// Took returns the five intervals of a drill: time to detect, to command, to stop, to
// clean, and all of it. Stopping and cleaning both count from the command. One is
// missing from known when a mark of it is not known, or when it would end before it
// began.
func (m Marks) Took() (took [5]time.Duration, known [5]bool) {
	for i, p := range [5][2]time.Time{
		{m.FirstBad, m.Detected}, {m.Detected, m.Commanded}, {m.Commanded, m.LastBad}, {m.Commanded, m.Clean}, {m.FirstBad, m.Clean},
	} {
		from, to := p[0], p[1]
		if i == stopping && to.Before(from) && !to.IsZero() {
			to = from // what is bad had stopped by itself before anybody commanded it
		}
		if from.IsZero() || to.IsZero() || to.Before(from) {
			continue
		}
		took[i], known[i] = to.Sub(from), true
	}
	return took, known
}

const stopping = 2

func intervalNames() [5]string {
	return [5]string{"time to detect", "time to command", "time to stop", "time to clean", "total"}
}

// Statistics sums up the last n drills. Every drill that has the marks of an interval
// counts for it, whatever its outcome.
func (b Book) Statistics(n int) Statistics {
	s := Statistics{Intervals: make([]Interval, 0, 5)}
	var samples [5][]time.Duration
	for _, d := range b.Last(n) {
		s.Drills++
		switch d.Outcome {
		case Passed:
			s.Passed++
		case Failed:
			s.Failed++
		case Incomplete:
			s.Incomplete++
		}
		took, known := d.Marks.Took()
		for i := range took {
			if known[i] {
				samples[i] = append(samples[i], took[i])
			}
		}
	}
	for i, name := range intervalNames() {
		slices.Sort(samples[i])
		s.Intervals = append(s.Intervals, Interval{
			Name: name, P50: nearest(samples[i], 50), P95: nearest(samples[i], 95), Samples: len(samples[i]), Few: len(samples[i]) < Enough,
		})
	}
	return s
}

// nearest returns the smallest of the sorted samples that so many per cent of them do
// not exceed, 0 without samples.
func nearest(sorted []time.Duration, percent int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := (len(sorted)*percent + 99) / 100
	return sorted[max(rank, 1)-1]
}
