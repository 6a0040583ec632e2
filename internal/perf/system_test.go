package perf

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// script gives one reading after the other, and the last one for ever.
type script struct {
	mu       sync.Mutex
	readings []Reading
	taken    int
}

func (s *script) Read(context.Context) Reading {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken++
	return s.readings[min(s.taken, len(s.readings))-1]
}

func ticks(source string, busy, possible float64) Reading {
	return Reading{MemoryUsed: 1 << 29, MemoryTotal: 1 << 30, Disk: FileSystem{Percent: 12.345}, CPU: CPUTime{Source: source, Busy: busy, Possible: possible}}
}

func TestSystemReadsAtOnceAndThenEveryFewSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := &script{readings: []Reading{ticks("m", 10, 100), ticks("m", 15, 110), ticks("m", 24, 120), ticks("m", 24, 130)}}
		s, err := NewSystem(t.Context(), reader, time.Now, quiet())
		if err != nil {
			t.Fatal(err)
		}
		m := s.Read()
		if m.MemoryUsageMB != 512 || m.MemoryPercent != 50 || m.DiskUsagePercent != 12.35 || m.CPUPercent != 0 || m.MemoryUsedBytes != 1<<29 {
			t.Errorf("first reading: %+v", m)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { s.Run(ctx) })
		for i, step := range []struct {
			wait time.Duration
			cpu  float64
		}{{time.Second, 50}, {5 * time.Second, 90}, {5 * time.Second, 0}} {
			time.Sleep(step.wait)
			synctest.Wait()
			if m := s.Read(); m.CPUPercent != step.cpu || time.Since(m.ReadAt) > 5*time.Second {
				t.Errorf("step %d: %+v", i, m)
			}
		}
		cancel()
		wg.Wait()
		if reader.taken != 4 {
			t.Errorf("%d readings, want 4", reader.taken)
		}
	})
}

