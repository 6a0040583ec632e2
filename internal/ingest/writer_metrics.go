package ingest

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// writerMetrics are the store writer's own measurements.
type writerMetrics struct {
	seconds prometheus.Histogram
	events  prometheus.Histogram
}

func newWriterMetrics() *writerMetrics {
	return &writerMetrics{
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "tidemark_store_write_duration_seconds",
			Help:    "Time of one storing transaction in seconds.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}),
		events: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "tidemark_store_batch_events",
			Help:    "Events in one storing transaction.",
			Buckets: []float64{1, 10, 100, 500, 1000, 2500, 5000, 10000, 20000},
		}),
	}
}

func (m *writerMetrics) wrote(events int, took time.Duration) {
	m.seconds.Observe(took.Seconds())
	m.events.Observe(float64(events))
}
