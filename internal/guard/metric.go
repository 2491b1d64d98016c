package guard

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

// Metric is one number of the ledger source.
type Metric struct {
	Name     string
	Unit     Unit
	Sentence string // what it counts, and when there is no sample
}

// Metrics lists what the source "ledger" knows, in the order of the documentation.
func Metrics() []Metric {
	rows := metricRows()
	out := make([]Metric, len(rows))
	for i, m := range rows {
		out[i] = m.Metric
	}
	return out
}

// FromFacts returns the samples that the facts hold, by metric. previous are the facts
// of the look before, the zero value when there was none: what counts "since the last
// look" has no sample without them, and a count that fell (another release, a restart)
// counts anew from zero. Store the facts of the last look if what happened while nobody
// looked is to be seen. A metric about which nobody knows anything is absent. A fact that cannot be,
// such as more failures than attempts, becomes a sample with an error: the guards on
// it are broken, and nothing passes on a miscount.
func FromFacts(f, previous Facts) map[string]Sample {
	out := map[string]Sample{}
	for _, m := range metricRows() {
		r := m.read(f, previous)
		if !r.known {
			continue
		}
		s := Sample{At: f.At, Value: r.value, Note: clip(r.note)}
		if !r.at.IsZero() {
			s.At = r.at
		}
		switch {
		case r.err != "":
			s.Err = clip(r.err)
		case r.value < 0:
			s.Err = fmt.Sprintf("%s is %g: less than nothing", m.Name, r.value)
		case m.Unit == Share && r.value > 1:
			s.Err = fmt.Sprintf("%s is %g: more than all", m.Name, r.value)
		}
		if s.Err != "" {
			s.Value = 0
		}
		out[m.Name] = s
	}
	return out
}

// reading is what the facts say about one metric.
type reading struct {
	known bool
	value float64
	note  string
	err   string
	at    time.Time // zero: the time of the facts
}

type metricRow struct {
	Metric
	read func(f, previous Facts) reading
}

func metricNames() []string {
	rows := metricRows()
	out := make([]string, len(rows))
	for i, m := range rows {
		out[i] = m.Name
	}
	return out
}

func isMetric(name string) bool { return slices.Contains(metricNames(), name) }

// unknownMetric is the error that lists what there is.
func unknownMetric(name string) error {
	err := fmt.Errorf("metric %.80q: %w; known are %s", name, lockstep.ErrNotFound, listed(metricNames()))
	return lockstep.Hint(err, "docs/guards.md says what each of them counts")
}

func number64(n int64) reading { return reading{known: true, value: float64(n)} }

func exactly(v float64, note string) reading { return reading{known: true, value: v, note: note} }

// since returns how much a count grew since these facts. Without a look before nobody
// can tell what is new: a controller that was restarted must not take every dead letter
// of last month for one of now, and roll back.
func (previous Facts) since(now, before int64) reading {
	if previous.At.IsZero() {
		return reading{}
	}
	if now < before {
		before = 0
	}
	return number64(now - before)
}

// share returns part of whole, and nothing when there is no whole.
func share(part, whole int64) reading {
	if whole == 0 {
		if part != 0 {
			return reading{known: true, err: fmt.Sprintf("%d of nothing", part)}
		}
		return reading{}
	}
	return exactly(float64(part)/float64(whole), fmt.Sprintf("%d of %d", part, whole))
}

// whenAsked returns a count that says something only when whole is not 0.
func whenAsked(n, whole int64) reading {
	if whole == 0 && n == 0 {
		return reading{}
	}
	if n > whole {
		return reading{known: true, err: fmt.Sprintf("%d of %d", n, whole)}
	}
	return exactly(float64(n), fmt.Sprintf("%d looked at", whole))
}

// seconds returns a measured time; 0 was not measured.
func seconds(d time.Duration) reading {
	if d == 0 {
		return reading{}
	}
	return reading{known: true, value: d.Seconds()}
}

// measured returns a measured size; 0 was not measured.
func measured(bytes int64) reading {
	if bytes == 0 {
		return reading{}
	}
	return number64(bytes)
}

// named counts names and shows the first of them.
func named(names []string) reading {
	const shown = 3
	note := strings.Join(names[:min(shown, len(names))], ", ")
	if len(names) > shown {
		note += fmt.Sprintf(" and %d more", len(names)-shown)
	}
	return exactly(float64(len(names)), note)
}

func (r reading) dated(at time.Time) reading {
	r.at = at
	return r
}

// waited returns how long something has been waiting; clocks that differ make it 0 and
// never less.
func waited(since, now time.Time) float64 { return math.Max(0, now.Sub(since).Seconds()) }

// clip keeps a text from outside within the limit of a sample, cut between letters.
func clip(s string) string {
	if len(s) <= MaxText {
		return s
	}
	return strings.ToValidUTF8(s[:MaxText-3], "") + "..."
}
