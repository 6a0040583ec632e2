package perf

import (
	"context"
	"errors"
	"testing"
	"testing/fstest"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// export collects what a System exports: the value of each metric, with the value of the
// attribute that tells two apart.
func export(t *testing.T, reader sdkmetric.Reader) map[string]float64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, s := range all.ScopeMetrics {
		for _, m := range s.Metrics {
			switch d := m.Data.(type) {
			case metricdata.Gauge[float64]:
				for _, p := range d.DataPoints {
					values[m.Name] = p.Value
				}
			case metricdata.Sum[int64]:
				for _, p := range d.DataPoints {
					direction, _ := p.Attributes.Value("network.io.direction")
					values[m.Name+direction.AsString()] = float64(p.Value)
				}
			}
		}
	}
	return values
}

func exported(t *testing.T, readings ...Reading) (*System, sdkmetric.Reader) {
	t.Helper()
	s, err := NewSystem(t.Context(), &script{readings: readings}, time.Now, quiet())
	if err != nil {
		t.Fatal(err)
	}
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	t.Cleanup(func() { _ = provider.Shutdown(context.WithoutCancel(t.Context())) })
	if err := s.Export(provider.Meter("test")); err != nil {
		t.Fatal(err)
	}
	return s, reader
}

func TestExportIsTheLastReading(t *testing.T) {
	first, second := ticks("m", 1, 2), ticks("m", 2, 4)
	second.Disk = FileSystem{Device: "/dev/sda1", Mountpoint: "/data", Used: 30, Total: 40, Percent: 75}
	second.Load = Load{1, 2, 3}
	second.Network = map[string]NetworkIO{"eth0": {100, 200, 1, 2}, "eth1": {1, 2, 0, 0}}
	s, reader := exported(t, first, second)
	if got, ok := export(t, reader)["system.cpu.utilization"]; ok {
		t.Errorf("the CPU is %v after one reading", got)
	}
	s.sample(t.Context())
	got := export(t, reader)
	for name, want := range map[string]float64{
		"system.cpu.utilization": 0.5, "system.memory.utilization": 0.5,
		"system.memory.usage": 1 << 29, "system.memory.limit": 1 << 30,
		"system.filesystem.utilization": 0.75, "system.filesystem.usage": 30, "system.filesystem.limit": 40,
		"system.network.ioreceive": 101, "system.network.iotransmit": 202,
		"system.network.errorsreceive": 1, "system.network.errorstransmit": 2,
		"system.cpu.load_average.1m": 1, "system.cpu.load_average.5m": 2, "system.cpu.load_average.15m": 3,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v (%v), want %v", name, v, ok, want)
		}
	}
	if len(got) != 14 {
		t.Errorf("%d metrics: %v", len(got), got)
	}
}

func TestWhatCannotBeReadIsNotExported(t *testing.T) {
	broken := errors.New("no such file")
	s, reader := exported(t, ticks("m", 1, 2), ticks("m", 2, 4),
		Reading{MemoryErr: broken, CPUErr: broken, DiskErr: broken, NetworkErr: broken, LoadErr: broken})
	s.sample(t.Context())
	s.sample(t.Context())
	if got := export(t, reader); len(got) != 0 {
		t.Errorf("exported %v", got)
	}
	if status, issues := Health(s.Read()); status != Warning || len(issues) != 3 {
		t.Errorf("health %s: %q", status, issues)
	}
}

// TestNetworkCountersOnlyGrow reads while interfaces come, go and begin anew.
func TestNetworkCountersOnlyGrow(t *testing.T) {
	var n NetworkIO
	var was map[string]NetworkIO
	for i, step := range []struct {
		is   map[string]NetworkIO
		want uint64
	}{
		{map[string]NetworkIO{"a": {ReceivedBytes: 10}}, 10},
		{map[string]NetworkIO{"a": {ReceivedBytes: 15}, "b": {ReceivedBytes: 1}}, 16},
		{map[string]NetworkIO{"b": {ReceivedBytes: 3}}, 18},
		{map[string]NetworkIO{"a": {ReceivedBytes: 2}, "b": {ReceivedBytes: 3}}, 20},
		{map[string]NetworkIO{"a": {ReceivedBytes: 1}, "b": {ReceivedBytes: 3}}, 21},
	} {
		n.add(was, step.is)
		was = step.is
		if n.ReceivedBytes != step.want {
			t.Errorf("step %d: %d, want %d", i, n.ReceivedBytes, step.want)
		}
	}
}

func TestPhysicalInterfaces(t *testing.T) {
	file := &fstest.MapFile{}
	got := physicalInterfaces(fstest.MapFS{
		"sys/class/net/eth0/device/vendor": file, "sys/class/net/docker0/mtu": file, "sys/class/net/veth1/mtu": file})
	if len(got) != 1 || !got["eth0"] {
		t.Errorf("physical: %v", got)
	}
	if got := physicalInterfaces(fstest.MapFS{}); len(got) != 0 {
		t.Errorf("physical: %v", got)
	}
}
