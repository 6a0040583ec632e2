package destination

import "github.com/prometheus/client_golang/prometheus"

// metrics are those of all destinations. Their one label is the name, of which there are at most
// maxDestinations.
type metrics struct {
	m                            *Manager
	delivered, failed, dead      *prometheus.CounterVec
	lagEvents, lagSeconds, state *prometheus.Desc
}

type destinationMetrics struct{ delivered, failed, dead prometheus.Counter }

func newMetrics(m *Manager) *metrics {
	names := []string{"destination"}
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tidemark_destination_" + name, Help: help}, names)
	}
	gauge := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("tidemark_destination_"+name, help, names, nil)
	}
	return &metrics{
		m:          m,
		delivered:  counter("delivered_total", "Events that the destination took."),
		failed:     counter("failed_total", "Events of tries that did not succeed, each try anew."),
		dead:       counter("dead_lettered_total", "Events that the destination refused for good."),
		lagEvents:  gauge("lag_events", "Events in the journal that are not delivered yet, those that the filter leaves out included; of a paused destination also what has left the journal since this process began."),
		lagSeconds: gauge("lag_seconds", "Age of the oldest event that is not delivered yet; 0 = all are."),
		state:      gauge("state", "0 delivering, 1 retrying, 2 open: failing and tried now and then, 3 replaying from the database, 4 paused, 5 full of dead letters: it waits until some are replayed or dropped."),
	}
}

func (x *metrics) of(name string) *destinationMetrics {
	return &destinationMetrics{x.delivered.WithLabelValues(name), x.failed.WithLabelValues(name), x.dead.WithLabelValues(name)}
}

func (x *metrics) forget(name string) {
	for _, v := range []*prometheus.CounterVec{x.delivered, x.failed, x.dead} {
		v.DeleteLabelValues(name)
	}
}

// Describe is part of prometheus.Collector.
func (x *metrics) Describe(to chan<- *prometheus.Desc) {
	for _, v := range []*prometheus.CounterVec{x.delivered, x.failed, x.dead} {
		v.Describe(to)
	}
	to <- x.lagEvents
	to <- x.lagSeconds
	to <- x.state
}

// Collect is part of prometheus.Collector.
func (x *metrics) Collect(to chan<- prometheus.Metric) {
	for _, v := range []*prometheus.CounterVec{x.delivered, x.failed, x.dead} {
		v.Collect(to)
	}
	for _, s := range x.m.standings() {
		gauge := func(d *prometheus.Desc, v float64) {
			to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, s.name)
		}
		gauge(x.state, float64(s.state))
		gauge(x.lagEvents, float64(s.lagEvents))
		gauge(x.lagSeconds, s.lag.Seconds())
	}
}
