package app

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"lockstep/internal/guard"
	"lockstep/internal/release"
)

// Names that other processes ask for.
const (
	metricWaiting    = "lockstep_waiting_changes"
	metricWaitingAge = "lockstep_waiting_seconds"
)

// releaseMetrics are what the controller saw last. The labels are words of closed lists,
// and names of guards, which the configuration bounds.
type releaseMetrics struct {
	mu sync.Mutex // one note and one reading at a time: series that are made anew are never half there

	phase   *prometheus.GaugeVec
	weight  prometheus.Gauge
	verdict *prometheus.GaugeVec
	guards  *prometheus.GaugeVec
	assess  *prometheus.GaugeVec
	alarm   prometheus.Gauge
	facts   *prometheus.GaugeVec
}

var (
	_ prometheus.Collector = (*releaseMetrics)(nil)
	_ prometheus.Collector = (*vitals)(nil)
)

func newReleaseMetrics() *releaseMetrics {
	vec := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	m := &releaseMetrics{
		phase:   vec("lockstep_release_phase", "1 for the phase that the latest release is in or ended in.", "phase"),
		weight:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "lockstep_release_weight", Help: "Share of the keys that the candidate decides for, 0 to 1."}),
		verdict: vec("lockstep_release_verdict", "1 for what all guards together say about the release in progress.", "verdict"),
		guards:  vec("lockstep_guard_verdict", "1 for what a guard said last; a guard that is not asked has no series.", "guard", "verdict"),
		assess:  vec("lockstep_assessment", "1 for what the guards advise together.", "decision"),
		alarm:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "lockstep_release_alarm", Help: "1 when the candidate that was promoted last has got worse since."}),
		facts:   vec("lockstep_fact", "What the source ledger of guards says, by the names of docs/guards.md; one that is not known has no series.", "metric"),
	}
	m.note(release.State{}, "", Answer{})
	return m
}

func (m *releaseMetrics) parts() []prometheus.Collector {
	return []prometheus.Collector{m.phase, m.weight, m.verdict, m.guards, m.assess, m.alarm, m.facts}
}

// Describe implements prometheus.Collector.
func (m *releaseMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, p := range m.parts() {
		p.Describe(to)
	}
}

// Collect implements prometheus.Collector.
func (m *releaseMetrics) Collect(to chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.parts() {
		p.Collect(to)
	}
}

// releasePhases are all phases, "none" before the first release.
func releasePhases() []string {
	return []string{
		"none", string(release.PhasePreflight), string(release.PhaseShadow), string(release.PhaseCanary), string(release.PhaseBake),
		string(release.PhasePromote), string(release.PhasePromoted), string(release.PhaseAborted),
	}
}

// note takes over what was seen. Every word of a closed list has its series always: one
// that is absent until the first time cannot be watched.
func (m *releaseMetrics) note(s release.State, verdict release.Health, a Answer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	one := func(v *prometheus.GaugeVec, is string, words ...string) {
		for _, w := range words {
			n := 0.0
			if w == is {
				n = 1
			}
			v.WithLabelValues(w).Set(n)
		}
	}
	phase, weight, says := "none", 0.0, "none"
	m.alarm.Set(0)
	if r := s.Release; r != nil {
		if r.Alarm != nil {
			m.alarm.Set(1)
		}
		phase = string(r.Phase)
		if s.Live() != nil {
			weight, says = float64(r.Weight)/float64(release.All), string(verdict)
			if verdict == release.NoData {
				says = "no-data"
			}
		}
	}
	one(m.phase, phase, releasePhases()...)
	m.weight.Set(weight)
	one(m.verdict, says, "none", "no-data", string(release.Healthy), string(release.Hold), string(release.Bad))
	decisions := make([]string, 0, len(guard.Decisions()))
	for _, d := range guard.Decisions() {
		decisions = append(decisions, string(d))
	}
	one(m.assess, string(a.Verdict), decisions...)
	m.guards.Reset()
	for _, line := range a.Criteria {
		for _, r := range line.Evidence {
			for _, v := range guard.Verdicts() {
				n := 0.0
				if v == r.Verdict {
					n = 1
				}
				m.guards.WithLabelValues(r.Guard, string(v)).Set(n)
			}
		}
	}
	m.facts.Reset()
	for name, sample := range guard.FromFacts(a.facts, guard.Facts{}) {
		if sample.Err == "" && !a.At.IsZero() {
			m.facts.WithLabelValues(name).Set(sample.Value)
		}
	}
}

var (
	waitingDesc    = prometheus.NewDesc(metricWaiting, "Changes that were accepted and are in no version yet.", nil, nil)
	waitingAgeDesc = prometheus.NewDesc(metricWaitingAge, "Age of the oldest of them; 0 when none waits.", nil, nil)
	memoryDesc     = prometheus.NewDesc("lockstep_memory_bytes", "Memory that this process has of the system.", nil, nil)
)

// Describe implements prometheus.Collector.
func (*vitals) Describe(to chan<- *prometheus.Desc) {
	to <- waitingDesc
	to <- waitingAgeDesc
	to <- memoryDesc
}

// Collect implements prometheus.Collector: the numbers as they are when somebody asks.
func (v *vitals) Collect(to chan<- prometheus.Metric) {
	changes, since := v.counted()
	age := 0.0
	if changes > 0 {
		age = max(0, v.now().Sub(since).Seconds())
	}
	to <- prometheus.MustNewConstMetric(waitingDesc, prometheus.GaugeValue, float64(changes))
	to <- prometheus.MustNewConstMetric(waitingAgeDesc, prometheus.GaugeValue, age)
	to <- prometheus.MustNewConstMetric(memoryDesc, prometheus.GaugeValue, float64(memoryUsed()))
}
