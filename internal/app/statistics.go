package app

import (
	"github.com/tidemark-obs/tidemark/internal/declared"
	"github.com/tidemark-obs/tidemark/internal/ingest"
)

// Statistics is what is declared of events' properties.
type Statistics struct {
	Dimensions []Dimension `yaml:"dimensions"`
	Numbers    []Number    `yaml:"numbers"`
	Metrics    []Metric    `yaml:"metrics"`
}

// Dimension is a property worth breaking down by.
type Dimension struct {
	Property string   `yaml:"property"`
	Events   []string `yaml:"events"`
	Values   int      `yaml:"values"`
	Known    []string `yaml:"known"`
	Label    string   `yaml:"label"`
}

// Number is a property worth sums and percentiles.
type Number struct {
	Property string   `yaml:"property"`
	Events   []string `yaml:"events"`
}

// Metric is what stored events look like at /metrics.
type Metric struct {
	Event     string    `yaml:"event"`
	Histogram string    `yaml:"histogram"`
	Name      string    `yaml:"name"`
	Help      string    `yaml:"help"`
	Unit      string    `yaml:"unit"`
	Buckets   []float64 `yaml:"buckets"`
	Labels    []string  `yaml:"labels"`
}

func defaultStatistics() Statistics {
	return Statistics{Dimensions: []Dimension{}, Numbers: []Number{}, Metrics: []Metric{}}
}

// declared checks the declaration; an error names the key.
func (s *Statistics) declared() (*declared.Set, error) {
	var c declared.Config
	for _, d := range s.Dimensions {
		c.Dimensions = append(c.Dimensions, declared.DimensionConfig(d))
	}
	for _, n := range s.Numbers {
		c.Numbers = append(c.Numbers, declared.NumberConfig(n))
	}
	for _, m := range s.Metrics {
		c.Metrics = append(c.Metrics, declared.MetricConfig(m))
	}
	return declared.New(c, "statistics")
}

// projections are the metrics made from stored events.
func (a *App) projections() (ingest.Projections, error) {
	set, err := a.cfg.Statistics.declared()
	if err != nil {
		return ingest.Projections{}, err
	}
	replica, err := replicaID(a.cfg.Data.Dir)
	return ingest.Projections{Declared: set, Totals: a.store, Replica: replica}, err
}
