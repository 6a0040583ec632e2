package perf

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"slices"
	"sync/atomic"
	"time"
)

// How often the machine is read; the second reading comes soon, since the CPU needs two.
const (
	sampleEvery  = 5 * time.Second
	secondSample = 500 * time.Millisecond
)

// SystemMetrics is the state of the machine, or of the container's share of it.
type SystemMetrics struct {
	MemoryUsageMB    float64 `json:"memory_usage_mb" doc:"Memory in use on the machine, or in the container where it has a limit, in MiB"`
	MemoryPercent    float64 `json:"memory_percent" doc:"The same in percent of the machine's memory or the container's limit"`
	CPUPercent       float64 `json:"cpu_percent" doc:"CPU in use over the last seconds, in percent of what the machine or container may use"`
	DiskUsagePercent float64 `json:"disk_usage_percent" doc:"How full the file system of the data directory is, in percent"`

	MemoryUsedBytes  uint64     `json:"-"`
	MemoryTotalBytes uint64     `json:"-"` // of the machine, or the container's limit
	Disk             FileSystem `json:"-"`
	Network          NetworkIO  `json:"-"` // since the machine started
	Load             Load       `json:"-"`
	CPUKnown         bool       `json:"-"` // false until the CPU was read twice
	ReadAt           time.Time  `json:"-"`
	Unreadable       []string   `json:"-"` // parts that could not be read; their last values stand
}

// The parts of the machine.
const (
	partMemory  = "memory"
	partCPU     = "CPU"
	partDisk    = "disk"
	partNetwork = "network"
	partLoad    = "load"
)

// Reading is one look at the machine. A part whose error is set is ignored.
type Reading struct {
	MemoryUsed, MemoryTotal uint64 // bytes
	MemoryErr               error

	CPU    CPUTime
	CPUErr error

	Disk    FileSystem
	DiskErr error

	Network    map[string]NetworkIO // by interface
	NetworkErr error

	Load    Load
	LoadErr error
}

// FileSystem is how full one is.
type FileSystem struct {
	Device, Mountpoint string // empty when not known
	Used, Total        uint64 // bytes
	Percent            float64
}

// Load is how many threads ran or waited to, on average over 1, 5 and 15 minutes.
type Load struct{ One, Five, Fifteen float64 }

// CPUTime counts from some moment on; only the difference of two from the same source means
// something.
type CPUTime struct {
	Source         string  // what was measured, and of how many CPUs
	Busy, Possible float64 // seconds
}

// Reader reads the machine; Machine is the real one.
type Reader interface {
	Read(ctx context.Context) Reading
}

// System keeps the last state of the machine.
type System struct {
	reader Reader
	now    func() time.Time
	log    *slog.Logger
	last   atomic.Pointer[SystemMetrics]

	// Of the last reading; only sample touches them.
	cpu     CPUTime
	network map[string]NetworkIO
}

// NewSystem takes the first reading. The CPU is 0 until the second, half a second into Run.
func NewSystem(ctx context.Context, r Reader, now func() time.Time, log *slog.Logger) (*System, error) {
	if r == nil || now == nil || log == nil {
		return nil, errors.New("perf: a reader, a clock and a logger are needed")
	}
	s := &System{reader: r, now: now, log: log}
	s.last.Store(&SystemMetrics{})
	s.sample(ctx)
	return s, nil
}

// Read returns the last state at once.
func (s *System) Read() SystemMetrics { return *s.last.Load() }

// Run reads the machine every few seconds until ctx ends. Only one Run at a time.
func (s *System) Run(ctx context.Context) {
	timer := time.NewTimer(secondSample)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		s.sample(ctx)
		timer.Reset(sampleEvery)
	}
}

func (s *System) sample(ctx context.Context) {
	reading := s.reader.Read(ctx)
	if ctx.Err() != nil {
		return // a reading cut short by the end
	}
	old := s.last.Load()
	next := *old
	next.ReadAt, next.Unreadable = s.now(), nil
	if s.readable(&next, partMemory, reading.MemoryErr, old) {
		next.MemoryUsedBytes, next.MemoryTotalBytes = reading.MemoryUsed, reading.MemoryTotal
		next.MemoryUsageMB = round2(float64(reading.MemoryUsed) / (1 << 20))
		next.MemoryPercent = percent(float64(reading.MemoryUsed), float64(reading.MemoryTotal))
	}
	if s.readable(&next, partCPU, reading.CPUErr, old) {
		was, is := s.cpu, reading.CPU
		if was.Source == is.Source && is.Possible > was.Possible {
			next.CPUPercent, next.CPUKnown = percent(is.Busy-was.Busy, is.Possible-was.Possible), true
		}
		s.cpu = is
	}
	if s.readable(&next, partDisk, reading.DiskErr, old) {
		next.Disk = reading.Disk
		next.DiskUsagePercent = percent(reading.Disk.Percent, 100)
	}
	if s.readable(&next, partNetwork, reading.NetworkErr, old) {
		next.Network.add(s.network, reading.Network)
		s.network = reading.Network
	}
	if s.readable(&next, partLoad, reading.LoadErr, old) {
		next.Load = reading.Load
	}
	s.last.Store(&next)
}

// readable notes a part that cannot be read, and logs it once.
func (s *System) readable(next *SystemMetrics, part string, err error, old *SystemMetrics) bool {
	if err == nil {
		return true
	}
	next.Unreadable = append(next.Unreadable, part)
	if !slices.Contains(old.Unreadable, part) {
		s.log.Warn("a part of the machine cannot be read", "part", part, "error", err)
	}
	return false
}

// percent is in [0, 100]; counters that run backwards or count ahead of each other stay in it.
func percent(part, whole float64) float64 {
	if !(whole > 0) || math.IsNaN(part) {
		return 0
	}
	return round2(min(max(part/whole*100, 0), 100))
}

func round2(x float64) float64 { return math.Round(x*100) / 100 }
