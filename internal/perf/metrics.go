package perf

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// instruments are the machine's, under the names of OpenTelemetry's semantic conventions.
type instruments struct {
	cpu, memory, disk    metric.Float64ObservableGauge
	memoryUsed           metric.Int64ObservableUpDownCounter
	memoryTotal          metric.Int64ObservableUpDownCounter
	diskUsed, diskTotal  metric.Int64ObservableUpDownCounter
	traffic, errors      metric.Int64ObservableCounter
	load1, load5, load15 metric.Float64ObservableGauge
}

// Export has the last state observed whenever the meter's readers collect. What could not be read,
// or not yet, is left out: no figure is better than an old one.
func (s *System) Export(meter metric.Meter) error {
	i, all, err := newInstruments(meter)
	if err != nil {
		return fmt.Errorf("making the system's metrics: %w", err)
	}
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		i.observe(o, s.Read())
		return nil
	}, all...)
	if err != nil {
		return fmt.Errorf("observing the system's metrics: %w", err)
	}
	return nil
}

func newInstruments(meter metric.Meter) (i instruments, all []metric.Observable, err error) {
	var faults []error
	gauge := func(name, unit, help string) metric.Float64ObservableGauge {
		g, err := meter.Float64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(help))
		all, faults = append(all, g), append(faults, err)
		return g
	}
	size := func(name, help string) metric.Int64ObservableUpDownCounter {
		u, err := meter.Int64ObservableUpDownCounter(name, metric.WithUnit("By"), metric.WithDescription(help))
		all, faults = append(all, u), append(faults, err)
		return u
	}
	counter := func(name, unit, help string) metric.Int64ObservableCounter {
		c, err := meter.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(help))
		all, faults = append(all, c), append(faults, err)
		return c
	}
	i = instruments{
		cpu:         gauge("system.cpu.utilization", "1", "CPU in use over the last seconds, of what the machine or container may use, from 0 to 1."),
		memory:      gauge("system.memory.utilization", "1", "Memory in use, of the machine's or the container's limit, from 0 to 1."),
		memoryUsed:  size("system.memory.usage", "Memory in use on the machine, or in the container where it has a limit."),
		memoryTotal: size("system.memory.limit", "Memory of the machine, or the container's limit."),
		disk:        gauge("system.filesystem.utilization", "1", "How full the file system of the data directory is, from 0 to 1."),
		diskUsed:    size("system.filesystem.usage", "Space in use on the file system of the data directory."),
		diskTotal:   size("system.filesystem.limit", "Size of the file system of the data directory."),
		traffic:     counter("system.network.io", "By", "Bytes over all network interfaces but loopback."),
		errors:      counter("system.network.errors", "{error}", "Errors on all network interfaces but loopback."),
		load1:       gauge("system.cpu.load_average.1m", "{thread}", "Threads that ran or waited to on the machine, on average over 1 minute."),
		load5:       gauge("system.cpu.load_average.5m", "{thread}", "Threads that ran or waited to on the machine, on average over 5 minutes."),
		load15:      gauge("system.cpu.load_average.15m", "{thread}", "Threads that ran or waited to on the machine, on average over 15 minutes."),
	}
	return i, all, errors.Join(faults...)
}

func (i instruments) observe(o metric.Observer, m SystemMetrics) {
	known := func(part string) bool { return !slices.Contains(m.Unreadable, part) }
	if known(partCPU) && m.CPUKnown {
		o.ObserveFloat64(i.cpu, ratio(m.CPUPercent))
	}
	if known(partMemory) {
		o.ObserveFloat64(i.memory, ratio(m.MemoryPercent))
		o.ObserveInt64(i.memoryUsed, int64(m.MemoryUsedBytes))
		o.ObserveInt64(i.memoryTotal, int64(m.MemoryTotalBytes))
	}
	if known(partDisk) {
		where := metric.WithAttributes(attribute.String("system.device", m.Disk.Device),
			attribute.String("system.filesystem.mountpoint", m.Disk.Mountpoint))
		o.ObserveFloat64(i.disk, ratio(m.DiskUsagePercent), where)
		o.ObserveInt64(i.diskUsed, int64(m.Disk.Used), where)
		o.ObserveInt64(i.diskTotal, int64(m.Disk.Total), where)
	}
	if known(partNetwork) {
		receive := metric.WithAttributes(attribute.String("network.io.direction", "receive"))
		transmit := metric.WithAttributes(attribute.String("network.io.direction", "transmit"))
		o.ObserveInt64(i.traffic, int64(m.Network.ReceivedBytes), receive)
		o.ObserveInt64(i.traffic, int64(m.Network.SentBytes), transmit)
		o.ObserveInt64(i.errors, int64(m.Network.ReceiveErrors), receive)
		o.ObserveInt64(i.errors, int64(m.Network.SendErrors), transmit)
	}
	if known(partLoad) {
		o.ObserveFloat64(i.load1, m.Load.One)
		o.ObserveFloat64(i.load5, m.Load.Five)
		o.ObserveFloat64(i.load15, m.Load.Fifteen)
	}
}

// ratio keeps the digits of a percentage, which has two.
func ratio(percent float64) float64 { return math.Round(percent*100) / 10000 }
