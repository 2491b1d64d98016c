package app

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"lockstep/internal/compact"
	"lockstep/internal/follow"
	"lockstep/internal/lockstep"
)

// metrics are the numbers of one process. Label sets are closed: outcomes and
// collections, never a key or an id (the legacy pipeline folded ids into metric
// names and so had one metric per word, DOMAIN 7.1).
type metrics struct {
	registry *prometheus.Registry

	messages     *prometheus.CounterVec
	changed      prometheus.Counter
	commits      *prometheus.CounterVec
	commitTime   prometheus.Histogram
	version      prometheus.Gauge
	records      *prometheus.GaugeVec
	backlog      prometheus.Gauge
	followerAt   prometheus.Gauge
	followerTime prometheus.Histogram
	followerErr  prometheus.Counter

	// The names that the rollback document tells people to watch. The legacy code
	// emitted two of them nowhere; here they mean what they say.
	success   prometheus.Counter
	failure   prometheus.Counter
	processed prometheus.Counter
	metadata  prometheus.Counter
	labels    prometheus.Counter

	releases *releaseMetrics
	newest   prometheus.Gauge
}

func newMetrics() *metrics {
	buckets := []float64{.001, .0025, .005, .01, .025, .05, .1, .15, .25, .5, 1, 2.5, 5, 10}
	m := &metrics{
		registry:     prometheus.NewRegistry(),
		messages:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "lockstep_messages_total", Help: "Messages by what became of them."}, []string{"outcome"}),
		changed:      prometheus.NewCounter(prometheus.CounterOpts{Name: "lockstep_records_changed_total", Help: "Published records written or removed."}),
		commits:      prometheus.NewCounterVec(prometheus.CounterOpts{Name: "lockstep_commits_total", Help: "Commits by result."}, []string{"result"}),
		commitTime:   prometheus.NewHistogram(prometheus.HistogramOpts{Name: "lockstep_commit_seconds", Help: "Time of one commit, planning included.", Buckets: buckets}),
		version:      prometheus.NewGauge(prometheus.GaugeOpts{Name: "lockstep_version", Help: "Newest version known to this process."}),
		records:      prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "lockstep_records", Help: "Records of the newest version."}, []string{"collection"}),
		backlog:      prometheus.NewGauge(prometheus.GaugeOpts{Name: "lockstep_backlog_spans", Help: "Spans of versions whose messages are held or not yet replayed."}),
		followerAt:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "lockstep_follower_version", Help: "Version that the follower holds."}),
		followerTime: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "lockstep_follower_seconds", Help: "Time of one step of the follower.", Buckets: buckets}),
		followerErr:  prometheus.NewCounter(prometheus.CounterOpts{Name: "lockstep_follower_errors_total", Help: "Steps of the follower that failed."}),
		success:      prometheus.NewCounter(prometheus.CounterOpts{Name: "CompactionLambdaSuccess", Help: "Commits after which every message is in a version."}),
		failure:      prometheus.NewCounter(prometheus.CounterOpts{Name: "CompactionLambdaError", Help: "Commits that failed."}),
		processed:    prometheus.NewCounter(prometheus.CounterOpts{Name: "StreamProcessorProcessedRecords", Help: "Stream records taken in."}),
		metadata:     prometheus.NewCounter(prometheus.CounterOpts{Name: "CompactionMetadataUpdates", Help: "Published records changed by metadata and place items."}),
		labels:       prometheus.NewCounter(prometheus.CounterOpts{Name: "CompactionLabelUpdates", Help: "Published records changed by label items."}),
	}
	m.releases = newReleaseMetrics()
	m.newest = prometheus.NewGauge(prometheus.GaugeOpts{Name: "lockstep_version_timestamp_seconds", Help: "When the newest version was made, in Unix time; 0 before the first."})
	m.registry.MustRegister(m.releases, m.newest, m.messages, m.changed, m.commits, m.commitTime, m.version, m.records, m.backlog,
		m.followerAt, m.followerTime, m.followerErr, m.success, m.failure, m.processed, m.metadata, m.labels)
	for _, o := range lockstep.Outcomes() {
		m.messages.WithLabelValues(string(o)) // a series that is absent until the first time cannot be watched
	}
	for _, r := range []string{"ok", "failed"} {
		m.commits.WithLabelValues(r)
	}
	return m
}

func (m *metrics) committed(res compact.Result, err error, took time.Duration) {
	m.commitTime.Observe(took.Seconds())
	if err != nil {
		m.commits.WithLabelValues("failed").Inc()
		m.failure.Inc()
		return
	}
	m.commits.WithLabelValues("ok").Inc()
	m.success.Inc()
	n := 0
	for o, c := range res.Counts {
		m.messages.WithLabelValues(string(o)).Add(float64(c))
		n += c
	}
	m.processed.Add(float64(n))
	m.changed.Add(float64(res.Changed))
	for entity, c := range res.ChangedBy {
		switch documentOf(entity) {
		case documentMetadata:
			m.metadata.Add(float64(c))
		case documentLabels:
			m.labels.Add(float64(c))
		}
	}
}

func (m *metrics) followed(moved follow.Moved, err error, took time.Duration) {
	m.followerTime.Observe(took.Seconds())
	if err != nil {
		m.followerErr.Inc()
		return
	}
	m.followerAt.Set(float64(moved.To))
}

// at notes the head.
func (m *metrics) at(a *App) {
	head := a.Compactor.Head()
	m.version.Set(float64(head.Number()))
	if head.Entry == nil {
		return
	}
	m.backlog.Set(float64(len(head.Entry.Backlog)))
	m.newest.Set(float64(head.Entry.At.UnixMilli()) / 1000)
	for _, c := range head.Entry.Collections {
		m.records.WithLabelValues(string(c.Name)).Set(float64(c.Records))
	}
}

// Metrics serves the numbers in the text format of Prometheus.
func (a *App) Metrics() http.Handler {
	return promhttp.HandlerFor(a.metrics.registry, promhttp.HandlerOpts{})
}
