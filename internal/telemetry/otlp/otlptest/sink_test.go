package otlptest

import (
	"testing"

	metricsv1 "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	metricpb "go.opentelemetry.io/proto/otlp/metrics/v1"
)

// TestTheNewestStateIsByTime has an export that comes again, after a newer one.
func TestTheNewestStateIsByTime(t *testing.T) {
	s := Start(t)
	for _, second := range []uint64{1, 2, 1} {
		points := []*metricpb.NumberDataPoint{{TimeUnixNano: second * 1e9, Value: &metricpb.NumberDataPoint_AsInt{AsInt: int64(second)}}}
		m := &metricpb.Metric{Name: "m", Data: &metricpb.Metric_Sum{Sum: &metricpb.Sum{DataPoints: points}}}
		all := []*metricpb.ResourceMetrics{{ScopeMetrics: []*metricpb.ScopeMetrics{{Metrics: []*metricpb.Metric{m}}}}}
		if err := s.takeMetrics(nil, &metricsv1.ExportMetricsServiceRequest{ResourceMetrics: all}); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.Metrics()["m"].GetSum().GetDataPoints()[0].GetAsInt(); got != 2 {
		t.Errorf("the newest state is that of second %d", got)
	}
}
