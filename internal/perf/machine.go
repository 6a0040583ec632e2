package perf

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v3/cpu"
	"github.com/shirou/gopsutil/v3/disk"
	"github.com/shirou/gopsutil/v3/load"
	"github.com/shirou/gopsutil/v3/mem"
)

// Machine reads the real machine. Where a control group (v1 or v2) allows less memory or fewer
// CPUs than the machine has, memory and CPU are the group's.
type Machine struct {
	dataDir  string
	mount    FileSystem      // where dataDir is; no sizes
	physical map[string]bool // see physicalInterfaces
	groups   cgroups
	start    time.Time
}

// NewMachine returns a Reader whose disk is the file system that holds dataDir.
func NewMachine(dataDir string) *Machine {
	root := os.DirFS("/")
	return &Machine{dataDir: dataDir, mount: mountOf(dataDir), groups: findCgroups(root),
		physical: physicalInterfaces(root), start: time.Now()}
}

// Read implements Reader.
func (m *Machine) Read(ctx context.Context) (r Reading) {
	r.MemoryUsed, r.MemoryTotal, r.MemoryErr = m.memory(ctx)
	r.CPU, r.CPUErr = m.cpu(ctx)
	r.Disk, r.DiskErr = m.disk(ctx)
	r.Network, r.NetworkErr = m.network(ctx)
	average, err := load.AvgWithContext(ctx)
	if err != nil {
		r.LoadErr = err
		return r
	}
	r.Load = Load{One: average.Load1, Five: average.Load5, Fifteen: average.Load15}
	return r
}

func (m *Machine) disk(ctx context.Context) (FileSystem, error) {
	usage, err := disk.UsageWithContext(ctx, m.dataDir)
	if err != nil {
		return FileSystem{}, err
	}
	fs := m.mount
	fs.Used, fs.Total, fs.Percent = usage.Used, usage.Total, usage.UsedPercent
	return fs, nil
}

// mountOf finds the file system that holds dir; without names where the mounts are not told.
func mountOf(dir string) (at FileSystem) {
	dir, err := filepath.Abs(dir)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return at
	}
	mounts, err := disk.Partitions(true)
	if err != nil {
		return at
	}
	for _, m := range mounts { // of two on one point the later one hides the other
		below, ok := strings.CutPrefix(dir, strings.TrimSuffix(m.Mountpoint, "/"))
		if ok && (below == "" || below[0] == filepath.Separator) && len(m.Mountpoint) >= len(at.Mountpoint) {
			at.Device, at.Mountpoint = strings.ToValidUTF8(m.Device, "?"), strings.ToValidUTF8(m.Mountpoint, "?")
		}
	}
	return at
}

// memory in use is what programs could not have: total without available, caches left out.
func (m *Machine) memory(ctx context.Context) (used, total uint64, err error) {
	machine, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		return 0, 0, err
	}
	if used, limit, ok := m.groups.memoryUsed(machine.Total); ok {
		return used, limit, nil
	}
	return machine.Total - min(machine.Available, machine.Total), machine.Total, nil
}

func (m *Machine) cpu(ctx context.Context) (CPUTime, error) {
	cpus, err := cpu.CountsWithContext(ctx, true)
	if err != nil {
		return CPUTime{}, err
	}
	if busy, limit, ok := m.groups.cpuUsed(float64(cpus)); ok {
		return CPUTime{
			Source:   fmt.Sprintf("control group of %g CPUs", limit),
			Busy:     busy.Seconds(),
			Possible: time.Since(m.start).Seconds() * limit,
		}, nil
	}
	times, err := cpu.TimesWithContext(ctx, false)
	if err != nil {
		return CPUTime{}, err
	}
	if len(times) != 1 {
		return CPUTime{}, fmt.Errorf("read CPU times: %d sums instead of one", len(times))
	}
	t := times[0]
	// User and Nice hold the guests' time already.
	busy := t.User + t.System + t.Nice + t.Irq + t.Softirq + t.Steal
	return CPUTime{Source: "machine", Busy: busy, Possible: busy + t.Idle + t.Iowait}, nil
}
