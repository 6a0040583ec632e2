package app

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// appMetrics are the measurements that belong to no single room.
type appMetrics struct {
	fsync    prometheus.Histogram
	reloadOK prometheus.Gauge
	clamped  prometheus.Counter
}

func newAppMetrics(r *prometheus.Registry) *appMetrics {
	m := &appMetrics{
		fsync: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "tidemark_journal_fsync_duration_seconds",
			Help:    "Time in seconds until one group of events is safely in the journal.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16),
		}),
		reloadOK: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tidemark_config_last_reload_successful",
			Help: "1 when the configuration in force is the newest one, 0 when the last reload failed.",
		}),
	}
	m.clamped = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "tidemark_events_clamped_total",
		Help: "Events whose timestamp lay too far in the future and became the time they came in.",
	})
	m.reloadOK.Set(1)
	r.MustRegister(m.fsync, m.reloadOK, m.clamped, buildInfo(),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}
