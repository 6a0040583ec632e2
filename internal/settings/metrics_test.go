package settings_test

import (
	"context"
	"testing"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/tidemark-obs/tidemark/internal/settings"
)

func TestExportedThresholdsAreInBaseUnits(t *testing.T) {
	set := settings.Defaults()
	set.Thresholds = settings.Thresholds{SlowRequestMS: 1500, HighMemoryPercent: 50, HighCPUPercent: 25, HighDiskPercent: 12.5}
	m := start(t, &database{}, set)
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	t.Cleanup(func() { _ = provider.Shutdown(context.WithoutCancel(t.Context())) })
	if err := m.Export(provider.Meter("test")); err != nil {
		t.Fatal(err)
	}
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{"slow_request_ms": 1.5, "high_memory_percent": 0.5, "high_cpu_percent": 0.25, "high_disk_percent": 0.125}
	points := all.ScopeMetrics[0].Metrics[0].Data.(metricdata.Gauge[float64]).DataPoints
	for _, p := range points {
		name, _ := p.Attributes.Value("name")
		if want[name.AsString()] != p.Value {
			t.Errorf("%s is %v", name.AsString(), p.Value)
		}
	}
	if len(points) != len(want) {
		t.Errorf("%d thresholds", len(points))
	}
}
