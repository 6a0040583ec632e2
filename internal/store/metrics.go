package store

import "github.com/prometheus/client_golang/prometheus"

// measured counts series and breakdowns by what answered them.
type measured struct{ total *prometheus.CounterVec }

func newMeasured() measured {
	m := measured{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tidemark_questions_total",
		Help: "Series and breakdowns, by what answers them: rollup, or raw for the events themselves.",
	}, []string{"path"})}
	m.total.WithLabelValues("rollup")
	m.total.WithLabelValues("raw")
	return m
}

func (m measured) count(rolled bool) {
	path := "raw"
	if rolled {
		path = "rollup"
	}
	m.total.WithLabelValues(path).Inc()
}

// Collectors returns the store's measurements.
func (s *Store) Collectors() []prometheus.Collector {
	return append(s.backlog.collectors(), s.measured.total)
}
