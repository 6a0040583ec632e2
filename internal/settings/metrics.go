package settings

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Export has the thresholds observed whenever the meter's readers collect, in seconds and ratios,
// so that alert rules compare what is measured with what applies at that moment.
func (m *Manager) Export(meter metric.Meter) error {
	gauge, err := meter.Float64ObservableGauge("tidemark.threshold", metric.WithDescription(
		"What counts as too slow, in seconds, or too full, from 0 to 1; the name is that of the setting."))
	if err != nil {
		return fmt.Errorf("making the metric of thresholds: %w", err)
	}
	named := func(name string) metric.ObserveOption {
		return metric.WithAttributeSet(attribute.NewSet(attribute.String("name", name)))
	}
	slow, memory := named("slow_request_ms"), named("high_memory_percent")
	cpu, disk := named("high_cpu_percent"), named("high_disk_percent")
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		t := m.Current().Thresholds
		o.ObserveFloat64(gauge, t.SlowRequestMS/1000, slow)
		o.ObserveFloat64(gauge, t.HighMemoryPercent/100, memory)
		o.ObserveFloat64(gauge, t.HighCPUPercent/100, cpu)
		o.ObserveFloat64(gauge, t.HighDiskPercent/100, disk)
		return nil
	}, gauge)
	if err != nil {
		return fmt.Errorf("observing the thresholds: %w", err)
	}
	return nil
}