func TestCPUIsADifferenceOfTheSameSource(t *testing.T) {
	for name, c := range map[string]struct {
		first, second CPUTime
		want          float64
	}{
		"half":            {CPUTime{"m", 1, 2}, CPUTime{"m", 2, 4}, 50},
		"other source":    {CPUTime{"m", 1, 2}, CPUTime{"group of 2", 2, 4}, 0},
		"no time between": {CPUTime{"m", 1, 2}, CPUTime{"m", 1, 2}, 0},
		"backwards":       {CPUTime{"m", 5, 9}, CPUTime{"m", 1, 2}, 0},
		"busy backwards":  {CPUTime{"m", 5, 9}, CPUTime{"m", 4, 10}, 0},
		"a burst":         {CPUTime{"m", 1, 2}, CPUTime{"m", 9, 4}, 100},
	} {
		reader := &script{readings: []Reading{{CPU: c.first}, {CPU: c.second}}}
		s, err := NewSystem(t.Context(), reader, time.Now, quiet())
		if err != nil {
			t.Fatal(err)
		}
		s.sample(t.Context())
		if got := s.Read().CPUPercent; got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestWhatCannotBeReadKeepsItsValueAndIsSaid(t *testing.T) {
	broken := errors.New("no such file")
	bad := Reading{MemoryErr: broken, CPUErr: broken, DiskErr: broken}
	reader := &script{readings: []Reading{ticks("m", 1, 2), bad, bad, ticks("m", 2, 4), bad}}
	var log bytes.Buffer
	s, err := NewSystem(t.Context(), reader, time.Now, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	s.sample(t.Context())
	s.sample(t.Context())
	m := s.Read()
	if m.MemoryPercent != 50 || m.DiskUsagePercent != 12.35 || !slices.Equal(m.Unreadable, []string{"memory", "CPU", "disk"}) {
		t.Errorf("%+v", m)
	}
	if status, issues := Health(m); status != Warning || len(issues) != 3 {
		t.Errorf("health %s: %q", status, issues)
	}
	if n := strings.Count(log.String(), "cannot be read"); n != 3 {
		t.Errorf("%d log lines, want one for each part", n)
	}
	s.sample(t.Context())
	if m := s.Read(); m.CPUPercent != 50 || m.Unreadable != nil {
		t.Errorf("after it could be read again: %+v", m)
	}
}

func TestAReadingCutShortByTheEndIsIgnored(t *testing.T) {
	s, err := NewSystem(t.Context(), &script{readings: []Reading{ticks("m", 1, 2), {MemoryErr: context.Canceled}}}, time.Now, quiet())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.sample(ctx)
	if m := s.Read(); m.Unreadable != nil {
		t.Errorf("%+v", m)
	}
}

func TestSystemJSON(t *testing.T) {
	got, err := json.Marshal(SystemMetrics{MemoryUsageMB: 1, MemoryPercent: 2, CPUPercent: 3, DiskUsagePercent: 4, MemoryUsedBytes: 5})
	if want := `{"memory_usage_mb":1,"memory_percent":2,"cpu_percent":3,"disk_usage_percent":4}`; err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
}

func TestHealth(t *testing.T) {
	for _, c := range []struct {
		m      SystemMetrics
		status string
		issues []string
	}{
		{SystemMetrics{}, Healthy, []string{}},
		{SystemMetrics{MemoryPercent: 90, CPUPercent: 95, DiskUsagePercent: 95}, Healthy, []string{}},
		{SystemMetrics{MemoryPercent: 90.1}, Warning, []string{"memory usage is 90.1 %, over 90 %"}},
		{SystemMetrics{CPUPercent: 95.1}, Critical, []string{"CPU usage is 95.1 %, over 95 %"}},
		{SystemMetrics{DiskUsagePercent: 99}, Critical, []string{"disk usage is 99.0 %, over 95 %"}},
		{SystemMetrics{DiskUsagePercent: 99, MemoryPercent: 91}, Critical, []string{"disk usage is 99.0 %, over 95 %", "memory usage is 91.0 %, over 90 %"}},
		{SystemMetrics{Unreadable: []string{"disk"}}, Warning, []string{"disk usage cannot be read"}},
	} {
		status, issues := Health(c.m)
		if status != c.status || !reflect.DeepEqual(issues, c.issues) {
			t.Errorf("%+v: %s %q", c.m, status, issues)
		}
	}
}

func TestNewSystemNeedsItsParts(t *testing.T) {
	if _, err := NewSystem(t.Context(), nil, time.Now, quiet()); err == nil {
		t.Error("no reader is accepted")
	}
}

// TestTheRealMachine reads this machine twice while one CPU is kept busy.
func TestTheRealMachine(t *testing.T) {
	machine := NewMachine(t.TempDir())
	first := machine.Read(t.Context())
	if err := errors.Join(first.MemoryErr, first.CPUErr, first.DiskErr, first.NetworkErr, first.LoadErr); err != nil {
		t.Fatal(err)
	}
	if first.Disk.Mountpoint == "" || first.Disk.Device == "" || first.Disk.Used == 0 || first.Disk.Used > first.Disk.Total {
		t.Errorf("the disk: %+v", first.Disk)
	}
	if first.MemoryUsed == 0 || first.MemoryUsed > first.MemoryTotal || first.Disk.Percent <= 0 || first.Disk.Percent > 100 {
		t.Errorf("%+v", first)
	}
	deadline := time.Now().Add(time.Minute)
	for {
		second := machine.Read(t.Context()) // which is work for the CPU, too
		busy, possible := second.CPU.Busy-first.CPU.Busy, second.CPU.Possible-first.CPU.Possible
		if second.CPUErr == nil && second.CPU.Source == first.CPU.Source && busy > 0.1 && possible > 0 && busy <= possible*1.1 {
			t.Logf("%s: busy %.2f of %.2f s", second.CPU.Source, busy, possible)
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the CPU's time does not add up: %+v, %+v", first.CPU, second.CPU)
		}
	}
}

func TestAMissingDiskIsAnError(t *testing.T) {
	r := NewMachine(t.TempDir() + "/nowhere").Read(t.Context())
	if r.DiskErr == nil || r.MemoryErr != nil {
		t.Errorf("%+v", r)
	}
}
