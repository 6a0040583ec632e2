package telemetry

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// twice registers OpenTelemetry's metrics where they are scraped, and once more alone, so that it
// can be told which they are.
type twice struct{ scraped, alone prometheus.Registerer }

func (t twice) Register(c prometheus.Collector) error {
	if err := t.scraped.Register(c); err != nil {
		return err
	}
	return t.alone.Register(c)
}

func (t twice) MustRegister(cs ...prometheus.Collector) {
	t.scraped.MustRegister(cs...)
	t.alone.MustRegister(cs...)
}

func (t twice) Unregister(c prometheus.Collector) bool {
	alone := t.alone.Unregister(c)
	return t.scraped.Unregister(c) && alone
}

// others gathers all but OpenTelemetry's own metrics, which go out over OTLP by themselves.
type others struct{ scraped, alone prometheus.Gatherer }

func (o others) Gather() ([]*dto.MetricFamily, error) {
	own, err := o.alone.Gather()
	if err != nil {
		return nil, err
	}
	names := make(map[string]bool, len(own))
	for _, f := range own {
		names[f.GetName()] = true
	}
	all, err := o.scraped.Gather()
	return slices.DeleteFunc(all, func(f *dto.MetricFamily) bool { return names[f.GetName()] }), err
}
