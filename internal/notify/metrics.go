package notify

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics has one series for each configured receiver, from the start.
type metrics struct {
	mu      sync.Mutex
	names   map[string]bool
	total   *prometheus.CounterVec
	failed  *prometheus.CounterVec
	retries *prometheus.CounterVec
	took    *prometheus.HistogramVec
}

func newMetrics(r prometheus.Registerer, m *Manager) *metrics {
	label := []string{"receiver"}
	x := &metrics{
		names: map[string]bool{},
		total: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tidemark_notifications_total",
			Help: "Notifications that were sent or given up, by receiver."}, label),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tidemark_notifications_failed_total",
			Help: "Notifications that a receiver did not take until the group's next turn, by receiver."}, label),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tidemark_notification_retries_total",
			Help: "Tries that failed and were followed by another, by receiver."}, label),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "tidemark_notification_duration_seconds",
			Help:    "Time in seconds that one try took, by receiver.",
			Buckets: []float64{0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30}}, label),
	}
	gauge := func(name, help string, value func(*Manager) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			m.mu.Lock()
			defer m.mu.Unlock()
			return value(m)
		})
	}
	counter := func(name, help string, value func(*Manager) float64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 {
			m.mu.Lock()
			defer m.mu.Unlock()
			return value(m)
		})
	}
	r.MustRegister(x.total, x.failed, x.retries, x.took,
		gauge("tidemark_alerts_leader", "1 when this replica is the one that notifies, else 0.", func(m *Manager) float64 {
			if m.book.speaking {
				return 1
			}
			return 0
		}),
		gauge("tidemark_alerts_firing", "Alerts that fire, on any replica.", func(m *Manager) float64 {
			n := 0
			for _, k := range m.book.alerts {
				if k.alert.Firing {
					n++
				}
			}
			return float64(n)
		}),
		counter("tidemark_alerts_dropped_total", "Reports of alerts that there was no room for.",
			func(m *Manager) float64 { return float64(m.book.dropped) }),
		counter("tidemark_alert_history_dropped_total", "Lines of the alerts' history lost because the database was away for long.",
			func(m *Manager) float64 { return float64(m.book.pending.lost) }),
	)
	return x
}

// prepare makes the series of all receivers, and removes those of receivers that are gone.
func (x *metrics) prepare(p *plan) {
	x.mu.Lock()
	defer x.mu.Unlock()
	now := make(map[string]bool, len(p.receivers))
	for _, r := range p.receivers {
		now[r.name] = true
		x.total.WithLabelValues(r.name)
		x.failed.WithLabelValues(r.name)
		x.retries.WithLabelValues(r.name)
		x.took.WithLabelValues(r.name)
	}
	for name := range x.names {
		if !now[name] {
			x.total.DeleteLabelValues(name)
			x.failed.DeleteLabelValues(name)
			x.retries.DeleteLabelValues(name)
			x.took.DeleteLabelValues(name)
		}
	}
	x.names = now
}

// count counts a notification, unless its receiver is gone.
func (x *metrics) count(r *receiver, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.names[r.name] {
		return
	}
	x.total.WithLabelValues(r.name).Inc()
	if err != nil {
		x.failed.WithLabelValues(r.name).Inc()
	}
}
